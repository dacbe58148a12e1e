"""IPC: a private socket, values in a stream, all modules, operator methods."""

# ruff: noqa: ASYNC240 - looking at the socket's file takes no time

import asyncio
import json
import stat
from pathlib import Path

import pytest

from rpc.errors import Json
from rpc.settings import RpcSettings
from tests.rpc.conftest import Serve, settings
from tests.rpc.fakes import FakeNode


def ipc(path: str) -> RpcSettings:
    """Settings with nothing but a socket."""
    return settings(http=None, websocket=None, ipc_path=Path(path))


async def talk(path: str, *chunks: bytes, answers: int) -> list[Json]:
    """Sends chunks and reads so many lines."""
    reader, writer = await asyncio.open_unix_connection(path)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    lines = [json.loads(await reader.readline()) for _ in range(answers)]
    writer.close()
    return lines


def call(method: str, *params: Json, id: Json = 1) -> bytes:  # noqa: A002 - the envelope's word
    """A request as bytes."""
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": list(params)}).encode()


async def test_only_the_owner_can_open_the_socket(serve: Serve, ipc_path: str) -> None:
    """Mode 0600, and gone when the server stops."""
    async with serve(ipc(ipc_path)):
        mode = stat.S_IMODE(Path(ipc_path).stat().st_mode)

    assert mode == 0o600
    assert not Path(ipc_path).exists()


async def test_values_need_no_newline_between_them(serve: Serve, ipc_path: str) -> None:
    """web3.py sends none; answers end with one."""
    async with serve(ipc(ipc_path)):
        answers = await talk(
            ipc_path,
            call("test_echo", "a", id=1) + call("test_echo", "}", id=2)[:20],
            call("test_echo", "}", id=2)[20:] + b"\n\n" + call("test_echo", "c", id=3),
            answers=3,
        )

    assert sorted(answer["id"] for answer in answers if isinstance(answer, dict)) == [1, 2, 3]


async def test_everything_is_offered(serve: Serve, ipc_path: str) -> None:
    """All namespaces and the operator methods: who can open the socket owns the node."""
    async with serve(ipc(ipc_path)):
        operated, modules = (
            await talk(ipc_path, call("test_operate"), answers=1),
            await talk(ipc_path, call("rpc_modules"), answers=1),
        )

    assert operated == [{"jsonrpc": "2.0", "id": 1, "result": True}]
    assert isinstance(modules[0], dict)
    assert {"eth", "dev", "txpool", "parallel", "debug", "rpc"} <= set(modules[0]["result"])


async def test_bad_json_is_answered_and_ends_the_connection(serve: Serve, ipc_path: str) -> None:
    """The words of Go's decoder."""
    async with serve(ipc(ipc_path)):
        reader, writer = await asyncio.open_unix_connection(ipc_path)
        writer.write(b"{'a':1}\n")
        answer = json.loads(await reader.readline())
        end = await reader.read()
        writer.close()

    assert answer["error"] == {
        "code": -32700,
        "message": "invalid character '\\'' looking for beginning of object key string",
    }
    assert end == b""


async def test_a_message_that_is_cut_ends_the_connection_in_silence(serve: Serve, ipc_path: str) -> None:
    """The client has gone, as far as the stream tells."""
    async with serve(ipc(ipc_path)):
        reader, writer = await asyncio.open_unix_connection(ipc_path)
        writer.write(b'{"jsonrpc":"2.0"')
        writer.write_eof()
        answer = await reader.read()
        writer.close()

    assert answer == b""


async def test_a_client_that_stops_sending_still_gets_its_answers(serve: Serve, ipc_path: str) -> None:
    """`echo … | nc -U` closes its side before the answer is there."""
    async with serve(ipc(ipc_path)):
        reader, writer = await asyncio.open_unix_connection(ipc_path)
        writer.write(call("test_echo", "a"))
        writer.write_eof()
        answer = json.loads(await reader.read())
        writer.close()

    assert answer == {"jsonrpc": "2.0", "id": 1, "result": ["a", None]}


async def test_the_socket_of_a_killed_daemon_is_replaced(serve: Serve, ipc_path: str) -> None:
    """A stale socket is no reason not to start; a file that is none is left alone."""
    server = await asyncio.start_unix_server(lambda _reader, _writer: None, ipc_path)
    server.close()
    await server.wait_closed()
    async with serve(ipc(ipc_path)):
        answers = await talk(ipc_path, call("test_echo", "a"), answers=1)

    assert answers == [{"jsonrpc": "2.0", "id": 1, "result": ["a", None]}]


async def test_a_file_in_the_way_is_left_alone(serve: Serve, ipc_path: str) -> None:
    """The start fails with the system's words, the file stays."""
    Path(ipc_path).write_text("precious")

    with pytest.raises(ExceptionGroup) as caught:
        async with serve(ipc(ipc_path)):
            pass

    assert "in use" in str(caught.value.exceptions[0])

    assert Path(ipc_path).read_text() == "precious"


async def test_a_path_too_long_for_a_socket_is_named(serve: Serve, tmp_path: Path) -> None:
    """The system's own words would be unclear."""
    path = str(tmp_path / ("x" * 120))

    with pytest.raises(ExceptionGroup) as caught:
        async with serve(ipc(path)):
            pass

    assert str(caught.value.exceptions[0]).startswith("IPC path is longer than 107 bytes")


async def test_subscriptions_work_over_ipc(serve: Serve, ipc_path: str, node: FakeNode) -> None:
    """The id first, then the news, a line each."""
    async with serve(ipc(ipc_path)):
        reader, writer = await asyncio.open_unix_connection(ipc_path)
        writer.write(call("eth_subscribe", "newHeads"))
        subscribed = json.loads(await reader.readline())
        node.mine()
        news = json.loads(await reader.readline())
        writer.close()

    assert news["params"]["subscription"] == subscribed["result"]
    assert news["params"]["result"]["number"] == "0x1"
