"""A server over fakes, with a few methods that only tests need."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from rpc.errors import Json, RpcError
from rpc.method import Method, MethodTable
from rpc.parameters import optional, required
from rpc.quantities import address, text, uint64
from rpc.server import RpcServer
from rpc.settings import HttpSettings, RpcSettings, WebSocketSettings
from rpc.streamed import Streamed
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.fakes import FakeNode
from tests.rpc.parallel_rig import deploy_counter


class Probe:
    """Methods that show what the dispatcher does with them."""

    def __init__(self) -> None:
        self.order: list[str] = []
        """Texts that `test_note` was given."""
        self.released = asyncio.Event()
        """Lets `test_wait` go on."""
        self.streams_ended = 0
        """Streams of `test_streamed` that came to their end, or were given up."""

    def table(self) -> MethodTable:
        return {
            "test_echo": Method(self.echo, required(text) + optional(uint64)),
            "test_address": Method(self.echo_address, required(address), is_hot=True),
            "test_note": Method(self.note, required(text)),
            "test_wait": Method(self.wait),
            "test_finish": Method(self.finish, outlives_caller=True),
            "test_large": Method(self.large, required(uint64)),
            "test_streamed": Method(self.streamed, required(uint64, uint64)),
            "test_crash": Method(self.crash),
            "test_fail": Method(self.fail),
            "test_unspeakable": Method(self.unspeakable),
            "test_operate": Method(self.operate, is_operator=True),
            "test_pipelined": Method(self.pipelined, required(text), is_pipelined=True, is_hot=True),
        }

    def echo(self, said: str, number: int | None) -> Json:
        return [said, number]

    def echo_address(self, given: bytes) -> Json:
        return given.hex()

    def note(self, said: str) -> Json:
        self.order.append(said)
        return True

    async def wait(self) -> Json:
        await self.released.wait()
        return True

    async def finish(self) -> Json:
        await self.released.wait()
        self.order.append("finished")
        return True

    def large(self, size: int) -> Json:
        return "x" * size

    def streamed(self, pieces: int, size: int) -> Streamed:
        async def made() -> AsyncIterator[bytes]:
            try:
                yield b'"'
                for _ in range(pieces):
                    yield b"x" * size
                    await asyncio.sleep(0)
                yield b'"'
            finally:
                self.streams_ended += 1

        return Streamed(made())

    def crash(self) -> Json:
        raise AssertionError("a bug")

    async def fail(self) -> Json:
        raise RpcError("refused", code=7, data="0x01")

    def unspeakable(self) -> object:
        return {1, 2}

    def operate(self) -> Json:
        return True

    async def pipelined(self, said: str) -> Json:
        self.order.append(f"begin {said}")
        await asyncio.sleep(0)
        self.order.append(f"end {said}")
        return said


class Serve(Protocol):
    """Starts a server for the length of a block."""

    def __call__(self, chosen: RpcSettings | None = None) -> AbstractAsyncContextManager[RpcServer]: ...


MODULES = frozenset({"eth", "net", "web3", "txpool", "test", "debug", "parallel"})


def settings(**changes: object) -> RpcSettings:
    """Settings on free ports of loopback."""
    values: Mapping[str, object] = {
        "http": HttpSettings(port=0, modules=MODULES),
        "websocket": WebSocketSettings(port=0, modules=MODULES),
        **changes,
    }
    return RpcSettings(**values)  # type: ignore[arg-type]  # each test names fields of RpcSettings


@pytest.fixture
def node() -> FakeNode:
    """Fakes in the place of the node."""
    return FakeNode()


@pytest.fixture
async def probe() -> Probe:
    """Methods for tests."""
    return Probe()


@pytest.fixture
def serve(node: FakeNode, probe: Probe) -> Serve:
    """Starts servers over the fakes."""

    @asynccontextmanager
    async def start(chosen: RpcSettings | None = None) -> AsyncIterator[RpcServer]:
        server = RpcServer(node.backend, chosen or settings(), probe.table())
        async with asyncio.TaskGroup() as tasks, server.serving(tasks):
            yield server

    return start


@pytest.fixture
def ipc_path(tmp_path: Path) -> str:
    """Where a socket may be."""
    return str(tmp_path / "geth.ipc")


@pytest.fixture
async def dev() -> AsyncIterator[Dev]:
    """A fresh node on the real engine."""
    async with dev_node() as running:
        yield running


@pytest.fixture
async def counter(dev: Dev) -> str:
    """The address of a deployed counter, which all callers fight for."""
    return await deploy_counter(dev)
