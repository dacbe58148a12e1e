"""
The RPC server: all transports over one dispatcher.

In: the node's parts and the settings. While `serving` lasts, HTTP, WebSocket and IPC are open; leaving it closes
listeners first, then connections. HTTP and WebSocket share a listener where address and port are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from rpc.batch_news import BatchNews
from rpc.block_cache import BlockCache
from rpc.caller import is_loopback
from rpc.connection import Connection, Wire
from rpc.dispatch import BatchLimits, Dispatcher
from rpc.filters import FilterBook
from rpc.http_endpoint import HttpEndpoint, is_on_path
from rpc.http_intake import METHOD, HttpIntake, given_up
from rpc.ipc import IpcEndpoint
from rpc.method import MethodTable
from rpc.methods import method_table
from rpc.news import News
from rpc.offers import Offers
from rpc.plain_http import PlainHttp
from rpc.websocket import WebSocketEndpoint, is_upgrade

if TYPE_CHECKING:
    from rpc.backend import Backend
    from rpc.settings import RpcSettings

log = structlog.get_logger("parallelpool.rpc")

SHUTDOWN_S = 5.0
"""How long open requests may take when the server stops."""


LEAST_PATIENCE_S = 0.1
"""aiohttp takes no time at all for all the time there is."""


IDLE_S = 120.0
"""How long a connection without requests stays open where HTTP does not say."""


BACKLOG = 1_024
"""Connections that may wait to be accepted."""


LINGERING_S = 1.0
"""How long the rest of a refused body is read, so that the client gets to see the refusal."""


@dataclass(frozen=True, slots=True)
class RpcStatistics:
    """Counters since the start, and what is open now."""

    calls: Mapping[str, int]
    """By method; unknown methods under the empty name."""
    failures: Mapping[int, int]
    """Error answers by code."""
    websocket_connections: int
    filters: int


class RpcServer:
    """The node's JSON-RPC."""

    def __init__(
        self, backend: Backend, settings: RpcSettings, further_methods: MethodTable | None = None
    ) -> None:
        """`further_methods` are served beside those of the namespaces."""
        self._settings = settings
        self._begin_intake = backend.listen
        blocks = BlockCache(backend.chain)
        self._news = News(backend.chain, backend.events, blocks)
        self._filters = FilterBook(self._news)
        offers = Offers(backend)
        self._batch_news = BatchNews(backend, offers)
        methods = method_table(backend, blocks, self._filters, offers, settings)
        self._dispatcher = Dispatcher(
            {**methods, **(further_methods or {})},
            BatchLimits(settings.batch_request_limit, settings.batch_response_max_size),
        )
        self._http = (
            HttpEndpoint(settings.http, self._dispatcher, self._is_operator) if settings.http else None
        )
        self._websocket = (
            WebSocketEndpoint(settings.websocket, self._connection, self._is_operator)
            if settings.websocket
            else None
        )
        self._ipc = IpcEndpoint(settings.ipc_path, self._connection) if settings.ipc_path else None
        self.http_url: str | None = None
        """Where HTTP listens, while serving; the port is the real one if 0 was asked for."""
        self.websocket_url: str | None = None

    @asynccontextmanager
    async def serving(self, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
        """
        Serves while the block runs; `tasks` owns the tasks that this needs.

        Raises OSError if an endpoint cannot be opened; none is open then.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._dispatcher.settle)
            if self._http is not None:
                stack.callback(self._http.close)
            await self._open_listeners(stack, tasks)
            if self._ipc is not None:
                await self._ipc.start()
                stack.push_async_callback(self._ipc.close)
                log.info("IPC endpoint opened", url=str(self._settings.ipc_path))
            for telling in (self._news, self._batch_news):
                stack.callback(tasks.create_task(telling.run()).cancel)
            yield

    def statistics(self) -> RpcStatistics:
        """Figures for metrics."""
        return RpcStatistics(
            dict(self._dispatcher.calls),
            dict(self._dispatcher.failures),
            len(self._websocket) if self._websocket is not None else 0,
            len(self._filters),
        )

    # -- listeners

    async def _open_listeners(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> None:
        http, websocket = self._settings.http, self._settings.websocket
        if http is not None:
            self.http_url = await self._listen(stack, tasks, http.address, http.port)
            log.info("HTTP server started", endpoint=self.http_url, vhosts=",".join(http.virtual_hosts))
        if websocket is not None:
            if http is not None and (http.address, http.port) == (websocket.address, websocket.port):
                self.websocket_url = self.http_url
            else:
                self.websocket_url = await self._listen(stack, tasks, websocket.address, websocket.port)
            self.websocket_url = str(self.websocket_url).replace("http://", "ws://", 1)
            log.info("WebSocket enabled", url=self.websocket_url)

    async def _listen(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup, address: str, port: int) -> str:
        idle_s = self._settings.http.idle_timeout_s if self._settings.http is not None else IDLE_S
        # Compressed request bodies stay as they are: geth does not unpack them, and bombs are packed.
        handlers = web.Server(
            self._route,
            access_log=None,
            keepalive_timeout=idle_s,
            auto_decompress=False,
            lingering_time=LINGERING_S,
        )
        plain = (
            PlainHttp(self._http, handlers, idle_s=idle_s) if self._http is not None and idle_s > 0 else None
        )
        listener = await asyncio.get_running_loop().create_server(
            handlers if plain is None else plain.connection,
            address,
            port,
            backlog=BACKLOG,
            start_serving=False,
        )
        stack.callback(listener.close)
        intake = self._intake(plain, listener, idle_s)
        stack.push_async_callback(_close, listener, intake, plain, handlers)
        if intake is None:
            await listener.start_serving()
        else:
            stack.callback(tasks.create_task(intake.run()).cancel)
        if self._websocket is not None:
            stack.push_async_callback(self._websocket.close)
        bound_port = listener.sockets[0].getsockname()[1]
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{bound_port}"

    def _intake(self, plain: PlainHttp | None, listener: asyncio.Server, idle_s: float) -> HttpIntake | None:
        """The engine's part of a listener, if it has one."""
        http = self._settings.http
        if self._begin_intake is None or plain is None or http is None:
            return None
        if not self._dispatcher.takes_all(METHOD, http.modules):
            return None
        listeners = given_up(listener.sockets, BACKLOG)
        return HttpIntake(self._begin_intake(listeners, idle_s), plain, self._dispatcher)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._websocket is not None and self._settings.websocket is not None and is_upgrade(request):
            if is_on_path(request.path, self._settings.websocket.path_prefix):
                return await self._websocket.serve(request)
            return web.Response(status=404)
        if self._http is None:
            return web.Response(status=404)
        return await self._http.serve(request)

    # -- parts of connections

    def _connection(self, wire: Wire) -> Connection:
        return Connection(
            wire,
            self._dispatcher,
            self._news,
            self._batch_news,
            log_query_limit=self._settings.calls.log_query_limit,
        )

    def _is_operator(self, address: str) -> bool:
        return self._settings.operator_anywhere or is_loopback(address)


async def _close(
    listener: asyncio.Server, intake: HttpIntake | None, plain: PlainHttp | None, handlers: web.Server
) -> None:
    """Closes a listener and its connections; requests that are under way have `SHUTDOWN_S` to end."""
    loop = asyncio.get_running_loop()
    listener.close()
    await asyncio.sleep(0)  # connections that were accepted already get their turn
    handlers.pre_shutdown()
    ends_at = loop.time() + SHUTDOWN_S
    closing = [each.close(SHUTDOWN_S) for each in (intake, plain) if each is not None]
    await asyncio.gather(*closing)
    if plain is not None:
        await plain.close(0.0)  # what the engine handed over meanwhile
        handlers.pre_shutdown()  # of connections that were handed over meanwhile
    # aiohttp waits twice: for the handlers to end, and again after it has told them to.
    await handlers.shutdown(max(LEAST_PATIENCE_S, ends_at - loop.time()) / 2)
