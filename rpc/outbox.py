"""
Messages on their way to one connected client, in order and bounded.

Answers wait for room, which makes the reader of requests wait. Notifications never wait: a client that lets them
pile up has overflowed and loses its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, TypeAlias

from rpc.streamed import Streamed

Message: TypeAlias = bytes | Streamed

MAX_MESSAGES: Final = 20_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""What a slow client may leave unread. What is streamed is made while it is read, and weighs nothing here."""


class Outbox:
    """One writer takes out, everybody puts in."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._is_closed = False
        self.has_overflowed = False

    @property
    def is_behind(self) -> bool:
        """Whether the client leaves so much unread that what can be told later should be."""
        return len(self._waiting) >= MAX_MESSAGES // 8 or self._bytes >= MAX_BYTES // 8

    def notify(self, message: bytes, /) -> None:
        """Queues a notification, or marks the client as too slow."""
        if len(self._waiting) >= MAX_MESSAGES or self._bytes >= MAX_BYTES:
            self.has_overflowed = True
            self._news.set()
        else:
            self._put(message)

    async def answer(self, message: Message, /) -> None:
        """Queues an answer once there is room."""
        while self._bytes >= MAX_BYTES and not self._is_closed:
            self._room.clear()
            await self._room.wait()
        self._put(message)

    def close(self) -> None:
        """What is queued still goes out; then `take` ends."""
        self._is_closed = True
        self._news.set()
        self._room.set()

    async def take(self) -> Message | None:
        """The next message; `None` after the last one, or at once if the client was too slow."""
        while not self.has_overflowed:
            if self._waiting:
                message = self._waiting.popleft()
                self._bytes -= _weight(message)
                self._room.set()
                return message
            if self._is_closed:
                return None
            self._news.clear()
            await self._news.wait()
        return None

    def _put(self, message: Message) -> None:
        self._waiting.append(message)
        self._bytes += _weight(message)
        self._news.set()


def _weight(message: Message) -> int:
    return 0 if isinstance(message, Streamed) else len(message)
