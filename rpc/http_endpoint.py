"""
HTTP: one POST, one message.

The order of checks and every status and text are geth's: path, virtual host, CORS, method, length, content type.
JSON-RPC errors have status 200.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, cast

from aiohttp import HttpVersion11, web

from rpc.access_control import Cors, VirtualHosts
from rpc.caller import Caller
from rpc.envelope import write_error
from rpc.errors import ParseError
from rpc.json_text import JsonSyntaxError
from rpc.streamed import Streamed

if TYPE_CHECKING:
    from rpc.dispatch import Dispatcher
    from rpc.settings import HttpSettings

CONTENT_TYPES: Final = frozenset({"application/json", "application/json-rpc", "application/jsonrequest"})

JSON_HEADERS: Final = {"Content-Type": "application/json"}

GZIP_HEADERS: Final = {**JSON_HEADERS, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}

PLAIN_HEADERS: Final = {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
}

ANSWER_RESERVE_S: Final = 0.1
"""Time that is kept for writing an answer that says that time ran out."""

REMEMBERED_CALLERS: Final = 4_096

GZIP_FROM: Final = 1_400
"""Bytes; shorter answers fit one packet as they are."""

GZIP_ASIDE_FROM: Final = 256 * 1024
"""Bytes; longer answers are compressed beside the event loop."""


class HttpEndpoint:
    """Answers HTTP requests that are no WebSocket upgrades."""

    def __init__(
        self, settings: HttpSettings, dispatcher: Dispatcher, is_operator: Callable[[str], bool]
    ) -> None:
        """`is_operator` says whether a peer's address may use operator methods."""
        self._settings = settings
        self.dispatcher = dispatcher
        self.path = settings.path_prefix or "/"
        """One that is served."""
        self.begun: dict[asyncio.Transport | None, asyncio.Future[object]] = {}
        """Work that was begun on a connection for the request that comes next; see `rpc.plain_http`."""
        self._is_operator = is_operator
        self._virtual_hosts = VirtualHosts(settings.virtual_hosts)
        self._cors = Cors(settings.cors_domains)
        self.time_limit_s = settings.write_timeout_s - ANSWER_RESERVE_S
        """Of a call."""
        self._callers: dict[str, Caller] = {}
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="parallelpool-gzip")

    def takes(self, host: str, length: int) -> bool:
        """Whether a call from this `Host` and with a body of so many bytes is not refused for either."""
        return self._virtual_hosts.allow(host) and length <= self._settings.body_limit

    def headers(self, *, is_packed: bool) -> Mapping[str, str]:
        """Of an answer to a request that names no `Origin`."""
        return {**(GZIP_HEADERS if is_packed else JSON_HEADERS), **self._cors.headers({})}

    def close(self) -> None:
        """Gives back the thread."""
        self._aside.shutdown(wait=False, cancel_futures=True)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        if not is_on_path(request.path, self._settings.path_prefix):
            return web.Response(status=404)
        if not self._virtual_hosts.allow(request.headers.get("Host")):
            return _refuse(403, "invalid host specified")
        if request.method == "OPTIONS":
            headers = self._cors.preflight(request.headers)
            if headers is not None:
                return web.Response(status=204, headers=headers)
        answer = await self._answer(request)
        cors = self._cors.headers(request.headers) if self._cors.is_on else {}
        if isinstance(answer, Streamed):
            return await self._stream(request, answer, cors)
        if cors:
            answer.headers.update(cors)
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.Response | Streamed:
        if request.method == "GET" and not request.query_string and not request.body_exists:
            return web.Response(status=200)
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        try:
            body = await self._read(request)
        except TimeoutError:
            return _json(write_error(None, ParseError("read timeout")))
        answer = await self._answer_to(body, request)
        if isinstance(answer, Streamed):
            return answer
        return await self._compressed(request, answer or b"")

    async def _answer_to(self, body: bytes, request: web.BaseRequest) -> bytes | Streamed | None:
        work = self.begun.pop(request.transport, None) if self.begun else None
        if work is not None:
            return cast("bytes | Streamed | None", await work)
        try:
            return await self.dispatcher.respond(body, self.caller(request.transport))
        except (EOFError, JsonSyntaxError) as problem:
            return unreadable(problem)

    def _check(self, request: web.BaseRequest) -> web.Response | None:
        """The refusal of a request that is no JSON-RPC call."""
        if request.method in ("PUT", "DELETE"):
            return _refuse(405, "method not allowed")
        length, limit = request.content_length, self._settings.body_limit
        if length is not None and length > limit:
            return _refuse(413, f"content length too large ({length}>{limit})")
        # The plain header first: parsing parameters off it costs as much as a short call.
        if request.headers.get("Content-Type") == "application/json":
            return None
        if request.method == "OPTIONS" or request.content_type in CONTENT_TYPES:
            return None
        return _refuse(415, "invalid content type, only application/json is supported")

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The body, cut at the limit: what a body without a length has beyond it is not read."""
        if not request.body_exists:
            return b""
        room = self._settings.body_limit
        if request.content.is_eof():
            return request.content.read_nowait(room)
        await _invite(request)
        chunks: list[bytes] = []
        async with asyncio.timeout(self._settings.read_timeout_s):
            while room > 0 and (chunk := await request.content.read(room)):
                chunks.append(chunk)
                room -= len(chunk)
        return b"".join(chunks)

    def caller(self, transport: asyncio.BaseTransport | None) -> Caller:
        """The caller at the other end of a connection; the same object for the same address."""
        peer = transport.get_extra_info("peername") if transport is not None else None
        address = str(peer[0]) if peer else ""
        caller = self._callers.get(address)
        if caller is None:
            if len(self._callers) >= REMEMBERED_CALLERS:
                self._callers.clear()
            caller = self._callers[address] = Caller(
                "http",
                address,
                self._settings.modules,
                self._is_operator(address),
                time_limit_s=self.time_limit_s,
            )
        return caller

    async def _stream(
        self, request: web.BaseRequest, answer: Streamed, cors: Mapping[str, str]
    ) -> web.StreamResponse:
        """Sends pieces as they are made. A client that does not take them in time loses the connection."""
        is_packed = _takes_gzip(request)
        response = web.StreamResponse(headers={**(GZIP_HEADERS if is_packed else JSON_HEADERS), **cors})
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.write_timeout_s):
                await response.prepare(request)
                async for piece in answer:
                    sent = (
                        await loop.run_in_executor(self._aside, packer.compress, piece)
                        if is_packed
                        else piece
                    )
                    if sent:
                        await response.write(sent)
                if is_packed:
                    await response.write(packer.flush())
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _compressed(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """The answer, compressed where the client takes that and it pays."""
        if len(body) < GZIP_FROM or not _takes_gzip(request):
            return _json(body)
        if len(body) < GZIP_ASIDE_FROM:
            packed = pack(body)
        else:
            packed = await asyncio.get_running_loop().run_in_executor(self._aside, pack, body)
        return web.Response(body=packed, headers=GZIP_HEADERS)


def is_on_path(path: str, prefix: str) -> bool:
    """Whether a request's path is served: exactly `/`, or all below a prefix."""
    return path.startswith(prefix) if prefix else path == "/"


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers=JSON_HEADERS)


def _refuse(status: int, text: str) -> web.Response:
    return web.Response(status=status, body=text.encode() + b"\n", headers=PLAIN_HEADERS)


async def _invite(request: web.BaseRequest) -> None:
    """Tells a client that asks first, as curl does above a megabyte, to send its body."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # none of it is the answer's


def _takes_gzip(request: web.BaseRequest) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def unreadable(problem: EOFError | JsonSyntaxError) -> bytes:
    """The answer to a body that is no JSON; none to no body."""
    return b"" if isinstance(problem, EOFError) else write_error(None, ParseError("parse error"))


def pack(body: bytes) -> bytes:
    """An answer as those get it who take gzip."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
