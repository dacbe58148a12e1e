"""
HTTP's plain case, answered on the connection itself: aiohttp's request, response and tasks cost more than a call.

In: the bytes of connections. Out: what aiohttp and `HttpEndpoint` would answer, byte for byte. A request that comes
whole, alone and with a plain head is answered here. The first bytes that are anything else hand the connection over to
aiohttp, which has it from then on; so does a request whose answer is streamed or whose work fails, along with the
work that was begun. Why, and what it gained: docs/decisions/0008-plain-http.md. Connections on which nothing but
transactions is submitted do not come here (`rpc.http_intake`).
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from email.utils import formatdate
from math import inf
from typing import TYPE_CHECKING, Final, cast

from aiohttp.http import SERVER_SOFTWARE

from rpc.errors import Json, RequestTimedOut, RpcError
from rpc.http_endpoint import GZIP_ASIDE_FROM, GZIP_FROM, pack, unreadable
from rpc.json_text import JsonSyntaxError, whole_value
from rpc.plain_head import LONGEST, PlainHeads
from rpc.streamed import Streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpc.caller import Caller
    from rpc.dispatch import Begun
    from rpc.http_endpoint import HttpEndpoint

SERVER: Final = SERVER_SOFTWARE.encode()


class PlainHttp:
    """The connections of one listener that have not been handed over."""

    def __init__(
        self, endpoint: HttpEndpoint, handlers: Callable[[], asyncio.Protocol], *, idle_s: float
    ) -> None:
        """`handlers` makes aiohttp's end of a connection. `idle_s`: how long one stays open without requests."""
        self.endpoint = endpoint
        self.handlers = handlers
        self.idle_s = idle_s
        self.heads = PlainHeads(endpoint.path, endpoint.takes)
        self.connections: set[PlainConnection] = set()
        self._beginnings = {packed: _head_of(endpoint.headers(is_packed=packed)) for packed in (False, True)}
        self._second = 0
        self._ending = b""

    def connection(self) -> asyncio.Protocol:
        """Our end of a new connection."""
        return PlainConnection(self)

    def written(self, body: bytes, *, is_packed: bool) -> bytes:
        """An answer as aiohttp writes it."""
        before, after = self.head(is_packed=is_packed)
        return b"%b%d%b%b" % (before, len(body), after, body)

    def head(self, *, is_packed: bool) -> tuple[bytes, bytes]:
        """The head of an answer, before and after the length of the body."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True).encode()
            self._ending = b"\r\nDate: %b\r\nServer: %b\r\n\r\n" % (date, SERVER)
        return self._beginnings[is_packed], self._ending

    async def close(self, patience_s: float) -> None:
        """Closes idle connections, then each whose request is answered, and what is left when time is up."""
        for connection in list(self.connections):
            connection.close_soon()
        works = [connection.work for connection in self.connections if connection.work is not None]
        if works:
            await asyncio.wait(works, timeout=patience_s)
        for connection in list(self.connections):
            connection.abandon()


class PlainConnection(asyncio.Protocol):
    """
    One connection. At most one request is under way; what comes meanwhile waits, and no more is read.

    One timer serves the idle time and the time limit of calls; it is set anew only where it would ring too late.
    """

    __slots__ = (
        "_begun",
        "_due",
        "_is_closing",
        "_is_write_paused",
        "_listener",
        "_loop",
        "_request",
        "_rest",
        "_rings_at",
        "_takes_gzip",
        "_timer",
        "_transport",
        "work",
    )

    def __init__(self, listener: PlainHttp) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        """`None` when the connection is lost, closed or handed over."""
        self.work: asyncio.Future[object] | None = None
        """Of the request under way."""
        self._begun: Begun | None = None
        """The call that the work is for, if it was begun without a task."""
        self._request = self._rest = b""
        """The last request, and what came behind it."""
        self._takes_gzip = False
        self._due = self._rings_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = self._is_write_paused = False

    # -- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._listener.connections.add(self)
        self._ring_in(self._listener.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. What was begun goes on without it, as behind aiohttp."""
        self._leave()

    def pause_writing(self) -> None:
        """The client does not read its answers: it may not ask until it does."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The client has read."""
        self._is_write_paused = False
        if self._transport is not None and self.work is None:
            self._go_on(self._transport)

    def data_received(self, data: bytes) -> None:
        """What one read brought."""
        transport = self._transport
        if transport is None or self._is_closing:
            return
        if self.work is not None or self._is_write_paused:
            self._rest += data
            transport.pause_reading()
            return
        end = data.find(b"\r\n\r\n", 0, LONGEST)
        head = self._listener.heads.read(data[:end]) if end > 0 else None
        if head is None or len(data) != end + 4 + head.length:
            self._hand_over(transport, data)
            return
        self._request, self._takes_gzip = data, head.takes_gzip
        self._begin(transport, data[end + 4 :])

    # -- requests

    def _begin(self, transport: asyncio.Transport, body: bytes) -> None:
        endpoint = self._listener.endpoint
        try:
            message = whole_value(body)
        except (EOFError, JsonSyntaxError) as problem:
            self._answer(transport, unreadable(problem))
            return
        caller = endpoint.caller(transport)
        begun = endpoint.dispatcher.begin(message, caller)
        if begun is None:
            task: asyncio.Future[object] = self._loop.create_task(_response(endpoint, message, caller))
            task.add_done_callback(self._responded)
            self.work = task
        elif isinstance(begun.outcome, RpcError):
            self._answer(transport, endpoint.dispatcher.end(begun))
        else:
            self._begun, self.work = begun, begun.outcome
            self.work.add_done_callback(self._ended)
            if caller.time_limit_s is not None:
                self._ring_in(caller.time_limit_s)

    def _ended(self, work: asyncio.Future[object]) -> None:
        """The work of a call has ended that was begun without a task."""
        begun, self._begun, self.work = self._begun, None, None
        assert begun is not None, "a call was begun"
        if work.cancelled():
            self.abandon()  # not for want of time: who did the work is being closed
            return
        answer = self._listener.endpoint.dispatcher.end(begun)
        if self._transport is not None:
            self._answer(self._transport, answer)

    def _responded(self, work: asyncio.Future[object]) -> None:
        """The task of any other request has ended."""
        self.work = None
        if self._transport is None:
            return
        if work.cancelled():
            self.abandon()
        elif work.exception() is not None or isinstance(answer := work.result(), Streamed):
            self._hand_over(self._transport, self._request + self._rest, work)
        else:
            self._answer(self._transport, cast("bytes | None", answer))

    def _answer(self, transport: asyncio.Transport, answer: bytes | None) -> None:
        body = answer or b""
        is_packed = self._takes_gzip and len(body) >= GZIP_FROM
        if is_packed and len(body) >= GZIP_ASIDE_FROM:
            said: asyncio.Future[object] = self._loop.create_future()
            said.set_result(answer)
            self._hand_over(transport, self._request + self._rest, said)
            return
        transport.write(self._listener.written(pack(body) if is_packed else body, is_packed=is_packed))
        self._ring_in(self._listener.idle_s)
        self._go_on(transport)

    def _go_on(self, transport: asyncio.Transport) -> None:
        """A request has been answered, or the answers to earlier ones were read."""
        self._request = b""
        if self._is_closing:
            self.abandon()
        elif self._rest and not self._is_write_paused:
            rest, self._rest = self._rest, b""
            transport.resume_reading()
            self.data_received(rest)

    def _hand_over(
        self, transport: asyncio.Transport, data: bytes, work: asyncio.Future[object] | None = None
    ) -> None:
        """Leaves the connection to aiohttp, with what was read and not answered, and with the work begun for it."""
        if self._rest:
            transport.resume_reading()
        self._leave()
        if work is not None:
            self._listener.endpoint.begun[transport] = work
        handler = self._listener.handlers()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    # -- the end

    def close_soon(self) -> None:
        """Takes no more requests, and closes as soon as none is under way."""
        self._is_closing = True
        if self.work is None:
            self.abandon()

    def abandon(self) -> None:
        """Closes without an answer to what is under way; what was written is sent."""
        transport = self._transport
        if self.work is not None:
            self.work.cancel()
        self._leave()
        if transport is not None:
            transport.close()

    def _leave(self) -> None:
        self._transport = None
        self._listener.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- time

    def _ring_in(self, seconds: float) -> None:
        """From now on the connection is due then and not before."""
        self._due = self._loop.time() + seconds
        if self._due < self._rings_at:
            if self._timer is not None:
                self._timer.cancel()
            self._rings_at = self._due
            self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._rings_at, self._timer = inf, None
        left_s = self._due - self._loop.time()
        if left_s > 0:
            self._ring_in(left_s)
        elif self.work is None:
            self.abandon()
        elif self._begun is None:
            self._ring_in(self._listener.idle_s)  # a task has a time limit of its own
        else:
            self._time_out(self._begun, self.work)

    def _time_out(self, begun: Begun, work: asyncio.Future[object]) -> None:
        work.remove_done_callback(self._ended)
        work.cancel()
        self._begun = self.work = None
        answer = self._listener.endpoint.dispatcher.end(replace(begun, outcome=RequestTimedOut()))
        if self._transport is not None:
            self._answer(self._transport, answer)


async def _response(endpoint: HttpEndpoint, message: Json, caller: Caller) -> object:
    return await endpoint.dispatcher.respond_to(message, caller)


def _head_of(headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: ".encode()
