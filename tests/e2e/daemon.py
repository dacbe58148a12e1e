"""
The daemon as its users have it: a process of its own, found by its banner, spoken to over its ports.

In: flags. Out: a running daemon on free loopback ports, or the exit code and the words of one that did not start.
Every process is stopped by the handle that started it.
"""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from web3 import HTTPProvider, Web3

from tests.public_data import REPOSITORY

START_S = 60.0
"""How long a start may take; far more than it does, for machines that do other things too."""

STOP_S = 60.0

FREE_PORTS = ("--http.port", "0", "--metrics.port", "0")
"""The daemon picks its ports itself, so no other process can be quicker."""

WHOLE_BANNER = re.compile(r"^  Data +\S.*\n\n", re.MULTILINE)


class Refused(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{method}: {error}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


@dataclass
class Daemon:
    """A running daemon."""

    process: subprocess.Popen[bytes]
    banner: str
    log_path: Path
    datadir: Path
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 2**53)))

    def shown(self, name: str) -> str:
        """What the banner says after `name`."""
        found = re.search(rf"^  {re.escape(name)} +(\S.*)$", self.banner, re.MULTILINE)
        assert found is not None, f"the banner has no {name}:\n{self.banner}"
        return found[1]

    @cached_property
    def http_url(self) -> str:
        """JSON-RPC over HTTP."""
        return self.shown("HTTP")

    @cached_property
    def websocket_url(self) -> str:
        """JSON-RPC over WebSocket."""
        return self.shown("WebSocket")

    @cached_property
    def metrics_url(self) -> str:
        """The metrics server, without a path."""
        return self.shown("Metrics").removesuffix("/metrics")

    @cached_property
    def web3(self) -> Web3:
        """An unmodified web3.py."""
        return Web3(HTTPProvider(self.http_url))

    def post(self, body: bytes) -> bytes:
        """What HTTP answers to these bytes."""
        request = urllib.request.Request(
            self.http_url, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: bytes = response.read()
        return answer

    def page(self, path: str) -> str:
        """A page of the metrics server."""
        with urllib.request.urlopen(self.metrics_url + path, timeout=60) as response:
            text: str = response.read().decode()
        return text

    def call(self, method: str, *params: object) -> Any:
        """The result of one JSON-RPC call. Raises Refused."""
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        answer = json.loads(self.post(json.dumps(message).encode()))
        assert answer["id"] == message["id"]
        if "error" in answer:
            raise Refused(method, answer["error"])
        return answer["result"]

    def number(self, method: str, *params: object) -> int:
        """The result of a call that answers a quantity."""
        return int(self.call(method, *params), 16)

    def metric(self, name: str) -> float:
        """One figure of `/metrics`."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page("/metrics"), re.MULTILINE)
        assert found is not None, f"there is no metric {name}"
        return float(found[1])

    def log(self) -> str:
        """Everything that was logged so far."""
        return self.log_path.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal; the exit code of the daemon that stopped by it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def start(datadir: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Daemon:
    """Starts a daemon and waits until it says that it serves. Raises AssertionError with its log if it does not."""
    log_path = _log_path(datadir)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            _command(datadir, flags), stdout=subprocess.PIPE, stderr=log, env=_environment(environment)
        )
    try:
        banner = _read_banner(process)
    except AssertionError as error:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        raise AssertionError(f"{error}\n{log_path.read_text()}") from None
    return Daemon(process, banner, log_path, datadir)


@contextmanager
def running(datadir: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon for the length of a block; it must stop in order."""
    daemon = start(datadir, *flags, environment=environment)
    try:
        yield daemon
    finally:
        code = daemon.stop()
    assert code == 0, daemon.log()


def refused_start(
    datadir: Path, *flags: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """(exit code, standard error) of a daemon that must not start."""
    ended = subprocess.run(
        _command(datadir, flags),
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    return ended.returncode, ended.stderr


def eventually(condition: Callable[[], bool], *, deadline_s: float = 60.0) -> None:
    """Returns as soon as `condition` holds. Raises AssertionError if it does not in time."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def _command(datadir: Path, flags: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "parallelpool", "--datadir", str(datadir), *FREE_PORTS, *flags]


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    """The tests' own, without settings of the daemon, and with this repository's code."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PARALLELPOOL_")}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), **(changes or {})}


def _log_path(datadir: Path) -> Path:
    datadir.parent.mkdir(parents=True, exist_ok=True)
    return datadir.with_name(f"{datadir.name}.log")


def _read_banner(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    text, deadline = b"", time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not WHOLE_BANNER.search(text.decode(errors="replace")):
            assert selector.select(deadline - time.monotonic()), f"no banner in time:\n{text.decode()}"
            part = os.read(process.stdout.fileno(), 65_536)
            assert part, f"the daemon ended with exit code {process.wait(STOP_S)}:\n{text.decode()}"
            text += part
    return text.decode()
