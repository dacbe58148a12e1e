"""`parallelpool.client` against a real daemon, over each of its transports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from parallelpool.client import (
    BatchRequest,
    Client,
    ClientError,
    ConnectionLost,
    RpcFailure,
    StrangeAnswer,
)
from parallelpool.client import answers as readers
from tests.e2e.daemon import Daemon
from tests.e2e.signing import CHAIN_ID, accounts, hash_of, raw, raw_parallel

DEADLINE_S = 60.0


def url_of(node: Daemon, kind: str) -> str:
    """Where the daemon answers."""
    return {"http": node.http_url, "ws": node.websocket_url, "ipc": node.shown("IPC")}[kind]


@pytest.fixture(params=["http", "ws", "ipc"])
async def client(manual: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client of a daemon that seals only when told."""
    async with Client(url_of(manual, request.param)) as node:
        yield node


async def send(node: Client, *raw_transactions: str) -> tuple[bytes, ...]:
    """Submits; the hashes."""
    return tuple([await node.send_raw_transaction(each) for each in raw_transactions])


async def test_a_wallet_tags_signs_sends_and_waits(client: Client) -> None:
    """The receipt is that of the tagged transaction."""
    payer = accounts()[0]
    fields = await client.tag_transaction({"from": payer.address, "to": accounts()[1].address}, "PARALLEL")
    assert fields.pop("tagging")["tagged"] is True
    verdict = await client.is_parallelizable({**fields, "from": payer.address})
    assert (verdict.parallelizable, verdict.tag, verdict.reasons) == (True, "PARALLEL", ())

    (tx_hash,) = await send(client, raw_parallel(payer, fields))
    assert (await client.status(tx_hash=tx_hash))["status"] == "pending"
    waiting = asyncio.create_task(client.wait_for_receipt(tx_hash, timeout_s=DEADLINE_S))
    await client.execute_batches()

    receipt = await waiting
    assert (receipt["transactionHash"], receipt["status"], receipt["type"]) == (
        "0x" + tx_hash.hex(),
        "0x1",
        "0x5",
    )
    assert await client.chain_id() == CHAIN_ID


async def test_a_sequencer_reads_batches_as_values(client: Client) -> None:
    """Numbers are numbers and bytes are bytes; what was not asked for is not there."""
    signed = [raw(account, 0) for account in accounts()[:3]]
    hashes = await send(client, *signed)

    offer = await client.get_batches(
        BatchRequest(form="raw", extras=("deps", "groups", "accessList", "predictions"), max_batches=4)
    )
    (batch,) = offer.batches
    assert (batch.kind, batch.index, batch.after, batch.gas_limit) == ("parallel", 0, (), 3 * 21_000)
    assert sorted(batch.transactions) == sorted(bytes.fromhex(each[2:]) for each in signed)
    assert (offer.head.number, offer.chain_id, offer.filtered, offer.next) == (0, CHAIN_ID, False, None)
    assert offer.deps == ((), (), ())
    assert offer.groups is not None
    assert batch.access_list is not None
    assert batch.predictions is not None
    assert {prediction.source for prediction in batch.predictions} == {"transfer"}
    plain = await client.get_batches()
    assert sorted(plain.batches[0].transactions) == sorted(hashes)
    assert (plain.deps, plain.groups, plain.batches[0].access_list) == (None, None, None)

    execution = await client.execute_batches([batch.batch_id], compare=True)
    assert sorted(execution.hashes) == sorted(hashes)
    assert (execution.gas_used, execution.left_out, execution.serial_ms is None) == (3 * 21_000, (), False)
    statistics = await client.batch_statistics()
    assert (statistics.total_processed, statistics.batches) == (3, 0)
    assert statistics.last_execution is not None
    assert statistics.last_execution.block_hash == execution.block_hash


async def test_batches_can_be_checked_and_looked_up(client: Client) -> None:
    """A stranger's batch is held against its promise; two nonces of one sender can be none."""
    account, other = accounts()[:2]
    signed = [raw(account, 0), raw(other, 0), raw(account, 1)]
    verdict = await client.verify_batch(signed[:2], orders=3)
    assert (verdict.valid, verdict.orders, verdict.conflicts) == (True, 3, ())
    broken = await client.verify_batch(signed)
    assert not broken.valid
    assert {bytes.fromhex(hash_of(signed[0])[2:])} <= {conflict.first for conflict in broken.conflicts}

    first, _, third = await send(client, *signed)
    ours = await client.get_batch_by_transaction(first)
    assert ours is not None
    assert await client.get_batch_by_id(ours.batch_id) == ours
    after = (await client.get_dependencies([third, bytes(32)]))[third]
    assert after is not None
    assert [conflict.first for conflict in after] == [first]
    assert (await client.get_dependencies([bytes(32)]))[bytes(32)] is None
    assert await client.get_conflicts(by="address") == ()


async def test_offers_are_followed_by_long_polls(client: Client) -> None:
    """Each differs from the one before; nothing is polled for in between."""
    async with asyncio.timeout(DEADLINE_S), aclosing(client.follow_batches()) as offers:
        first = await anext(offers)
        assert first.batches == ()
        (tx_hash,) = await send(client, raw(accounts()[0], 0))
        second = await anext(offers)
        assert second.batches[0].transactions == (tx_hash,)
        await client.execute_batches()
        while second.head.number == 0:
            second = await anext(offers)
        assert second.batches == ()


async def test_what_the_daemon_refuses_has_its_code_words_and_data(client: Client) -> None:
    """Nothing is lost on the way."""
    with pytest.raises(RpcFailure, match="unknown batch") as unknown:
        await client.execute_batches([bytes(32)])
    assert (unknown.value.method, unknown.value.code) == ("parallel_executeBatches", 3004)
    with pytest.raises(RpcFailure, match="stale head") as stale:
        await client.get_batches(BatchRequest(parent_hash=bytes(32)))
    assert stale.value.data == {"head": "0x" + (await client.get_batches()).head.hash.hex()}
    with pytest.raises(RpcFailure, match="batch size must be from 64 to 256, got 1"):
        await client.set_batch_size(1)
    await client.set_batch_size(128)


@pytest.mark.parametrize("kind", ["ws", "ipc"])
async def test_subscriptions_tell_heads_and_batches(manual: Daemon, kind: str) -> None:
    """Side by side on one connection, and each ends by itself."""
    async with asyncio.timeout(DEADLINE_S), Client(url_of(manual, kind)) as node:
        heads, changes = node.subscribe_heads(), node.subscribe_batches(BatchRequest(form="raw"))
        first = await anext(changes)
        assert (first.added, first.invalidated, first.resync) == ((), (), False)
        head = asyncio.ensure_future(anext(heads))
        signed = raw(accounts()[0], 0)
        await send(node, signed)
        change = await anext(changes)
        assert change.added[0].transactions == (bytes.fromhex(signed[2:]),)
        await changes.aclose()
        await node.execute_batches()
        assert (await head).number == 1
        await heads.aclose()
        assert await node.receipt(hash_of(signed)) is not None


async def test_subscriptions_need_a_lasting_connection(manual: Daemon) -> None:
    """Over HTTP the daemon has nobody to tell."""
    async with Client(manual.http_url) as node:
        with pytest.raises(ClientError):
            await anext(node.subscribe_heads())


@pytest.mark.parametrize("kind", ["http", "ws", "ipc"])
async def test_a_daemon_that_is_gone_is_an_error_and_not_a_wait(manual: Daemon, kind: str) -> None:
    """Running calls and subscriptions end, later ones fail at once."""
    async with asyncio.timeout(DEADLINE_S), Client(url_of(manual, kind)) as node:
        waiting = asyncio.create_task(node.get_batches(BatchRequest(wait_ms=20_000, if_none_match=None)))
        await node.chain_id()
        manual.process.kill()
        manual.process.wait()

        with pytest.raises(ConnectionLost):
            await waiting
        with pytest.raises(ConnectionLost):
            await node.chain_id()
    manual.process.returncode = 0  # Its end was asked for.


async def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    """Of the same kind for every transport."""
    for url in ("http://127.0.0.1:1", "ws://127.0.0.1:1", str(tmp_path / "none.ipc")):
        with pytest.raises(ConnectionLost):
            async with Client(url) as node:
                await node.chain_id()


@pytest.mark.parametrize("answer", [{}, None, [], {"etag": "0xzz"}, "0x"])
def test_an_answer_that_lacks_what_was_promised_is_named(answer: object) -> None:
    """A client never sees a half-read value."""
    with pytest.raises(StrangeAnswer):
        readers.read(answer, readers.offer)
