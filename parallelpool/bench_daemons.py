"""
Daemons to be measured side by side: ours, geth and anvil, each on one genesis and on a port of its own.

Every process is stopped by the handle that started it. A peer that is not installed is left out and said to be:
`PARALLELPOOL_GETH` and `PARALLELPOOL_ANVIL` name the programs, else they are looked for where `docs/benchmarks.md` says
how to put them.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from parallelpool.chain import dev_genesis

CACHE: Final = Path.home() / ".cache" / "parallelpool"
GETH: Final = CACHE / "geth-1.17.8" / "geth"
ANVIL: Final = CACHE / "anvil-1.7.1/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"

CHAIN_ID: Final = 1337
START_S: Final = 60.0
ROOM: Final = "1000000"
"""Transactions that each pool is given room for: nothing is refused for want of it."""


class PeerFailure(Exception):
    """A daemon that did not start or did not answer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running daemon."""

    name: str
    version: str
    address: str
    """HOST:PORT of its JSON-RPC over HTTP."""
    pid: int

    def call(self, method: str, *params: object) -> Any:  # JSON of any shape
        """The result of one call. Raises PeerFailure for an error."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = urllib.request.Request(
            f"http://{self.address}", orjson.dumps(message), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = orjson.loads(response.read())
        if "error" in answer:
            raise PeerFailure(f"{self.name}: {method}: {answer['error']}")
        return answer["result"]

    @contextmanager
    def connected(self) -> Iterator["Connection"]:
        """One connection for as many calls as are made."""
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as opened:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Connection(self, opened)

    def pooled(self) -> int:
        """Pending and queued transactions."""
        status = self.call("txpool_status")
        return int(status["pending"], 16) + int(status["queued"], 16)

    def resident_bytes(self) -> int:
        """Memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """Processor time of the process so far, in all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Connection:
    """
    A client that costs next to nothing: one socket, one request at a time, HTTP as far as the three daemons speak it.

    What is measured is the daemon then, and not the opening of connections or the reading of headers.
    """

    def __init__(self, peer: Peer, opened: socket.socket) -> None:
        """Of `Peer.connected`."""
        self._peer = peer
        self._socket = opened
        self._answers = opened.makefile("rb")
        self._head = f"POST / HTTP/1.1\r\nHost: {peer.address}\r\nContent-Type: application/json\r\n"

    def call(self, method: str, *params: object) -> Any:  # JSON of any shape
        """The result of one call. Raises PeerFailure for an error."""
        answer = self._ask({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        if "error" in answer:
            raise PeerFailure(f"{self._peer.name}: {method}: {answer['error']}")
        return answer["result"]

    def call_all(self, method: str, subjects: Sequence[bytes]) -> list[Any]:  # JSON of any shape
        """The results of one batch, a call for each subject. Raises PeerFailure for an error."""
        answers = self._ask(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": ["0x" + subject.hex()]}
                for number, subject in enumerate(subjects)
            ]
        )
        if any("error" in answer for answer in answers):
            raise PeerFailure(f"{self._peer.name}: {method} refused")
        return [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]

    def _ask(self, message: object) -> Any:  # JSON of any shape
        body = orjson.dumps(message)
        self._socket.sendall(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        length = None
        while line := self._answers.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return orjson.loads(self._chunks() if length is None else self._answers.read(length))

    def _chunks(self) -> bytes:
        chunks: list[bytes] = []
        while size := int(self._answers.readline(), 16):
            chunks.append(self._answers.read(size))
            self._answers.readline()
        self._answers.readline()
        return b"".join(chunks)


def genesis_of(funded: Iterable[bytes]) -> dict[str, Any]:
    """The dev chain's document under a chain id of its own, without a parallel type; each account has 1,000 ether."""
    document: dict[str, Any] = orjson.loads(dev_genesis())
    document["config"]["chainId"] = CHAIN_ID
    del document["config"]["parallelTxType"]
    contracts = {name: account for name, account in document["alloc"].items() if account.get("code")}
    balance = {"balance": hex(1_000 * 10**18)}
    document["alloc"] = {**contracts, **{"0x" + address.hex(): balance for address in funded}}
    return document


def program(variable: str, built: Path, name: str) -> Path | None:
    """Where a peer's program is, if anywhere. A path in the environment is taken as it is."""
    if chosen := os.environ.get(variable):
        return Path(chosen)
    if built.is_file():
        return built
    found = shutil.which(name)
    return Path(found) if found is not None else None


@contextmanager
def peers(
    folder: Path, genesis: Mapping[str, Any], names: Sequence[str], *, mining: bool, has_limits: bool = False
) -> Iterator[list[Peer]]:
    """
    The named daemons on the genesis, all running for the length of the block; those not installed are missing.

    With `mining` each makes a block as soon as there is something for it, else none does. Unless it
    `has_limits` our pool has room for a million transactions, as the others' always have.
    """
    path = folder / "genesis.json"
    path.write_bytes(orjson.dumps(genesis))
    with ExitStack() as stack:
        started: list[Peer] = []
        for name in names:
            home = folder / name
            home.mkdir()
            command = _command(name, home, path, mining=mining, has_limits=has_limits)
            if command is None:
                print(f"{name} is not installed and is left out", file=sys.stderr)
                continue
            started.append(stack.enter_context(_running(name, home, command)))
        yield started


def _command(name: str, home: Path, genesis: Path, *, mining: bool, has_limits: bool) -> list[str] | None:
    """The command that serves on the port that stands in the place of `PORT`; `None` without the program."""
    match name:
        case "parallelpool":
            limits = [f"--txpool.{each}={ROOM}" for each in ("globalslots", "globalqueue", "accountqueue")]
            sealing = "instant" if mining else "manual"
            flags = ["--datadir", str(home / "data"), "--genesis", str(genesis), "--http.port", "PORT"]
            flags += [
                *([] if has_limits else limits),
                "--dev.mine",
                sealing,
                "--metrics=false",
                "--ipcdisable",
                "--verbosity",
                "2",
            ]
            return [sys.executable, "-m", "parallelpool", *flags]
        case "geth":
            geth = program("PARALLELPOOL_GETH", GETH, "geth")
            return None if geth is None else _geth_command(geth, home, genesis, mining=mining)
        case "anvil":
            anvil = program("PARALLELPOOL_ANVIL", ANVIL, "anvil")
            sealing_flags = [] if mining else ["--no-mining"]
            init = ["--init", str(genesis), "--chain-id", str(CHAIN_ID), "--port", "PORT", "--silent"]
            return None if anvil is None else [str(anvil), *init, *sealing_flags]
        case _:
            raise PeerFailure(f"{name}: none of parallelpool, geth, anvil")


def _geth_command(geth: Path, home: Path, genesis: Path, *, mining: bool) -> list[str]:
    data = ["--datadir", str(home / "data")]
    begun = subprocess.run([geth, *data, "init", genesis], capture_output=True, text=True, check=False)
    if begun.returncode:
        raise PeerFailure(f"geth init: {begun.stderr}")
    limits = [
        f"--txpool.{each}={ROOM}" for each in ("accountslots", "globalslots", "accountqueue", "globalqueue")
    ]
    sealing = ["--dev"] if mining else ["--authrpc.port", str(free_port())]
    network = ["--networkid", str(CHAIN_ID), "--nodiscover", "--maxpeers", "0", "--port", "0", "--ipcdisable"]
    http = ["--http", "--http.port", "PORT", "--http.api", "eth,txpool,net,web3", "--verbosity", "2"]
    return [str(geth), *data, *network, *http, *limits, *sealing]


@contextmanager
def _running(name: str, home: Path, command: Sequence[str]) -> Iterator[Peer]:
    port = free_port()
    log_path = home / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) if word == "PORT" else word for word in command],
            stdout=log,
            stderr=log,
            env={key: value for key, value in os.environ.items() if not key.startswith("PARALLELPOOL_")},
        )
    try:
        yield _answering(name, f"127.0.0.1:{port}", process, log_path)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answering(name: str, address: str, process: subprocess.Popen[bytes], log_path: Path) -> Peer:
    """The daemon, once it answers. Raises PeerFailure with its log if it does not."""
    deadline = time.monotonic() + START_S
    silent = Peer(name, "", address, process.pid)
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return Peer(name, silent.call("web3_clientVersion"), address, process.pid)
        except OSError:
            time.sleep(0.05)
    raise PeerFailure(f"{name} did not start:\n{log_path.read_text(errors='replace')[-4_000:]}")


def free_port() -> int:
    """For a program that does not say what port 0 became."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
