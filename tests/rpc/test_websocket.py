"""WebSocket: the port of HTTP, origins, limits, parse errors, and the end."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from rpc.errors import Json
from rpc.server import RpcServer
from rpc.settings import HttpSettings, WebSocketSettings
from tests.rpc.conftest import MODULES, Probe, Serve, settings


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as opened:
        yield opened


def url(server: RpcServer) -> str:
    """Where to connect."""
    return server.websocket_url or ""


async def ask(socket: aiohttp.ClientWebSocketResponse, message: Json) -> Json:
    """The answer to one message."""
    await socket.send_json(message)
    answer: Json = await socket.receive_json()
    return answer


def call(method: str, *params: Json, id: Json = 1) -> Json:  # noqa: A002 - the envelope's word
    """A request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": list(params)}


async def test_http_and_websocket_share_a_port(serve: Serve, session: aiohttp.ClientSession) -> None:
    """The upgrade tells them apart; a frame is a message, without a newline."""
    async with serve() as server, session.ws_connect(url(server)) as socket:
        await socket.send_json(call("test_echo", "a"))
        frame = await socket.receive()

    assert (server.http_url or "").replace("http", "ws") == server.websocket_url
    assert (frame.type, frame.data) == (
        aiohttp.WSMsgType.TEXT,
        '{"jsonrpc":"2.0","id":1,"result":["a",null]}',
    )


async def test_a_port_of_its_own_serves_websocket_only(serve: Serve, session: aiohttp.ClientSession) -> None:
    """HTTP is off there."""
    alone = settings(http=None, websocket=WebSocketSettings(port=0, modules=MODULES))
    async with serve(alone) as server:
        async with session.ws_connect(url(server)) as socket:
            assert await ask(socket, call("test_echo", "a")) == {
                "jsonrpc": "2.0",
                "id": 1,
                "result": ["a", None],
            }
        async with session.post(
            url(server).replace("ws://", "http://"), json=call("test_echo", "a")
        ) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), None, True),
        ((), "http://localhost:3000", True),
        ((), "http://evil.example", False),
        (("*",), "http://evil.example", True),
        (("https://page.example",), "https://page.example", True),
        (("https://page.example",), "http://page.example", False),
    ],
)
async def test_origins_are_checked(
    serve: Serve, session: aiohttp.ClientSession, origins: tuple[str, ...], origin: str | None, allowed: bool
) -> None:
    """A browser of another origin is refused with 403; a client without the header passes."""
    chosen = settings(websocket=WebSocketSettings(port=0, modules=MODULES, origins=origins))
    headers = {"Origin": origin} if origin is not None else {}
    async with serve(chosen) as server:
        if allowed:
            async with session.ws_connect(url(server), headers=headers) as socket:
                assert not socket.closed
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url(server), headers=headers)
            assert caught.value.status == 403


async def test_only_a_get_is_upgraded(serve: Serve, session: aiohttp.ClientSession) -> None:
    """Anything else with the headers of a handshake is 405."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    async with (
        serve() as server,
        session.post(server.http_url or "", headers=headers) as response,
    ):
        assert (response.status, await response.text()) == (405, "Method Not Allowed\n")


async def test_host_names_are_not_checked(serve: Serve, session: aiohttp.ClientSession) -> None:
    """As in geth, virtual hosts are a matter of HTTP."""
    async with serve() as server, session.ws_connect(url(server), headers={"Host": "evil.example"}) as socket:
        assert not socket.closed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ("nonsense", "invalid character 'o' in literal null (expecting 'u')"),
        ("{", "unexpected end of JSON input"),
        ("", "unexpected end of JSON input"),
        ("{} {}", "invalid character '{' after top-level value"),
    ],
)
async def test_bad_json_is_answered_and_ends_the_connection(
    serve: Serve, session: aiohttp.ClientSession, text: str, words: str
) -> None:
    """The words of Go's decoder, under id null."""
    async with serve() as server, session.ws_connect(url(server)) as socket:
        await socket.send_str(text)
        answer = await socket.receive_json()
        end = await socket.receive()

    assert answer == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": words}}
    assert end.type is aiohttp.WSMsgType.CLOSE


async def test_a_message_above_the_limit_ends_the_connection(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    """Close code 1009, and the server lives on."""
    small = settings(websocket=WebSocketSettings(port=0, modules=MODULES, message_limit=1_000))
    async with serve(small) as server:
        async with session.ws_connect(url(server)) as socket:
            await socket.send_str("x" * 2_000)
            end = await socket.receive()
        async with session.ws_connect(url(server)) as socket:
            assert await ask(socket, call("test_echo", "a")) == {
                "jsonrpc": "2.0",
                "id": 1,
                "result": ["a", None],
            }

    assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1009)


async def test_calls_of_a_connection_run_side_by_side(
    serve: Serve, session: aiohttp.ClientSession, probe: Probe
) -> None:
    """A waiting call does not hold the next; answers carry their ids."""
    async with serve() as server, session.ws_connect(url(server)) as socket:
        await socket.send_json(call("test_wait", id="slow"))
        await socket.send_json(call("test_echo", "a", id="quick"))
        first = await socket.receive_json()
        probe.released.set()
        second = await socket.receive_json()

    assert (first["id"], second["id"]) == ("quick", "slow")


async def test_binary_frames_are_messages_too(serve: Serve, session: aiohttp.ClientSession) -> None:
    """The answer is a text frame."""
    async with serve() as server, session.ws_connect(url(server)) as socket:
        await socket.send_bytes(json.dumps(call("test_echo", "a")).encode())
        frame = await socket.receive()

    assert frame.type is aiohttp.WSMsgType.TEXT


async def test_shutdown_says_goodbye(serve: Serve, session: aiohttp.ClientSession) -> None:
    """Close code 1000, at once."""
    async with serve() as server:
        socket = await session.ws_connect(url(server))
        assert server.statistics().websocket_connections == 1
        receiving = asyncio.ensure_future(socket.receive())
    end = await receiving

    assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1000)
    assert server.statistics().websocket_connections == 0


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(serve: Serve) -> None:
    """Its connection is cut off, though more waits for it than the system takes."""
    handshake = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    message = json.dumps(call("test_large", hex(16 * 1024 * 1024))).encode()
    frame = b"\x81" + bytes([0x80 | len(message)]) + bytes(4) + message
    assert len(message) < 126
    async with asyncio.timeout(60), serve() as server:
        port = int((server.http_url or "").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(handshake)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame)
        await reader.read(1)  # the answer is on its way, and nobody reads on

    writer.transport.abort()


async def test_modules_are_those_of_the_websocket(serve: Serve, session: aiohttp.ClientSession) -> None:
    """HTTP may offer more than WebSocket does on the same port."""
    chosen = settings(
        http=HttpSettings(port=0, modules=MODULES),
        websocket=WebSocketSettings(port=0, modules=frozenset({"eth"})),
    )
    async with serve(chosen) as server, session.ws_connect(url(server)) as socket:
        refused = await ask(socket, call("test_echo", "a"))
        async with session.post(server.http_url or "", json=call("test_echo", "a")) as response:
            served = await response.json()

    assert refused == {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": -32601, "message": "the method test_echo does not exist/is not available"},
    }
    assert served["result"] == ["a", None]
