"""cast, ethers and viem, unmodified, against the daemon: the clients that are not written in Python."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import CLIENTS
from tests.e2e.daemon import Daemon
from tests.e2e.signing import ETHER, accounts, newcomer, raw, token
from tests.public_data import REPOSITORY

ARTIFACT = REPOSITORY / "examples/contracts/DemoToken.json"
TIMEOUT_S = 60

Cast = Callable[..., str]


@pytest.fixture(scope="module")
def run_cast(cast: str, instant: Daemon) -> Cast:
    """Runs cast against the shared daemon; its standard output."""

    def run(*words: str) -> str:
        ended = cast_against(instant, cast, *words)
        assert ended.returncode == 0, f"cast {' '.join(words)}: {ended.stderr}"
        return ended.stdout.strip()

    return run


def cast_against(node: Daemon, cast: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs cast; its exit code is the caller's to judge."""
    return subprocess.run(
        [cast, *words],
        env={**os.environ, "ETH_RPC_URL": node.http_url},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def key_of(index: int) -> str:
    """The private key of a funded account as hex."""
    return f"0x{bytes(accounts()[index].key).hex()}"


def cast_send(run_cast: Cast, index: int, *words: str) -> dict[str, Any]:
    """The receipt that `cast send` prints."""
    receipt: dict[str, Any] = json.loads(run_cast("send", "--json", "--private-key", key_of(index), *words))
    return receipt


@pytest.fixture(scope="module")
def deployed(run_cast: Cast) -> str:
    """Address of the demo token, deployed by `cast send --create` as account 0."""
    supply = (1000 * ETHER).to_bytes(32, "big").hex()
    receipt = cast_send(run_cast, 0, "--create", token()["bytecode"] + supply)
    assert receipt["status"] == "0x1"
    return str(receipt["contractAddress"])


@pytest.mark.parametrize("kind", [["--legacy"], []])
def test_cast_sends_value(run_cast: Cast, kind: list[str]) -> None:
    """A legacy and a dynamic-fee transfer; balance, nonce, receipt and block agree."""
    to = newcomer(f"cast {kind}").address
    receipt = cast_send(run_cast, 1, to, "--value", "1ether", *kind)

    assert (receipt["status"], int(receipt["type"], 16)) == ("0x1", 0 if kind else 2)
    assert int(run_cast("balance", to)) == ETHER
    again = json.loads(run_cast("receipt", "--json", receipt["transactionHash"]))
    assert again == receipt
    block = json.loads(run_cast("block", "--json", str(int(receipt["blockNumber"], 16))))
    assert receipt["transactionHash"] in block["transactions"]
    assert block["hash"] == receipt["blockHash"]
    assert int(run_cast("nonce", accounts()[1].address)) == int(
        run_cast("rpc", "eth_getTransactionCount", accounts()[1].address, "pending").strip('"'), 16
    )


def test_cast_calls_estimates_and_reads_logs(run_cast: Cast, deployed: str) -> None:
    """A token transfer: estimate, send, call, logs, storage, code and access list."""
    to = newcomer("cast tokens").address
    transfer = ("transfer(address,uint256)", to, str(5 * ETHER))
    owner = ("--from", accounts()[0].address)
    estimate = int(run_cast("estimate", deployed, *transfer, *owner))
    receipt = cast_send(run_cast, 0, deployed, *transfer)

    assert int(receipt["gasUsed"], 16) <= estimate
    assert run_cast("call", deployed, "balanceOf(address)(uint256)", to).split()[0] == str(5 * ETHER)
    logs = json.loads(run_cast("logs", "--json", "--address", deployed, "--from-block", "0"))
    assert [log["transactionHash"] for log in logs][-1] == receipt["transactionHash"]
    assert len(logs) == 2
    assert len(run_cast("code", deployed)) > 2
    listed = json.loads(run_cast("access-list", "--json", deployed, *transfer, *owner))
    assert len(listed["accessList"][0]["storageKeys"]) == 2


def test_cast_shows_a_revert(cast: str, instant: Daemon, deployed: str) -> None:
    """The node's error data reaches the user."""
    transfer = ("transfer(address,uint256)", accounts()[0].address, "1")
    ended = cast_against(instant, cast, "call", deployed, *transfer, "--from", newcomer("poor").address)

    assert ended.returncode != 0
    assert "execution reverted" in ended.stderr
    assert "0xdb42144d" in ended.stderr


def test_cast_reads_the_pool(cast: str, manual: Daemon) -> None:
    """`txpool_content`, `txpool_inspect` and `txpool_status` through cast, with one waiting and one queued."""
    account = accounts()[0]
    for nonce in (0, 2):
        manual.call("eth_sendRawTransaction", raw(account, nonce))

    def ask(*words: str) -> Any:
        ended = cast_against(manual, cast, *words)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    assert ask("rpc", "txpool_status") == {"pending": "0x1", "queued": "0x1"}
    content = ask("rpc", "txpool_content")
    assert list(content["pending"][account.address]) == ["0"]
    assert list(content["queued"][account.address]) == ["2"]
    parsed = ask("tx-pool", "content")
    assert (
        parsed["queued"][account.address.lower()]["2"]["hash"]
        == (content["queued"][account.address]["2"]["hash"])
    )
    assert ask("rpc", "txpool_inspect")["pending"][account.address]["0"] == (
        f"{newcomer('nobody').address}: 1 wei + 21000 gas × 10000000000 wei"
    )


@pytest.mark.parametrize(("script", "index"), [("ethers.mjs", 2), ("viem.mjs", 3)])
def test_javascript_clients_deploy_send_wait_and_read_events(
    node: str, instant: Daemon, script: str, index: int
) -> None:
    """The whole life of a token transfer and of a plain one, over HTTP and WebSocket."""
    recipient = newcomer(script).address
    ended = subprocess.run(
        [node, script, instant.http_url, instant.websocket_url, key_of(index), recipient, str(ARTIFACT)],
        cwd=CLIENTS,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)

    assert (said["chainId"], said["transactionCount"]) == (31_337, 3)
    assert said["tokens"] == str(7 * ETHER)
    assert said["balance"] == str(3 * ETHER // 2)
    assert said["events"] == [str(7 * ETHER)]
    assert said["revert"] == "InsufficientAllowance"
    assert said["subscribed"]
    if script == "ethers.mjs":
        assert (said["status"], said["receiptType"], said["logs"]) == ([1, 1], 2, ["Transfer"])
        assert said["heard"] == {"from": accounts()[index].address, "to": recipient, "value": str(7 * ETHER)}
    else:
        assert (said["status"], said["receiptType"]) == (["success", "success"], "eip1559")
        assert said["simulated"] is True
        head = said["newHead"]
        assert {"number": int(head["number"], 16), "hash": head["hash"]} == said["plainBlock"]
