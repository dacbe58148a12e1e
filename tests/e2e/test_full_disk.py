"""
A disk that takes no more: the daemon lives, refuses, says so in `/healthz`, and is whole again when there is room.

The disk is a real one with a real limit: that of the process on the size of its files, lowered while it runs.
"""

import json
import resource
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.e2e.daemon import Daemon, Refused, eventually
from tests.e2e.signing import accounts, raw


def health(node: Daemon) -> tuple[int, dict[str, Any]]:
    """Status and facts of `/healthz`."""
    try:
        with urllib.request.urlopen(node.metrics_url + "/healthz", timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def limit_files(node: Daemon, size: int) -> None:
    """No file of the daemon may grow beyond `size` bytes; what is larger stays."""
    _, most = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size, most))


def journal_size(node: Daemon) -> int:
    """Bytes of records in the journal's newest log; the zeros behind them are room that it has made already."""
    return len(max(node.datadir.glob("transactions.rlp.*.log")).read_bytes().rstrip(b"\0"))


def data_of(size: int) -> dict[str, Any]:
    """Fields of a transaction with so much calldata."""
    return {"data": bytes(size), "gas": 21_000 + 10 * size}


@pytest.mark.parametrize("durability", ["fsync", "buffered"])
def test_a_full_disk_refuses_and_is_told_and_heals(start: Start, durability: str) -> None:
    """Nothing acknowledged is lost, what was refused is nowhere, reading goes on all the time."""
    flags = ("--dev.mine", "manual", "--txpool.durability", durability)
    node = start(*flags)
    sender = accounts()[0]
    kept = node.call("eth_sendRawTransaction", raw(sender, 0))
    # A little more than the journal holds; the rest of the daemon writes nothing now but its short log.
    limit_files(node, journal_size(node) + 20_000)
    with pytest.raises(Refused, match=r"transaction could not be made durable: .*File too large") as refused:
        node.call("eth_sendRawTransaction", raw(sender, 1, **data_of(60_000)))
    with pytest.raises(Refused, match="transaction could not be made durable"):
        node.call("eth_sendRawTransaction", raw(accounts()[1], 0))
    status, facts = health(node)
    pool = node.call("txpool_status")
    unlimited = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    eventually(lambda: health(node)[0] == 200)
    later = node.call("eth_sendRawTransaction", raw(sender, 1, **data_of(60_000)))
    node.stop(9)
    again = start(*flags)

    assert refused.value.code == -32_000
    assert status == 503
    assert "File too large" in facts["journal"]
    assert pool == {"pending": "0x1", "queued": "0x0"}
    content = again.call("txpool_content")["pending"][sender.address]
    assert [tx["hash"] for tx in content.values()] == [kept, later]


FLAGS = {"interval": ("--dev.period", "50ms"), "instant": ("--dev.mine", "instant")}
"""How blocks are sealed."""


def fill_disk(node: Daemon) -> str:
    """Mines one transaction, lets the chain's file grow no more, and sends another, which cannot be mined: its hash."""
    first = node.call("eth_sendRawTransaction", raw(accounts()[0], 0))
    eventually(lambda: is_mined(node, first))
    # Less than the chain's file has, more than what is used of journal and log.
    limit_files(node, 100_000)
    second: str = node.call("eth_sendRawTransaction", raw(accounts()[0], 1))
    eventually(lambda: "chain" in health(node)[1])
    return second


@pytest.mark.parametrize("sealing", ["interval", "instant"])
def test_a_full_disk_stops_sealing_and_not_the_daemon(start: Start, sealing: str) -> None:
    """
    It goes on answering, says why it does not seal, and seals again by itself when there is room.

    What was sealed then is there after `kill -9`.
    """
    flags = FLAGS[sealing]
    node = start(*flags)
    second = fill_disk(node)
    status, facts = health(node)
    head = node.call("eth_getBlockByNumber", "latest", True)
    pool = node.call("txpool_status")
    unlimited = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    third = node.call("eth_sendRawTransaction", raw(accounts()[1], 0))
    eventually(lambda: is_mined(node, second) and is_mined(node, third))
    healed = health(node)[0]
    node.stop(9)
    again = start(*flags)

    assert status == 503
    assert facts["chain"].startswith("storage: ")
    assert pool == {"pending": "0x1", "queued": "0x0"}
    assert healed == 200
    assert is_mined(again, second)
    assert is_mined(again, third)
    assert again.call("eth_getBlockByNumber", head["number"], True) == head
    assert health(again)[0] == 200


@pytest.mark.parametrize("sealing", ["interval", "instant"])
def test_a_restart_takes_up_what_a_full_disk_refused(start: Start, sealing: str) -> None:
    """The disk is full to the end of the daemon; the next one seals what waits."""
    flags = FLAGS[sealing]
    node = start(*flags)
    second = fill_disk(node)
    head = node.call("eth_getBlockByNumber", "latest", True)
    node.stop(9)
    again = start(*flags)
    eventually(lambda: is_mined(again, second))

    assert again.call("eth_getBlockByNumber", head["number"], True) == head
    assert health(again)[0] == 200


def is_mined(node: Daemon, tx_hash: str) -> bool:
    """Whether a block has the transaction."""
    return node.call("eth_getTransactionReceipt", tx_hash) is not None
