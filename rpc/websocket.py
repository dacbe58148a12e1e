"""
WebSocket: a text message each, long ones in fragments, on the port of HTTP or on its own.

Origins are checked, virtual hosts are not, as in geth. A message above the limit closes the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from aiohttp import WSCloseCode, WSMsgType, web

from rpc.access_control import Origins
from rpc.connection import Connection, Wire
from rpc.fragments import send_fragments
from rpc.streamed import in_pieces

if TYPE_CHECKING:
    from rpc.outbox import Message
    from rpc.settings import WebSocketSettings

FRAGMENT: Final = 256 * 1024
"""Bytes of a message that go into one frame."""

CLOSE_TIMEOUT_S: Final = 2.0
"""How long a client may take to hear and answer the goodbye."""


class WebSocketEndpoint:
    """Upgrades requests and serves the connections until they end or the server stops."""

    def __init__(
        self,
        settings: WebSocketSettings,
        make_connection: Callable[[Wire], Connection],
        is_operator: Callable[[str], bool],
    ) -> None:
        """`is_operator` says whether a peer's address may use operator methods."""
        self._settings = settings
        self._make_connection = make_connection
        self._is_operator = is_operator
        self._origins = Origins(settings.origins)
        self._open: dict[web.WebSocketResponse, asyncio.Transport | None] = {}

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._open)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serves one connection to its end."""
        if request.method != "GET":
            return web.Response(status=405, text="Method Not Allowed\n")
        if not self._origins.allow(request.headers.get("Origin")):
            return web.Response(status=403, text="Forbidden\n")
        socket = web.WebSocketResponse(
            heartbeat=self._settings.ping_interval_s,
            max_msg_size=self._settings.message_limit,
            compress=False,
            timeout=CLOSE_TIMEOUT_S,
        )
        await socket.prepare(request)
        self._open[socket] = request.transport
        try:
            await self._make_connection(self._wire(request, socket)).serve()
        finally:
            await _say_goodbye(socket, self._open.pop(socket))
        return socket

    async def close(self) -> None:
        """Says goodbye to all clients."""
        await asyncio.gather(*(_say_goodbye(*each) for each in self._open.items()))

    def _wire(self, request: web.BaseRequest, socket: web.WebSocketResponse) -> Wire:
        async def receive() -> bytes | None:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT:
                return str(message.data).encode()
            if message.type is WSMsgType.BINARY:
                return bytes(message.data)
            return None

        async def send(message: Message) -> None:
            transport = request.transport
            if isinstance(message, bytes) and len(message) <= FRAGMENT:
                await socket.send_frame(message, WSMsgType.TEXT)
            elif transport is None or socket.closed:
                raise ConnectionResetError("the client is gone")
            else:
                await send_fragments(in_pieces(message, FRAGMENT), transport)

        address = request.remote or ""
        is_operator = self._is_operator(address)
        return Wire("ws", address, self._settings.modules, is_operator, receive, send, is_stream=False)


async def _say_goodbye(socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
    """Closes the connection; who does not read hears nothing of it, and is not waited for."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close(code=WSCloseCode.OK)
    except TimeoutError:
        if transport is not None:
            transport.abort()


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether a request asks for a WebSocket."""
    return (
        request.headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in request.headers.get("Connection", "").lower()
    )
