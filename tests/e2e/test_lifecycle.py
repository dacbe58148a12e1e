"""A daemon's life: the four sealing modes, an orderly stop, and what the next start finds."""

import asyncio
import json
import signal
import time
from typing import Any, Final

import aiohttp
import pytest
from eth_account.signers.local import LocalAccount

from tests.deadline import until
from tests.e2e.conftest import Start
from tests.e2e.daemon import Daemon, eventually
from tests.e2e.signing import ETHER, accounts, hash_of, newcomer, raw

LONG_MS: Final = 600_000
"""What a client waits who should not be waited for: ten times what a stop may take here."""


def send(node: Daemon, account: LocalAccount, *nonces: int, **fields: Any) -> list[str]:
    """Sends one transaction for each nonce; the hashes as the node says them."""
    return [node.call("eth_sendRawTransaction", raw(account, nonce, **fields)) for nonce in nonces]


def receipt(node: Daemon, tx_hash: str) -> Any:
    """The receipt, or `None`."""
    return node.call("eth_getTransactionReceipt", tx_hash)


def block(node: Daemon, number: int) -> Any:
    """A block with hashes of its transactions."""
    return node.call("eth_getBlockByNumber", hex(number), False)


# ------------------------------------------------------------------ sealing


def test_batch_mode_seals_a_lone_transaction_after_a_while(start: Start) -> None:
    """The default: nobody waits for a batch that does not fill."""
    node = start()
    [tx_hash] = send(node, accounts()[0], 0)

    assert node.shown("Sealing") == "when 64 executable transactions wait, or 0.5 s after the first"
    eventually(lambda: receipt(node, tx_hash) is not None)
    assert (receipt(node, tx_hash)["blockNumber"], node.number("eth_blockNumber")) == ("0x1", 1)


def test_batch_mode_seals_a_full_batch_together(start: Start) -> None:
    """A block needs 64 that wait, or half a second: 80 at once make no more of them than that allows."""
    node = start()
    signed = [raw(account, nonce) for account in accounts() for nonce in range(8)]
    calls = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": [text]}
        for index, text in enumerate(signed)
    ]
    began = time.monotonic()
    answers = json.loads(node.post(json.dumps(calls).encode()))
    hashes = [answer["result"] for answer in answers]

    eventually(lambda: all(receipt(node, tx_hash) is not None for tx_hash in hashes))
    halves = int((time.monotonic() - began) / 0.5)
    assert all(receipt(node, tx_hash)["status"] == "0x1" for tx_hash in hashes)
    assert node.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert node.number("eth_blockNumber") <= 1 + halves + 1


def test_instant_mode_seals_each_transaction(start: Start) -> None:
    """One after the other, each in a block of its own; nothing is sealed without one."""
    node = start("--dev.mine", "instant")
    mined = [node.call("eth_sendRawTransactionSync", raw(accounts()[0], nonce), 60_000) for nonce in range(3)]

    assert node.shown("Sealing") == "a block for each transaction"
    assert [found["blockNumber"] for found in mined] == ["0x1", "0x2", "0x3"]
    assert node.number("eth_blockNumber") == 3


def test_interval_mode_seals_empty_blocks_too(start: Start) -> None:
    """A block for every period, a second apart by their timestamps at least, and one has the transaction."""
    node = start("--dev.period", "1")
    [tx_hash] = send(node, accounts()[0], 0)

    assert node.shown("Sealing") == "a block every 1 s"
    eventually(lambda: node.number("eth_blockNumber") >= 3)
    times = [int(block(node, number)["timestamp"], 16) for number in range(1, 4)]
    assert times == sorted(set(times))
    assert receipt(node, tx_hash)["status"] == "0x1"
    assert [len(block(node, number)["transactions"]) for number in range(1, 4)].count(0) >= 2


def test_manual_mode_seals_when_told(start: Start) -> None:
    """`dev_mine` and `evm_mine`, with what is executable then, and empty blocks otherwise."""
    node = start("--dev.mine", "manual")
    [first, gapped] = send(node, accounts()[0], 0, 2)

    assert node.shown("Sealing") == "manual (dev_mine, parallel_executeBatches)"
    assert (receipt(node, first), node.number("eth_blockNumber")) == (None, 0)
    mined = node.call("dev_mine")
    assert (mined["number"], receipt(node, first)["blockHash"]) == ("0x1", mined["hash"])
    assert receipt(node, gapped) is None
    assert node.call("evm_mine") == "0x0"
    assert (node.number("eth_blockNumber"), block(node, 2)["transactions"]) == (2, [])


# ------------------------------------------------------------------ stop and start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order(start: Start, number: int) -> None:
    """Exit 0, no traceback, the socket is gone, and so are the ports."""
    node = start("--dev.mine", "manual")
    send(node, accounts()[0], 0)

    assert node.stop(number) == 0
    assert "Traceback" not in node.log()
    assert not (node.datadir / "parallelpool.ipc").exists()
    with pytest.raises(OSError, match="refused"):
        node.call("eth_chainId")


def test_a_stop_under_load_is_in_order(start: Start) -> None:
    """Transactions wait and the sealing runs: exit 0 all the same, and all of them are there afterwards."""
    node = start("--dev.period", "1")
    hashes = [tx_hash for account in accounts()[:5] for tx_hash in send(node, account, *range(6))]
    assert node.stop() == 0

    again = start("--dev.mine", "instant")
    eventually(lambda: again.call("txpool_status") == {"pending": "0x0", "queued": "0x0"})
    assert all(receipt(again, tx_hash) is not None for tx_hash in hashes)


async def test_a_stop_does_not_wait_for_clients(start: Start) -> None:
    """One waits for a receipt that does not come, one listens for blocks: both are let go, exit 0."""
    node = start("--dev.mine", "manual", "--rpc.txsync.maxtimeout", "1h")
    sync = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "eth_sendRawTransactionSync",
        "params": [raw(accounts()[0], 0), LONG_MS],
    }
    subscribe = {"jsonrpc": "2.0", "id": 2, "method": "eth_subscribe", "params": ["newHeads"]}
    async with aiohttp.ClientSession() as session, session.ws_connect(node.websocket_url) as socket:
        await socket.send_json(subscribe)
        assert "result" in await socket.receive_json(timeout=60)
        waiting = asyncio.ensure_future(session.post(node.http_url, json=sync))
        await until(lambda: node.call("txpool_status")["pending"] == "0x1", timeout_s=60)
        code = await asyncio.to_thread(node.stop)
        end = await socket.receive(timeout=60)
        await asyncio.wait([waiting], timeout=60)

    assert (code, waiting.done()) == (0, True)
    assert end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    if waiting.exception() is None:
        waiting.result().release()


def test_an_orderly_stop_keeps_the_pool(start: Start) -> None:
    """Pending and queued transactions of every kind of place come back as they were, and are mined."""
    node = start("--dev.mine", "manual")
    pending = send(node, accounts()[0], 0, 1) + send(node, accounts()[1], 0)
    queued = send(node, accounts()[2], 1)
    content = node.call("txpool_content")
    assert node.stop() == 0

    again = start("--dev.mine", "manual")
    assert again.call("txpool_content") == content
    assert again.number("eth_getTransactionCount", accounts()[0].address, "pending") == 2
    again.call("dev_mine")
    assert all(receipt(again, tx_hash)["blockNumber"] == "0x1" for tx_hash in pending)
    assert [receipt(again, tx_hash) for tx_hash in queued] == [None]
    send(again, accounts()[2], 0)
    again.call("dev_mine")
    assert all(receipt(again, tx_hash)["blockNumber"] == "0x2" for tx_hash in queued)


def test_history_is_readable_after_a_restart(start: Start) -> None:
    """Blocks, receipts, logs and past balances are the same; the chain goes on where it was."""
    node, to = start("--dev.mine", "manual"), newcomer("historic").address
    hashes = []
    for nonce in range(4):
        hashes += send(node, accounts()[0], nonce, to=to, value=ETHER)
        node.call("dev_mine")

    def history(daemon: Daemon) -> list[Any]:
        return [
            [daemon.call("eth_getBlockByNumber", hex(number), True) for number in range(5)],
            [daemon.call("eth_getBlockReceipts", hex(number)) for number in range(1, 5)],
            [receipt(daemon, tx_hash) for tx_hash in hashes],
            [daemon.call("eth_getTransactionByHash", tx_hash) for tx_hash in hashes],
            [daemon.call("eth_getBalance", to, hex(number)) for number in range(5)],
            daemon.call("eth_feeHistory", "0x4", "latest", [10, 90]),
        ]

    before = history(node)
    assert before[4] == [hex(number * ETHER) for number in range(5)]
    assert [hash_of(raw(accounts()[0], nonce, to=to, value=ETHER)) for nonce in range(4)] == hashes
    assert node.stop() == 0

    again = start("--dev.mine", "manual")
    assert again.shown("Head") == "block 4"
    assert history(again) == before
    again.call("dev_mine")
    assert block(again, 5)["parentHash"] == before[0][4]["hash"]


def test_a_named_data_directory_keeps_a_dev_chain(start: Start) -> None:
    """`--dev` is in memory only where no directory is named."""
    node = start("--dev", "--dev.mine", "manual")
    node.call("dev_mine")
    assert node.stop() == 0

    assert start("--dev.mine", "manual").shown("Head") == "block 1"
