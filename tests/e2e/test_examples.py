"""The examples, run as their heads say."""

import subprocess
import sys
from pathlib import Path

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon
from tests.e2e.signing import accounts, raw
from tests.public_data import REPOSITORY

DEADLINE_S = 60


def example(name: str, *arguments: str) -> subprocess.Popen[str]:
    """A started example."""
    return subprocess.Popen(
        [sys.executable, "-m", f"examples.{name}", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str], *, code: int = 0) -> tuple[str, str]:
    """What an example that ended with `code` said: output and errors."""
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, output + errors
    return output, errors


def test_the_wallet_pays(instant: Daemon) -> None:
    """Tag, verdict, hash and block are told in turn."""
    payee = accounts()[3].address
    before = instant.number("eth_getBalance", payee, "latest")

    output, _ = told(example("wallet", "--url", instant.http_url, "--to", payee, "--value", "7"))

    assert [line.split()[0] for line in output.splitlines()] == ["tagged", "predicted", "sent", "mined"]
    assert "PARALLEL" in output.splitlines()[0]
    assert instant.number("eth_getBalance", payee, "latest") == before + 7


def test_the_wallet_says_why_it_failed(instant: Daemon) -> None:
    """In the daemon's words."""
    _, errors = told(
        example("wallet", "--url", instant.http_url, "--to", accounts()[3].address, "--value", str(10**30)),
        code=1,
    )

    assert errors.startswith("wallet: ")
    assert "insufficient funds for gas * price + value" in errors


def test_the_sequencer_executes_elsewhere_and_brings_the_block_back(manual: Daemon, tmp_path: Path) -> None:
    """Two rounds; the second start finds an engine that has to catch up, and both chains are one."""
    with daemons.running(tmp_path / "engine", "--dev.mine", "manual") as engine:
        urls = ("--pool", manual.http_url, "--engine", engine.http_url, "--blocks", "1")
        hashes = [manual.call("eth_sendRawTransaction", raw(account, 0)) for account in accounts()[:5]]
        output, _ = told(example("sequencer", *urls))
        assert "block 1: 5 transactions (5 parallel), 105000 gas" in output

        manual.call("dev_mine")
        waiting = example("sequencer", *urls)
        later = manual.call("eth_sendRawTransaction", raw(accounts()[0], 1))
        assert "block 3: 1 transactions" in told(waiting)[0]

        for tx_hash in (*hashes, later):
            assert manual.call("eth_getTransactionReceipt", tx_hash)["status"] == "0x1"
        assert manual.call("txpool_status") == {"pending": "0x0", "queued": "0x0"}
        heads = [node.call("eth_getBlockByNumber", "latest", False)["hash"] for node in (manual, engine)]
        assert heads[0] == heads[1]
