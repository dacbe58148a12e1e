"""HTTP: statuses, content types, limits, hosts, CORS, compression, time."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from rpc.http_endpoint import GZIP_FROM
from rpc.server import RpcServer
from rpc.settings import HttpSettings, RpcSettings
from tests.rpc.conftest import MODULES, Probe, Serve, settings

JSON = {"Content-Type": "application/json"}
ECHO = b'{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["a"]}'
ECHOED = b'{"jsonrpc":"2.0","id":1,"result":["a",null]}'
PARSE_ERROR = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}'


def http(**changes: object) -> RpcSettings:
    """Settings with another HTTP endpoint."""
    return settings(http=HttpSettings(port=0, modules=MODULES, **changes), websocket=None)  # type: ignore[arg-type]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that unpacks nothing by itself."""
    async with aiohttp.ClientSession(auto_decompress=False) as opened:
        yield opened


async def fetch(
    session: aiohttp.ClientSession,
    server: RpcServer,
    method: str = "POST",
    path: str = "/",
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    """(status, body, headers)."""
    async with session.request(
        method, f"{server.http_url}{path}", data=body, headers=headers, skip_auto_headers=["Content-Type"]
    ) as response:
        return response.status, await response.read(), dict(response.headers)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json-rpc",
        "application/jsonrequest",
    ],
)
async def test_a_call_is_answered(serve: Serve, session: aiohttp.ClientSession, content_type: str) -> None:
    """One object, exact length, no trailing newline."""
    async with serve() as server:
        status, body, headers = await fetch(
            session, server, body=ECHO, headers={"Content-Type": content_type}
        )

    assert (status, body) == (200, ECHOED)
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(ECHOED))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "answer"),
    [
        ("GET", "/", None, {}, 200, b""),
        ("GET", "/?x=1", None, {}, 415, b"invalid content type, only application/json is supported\n"),
        ("GET", "/metrics", None, {}, 404, b""),
        ("POST", "/rpc", ECHO, JSON, 404, b""),
        ("PUT", "/", ECHO, JSON, 405, b"method not allowed\n"),
        ("DELETE", "/", None, JSON, 405, b"method not allowed\n"),
        ("POST", "/", ECHO, {}, 415, b"invalid content type, only application/json is supported\n"),
        (
            "POST",
            "/",
            ECHO,
            {"Content-Type": "text/plain"},
            415,
            b"invalid content type, only application/json is supported\n",
        ),
        ("POST", "/", b"", JSON, 200, b""),
        ("POST", "/", b"  \n", JSON, 200, b""),
        ("OPTIONS", "/", None, {}, 200, b""),
        ("POST", "/", b"x" * 200, JSON, 413, b"content length too large (200>100)\n"),
        ("POST", "/", b"{", JSON, 200, PARSE_ERROR),
        ("POST", "/", b"nonsense", JSON, 200, PARSE_ERROR),
        ("POST", "/", ECHO + b"\n", JSON, 200, ECHOED),
        ("POST", "/", ECHO + b"trailing", JSON, 200, PARSE_ERROR),
        ("POST", "/", ECHO + b" {}", JSON, 200, PARSE_ERROR),
        (
            "POST",
            "/",
            b"[]",
            JSON,
            200,
            b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"empty batch"}}',
        ),
        ("POST", "/", b'{"jsonrpc":"2.0","method":"test_note","params":["a"]}', JSON, 200, b""),
        ("POST", "/", ECHO, {**JSON, "Host": "evil.example"}, 403, b"invalid host specified\n"),
        ("POST", "/", ECHO, {**JSON, "Host": "localhost"}, 200, ECHOED),
        ("POST", "/", gzip.compress(ECHO), {**JSON, "Content-Encoding": "gzip"}, 200, PARSE_ERROR),
    ],
)
async def test_requests_are_answered_as_geth_does(
    serve: Serve,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    answer: bytes,
) -> None:
    """Status and body of every way to ask."""
    async with serve(http(body_limit=100)) as server:
        got = await fetch(session, server, method, path, body=body, headers=headers)

    assert got[:2] == (status, answer)


async def test_a_body_without_a_length_is_cut_at_the_limit(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    """What is left is no JSON any more."""

    async def chunks() -> AsyncIterator[bytes]:
        yield ECHO
        for _ in range(20):
            await asyncio.sleep(0)
            yield b" " * 10

    async def cut() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc":"2.0","id":1,"method":"test_echo","params":["'
        yield b"a" * 200 + b'"]}'

    async with serve(http(body_limit=100)) as server:
        async with session.post(server.http_url or "", data=chunks(), headers=JSON) as response:
            assert await response.read() == ECHOED
        async with session.post(server.http_url or "", data=cut(), headers=JSON) as response:
            assert (response.status, await response.read()) == (200, PARSE_ERROR)


async def test_a_client_that_asks_first_is_told_to_send_its_body(serve: Serve) -> None:
    """curl waits a second for the invitation where a body has more than a megabyte."""
    async with serve() as server:
        port = int((server.http_url or "").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(ECHO)}\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        invitation = await reader.readuntil(b"\r\n\r\n")
        writer.write(ECHO)
        answer = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(ECHOED))
        writer.close()

    assert invitation == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == ECHOED


async def test_a_slow_body_times_out(serve: Serve) -> None:
    """A client that promises more than it sends is answered and not waited for."""
    async with serve(http(read_timeout_s=0.05)) as server:
        port = int((server.http_url or "").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        writer.close()

    assert body["error"] == {"code": -32700, "message": "read timeout"}


async def test_a_call_beyond_the_write_timeout_is_answered_so(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    """A tenth of a second is kept for the answer."""
    async with serve(http(write_timeout_s=0.12)) as server:
        _, body, _ = await fetch(
            session, server, body=b'{"jsonrpc":"2.0","id":1,"method":"test_wait"}', headers=JSON
        )

    assert json.loads(body)["error"] == {"code": -32002, "message": "request timed out"}


@pytest.mark.parametrize("size", [GZIP_FROM - 100, GZIP_FROM + 100, 600_000])
async def test_long_answers_are_compressed_on_request(
    serve: Serve, session: aiohttp.ClientSession, size: int
) -> None:
    """Short ones go as they are; without the header all do."""
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "test_large", "params": [hex(size)]}).encode()
    async with serve() as server:
        _, packed, headers = await fetch(
            session, server, body=message, headers={**JSON, "Accept-Encoding": "gzip"}
        )
        _, plain, plain_headers = await fetch(
            session, server, body=message, headers={**JSON, "Accept-Encoding": "identity"}
        )

    is_packed = headers.get("Content-Encoding") == "gzip"
    assert is_packed == (size >= GZIP_FROM)
    assert (gzip.decompress(packed) if is_packed else packed) == plain
    assert len(plain) > size
    assert "Content-Encoding" not in plain_headers


async def test_a_prefix_serves_all_below_it(serve: Serve, session: aiohttp.ClientSession) -> None:
    """And nothing else."""
    async with serve(http(path_prefix="/rpc")) as server:
        below = await fetch(session, server, path="/rpc/v1", body=ECHO, headers=JSON)
        root = await fetch(session, server, path="/", body=ECHO, headers=JSON)

    assert (below[0], below[1], root[0]) == (200, ECHOED, 404)


async def test_cors_headers_are_given_to_allowed_origins(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    """Preflight and request, for the origin that is listed and for another."""
    page = "http://page.example"
    async with serve(http(cors_domains=(page,))) as server:
        preflight = await fetch(
            session,
            server,
            "OPTIONS",
            headers={
                "Origin": page,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        allowed = await fetch(session, server, body=ECHO, headers={**JSON, "Origin": page})
        other = await fetch(session, server, body=ECHO, headers={**JSON, "Origin": "http://evil.example"})

    assert (preflight[0], preflight[2]["Access-Control-Allow-Origin"]) == (204, page)
    assert preflight[2]["Access-Control-Max-Age"] == "600"
    assert (allowed[1], allowed[2]["Access-Control-Allow-Origin"]) == (ECHOED, page)
    assert (other[1], "Access-Control-Allow-Origin" in other[2]) == (ECHOED, False)


async def test_there_are_no_cors_headers_by_default(serve: Serve, session: aiohttp.ClientSession) -> None:
    """A page's preflight is not answered as one, so the browser refuses."""
    async with serve() as server:
        status, _, headers = await fetch(
            session,
            server,
            "OPTIONS",
            headers={"Origin": "http://page.example", "Access-Control-Request-Method": "POST"},
        )

    assert (status, [name for name in headers if name.startswith("Access-Control")]) == (200, [])


async def test_requests_side_by_side_do_not_wait_for_each_other(
    serve: Serve, session: aiohttp.ClientSession, probe: Probe
) -> None:
    """A waiting call keeps nobody else from an answer."""
    async with serve() as server:
        waiting = asyncio.ensure_future(
            fetch(session, server, body=b'{"jsonrpc":"2.0","id":1,"method":"test_wait"}', headers=JSON)
        )
        answered = await fetch(session, server, body=ECHO, headers=JSON)
        probe.released.set()
        released = await waiting

    assert (answered[1], json.loads(released[1])["result"]) == (ECHOED, True)


async def test_rpc_modules_names_what_is_offered(serve: Serve, session: aiohttp.ClientSession) -> None:
    """Namespaces of this endpoint, and `rpc` itself."""
    narrow = settings(http=HttpSettings(port=0, modules=frozenset({"eth", "net"})), websocket=None)
    async with serve(narrow) as server:
        _, body, _ = await fetch(
            session, server, body=b'{"jsonrpc":"2.0","id":1,"method":"rpc_modules"}', headers=JSON
        )

    assert json.loads(body)["result"] == {"eth": "1.0", "net": "1.0", "rpc": "1.0"}


async def test_a_taken_port_is_an_error_and_nothing_stays_open(serve: Serve) -> None:
    """The second server does not start; the first goes on."""
    async with serve() as server:
        port = int((server.http_url or "").rpartition(":")[2])
        taken = settings(http=HttpSettings(port=port, modules=MODULES), websocket=None)

        with pytest.raises(ExceptionGroup) as caught:
            async with serve(taken):
                pass
        assert [type(error) for error in caught.value.exceptions] == [OSError]

        async with aiohttp.ClientSession() as session:
            assert (await fetch(session, server, body=ECHO, headers=JSON))[1] == ECHOED
