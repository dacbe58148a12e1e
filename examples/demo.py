"""
The whole line in front of you: fund, deploy, tag, sign, send, batch, execute, look.

Starts a fresh daemon with sealing mode `manual` on free ports and a folder of its own, drives it as a wallet
and a sequencer would (web3.py and parallelpool.wallet), and stops it. Exits 1 if a receipt is missing, if a
transaction failed, or if parallel execution gave another state root than serial execution.

Run it with `make demo`.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from rich.console import Console
from rich.table import Table
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import TransactionNotFound
from web3.types import RPCEndpoint, TxReceipt

from parallelpool import wallet

SENDERS = 200
CONTENDING = 60
"""Token transfers that all credit one account: one contended slot."""
DISJOINT = 80
"""Token transfers between accounts that nobody else touches."""
MNEMONIC = "test test test test test test test test test test test junk"
GWEI = 10**9
ETHER = 10**18
CONTRACT = Path(__file__).parent / "contracts" / "DemoToken.json"

console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """Something that must hold did not."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon of our own."""

    web3: Web3
    metrics_url: str

    def call(self, method: str, *params: object) -> Any:
        """One JSON-RPC call; raises DemoFailed with the error's text."""
        answer = self.web3.provider.make_request(RPCEndpoint(method), list(params))
        if "error" in answer:
            raise DemoFailed(f"{method}: {answer['error']}")
        return answer["result"]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def daemon() -> Iterator[Daemon]:
    """Starts a daemon in a folder of its own and stops it in order."""
    http, metrics = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="parallelpool-demo-") as folder:
        log_path = Path(folder) / "daemon.log"
        command = [
            sys.executable,
            "-m",
            "parallelpool",
            "--datadir",
            f"{folder}/data",
            "--dev.mine",
            "manual",
        ]
        command += ["--http.port", str(http), "--ws.port", str(http), "--metrics.port", str(metrics)]
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            web3 = Web3(HTTPProvider(f"http://127.0.0.1:{http}"))
            deadline = time.monotonic() + 30
            while not web3.is_connected():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DemoFailed(f"the daemon did not start:\n{log_path.read_text()}")
                time.sleep(0.05)
            yield Daemon(web3, f"http://127.0.0.1:{metrics}/metrics")
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
        if code != 0:
            raise DemoFailed(f"the daemon stopped with exit code {code}:\n{log_path.read_text()}")


def heading(text: str) -> None:
    """A step of the story."""
    console.print(f"\n[bold cyan]{text}[/]")


def founders() -> list[LocalAccount]:
    """The ten funded accounts of the dev chain."""
    Account.enable_unaudited_hdwallet_features()
    return [Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}") for index in range(10)]


def newcomers() -> list[LocalAccount]:
    """Two hundred senders with keys that everybody can know."""
    return [
        Account.from_key(Web3.keccak(text=f"parallelpool demo sender {index}")) for index in range(SENDERS)
    ]


def send(node: Daemon, account: LocalAccount, transaction: dict[str, Any]) -> bytes:
    """Signs an ordinary type 2 transaction and sends it."""
    fees = {
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        "chainId": node.web3.eth.chain_id,
        "type": 2,
    }
    signed = account.sign_transaction({"value": 0, **fees, **transaction})
    return bytes(node.web3.eth.send_raw_transaction(signed.raw_transaction))


def execute(node: Daemon) -> dict[str, Any]:
    """Executes everything on offer, batch after batch, serially as well; fails if the state roots differ."""
    executed: dict[str, Any] = node.call("parallel_executeBatches", {"compare": True})
    if executed["stateRoot"] != executed["serialStateRoot"]:
        raise DemoFailed(
            f"state root {executed['stateRoot']} is not the serial {executed['serialStateRoot']}"
        )
    return executed


def receipts(node: Daemon, hashes: Sequence[bytes]) -> list[TxReceipt]:
    """One successful receipt for each hash, or DemoFailed."""
    try:
        found = [node.web3.eth.get_transaction_receipt(HexBytes(tx_hash)) for tx_hash in hashes]
    except TransactionNotFound as missing:
        raise DemoFailed(f"a receipt is missing: {missing}") from missing
    failed = [receipt["transactionHash"].hex() for receipt in found if receipt["status"] != 1]
    if failed:
        raise DemoFailed(f"{len(failed)} transactions failed, the first is 0x{failed[0]}")
    return found


def drain(node: Daemon, hashes: Sequence[bytes]) -> list[TxReceipt]:
    """Executes until nothing is pending; returns the receipts."""
    while int(node.call("txpool_status")["pending"], 16) > 0:
        if not execute(node)["hashes"]:
            raise DemoFailed("pending transactions cannot be executed")
    return receipts(node, hashes)


def fund(node: Daemon, rich: Sequence[LocalAccount], senders: Sequence[LocalAccount]) -> None:
    """Ten accounts send one ether to each sender."""
    hashes = []
    for index, sender in enumerate(senders):
        account, nonce = rich[index % len(rich)], index // len(rich)
        hashes.append(
            send(node, account, {"to": sender.address, "value": ETHER, "gas": 21_000, "nonce": nonce})
        )
    drain(node, hashes)
    console.print(f"{len(senders)} senders own 1 ether each; head is block {node.web3.eth.block_number}")


def deploy(node: Daemon, owner: LocalAccount, senders: Sequence[LocalAccount]) -> Contract:
    """The demo's ERC-20, and 100 tokens for each sender."""
    artifact = json.loads(CONTRACT.read_text())
    factory = node.web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    nonce = node.web3.eth.get_transaction_count(owner.address, "pending")
    data = factory.constructor(10**9 * ETHER).data_in_transaction
    (receipt,) = drain(node, [send(node, owner, {"data": data, "gas": 1_500_000, "nonce": nonce})])
    address = receipt["contractAddress"]
    if address is None:
        raise DemoFailed("the receipt of the deployment names no contract")
    token: Contract = node.web3.eth.contract(address=address, abi=artifact["abi"])
    hashes = []
    for index, sender in enumerate(senders):
        data = token.encode_abi("transfer", args=[sender.address, 100 * ETHER])
        step = {"to": address, "data": data, "gas": 80_000, "nonce": nonce + 1 + index}
        hashes.append(send(node, owner, step))
    drain(node, hashes)
    console.print(f"{token.functions.name().call()} at {address}, 100 tokens for each sender")
    return token


def send_tagged(node: Daemon, account: LocalAccount, token: Contract) -> list[bytes]:
    """A transfer and a contract call, tagged by the node, signed as type 0x05 by the wallet module."""
    recipient = Web3.to_checksum_address(Web3.keccak(text="tagged recipient")[-20:])
    call = token.encode_abi("transfer", args=[recipient, 7 * ETHER])
    requests = [
        {"from": account.address, "to": recipient, "value": hex(ETHER // 10)},
        {"from": account.address, "to": token.address, "data": call},
    ]
    hashes = []
    for request in requests:
        unsigned = node.call("parallel_tagTransaction", request, "PARALLEL")
        fields = unsigned.get("tx", unsigned)
        signed = wallet.sign(wallet.build(fields), account)
        hashes.append(bytes(node.web3.eth.send_raw_transaction(signed.raw_transaction)))
        console.print(f"tagged {fields['data'][:18]}… type {fields['type']} -> 0x{hashes[-1].hex()}")
    return hashes


def send_ordinary(node: Daemon, senders: Sequence[LocalAccount], token: Contract) -> list[bytes]:
    """Type 2 transactions of all senders: contended token transfers, disjoint ones, and plain transfers."""
    popular = Web3.to_checksum_address(Web3.keccak(text="everybody pays here")[-20:])
    hashes = []
    for index, sender in enumerate(senders):
        own = Web3.to_checksum_address(Web3.keccak(text=f"private recipient {index}")[-20:])
        if index < CONTENDING + DISJOINT:
            recipient = popular if index < CONTENDING else own
            data = token.encode_abi("transfer", args=[recipient, ETHER])
            transaction = {"to": token.address, "data": data, "gas": 80_000, "nonce": 0}
        else:
            transaction = {"to": own, "value": ETHER // 100, "gas": 21_000, "nonce": 0}
        hashes.append(send(node, sender, transaction))
    return hashes


def show_batches(node: Daemon) -> None:
    """What a sequencer sees."""
    offer = node.call("parallel_getBatches", {})
    table = Table(box=None, header_style="bold")
    for name in ("batch", "kind", "txs", "gas predicted", "critical path", "after", "id"):
        table.add_column(name, justify="right" if name not in ("kind", "id") else "left")
    for batch in offer["batches"]:
        table.add_row(
            str(int(batch["index"], 16)),
            batch["kind"],
            str(len(batch["transactions"])),
            f"{int(batch['predictedGas'], 16):,}",
            f"{int(batch['criticalPathGas'], 16):,}",
            ", ".join(str(int(index, 16)) for index in batch["after"][:6]),
            batch["batchId"][:14] + "…",
        )
    console.print(table)


def show_execution(executed: dict[str, Any]) -> None:
    """Figures of the block that the batches became."""
    console.print(f"block       {executed['blockHash']}")
    console.print(f"executed    {len(executed['hashes'])} transactions, gas {int(executed['gasUsed'], 16):,}")
    console.print(f"state root  {executed['stateRoot']} (serial execution: the same)")
    console.print(
        f"time        {executed['parallelMs']} ms in parallel, {executed['serialMs']} ms serially; "
        f"{int(executed['executions'], 16)} executions, {int(executed['conflicts'], 16)} conflicts"
    )


def show_metrics(url: str) -> None:
    """The pool's figures as Prometheus reads them."""
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    for line in lines:
        if line.startswith("parallel_txpool_"):
            console.print(f"  {line}")


def story() -> None:
    """All steps in order."""
    rich, senders = founders(), newcomers()
    with daemon() as node:
        heading("1. Ten accounts fund two hundred senders")
        fund(node, rich, senders)
        heading("2. An ERC-20 of our own")
        token = deploy(node, rich[0], senders)
        heading("3. A transfer and a contract call, tagged and signed as type 0x05")
        hashes = send_tagged(node, rich[0], token)
        heading("4. Ordinary type 2 transactions of two hundred senders")
        hashes += send_ordinary(node, senders, token)
        console.print(
            f"{CONTENDING} token transfers to one account, {DISJOINT} to accounts of their own, "
            f"{SENDERS - CONTENDING - DISJOINT} plain transfers"
        )
        heading("5. The batches on offer (parallel_getBatches)")
        show_batches(node)
        popular = Web3.to_checksum_address(Web3.keccak(text="everybody pays here")[-20:])
        before = token.functions.balanceOf(popular).call()
        heading("6. Execution (parallel_executeBatches)")
        show_execution(execute(node))
        heading("7. Receipts, balances, statistics, metrics")
        found = drain(node, hashes)
        after = token.functions.balanceOf(popular).call()
        if after - before != CONTENDING * ETHER:
            raise DemoFailed(f"the popular account got {after - before} of {CONTENDING * ETHER}")
        types = sorted({f"0x{int(receipt['type']):x}" for receipt in found})
        console.print(f"{len(found)} receipts, all successful, of types {', '.join(types)}")
        console.print(f"the popular account went from {before // ETHER} to {after // ETHER} tokens")
        statistics = node.call("parallel_batchStatistics")
        statistics["lastExecution"]["hashes"] = f"{len(statistics['lastExecution']['hashes'])} transactions"
        console.print_json(json.dumps(statistics))
        show_metrics(node.metrics_url)
    console.print("\n[bold green]done: every receipt is there, parallel and serial state roots are equal[/]")


def main() -> int:
    """Runs the demo; 1 on any failure."""
    try:
        story()
    except DemoFailed as failure:
        console.print(f"\n[bold red]failed:[/] {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
