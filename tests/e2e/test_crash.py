"""
`kill -9` under load: at block boundaries, between them, and with a request in flight.

What must hold after each: the chain ends in a whole block, no block that anybody saw is lost, every state adds up
with the blocks, and every acknowledged transaction is mined or waits.
"""

import http.client
import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon, eventually
from tests.e2e.signing import CHAIN_ID, GWEI, accounts, hash_of, newcomer
from tests.factories import Key, raw_legacy

SENDERS: Final = 4
COUNTER: Final = newcomer("counts the mined").address
"""Gets one wei from every transaction: its balance is the number of those that the state knows."""

Block = dict[str, Any]


@dataclass
class Ledger:
    """What the outside knows: acknowledged transactions and seen blocks."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Hash -> sender's index."""
    seen: Block | None = None
    """The newest block that a reader saw."""
    mined: dict[str, str] = field(default_factory=dict)
    """Hash -> block hash, of all blocks that were read after a restart."""


def signed(sender: int, nonce: int) -> str:
    """A transfer of one wei to the counter; signing is cheap, as the keys are for tests."""
    key = Key(int.from_bytes(bytes(accounts()[sender].key), "big"))
    to = bytes.fromhex(COUNTER[2:])
    return "0x" + raw_legacy(key, nonce, price=10 * GWEI, gas=21_000, value=1, to=to, chain_id=CHAIN_ID).hex()


def submit(node: Daemon, ledger: Ledger, count: int) -> None:
    """Sends `count` transactions of each sender in one JSON-RPC batch and notes what is acknowledged."""
    message = []
    for sender in range(SENDERS):
        nonce = node.number("eth_getTransactionCount", accounts()[sender].address, "pending")
        message += [request(sender, signed(sender, nonce + step)) for step in range(count)]
    for sent, answer in zip(message, json.loads(node.post(json.dumps(message).encode())), strict=True):
        assert answer["result"] == hash_of(sent["params"][0]), answer
        ledger.acknowledged[answer["result"]] = sent["id"]


def request(sender: int, transaction: str) -> dict[str, Any]:
    """A submission whose id is the sender's index."""
    return {"jsonrpc": "2.0", "id": sender, "method": "eth_sendRawTransaction", "params": [transaction]}


def look(node: Daemon, ledger: Ledger) -> Block:
    """The head, noted as seen."""
    ledger.seen = node.call("eth_getBlockByNumber", "latest", False)
    assert ledger.seen is not None
    return ledger.seen


def kill(node: Daemon) -> None:
    """No chance to say goodbye."""
    assert node.stop(signal.SIGKILL) == -signal.SIGKILL


def kill_at_a_boundary(node: Daemon, ledger: Ledger) -> None:
    """As soon as a new block can be seen."""
    before = look(node, ledger)["number"]
    submit(node, ledger, 3)
    eventually(lambda: look(node, ledger)["number"] != before)
    kill(node)


def kill_between(node: Daemon, ledger: Ledger) -> None:
    """As soon as transactions are acknowledged, with a block in the making."""
    look(node, ledger)
    submit(node, ledger, 8)
    kill(node)


def kill_in_flight(node: Daemon, ledger: Ledger) -> None:
    """While a request of many transactions is being worked on; nobody hears an answer to it."""
    look(node, ledger)
    nonce = node.number("eth_getTransactionCount", accounts()[0].address, "pending")
    body = json.dumps([request(0, signed(0, nonce + step)) for step in range(40)])
    connection = http.client.HTTPConnection(urlsplit(node.http_url).netloc, timeout=60)
    connection.request("POST", "/", body, {"Content-Type": "application/json"})
    kill(node)
    connection.close()


KILLS: Final = (kill_at_a_boundary, kill_between, kill_in_flight)


def check(node: Daemon, ledger: Ledger) -> None:
    """
    Everything that must hold after a start. The daemon seals meanwhile: the pool is read before the chain, and
    the state at the block that the chain was read to.
    """
    waiting = node.call("txpool_content")
    head = node.call("eth_getBlockByNumber", "latest", False)
    if ledger.seen is not None:
        number = ledger.seen["number"]
        assert int(head["number"], 16) >= int(number, 16)
        assert node.call("eth_getBlockByNumber", number, False)["hash"] == ledger.seen["hash"]
    read_chain(node, ledger, int(head["number"], 16))
    assert node.number("eth_getBalance", COUNTER, head["number"]) == len(ledger.mined)
    for sender in range(SENDERS):
        address = accounts()[sender].address
        mined = node.number("eth_getTransactionCount", address, "latest")
        pending = node.number("eth_getTransactionCount", address, "pending")
        own = [tx for tx, owner in ledger.acknowledged.items() if owner == sender]
        assert mined <= pending >= len(own)
    pooled = {tx["hash"] for side in waiting.values() for txs in side.values() for tx in txs.values()}
    lost = [tx for tx in ledger.acknowledged if tx not in ledger.mined and tx not in pooled]
    assert not lost, [node.call("parallel_status", {"hash": tx}) for tx in lost]


def read_chain(node: Daemon, ledger: Ledger, head: int) -> None:
    """Every block hangs on the one before, and has a receipt for every transaction."""
    ledger.mined.clear()
    parent: Block | None = None
    for number in range(head + 1):
        block = node.call("eth_getBlockByNumber", hex(number), False)
        receipts = node.call("eth_getBlockReceipts", hex(number))
        assert parent is None or block["parentHash"] == parent["hash"]
        assert [each["transactionHash"] for each in receipts] == block["transactions"]
        assert all(each["status"] == "0x1" for each in receipts)
        ledger.mined.update((tx, block["hash"]) for tx in block["transactions"])
        parent = block


def survive(tmp_path: Path, kills: int, *flags: str) -> None:
    """One data directory through `kills` starts and ends."""
    ledger = Ledger()
    for index in range(kills):
        node = daemons.start(tmp_path / "data", *flags)
        try:
            check(node, ledger)
            KILLS[index % len(KILLS)](node, ledger)
        finally:
            node.process.kill()
            node.stop()
    with daemons.running(tmp_path / "data", *flags) as node:
        check(node, ledger)
        eventually(lambda: node.call("txpool_status")["pending"] == "0x0")
        check(node, ledger)
        assert ledger.acknowledged.keys() <= ledger.mined.keys()


@pytest.mark.parametrize("mode", ["instant", "batch"])
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path, mode: str) -> None:
    """Six kills of each daemon, two of each kind."""
    survive(tmp_path, 6, "--dev.mine", mode)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_nothing_acknowledged_is_lost_by_many_kills(tmp_path: Path) -> None:
    """A hundred kills of one chain."""
    survive(tmp_path, 100, "--dev.mine", "instant")
