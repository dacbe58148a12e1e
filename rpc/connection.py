"""
A lasting connection, WebSocket or IPC: messages in, answers and notifications out.

Messages are served side by side, a bounded number at a time. One that subscribes is served alone, so that its id
goes out before its news. A message that is no JSON is answered, and ends the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rpc.caller import Caller, Transport
from rpc.envelope import write_error
from rpc.errors import Json, ParseError
from rpc.json_text import JsonCut, JsonSyntaxError, whole_value
from rpc.outbox import Message, Outbox
from rpc.subscriptions import ConnectionSubscriptions

if TYPE_CHECKING:
    from rpc.batch_news import BatchNews
    from rpc.dispatch import Dispatcher
    from rpc.news import News

log = structlog.get_logger("parallelpool.rpc")

MESSAGES_AT_ONCE: Final = 128
"""Messages of one connection that are served side by side."""

GRACE_S: Final = 5.0
"""How long running calls and unsent answers may take after the client's last message."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What differs between transports."""

    transport: Transport
    address: str
    modules: frozenset[str] | None
    is_operator: bool
    receive: Callable[[], Awaitable[bytes | None]]
    """The next message; `None` at the end."""
    send: Callable[[Message], Awaitable[None]]
    """Sends one message, a streamed one piece by piece. Raises OSError when the client is gone."""
    is_stream: bool
    """Whether messages are not framed: what is cut is the client's end then."""


class Connection:
    """One client."""

    def __init__(
        self,
        wire: Wire,
        dispatcher: Dispatcher,
        news: News,
        batch_news: BatchNews,
        *,
        log_query_limit: int,
    ) -> None:
        self._wire = wire
        self._dispatcher = dispatcher
        self._outbox = Outbox()
        self._subscriptions = ConnectionSubscriptions(
            news, batch_news, self._outbox, log_query_limit=log_query_limit
        )
        self._caller = Caller(
            wire.transport, wire.address, wire.modules, wire.is_operator, notifier=self._subscriptions
        )
        self._places = asyncio.Semaphore(MESSAGES_AT_ONCE)
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serves until the client leaves, breaks the protocol, or does not read."""
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write())
                reader = tasks.create_task(self._read(tasks))
                await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
                if not writer.done():
                    await self._finish(writer)
                for task in (reader, writer, *self._serving):
                    task.cancel()
        finally:
            self._subscriptions.close()

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Lets running calls end and their answers go out."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=GRACE_S)
        self._outbox.close()
        await asyncio.wait((writer,), timeout=GRACE_S)

    async def _write(self) -> None:
        while (message := await self._outbox.take()) is not None:
            try:
                await self._wire.send(message)
            except OSError:
                return
        if self._outbox.has_overflowed:
            log.warning("client does not read", transport=self._wire.transport, peer=self._wire.address)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while (octets := await self._wire.receive()) is not None:
            try:
                message = _message(octets)
            except JsonSyntaxError as problem:
                if not (self._wire.is_stream and isinstance(problem, JsonCut)):
                    await self._outbox.answer(write_error(None, ParseError(str(problem))))
                return
            if b"_subscribe" in octets:
                await self._answer(message)
                self._subscriptions.activate()
                continue
            await self._places.acquire()
            task = tasks.create_task(self._serve_aside(message))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve_aside(self, message: Json) -> None:
        try:
            await self._answer(message)
        finally:
            self._places.release()

    async def _answer(self, message: Json) -> None:
        answer = await self._dispatcher.respond_to(message, self._caller)
        if answer is not None:
            await self._outbox.answer(answer)


def _message(octets: bytes) -> Json:
    """What a frame holds. Raises JsonSyntaxError, for an empty one too."""
    try:
        return whole_value(octets)
    except EOFError as problem:
        raise JsonCut from problem
