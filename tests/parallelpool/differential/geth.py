"""
A real geth as a second pool: found, started on our genesis, driven through its RPC and its engine port.

In: a genesis document and pool flags. Out: answers, the pool's meters, and heads. Nothing on it is mocked; it talks to
nobody but the test. `PARALLELPOOL_GETH` names the program, else `make geth` has built it, else it is on the PATH.
"""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

VERSION: Final = "1.17.8"
"""What the comparison was made against; `make geth` builds it."""

CACHE: Final = Path.home() / ".cache" / "parallelpool" / f"geth-{VERSION}" / "geth"

ARCHIVE: Final = ("--state.scheme", "hash", "--gcmode", "archive")
"""All states are kept; the first pair counts from the genesis on."""

START_S: Final = 60.0

DEADLINE_S: Final = 60.0

ENDPOINT: Final = re.compile(r"HTTP server started\s+endpoint=(\S+)\s+auth=(true|false)")

METER: Final = re.compile(r"^(txpool_\w+) (\d+)$", re.MULTILINE)

RUNS: Final = "txpool_reorgtime_count"
"""How often the pool's background run has ended."""


def program() -> Path | None:
    """Where a geth is, if there is one. A path in `PARALLELPOOL_GETH` is taken as it is."""
    if chosen := os.environ.get("PARALLELPOOL_GETH"):
        return Path(chosen)
    if CACHE.is_file():
        return CACHE
    found = shutil.which("geth")
    return Path(found) if found is not None else None


class Geth:
    """A running geth. `answer` and `batch` are its public RPC, `engine` its authenticated one."""

    def __init__(
        self, session: aiohttp.ClientSession, rpc_url: str, engine_url: str, secret: bytes, metrics_url: str
    ) -> None:
        self.url = rpc_url
        """HTTP and WebSocket, on one port."""
        self._session = session
        self._engine_url = engine_url
        self._secret = secret
        self._metrics_url = metrics_url

    async def engine(self, method: str, *params: object) -> Any:
        """The result of an engine call; an error answer is an AssertionError."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Authorization": f"Bearer {_token(self._secret)}", "Content-Type": "application/json"}
        # A file, since a block may be larger than what aiohttp likes to send at once.
        body = io.BytesIO(json.dumps(message).encode())
        async with self._session.post(self._engine_url, data=body, headers=headers) as response:
            answer = json.loads(await response.text())
        assert "error" not in answer, answer
        return answer["result"]

    async def meters(self) -> dict[str, int]:
        """Meters, gauges and counts of timers of the pool, in the spelling of the page."""
        async with self._session.get(self._metrics_url) as response:
            return {name: int(count) for name, count in METER.findall(await response.text())}

    async def meters_after(self, runs: int) -> dict[str, int]:
        """`meters`, once the background run has ended `runs` times. Raises AssertionError if it does not in time."""
        deadline = time.monotonic() + DEADLINE_S
        while (meters := await self.meters())[RUNS] < runs:
            assert time.monotonic() < deadline, f"{meters[RUNS]} background runs, {runs} were expected"
            await asyncio.sleep(0)
        return meters


def _token(secret: bytes) -> str:
    """A JSON web token of this second (HS256)."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"iat": int(time.time())})
    body = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.new(secret, body, hashlib.sha256).digest()).rstrip(b"=")
    return (body + b"." + signature).decode()


def _free_port() -> int:
    """For the metrics server, which does not say what port 0 became."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def running(
    folder: Path,
    genesis: Mapping[str, Any],
    *flags: str,
    session: aiohttp.ClientSession,
    blocks: Sequence[bytes] = (),
) -> AsyncIterator[Geth]:
    """A geth on `genesis` and RLP `blocks`, its data in `folder`; with blocks it is an archive."""
    secret = hashlib.sha256(b"of this test").digest()
    metrics_port = _free_port()
    process, log_file = _start(folder, genesis, secret, metrics_port, flags, blocks)
    try:
        endpoints = await _endpoints(process, log_file)
        metrics_url = f"http://127.0.0.1:{metrics_port}/debug/metrics/prometheus"
        yield Geth(session, endpoints["false"], endpoints["true"], secret, metrics_url)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


def _start(
    folder: Path,
    genesis: Mapping[str, Any],
    secret: bytes,
    metrics_port: int,
    flags: Sequence[str],
    blocks: Sequence[bytes],
) -> tuple[subprocess.Popen[bytes], Path]:
    """The process and its log."""
    binary = program()
    assert binary is not None, "look for the program first"
    folder.mkdir(parents=True)
    genesis_file, secret_file, log_file = folder / "genesis.json", folder / "jwt", folder / "log"
    genesis_file.write_text(json.dumps(genesis))
    secret_file.write_text(secret.hex())
    data = ["--datadir", str(folder / "data"), *(ARCHIVE if blocks else ())]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GETH_")}
    _run([binary, "init", *data[: -2 if blocks else None], genesis_file], environment)
    if blocks:
        chain_file = folder / "chain.rlp"
        chain_file.write_bytes(b"".join(blocks))
        _run([binary, "import", *data, chain_file], environment)
    command = [str(binary), *data, *_own_flags(secret_file, metrics_port), *flags]
    with log_file.open("wb") as log:
        return subprocess.Popen(command, stderr=log, stdout=log, env=environment), log_file


def _run(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """A command that must end well."""
    done = subprocess.run(command, capture_output=True, timeout=START_S, env=dict(environment), check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def _own_flags(secret_file: Path, metrics_port: int) -> Sequence[str]:
    """No network, no locals, every answer as the pool gives it."""
    return [
        *("--txpool.nolocals", "--syncmode", "full", "--nodiscover", "--maxpeers", "0", "--port", "0"),
        *("--nat", "none", "--ipcdisable", "--cache", "64"),
        *("--http", "--http.port", "0", "--http.api", "eth,net,web3,txpool,debug"),
        *("--ws", "--ws.port", "0", "--ws.api", "eth,net,web3,txpool"),
        *("--authrpc.port", "0", "--authrpc.jwtsecret", str(secret_file)),
        *("--metrics", "--metrics.port", str(metrics_port)),
    ]


async def _endpoints(process: subprocess.Popen[bytes], log_file: Path) -> Mapping[str, str]:
    """Base addresses by `auth`, as the log names them."""
    deadline = time.monotonic() + START_S
    while len(found := dict(_found(log_file))) < 2:
        assert process.poll() is None, f"geth ended:\n{_text(log_file)}"
        assert time.monotonic() < deadline, f"geth did not start in time:\n{_text(log_file)}"
        await asyncio.sleep(0.05)
    return found


def _found(log_file: Path) -> Sequence[tuple[str, str]]:
    return [(is_auth, f"http://{address}") for address, is_auth in ENDPOINT.findall(_text(log_file))]


def _text(log_file: Path) -> str:
    return log_file.read_text(errors="replace")
