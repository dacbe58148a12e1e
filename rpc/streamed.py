"""
Large results as pieces of JSON text, made while they are sent.

In: an asynchronous iterator of bytes that together are one JSON value. Whoever makes the pieces pauses between them,
so that other requests go on, and no more than a piece is held at a time where the transport can stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import final


@final
class Streamed:
    """One JSON text in pieces; read once."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    def between(self, before: bytes, behind: bytes) -> Streamed:
        """The same with something around it."""

        async def pieces() -> AsyncIterator[bytes]:
            yield before
            async for piece in self._pieces:
                yield piece
            yield behind

        return Streamed(pieces())

    async def joined(self) -> bytes:
        """All of it, for who cannot send pieces."""
        return b"".join([piece async for piece in self._pieces])


async def in_pieces(message: bytes | Streamed, size: int) -> AsyncIterator[bytes]:
    """A message as pieces of about `size` bytes, so that sending it takes no turn of the loop for long."""
    if not isinstance(message, Streamed):
        for start in range(0, len(message), size):
            yield message[start : start + size]
        return
    waiting = bytearray()
    async for piece in message:
        waiting += piece
        if len(waiting) >= size:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
