"""
JSON-RPC over HTTP, WebSocket or IPC: calls out, results and notifications in.

A result is what the daemon said, unread. Everything that can go wrong is a `ClientError`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson

MESSAGE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one message from the daemon."""

NOTIFICATIONS_WAITING: Final = 65_536
"""Notifications of a subscription that may wait for their reader."""


class ClientError(Exception):
    """Anything that keeps a call from its result."""


class RpcFailure(ClientError):
    """The daemon refused: `str()` is its text."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class ConnectionLost(ClientError):
    """The daemon cannot be reached, or has gone; whether it had taken the call is not known."""


class StrangeAnswer(ClientError):
    """What came back is not what the daemon's documentation promises."""


class Transport(Protocol):
    """One way to the daemon."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def call(self, method: str, params: list[Any], timeout_s: float) -> Any: ...
    def notifications(self, subscription: str) -> AsyncIterator[Any]: ...


def transport(url: str) -> Transport:
    """By the scheme: `http(s)://`, `ws(s)://`; anything else is the path of an IPC socket."""
    if url.startswith(("http://", "https://")):
        return HttpTransport(url)
    if url.startswith(("ws://", "wss://")):
        return WebSocketTransport(url)
    return IpcTransport(Path(url))


class HttpTransport:
    """A request for each call."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Reaches for nothing yet: the first call does."""
        self._session = aiohttp.ClientSession(headers={"Content-Type": "application/json"})

    async def close(self) -> None:
        """Ends all calls."""
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, params: list[Any], timeout_s: float) -> Any:
        """The result. Raises ClientError."""
        assert self._session is not None, "the client is open"
        body = _request(next(self._ids), method, params)
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.post(self._url, data=body, timeout=limit) as response:
                octets = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectionLost(f"{method}: {str(error) or 'no answer in time'}") from error
        return _result(method, _parsed(octets))

    def notifications(self, subscription: str) -> AsyncIterator[Any]:
        """Raises ClientError: HTTP has none."""
        raise ClientError("subscriptions need WebSocket or IPC")


class StreamTransport:
    """Calls and notifications over one connection; subclasses send and receive messages."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._subscriptions: dict[str, asyncio.Queue[Any]] = {}
        self._ended: set[str] = set()
        """Subscriptions that nobody reads any more; news of them may still be on the way."""
        self._reader: asyncio.Task[None] | None = None
        self._loss: ConnectionLost | None = None

    async def open(self) -> None:
        """Connects. Raises ConnectionLost."""
        try:
            await self._connect()
        except (aiohttp.ClientError, OSError) as error:
            await self._disconnect()
            raise ConnectionLost(str(error)) from error
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Ends the connection, all calls and all subscriptions."""
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._disconnect()

    async def call(self, method: str, params: list[Any], timeout_s: float) -> Any:
        """The result. Raises ClientError."""
        if self._loss is not None:
            raise self._loss
        call_id = next(self._ids)
        answer = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(_request(call_id, method, params))
                return _result(method, await answer)
        except TimeoutError as error:
            raise ConnectionLost(f"{method}: no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"{method}: {error}") from error
        finally:
            del self._waiting[call_id]

    async def notifications(self, subscription: str) -> AsyncIterator[Any]:
        """What is told, until the connection ends: that raises ConnectionLost."""
        queue = self._queue(subscription)
        try:
            while True:
                if queue.empty() and self._loss is not None:
                    raise self._loss
                told = await queue.get()
                if told is not _END:
                    yield told
        finally:
            self._subscriptions.pop(subscription, None)
            self._ended.add(subscription)

    async def _read(self) -> None:
        reason = "the daemon closed the connection"
        try:
            while (octets := await self._receive()) is not None:
                self._take(_parsed(octets))
        except (aiohttp.ClientError, OSError, StrangeAnswer, asyncio.LimitOverrunError) as error:
            reason = str(error)
        except asyncio.CancelledError:
            reason = "the client was closed"
            raise
        finally:
            self._end(ConnectionLost(reason))

    def _take(self, message: Mapping[str, Any]) -> None:
        if "method" in message:
            params = message.get("params", {})
            subscription = params.get("subscription", "")
            if subscription in self._ended:
                return
            queue = self._queue(subscription)
            if queue.full():
                raise StrangeAnswer("notifications were not read in time")
            queue.put_nowait(params.get("result"))
            return
        answer = self._waiting.get(message.get("id", 0))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _end(self, loss: ConnectionLost) -> None:
        self._loss = loss
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(loss)
        for queue in self._subscriptions.values():
            with suppress(asyncio.QueueFull):
                queue.put_nowait(_END)

    def _queue(self, subscription: str) -> asyncio.Queue[Any]:
        # The first notifications may come before whoever subscribed begins to read.
        if subscription not in self._subscriptions:
            self._subscriptions[subscription] = asyncio.Queue(NOTIFICATIONS_WAITING)
        return self._subscriptions[subscription]

    async def _connect(self) -> None:
        raise NotImplementedError

    async def _disconnect(self) -> None:
        raise NotImplementedError

    async def _send(self, message: bytes) -> None:
        raise NotImplementedError

    async def _receive(self) -> bytes | None:
        """The next message; `None` at the end."""
        raise NotImplementedError


class WebSocketTransport(StreamTransport):
    """One WebSocket."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._stack = AsyncExitStack()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def _connect(self) -> None:
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        connecting = session.ws_connect(self._url, max_msg_size=MESSAGE_LIMIT)
        self._socket = await self._stack.enter_async_context(connecting)

    async def _disconnect(self) -> None:
        await self._stack.aclose()

    async def _send(self, message: bytes) -> None:
        assert self._socket is not None, "the client is open"
        await self._socket.send_str(message.decode())

    async def _receive(self) -> bytes | None:
        assert self._socket is not None, "the client is open"
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            text: str = message.data
            return text.encode()
        return None


class IpcTransport(StreamTransport):
    """The daemon's Unix socket: one message a line."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _connect(self) -> None:
        self._streams = await asyncio.open_unix_connection(str(self._path), limit=MESSAGE_LIMIT)

    async def _disconnect(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _send(self, message: bytes) -> None:
        assert self._streams is not None, "the client is open"
        self._streams[1].write(message + b"\n")
        await self._streams[1].drain()

    async def _receive(self) -> bytes | None:
        assert self._streams is not None, "the client is open"
        return await self._streams[0].readline() or None


_END: Final = object()
"""Wakes the readers of subscriptions when the connection has ended."""


def _request(call_id: int, method: str, params: list[Any]) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})


def _parsed(octets: bytes) -> Mapping[str, Any]:
    try:
        message = orjson.loads(octets)
    except orjson.JSONDecodeError as error:
        raise StrangeAnswer(f"not JSON: {octets[:100]!r}") from error
    if not isinstance(message, dict):
        raise StrangeAnswer(f"not an answer: {octets[:100]!r}")
    return message


def _result(method: str, message: Mapping[str, Any]) -> Any:
    error = message.get("error")
    if error is None:
        return message.get("result")
    try:
        raise RpcFailure(method, error["code"], error["message"], error.get("data"))
    except (KeyError, TypeError) as problem:
        raise StrangeAnswer(f"{method}: an error without code and message: {error}") from problem
