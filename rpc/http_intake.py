"""
Submissions over HTTP that never reach the event loop one by one.

A connection begins with the engine, which reads it, recovers senders and writes answers on threads of its own. In:
groups of transactions, heads of requests to be judged, connections on which anything else has come. Out: verdicts,
groups of answers; those connections go on with `rpc.plain_http` and stay there. What is said is the same on all ways.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from logging import DEBUG
from typing import TYPE_CHECKING, Final, cast

import structlog

from rpc.dispatch import tell
from rpc.envelope import write_error_object

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from parallelpool.ingress import Intake, Submissions
    from rpc.dispatch import Dispatcher
    from rpc.plain_http import PlainHttp

log = structlog.get_logger("parallelpool.rpc")

METHOD: Final = "eth_sendRawTransaction"


class HttpIntake:
    """What the engine serves of one listener, and whom it leaves to the loop."""

    def __init__(self, intake: Intake, plain: PlainHttp, dispatcher: Dispatcher) -> None:
        self._intake = intake
        self._plain = plain
        self._dispatcher = dispatcher
        self._loop = asyncio.get_running_loop()
        self._works: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(intake.fileno(), self._take)

    async def run(self) -> None:
        """Ends when no connection is left after `close`. Raises CoreInternalError if the engine's threads fail."""
        await asyncio.shield(self._over)

    def _take(self) -> None:
        try:
            news = self._intake.take()
        except Exception as failure:  # noqa: BLE001 - a bug, raised where it ends the daemon
            self._loop.remove_reader(self._intake.fileno())
            if not self._over.done():
                self._over.set_exception(failure)
            return
        for connection, head in news.heads:
            plain = self._plain.heads.read(head)
            self._intake.judge(connection, head, None if plain is None else plain.length)
        for file, data in news.handed_over:
            self._begin(self._go_on(file, data))
        if len(news.submissions):
            # The pool decides in the task's first step, so groups are decided in the order in which they came.
            self._begin(self._serve(news.submissions))
        if news.is_over and not self._over.done():
            self._over.set_result(None)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _serve(self, submissions: Submissions) -> None:
        began = time.perf_counter()
        try:
            refusals = await self._dispatcher.take_all(
                METHOD, submissions.decoded, self._plain.endpoint.time_limit_s
            )
            errors = [None if each is None else write_error_object(each) for each in refusals]
        except BaseException:  # there is nothing true to answer
            self._intake.hang_up(submissions)
            raise
        before, after = self._plain.head(is_packed=False)
        self._intake.answer(submissions, errors, before=before, after=after)
        if log.is_enabled_for(DEBUG):
            for peer, refusal in zip(submissions.peers, refusals, strict=True):
                tell(METHOD, "http", peer, 0 if refusal is None else refusal.code, began)

    async def _go_on(self, file: int, data: bytes) -> None:
        """Lets the loop have a connection."""
        with suppress(OSError):  # the client has gone
            await self._loop.connect_accepted_socket(
                lambda: HandedOver(self._plain.connection(), data), socket.socket(fileno=file)
            )

    async def close(self, patience_s: float) -> None:
        """Closes idle connections, then each whose request is answered, and what is left when time is up."""
        self._intake.close_soon()
        with suppress(Exception):  # `run` has told of it
            await asyncio.wait([self._over], timeout=patience_s)
        self._loop.remove_reader(self._intake.fileno())
        for work in self._works:
            work.cancel()
        if self._works:
            await asyncio.wait(self._works)
        self._intake.stop()
        self._over.cancel()


class HandedOver(asyncio.Protocol):
    """The first moment of a connection that others have read from."""

    def __init__(self, protocol: asyncio.Protocol, data: bytes) -> None:
        self._protocol = protocol
        self._data = data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Leaves it to whom it is for, with what was read."""
        cast("asyncio.Transport", transport).set_protocol(self._protocol)
        self._protocol.connection_made(transport)
        self._protocol.data_received(self._data)


def given_up(listeners: Sequence[socket.socket], backlog: int) -> list[int]:
    """Descriptors of the same sockets, listening, for the engine. Raises OSError."""
    taken: list[socket.socket] = []
    try:
        for listener in listeners:
            taken.append(socket.socket(fileno=os.dup(listener.fileno())))
            # What is accepted takes these over.
            taken[-1].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            taken[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            taken[-1].setblocking(False)
            taken[-1].listen(backlog)
    except OSError:
        for each in taken:
            each.close()
        raise
    return [each.detach() for each in taken]
