"""
The self-check against an engine that errs: `make faulty-engine` builds it with the feature `faults`.

The daemon, the replay and everything around them are the real ones; only `_core` is another. In a sound engine there
is nothing that could be asked to err, which is tested here too.
"""

import json
import os
import subprocess
import sys
import tomllib
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon
from tests.e2e.signing import accounts, newcomer, raw
from tests.e2e.tokens import SUPPLY, balance_of, deploy_token, encode_transfer
from tests.public_data import REPOSITORY

FAULTY_ENGINE: Final = REPOSITORY / "target" / "faults" / "_core.abi3.so"
VARIABLE: Final = "ENGINE_FAULT"

IN_EVM: Final = ("balance", "storage", "receipt")
"""Faults that only a block executed serially too shows."""

PARALLEL: Final = ("--execution.mode", "parallel", "--dev.mine", "manual")
BLOCKS: Final = ("--execution.selfcheck", "1", "--execution.selfcheck-transfers", "0")
TRANSFERS: Final = ("--execution.selfcheck", "0", "--execution.selfcheck-transfers", "1")


@dataclass(frozen=True, slots=True)
class Erring:
    """Where the daemon's code lies with the faulty engine in it."""

    folder: Path

    def environment(self, fault: str | None) -> Mapping[str, str]:
        """For a process that runs this code."""
        chosen = {} if fault is None else {VARIABLE: fault}
        # The folder that the tests run in has the sound engine.
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1", **chosen}

    def replay(self, reproducer: Path, fault: str | None) -> tuple[int, list[str]]:
        """Exit code and differences of `parallelpool replay`."""
        ended = subprocess.run(
            [sys.executable, "-m", "parallelpool", "replay", str(reproducer), "--mode", "both", "--json"],
            env={**os.environ, **self.environment(fault)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        (row,) = json.loads(ended.stdout)
        return ended.returncode, row["differences"]


@pytest.fixture(scope="module")
def erring(tmp_path_factory: pytest.TempPathFactory) -> Erring:
    """The repository's code by links, but for the engine."""
    if not FAULTY_ENGINE.is_file():
        reason = f"no {FAULTY_ENGINE.relative_to(REPOSITORY)}: make faulty-engine"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("erring")
    for package in ("rpc", "metrics", "config"):
        (folder / package).symlink_to(REPOSITORY / package)
    (folder / "parallelpool").mkdir()
    for entry in (REPOSITORY / "parallelpool").iterdir():
        if not entry.name.startswith("_core.abi3"):
            (folder / "parallelpool" / entry.name).symlink_to(entry)
    (folder / "parallelpool" / FAULTY_ENGINE.name).symlink_to(FAULTY_ENGINE)
    return Erring(folder)


def health(node: Daemon) -> tuple[int, str]:
    """Status and body of the health page."""
    try:
        return 200, node.page("/healthz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def blocks(node: Daemon) -> Iterator[dict[str, Any]]:
    """All blocks but the first, with their transactions."""
    for number in range(1, node.number("eth_blockNumber") + 1):
        yield node.call("eth_getBlockByNumber", hex(number), True)


def send_block(node: Daemon, token: str, count: int) -> None:
    """Seals a block in which the owner sends tokens to so many, and as many accounts a wei to nobody."""
    owner = accounts()[0]
    for account in accounts()[:count]:
        nonce = node.number("eth_getTransactionCount", owner.address, "pending")
        data = encode_transfer(newcomer(account.address).address, 3)
        node.call("eth_sendRawTransaction", raw(owner, nonce, to=token, value=0, gas=100_000, data=data))
        nonce = node.number("eth_getTransactionCount", account.address, "pending")
        node.call("eth_sendRawTransaction", raw(account, nonce))
    node.call("dev_mine")


def assert_serial_from_then_on(node: Daemon, token: str, datadir: Path) -> Path:
    """
    After the fault was met: the reproducer, once all that the daemon says about it was found to be so.
    """
    (reproducer,) = datadir.glob("divergence-*.json")
    difference = json.loads(reproducer.read_text())["difference"]
    status, text = health(node)
    assert status == 503
    assert difference in json.dumps(json.loads(text))
    assert node.metric("parallelpool_execution_diverged") == 1

    parallel = node.metric("parallelpool_execution_parallel_blocks_total")
    made = node.metric("parallelpool_execution_blocks_total")
    send_block(node, token, 3)

    assert node.metric("parallelpool_execution_blocks_total") == made + 1
    assert node.metric("parallelpool_execution_parallel_blocks_total") == parallel == 0
    assert list(datadir.glob("divergence-*.json")) == [reproducer]
    return reproducer


def assert_nothing_wrong_is_stored(node: Daemon, token: str) -> None:
    """Money, tokens and receipts are what two blocks of four and of three accounts make of them, to the wei."""
    assert node.number("eth_getBalance", newcomer("nobody").address, "latest") == 7
    received = [balance_of(node, token, newcomer(account.address).address) for account in accounts()[:4]]
    assert received == [6, 6, 6, 3]
    assert balance_of(node, token, accounts()[0].address) == SUPPLY - sum(received)
    for block in blocks(node):
        for receipt in node.call("eth_getBlockReceipts", block["number"]):
            assert receipt["status"] == "0x1"


@pytest.mark.parametrize("fault", IN_EVM)
def test_a_fault_of_the_parallel_executor_is_found_by_a_block_executed_twice(
    fault: str, erring: Erring, tmp_path: Path
) -> None:
    """
    The first block is already serial, and so are all later ones; the reproducer shows the difference.
    """
    datadir = tmp_path / "data"
    environment = erring.environment(fault)
    with daemons.running(datadir, *PARALLEL, *BLOCKS, environment=environment) as node:
        token = deploy_token(node, 0)
        send_block(node, token, 4)
        reproducer = assert_serial_from_then_on(node, token, datadir)

        assert reproducer.name == "divergence-1.json"
        assert_nothing_wrong_is_stored(node, token)

    code, differences = erring.replay(reproducer, fault)
    assert (code, bool(differences)) == (1, True)
    assert erring.replay(reproducer, None) == (0, [])


def test_a_wrong_fee_of_a_transfer_is_found_by_the_sample_of_transfers(
    erring: Erring, tmp_path: Path
) -> None:
    """
    The engine compares transfers by itself, and names the one that differs; whole blocks are not compared here.
    """
    datadir = tmp_path / "data"
    environment = erring.environment("transfer-fee")
    with daemons.running(datadir, *PARALLEL, *TRANSFERS, environment=environment) as node:
        account = accounts()[5]
        tx_hash = node.call("eth_sendRawTransaction", raw(account, 0))
        node.call("dev_mine")
        token = deploy_token(node, 0)
        reproducer = assert_serial_from_then_on(node, token, datadir)
        stored = list(blocks(node))

    difference = json.loads(reproducer.read_text())["difference"]
    assert reproducer.name == "divergence-1.json"
    assert f"transaction 0 [{tx_hash}]: outcome" in difference
    assert [tx["hash"] for tx in stored[0]["transactions"]] == [tx_hash]
    code, differences = erring.replay(reproducer, "transfer-fee")
    assert (code, bool(differences)) == (1, True)
    assert erring.replay(reproducer, None) == (0, [])


def test_an_unknown_fault_is_refused(erring: Erring, tmp_path: Path) -> None:
    """
    A fault that is misspelt does not leave the test without one.
    """
    environment = erring.environment("ballance")
    with daemons.running(tmp_path / "data", *PARALLEL, *BLOCKS, environment=environment) as node:
        node.call("eth_sendRawTransaction", raw(accounts()[0], 0))
        with pytest.raises(daemons.Refused, match='no fault "ballance"'):
            node.call("dev_mine")


def test_no_engine_but_the_one_of_this_test_can_be_asked_to_err() -> None:
    """
    What is built for users names neither the variable nor the fault, and no build of a wheel asks for the feature.
    """
    (sound,) = (REPOSITORY / "parallelpool").glob("_core.abi3.*")
    engine = sound.read_bytes()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    binding = tomllib.loads((REPOSITORY / "crates/parallelpool-py/Cargo.toml").read_text())

    assert VARIABLE.encode() not in engine
    assert b"transfer-fee" not in engine
    assert "features" not in project["tool"]["maturin"]
    assert "default" not in binding["features"]
    assert "features" not in (REPOSITORY / "Dockerfile").read_text()
    if FAULTY_ENGINE.is_file():
        assert VARIABLE.encode() in FAULTY_ENGINE.read_bytes()
