"""Answers too long for one piece over WebSocket and IPC: fragments, order, and clients who leave in the middle."""

import asyncio
import base64
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import pytest

from rpc.server import RpcServer
from rpc.websocket import FRAGMENT
from tests.deadline import until
from tests.rpc.conftest import Probe, Serve, settings

TEXT, CONTINUATION = 0x1, 0x0
IS_LAST: Final = 0x80

PIECES: Final = 40
PIECE: Final = 50_000


def call(method: str, *params: int, id: int = 1) -> bytes:  # noqa: A002 - the envelope's word
    """A request as bytes."""
    quantities = [hex(value) for value in params]
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": quantities}).encode()


@asynccontextmanager
async def raw_socket(server: RpcServer) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A WebSocket whose frames nobody puts together."""
    place = urlsplit(server.websocket_url or "")
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    key = base64.b64encode(bytes(16)).decode()
    writer.write(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.close()


def send(writer: StreamWriter, message: bytes) -> None:
    """One text frame of a client, whose mask is zero."""
    assert len(message) < 126
    writer.write(bytes([IS_LAST | TEXT, IS_LAST | len(message)]) + bytes(4) + message)


async def frame(reader: StreamReader) -> tuple[int, bytes]:
    """(first byte, payload) of the server's next frame."""
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8), "big")
    return first, await reader.readexactly(length)


async def message(reader: StreamReader) -> tuple[list[int], Any]:
    """First bytes of all frames of the next message, and what it says."""
    firsts: list[int] = []
    payload = b""
    while not firsts or not firsts[-1] & IS_LAST:
        first, part = await frame(reader)
        assert len(part) <= FRAGMENT + PIECE
        firsts.append(first)
        payload += part
    return firsts, json.loads(payload)


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (call("test_streamed", PIECES, PIECE), "x" * (PIECES * PIECE)),
        (call("test_large", 3 * FRAGMENT), "x" * (3 * FRAGMENT)),
        (call("test_streamed", 1, 10), "x" * 10),
    ],
    ids=["streamed", "whole", "short"],
)
async def test_a_long_answer_is_sent_in_fragments(serve: Serve, request_: bytes, result: str) -> None:
    """The first says that it is text, the last that it is the last."""
    async with serve() as server, raw_socket(server) as (reader, writer):
        send(writer, request_)
        firsts, answer = await message(reader)

    assert answer == {"jsonrpc": "2.0", "id": 1, "result": result}
    assert firsts == [TEXT, *[CONTINUATION] * (len(firsts) - 2), IS_LAST | CONTINUATION]


async def test_a_client_puts_the_fragments_together(serve: Serve) -> None:
    """Short and long answers side by side, each whole."""
    sizes = {1: 2 * FRAGMENT, 2: 10, 3: FRAGMENT + 1, 4: 20}
    async with (
        serve() as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.websocket_url or "", max_msg_size=0) as socket,
    ):
        for number, size in sizes.items():
            await socket.send_bytes(call("test_streamed", 2, size // 2, id=number))
            await socket.send_bytes(call("test_large", size, id=-number))
        answers = [await socket.receive_json() for _ in range(2 * len(sizes))]

    lengths = {answer["id"]: len(answer["result"]) for answer in answers}
    assert lengths == {
        **{number: size // 2 * 2 for number, size in sizes.items()},
        **{-number: size for number, size in sizes.items()},
    }


async def test_a_long_answer_over_ipc_is_one_line(serve: Serve, ipc_path: str) -> None:
    """And the next answer begins behind it."""
    only_ipc = settings(http=None, websocket=None, ipc_path=Path(ipc_path))
    async with serve(only_ipc):
        reader, writer = await asyncio.open_unix_connection(ipc_path, limit=1 << 24)
        writer.write(call("test_streamed", PIECES, PIECE, id=1) + call("test_large", 3 * FRAGMENT, id=2))
        answers = [json.loads(await reader.readline()) for _ in range(2)]
        writer.close()

    assert {answer["id"]: len(answer["result"]) for answer in answers} == {1: PIECES * PIECE, 2: 3 * FRAGMENT}


async def test_who_leaves_in_the_middle_ends_the_work(serve: Serve, probe: Probe) -> None:
    """Nothing more is made for a client that has gone."""
    async with serve() as server:
        async with raw_socket(server) as (reader, writer):
            send(writer, call("test_streamed", 1 << 30, PIECE))
            await frame(reader)
            assert probe.streams_ended == 0
        await until(lambda: probe.streams_ended == 1)
