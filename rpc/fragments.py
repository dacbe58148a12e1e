"""
Long messages over a WebSocket, in fragments (RFC 6455, 5.4), as geth sends them.

aiohttp sends each message as one frame, which must be whole in memory and is copied there in one go. A fragment is a
frame of its own, written at once, so what aiohttp says in between, pings and their answers, stands between frames
as the protocol allows. Compression must be off.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Final

TEXT: Final = 0x1
CONTINUATION: Final = 0x0
IS_LAST: Final = 0x80

UNWRITTEN: Final = 1024 * 1024
"""Bytes that may lie in the transport."""

PAUSE_S: Final = 0.005
"""A transport tells only its own protocol that it has room again; who else wants to know looks."""


def header(opcode: int, length: int) -> bytes:
    """The head of a frame that a server sends."""
    if length < 126:
        return struct.pack("!BB", opcode, length)
    if length < 1 << 16:
        return struct.pack("!BBH", opcode, 126, length)
    return struct.pack("!BBQ", opcode, 127, length)


async def send_fragments(pieces: AsyncIterator[bytes], transport: asyncio.Transport) -> None:
    """Sends one message of text. Raises ConnectionResetError when the client is gone."""
    opcode = TEXT
    async for piece in pieces:
        await _write(transport, header(opcode, len(piece)) + piece)
        opcode = CONTINUATION
    await _write(transport, header(opcode | IS_LAST, 0))


async def _write(transport: asyncio.Transport, frame: bytes) -> None:
    while transport.get_write_buffer_size() > UNWRITTEN and not transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)
    if transport.is_closing():
        raise ConnectionResetError("the client is gone")
    transport.write(frame)
