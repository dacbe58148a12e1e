"""The pool's content as geth shows it."""

import asyncio
import json

import pytest

from rpc.namespaces import txpool
from rpc.namespaces.txpool import TxpoolMethods
from rpc.streamed import Streamed
from rpc.views import to_checksum
from tests.rpc.client import Client
from tests.rpc.fakes import FakeNode, FakeTransaction, word

# From EIP-55.
ALICE = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
BOB = bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359")
ALICE_NAME = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BOB_NAME = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


@pytest.fixture
def client(node: FakeNode) -> Client:
    """Alice: pending 2, 9, 10, queued 12. Bob: pending creation 0."""
    node.pool.pending = {
        BOB: [FakeTransaction(sender=BOB, hash=word(1), to=None, value=5, gas_limit=7, max_fee_per_gas=9)],
        ALICE: [FakeTransaction(sender=ALICE, nonce=nonce, hash=word(nonce), to=BOB) for nonce in (2, 9, 10)],
    }
    node.pool.queued = {ALICE: [FakeTransaction(sender=ALICE, nonce=12, hash=word(12))]}
    return Client(node)


@pytest.mark.parametrize(("address", "name"), [(ALICE, ALICE_NAME), (BOB, BOB_NAME)])
def test_addresses_are_checksummed(address: bytes, name: str) -> None:
    """The examples of EIP-55."""
    assert to_checksum(address) == name


async def test_content_is_keyed_by_checksummed_address_and_decimal_nonce(client: Client) -> None:
    """Keys are sorted as text, so nonce 10 stands before 2; addresses inside are lower case."""
    content = await client.ask("txpool_content")

    assert isinstance(content, dict)
    assert list(content) == ["pending", "queued"]
    pending = content["pending"]
    assert list(pending) == [ALICE_NAME, BOB_NAME]
    assert list(pending[ALICE_NAME]) == ["10", "2", "9"]
    assert pending[ALICE_NAME]["10"]["nonce"] == "0xa"
    assert pending[ALICE_NAME]["10"]["from"] == ALICE_NAME.lower()
    assert pending[ALICE_NAME]["10"]["blockHash"] is None
    assert list(content["queued"][ALICE_NAME]) == ["12"]


async def test_an_empty_pool_has_both_parts(node: FakeNode) -> None:
    """Empty objects, not null."""
    assert await Client(node).ask("txpool_content") == {"pending": {}, "queued": {}}


async def test_content_from_one_sender(client: Client) -> None:
    """Somebody unknown has nothing."""
    content = await client.ask("txpool_contentFrom", ALICE_NAME)

    assert isinstance(content, dict)
    assert (list(content["pending"]), list(content["queued"])) == (["10", "2", "9"], ["12"])
    assert await client.ask("txpool_contentFrom", "0x" + "00" * 20) == {"pending": {}, "queued": {}}


async def test_inspect_gives_one_line_each(client: Client) -> None:
    """The price is the fee cap; a creation is named so."""
    lines = await client.ask("txpool_inspect")

    assert isinstance(lines, dict)
    assert lines["pending"][BOB_NAME] == {"0": "contract creation: 5 wei + 7 gas × 9 wei"}
    assert lines["pending"][ALICE_NAME]["2"] == f"{BOB_NAME}: 0 wei + 21000 gas × 3000000000 wei"


async def test_status_counts(client: Client) -> None:
    """As quantities."""
    assert await client.ask("txpool_status") == {"pending": "0x4", "queued": "0x1"}


async def test_large_pools_are_rendered_in_slices(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses change nothing in the answer."""
    whole = await client.ask("txpool_content")
    monkeypatch.setattr(txpool, "SLICE", 1)

    assert await client.ask("txpool_content") == whole


async def test_a_long_answer_pauses_after_every_slice(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three thousand senders: others have more turns than there are slices, and no piece is longer than its slice."""
    monkeypatch.setattr(txpool, "SORTED_AT_ONCE", 300)
    senders = [word(number)[12:] for number in range(3_000)]
    node.pool.pending = {each: [FakeTransaction(sender=each, hash=word(5), to=BOB)] for each in senders}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    probe = asyncio.create_task(others())
    content = await TxpoolMethods(node.backend).content()
    pieces = [piece async for piece in content]
    probe.cancel()

    assert turns >= 3_000 // txpool.SLICE + 3_000 // 300
    assert max(piece.count(b'"hash"') for piece in pieces) <= txpool.SLICE
    assert list(json.loads(b"".join(pieces))["pending"]) == sorted(to_checksum(each) for each in senders)


async def test_a_sender_with_many_transactions_is_rendered_in_slices_too(
    client: Client, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand nonces in order of their text, in `txpool_content` and `txpool_contentFrom`, with pauses."""
    monkeypatch.setattr(txpool, "SORTED_AT_ONCE", 70)
    run = [FakeTransaction(sender=ALICE, nonce=nonce, hash=word(nonce), to=BOB) for nonce in range(1_000)]
    node.pool.pending = {ALICE: run}
    content = await client.ask("txpool_content")
    of_alice = await client.ask("txpool_contentFrom", ALICE_NAME)
    streamed = TxpoolMethods(node.backend).content_from(ALICE)

    assert isinstance(content, dict)
    assert isinstance(of_alice, dict)
    assert list(of_alice["pending"]) == sorted(str(nonce) for nonce in range(1_000))
    assert of_alice == {side: of.get(ALICE_NAME, {}) for side, of in content.items()}
    assert isinstance(streamed, Streamed)
    assert max([piece.count(b'"hash"') async for piece in streamed]) <= txpool.SLICE


async def test_the_answer_is_of_the_moment_of_the_question(node: FakeNode) -> None:
    """What comes while it is sent is not in it."""
    node.pool.pending = {BOB: [FakeTransaction(sender=BOB)]}
    content = aiter(await TxpoolMethods(node.backend).content())
    pieces = [await anext(content)]
    node.pool.pending[ALICE] = [FakeTransaction(sender=ALICE)]
    pieces += [piece async for piece in content]

    assert list(json.loads(b"".join(pieces))["pending"]) == [BOB_NAME]


async def test_a_streamed_answer_is_one_of_a_batch_too(client: Client) -> None:
    """There it is put together, since the size of a batch is limited."""
    alone = await client.raw("txpool_content")
    batch = await client.message(b'[{"jsonrpc":"2.0","id":1,"method":"txpool_content"}]')

    assert batch == b"[" + alone + b"]"
