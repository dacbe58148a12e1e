"""
IPC: a UNIX socket that only its owner can open. JSON values one after the other, answers end with a newline.

Whoever can open the socket owns the node, so all modules and all operator methods are offered.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpc.connection import Connection, Wire
from rpc.streamed import in_pieces
from rpc.value_stream import MessageTooLarge, ValueStream

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

    from rpc.outbox import Message

CHUNK: Final = 256 * 1024

MESSAGE_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of one message; more ends the connection."""

PATH_LIMIT: Final = 107
"""Bytes of a socket's path on Linux."""


class IpcEndpoint:
    """Listens on a socket below the data directory."""

    def __init__(self, path: Path, make_connection: Callable[[Wire], Connection]) -> None:
        self._path = path
        self._make_connection = make_connection
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises OSError if the socket cannot be made."""
        if len(os.fsencode(self._path)) > PATH_LIMIT:
            raise OSError(f"IPC path is longer than {PATH_LIMIT} bytes: {self._path}")
        self._path.parent.mkdir(mode=0o751, parents=True, exist_ok=True)
        remove_socket(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=_bind(self._path), limit=CHUNK)

    async def close(self) -> None:
        """Ends all connections and takes the socket away."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        remove_socket(self._path)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served in a task"
        self._open.add(task)
        try:
            await self._make_connection(_wire(reader, writer)).serve()
        except asyncio.CancelledError:
            # Only `close` cancels, and waits for the end; asyncio would report the task as failed.
            return
        finally:
            self._open.discard(task)
            writer.close()


def _bind(path: Path) -> socket.socket:
    """A socket that nobody else could open at any moment."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(os.fspath(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def remove_socket(path: Path) -> None:
    """Takes away the socket that a killed daemon left behind; anything else is left alone."""
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return
    if is_socket:
        path.unlink()


def _wire(reader: StreamReader, writer: StreamWriter) -> Wire:
    stream = ValueStream(MESSAGE_LIMIT)

    async def receive() -> bytes | None:
        while True:
            try:
                message = stream.next_value()
                if message is not None:
                    return message
                chunk = await reader.read(CHUNK)
            except (MessageTooLarge, OSError):
                return None
            if not chunk:
                return stream.rest() or None
            stream.feed(chunk)

    async def send(message: Message) -> None:
        if isinstance(message, bytes) and len(message) <= CHUNK:
            writer.write(message + b"\n")
        else:
            async for piece in in_pieces(message, CHUNK):
                writer.write(piece)
                await writer.drain()
            writer.write(b"\n")
        await writer.drain()

    return Wire("ipc", "", None, True, receive, send, is_stream=True)
