"""
Plain requests are answered without aiohttp, and nobody can tell: the same bytes in give the same bytes out.

Both ways run over lines in memory, so that where a read ends and what comes between two reads is the test's choice.
"""

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import ParamSpec, TypeVar, cast

from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rpc.dispatch import BatchLimits, Dispatcher
from rpc.errors import Json
from rpc.http_endpoint import GZIP_ASIDE_FROM, GZIP_FROM, HttpEndpoint
from rpc.method import Method
from rpc.parameters import required
from rpc.plain_http import PlainHttp
from rpc.quantities import uint64
from rpc.settings import HttpSettings
from rpc.streamed import Streamed
from tests.rpc.conftest import MODULES, Probe

HEAD = ("Host: localhost:8545", "Content-Type: application/json")
PATIENCE_S = 60.0
ECHO = b'{"jsonrpc":"2.0","id":1,"method":"test_pipelined","params":["a"]}'
BODIES = (
    ECHO,
    b'{"jsonrpc":"2.0","id":"x","method":"test_echo","params":["a",5]}',
    b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"test_pipelined","params":["a"]}',
    b'{"jsonrpc":"2.0","method":"test_pipelined","params":["a"]}',
    b'{"jsonrpc":"2.0","id":[],"method":"test_pipelined","params":["a"]}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_pipelined","params":[7]}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_pipelined"}',
    b'{"id":1,"method":"test_pipelined","params":["a"]}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_crash"}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_unspeakable"}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_stream"}',
    b'{"jsonrpc":"2.0","id":1,"method":"test_large","params":["0x7d0"]}',
    b'{"jsonrpc":"2.0","id":1,"method":"nothing"}',
    b'{"jsonrpc":"2.0","id":1,"method":["test_pipelined"]}',
    b"[" + ECHO + b"," + ECHO + b"]",
    b"[]",
    b"{}",
    b" \n",
    b"{",
    b"nonsense",
    b'"\xff"',
)

LOUD = tuple(body for body in BODIES if b"crash" in body or b"unspeakable" in body)
"""Bugs; each writes a traceback to the log."""

P = ParamSpec("P")
T = TypeVar("T")


class Line(asyncio.Transport):
    """One end of a connection in memory: what the server says, and whether it hung up."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000), "socket": self})
        self.said = bytearray()
        self.is_closed = False
        self.reads = True
        self._waiting = bytearray()
        self._protocol: asyncio.Protocol | None = None

    family = 0

    def setsockopt(self, *_: int) -> None:
        """Stands for the socket too."""

    def open(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.Protocol:
        assert self._protocol is not None
        return self._protocol

    def send(self, data: bytes) -> None:
        """Bytes of the client; a server that does not read gets them when it does."""
        self._waiting += data
        self._deliver()

    def _deliver(self) -> None:
        if self._waiting and self.reads and not self.is_closed:
            data = bytes(self._waiting)
            self._waiting.clear()
            self.get_protocol().data_received(data)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_closed:
            self.said += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.hang_up()

    def abort(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """The connection ends, whoever wants it."""
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.get_protocol().connection_lost, None)


class AtOnce(ThreadPoolExecutor):
    """Packs where it is told to, so that it takes the same turns of the loop every time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Ways:
    """The plain way and aiohttp's alone, over the same methods."""

    def __init__(self, settings: HttpSettings | None = None, *, idle_s: float = 120.0) -> None:
        self.probe = Probe()
        methods = {
            **self.probe.table(),
            "test_stream": Method(stream),
            "test_hold": Method(self.hold, is_pipelined=True),
            "test_long": Method(long_text, required(uint64), is_pipelined=True),
        }
        self.dispatcher = Dispatcher(methods, BatchLimits())
        chosen = settings or HttpSettings(modules=MODULES)
        self.endpoint = HttpEndpoint(chosen, self.dispatcher, lambda address: True)
        self.endpoint._aside = AtOnce()
        self.handlers = web.Server(
            self.endpoint.serve,
            access_log=None,
            keepalive_timeout=idle_s,
            auto_decompress=False,
            lingering_time=PATIENCE_S,
        )
        self.handed_over = 0
        self.plain = PlainHttp(self.endpoint, self._hand_over, idle_s=idle_s)
        self.held: list[asyncio.Future[Json]] = []

    def _hand_over(self) -> asyncio.Protocol:
        self.handed_over += 1
        return self.handlers()

    def hold(self) -> asyncio.Future[Json]:
        """Ends when the test says so."""
        self.held.append(asyncio.get_running_loop().create_future())
        return self.held[-1]

    def open(self, *, plain: bool = True) -> Line:
        line = Line()
        line.open(self.plain.connection() if plain else self.handlers())
        return line

    async def close(self) -> None:
        await self.plain.close(0.0)
        self.handlers.pre_shutdown()
        await self.handlers.shutdown(0.01)  # none at all would mean as long as it takes
        self.endpoint.close()


async def stream() -> Streamed:
    """A result in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"[1,"
        await asyncio.sleep(0)
        yield b"2]"

    return Streamed(pieces())


async def long_text(size: int) -> Json:
    """A pipelined answer that is worth packing."""
    return "y" * size


def post(body: bytes, *headers: str, line: str = "POST / HTTP/1.1", length: int | None = None) -> bytes:
    """A request."""
    given_length = f"Content-Length: {len(body) if length is None else length}"
    return "\r\n".join([line, *(headers or HEAD), given_length, "", ""]).encode() + body


def without_dates(said: bytes) -> bytes:
    """The two ways may answer in two seconds."""
    return re.sub(rb"\r\nDate: [^\r]+", b"", said)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition; the deadline is for broken code."""
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at, "it never came"
        await asyncio.sleep(0)


async def exchange(
    chunks: Sequence[bytes], *, plain: bool, settings: HttpSettings | None = None
) -> tuple[bytes, bool, int]:
    """(what the server says, whether it hangs up, how often aiohttp was asked) for chunks that are read one by one."""
    ways = Ways(settings)
    line = ways.open(plain=plain)
    for chunk in chunks:
        line.send(chunk)
        await turns()
    await turns()
    result = without_dates(bytes(line.said)), line.is_closed, ways.handed_over
    await ways.close()
    return result


async def turns() -> None:
    """More turns of the loop than any of these answers takes."""
    for _ in range(60):
        await asyncio.sleep(0)


async def both(*chunks: bytes, settings: HttpSettings | None = None) -> tuple[bytes, int]:
    """What both ways say, which is the same, and how often the plain one asked aiohttp."""
    said, is_closed, handed_over = await exchange(chunks, plain=True, settings=settings)
    assert (said, is_closed) == (await exchange(chunks, plain=False, settings=settings))[:2]
    return said, handed_over


async def test_plain_requests_do_not_reach_aiohttp() -> None:
    """Headers of the usual clients, one request after the other on one connection."""
    clients = (
        (*HEAD,),
        (
            "Host: 127.0.0.1",
            "User-Agent: Go-http-client/1.1",
            "Content-Type: application/json",
            "Accept-Encoding: gzip",
        ),
        (
            "host: [::1]:8545",
            "connection: keep-alive",
            "content-type: application/json",
            "accept: */*",
            "accept-language: *",
            "sec-fetch-mode: cors",
            "user-agent: node",
            "accept-encoding: gzip, deflate",
        ),
    )
    for headers in clients:
        said, handed_over = await both(*(post(body, *headers) for body in (ECHO, BODIES[1], BODIES[14])))

        assert (said.count(b"HTTP/1.1 200 OK"), handed_over) == (3, 0)


async def test_every_body_is_answered_as_by_aiohttp() -> None:
    """Results, refusals, crashes, notifications, batches, what is no JSON; with CORS and without; packed and not."""
    for settings in (HttpSettings(modules=MODULES), HttpSettings(modules=MODULES, cors_domains=("*",))):
        for encodings in ((), ("Accept-Encoding: gzip",)):
            for body in BODIES:
                said, _ = await both(post(body, *HEAD, *encodings), post(ECHO, *HEAD), settings=settings)

                assert said.endswith(b'"result":"a"}')


async def test_everything_unusual_is_aiohttps() -> None:
    """Other methods and paths, headers that mean something, bodies in pieces, requests in a row."""
    unusual = [
        (post(ECHO, line="GET / HTTP/1.1"),),
        (post(ECHO, line="POST /other HTTP/1.1"),),
        (post(ECHO, line="POST / HTTP/1.0"),),
        (post(ECHO, line="OPTIONS / HTTP/1.1"),),
        (post(ECHO, line="POST  / HTTP/1.1"),),
        (post(ECHO, "Content-Type: application/json"),),
        (post(ECHO, "Host: evil.example", HEAD[1]),),
        (post(ECHO, *HEAD, "Host: localhost"),),
        (post(ECHO, HEAD[0], "Content-Type: text/plain"),),
        (post(ECHO, *HEAD, "Origin: http://page.example"),),
        (post(ECHO, *HEAD, "Connection: close"),),
        (post(ECHO, *HEAD, "Expect: 100-continue"),),
        (post(ECHO, *HEAD, "Transfer-Encoding: chunked"),),
        (post(ECHO, *HEAD, "X-Folded: a\r\n b"),),
        (post(ECHO, *HEAD, "Accept : */*"),),
        (post(ECHO, *HEAD, "Accept: " + "a" * 2_000),),
        (post(ECHO, length=len(ECHO) - 1),),
        (post(ECHO, length=10_000_000),),
        (post(b""),),
        (post(ECHO)[:-5], post(ECHO)[-5:]),
        (post(ECHO)[:5], post(ECHO)[5:]),
        (post(ECHO) + post(BODIES[1]),),
        (post(ECHO), post(ECHO)[:30], post(ECHO)[30:] + post(BODIES[1])),
        (b"\r\n" + post(ECHO),),
        (b"\x16\x03\x01\x02\x00",),
    ]
    for chunks in unusual:
        _, handed_over = await both(*chunks)

        assert handed_over == 1, chunks


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Requests that are plain or nearly so, cut anywhere."""
    whole = b""
    for _ in range(draw(st.integers(1, 3))):
        body = draw(st.sampled_from([each for each in BODIES if each not in LOUD]))
        headers = draw(
            st.permutations(
                [
                    *HEAD,
                    *draw(
                        st.lists(
                            st.sampled_from(
                                [
                                    *HEAD,
                                    "Accept-Encoding: gzip",
                                    "Accept: */*",
                                    "accept-language: *",
                                    "Connection: keep-alive",
                                    "Connection: close",
                                    "X-Y: z",
                                    "Content-Length: 5",
                                    "Transfer-Encoding: chunked",
                                ]
                            ),
                            max_size=3,
                        )
                    ),
                ]
            )
        )
        off_by = draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        whole += post(body, *headers, length=max(0, len(body) + off_by))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(whole)))
        whole = (
            whole[:place]
            + draw(st.sampled_from([b"", b"\r", b"\n", b"\x00", b" ", b":", b"0"]))
            + whole[place + 1 :]
        )
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    edges = [0, *cuts, len(whole)]
    return [whole[start:end] for start, end in pairwise(edges) if start < end]


@given(conversations())
def test_no_bytes_tell_the_two_ways_apart(chunks: list[bytes]) -> None:
    """Mutated, split, in a row: what aiohttp alone says is what is said."""
    asyncio.run(in_both_ways(chunks))


async def in_both_ways(chunks: list[bytes]) -> None:
    """As `both`, for Hypothesis."""
    await both(*chunks)


def of_call(method: str, *params: str) -> bytes:
    """A plain request for a method."""
    listed = ",".join(f'"{each}"' for each in params)
    return post(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[{listed}]}}'.encode(), *HEAD)


async def test_what_comes_while_a_request_is_under_way_waits() -> None:
    """No more is read meanwhile, and it is answered in its turn."""
    ways = Ways()
    line = ways.open()
    line.send(of_call("test_hold"))
    line.send(post(ECHO))
    line.send(post(BODIES[1]))

    assert (line.reads, bytes(line.said)) == (False, b"")
    ways.held[0].set_result("done")
    await until(lambda: line.said.count(b"HTTP/1.1 200 OK") == 3)

    first, second, third = (line.said.index(text) for text in (b'"done"', b'"result":"a"}', b'"id":"x"'))
    assert first < second < third
    assert (line.reads, ways.handed_over) == (True, 0)
    await ways.close()


async def test_a_client_that_does_not_read_is_not_served_on() -> None:
    """Its next request waits until the last answer has gone."""
    ways = Ways()
    line = ways.open()
    line.get_protocol().pause_writing()
    line.send(post(ECHO))

    await turns()
    assert (bytes(line.said), line.reads) == (b"", False)
    line.get_protocol().resume_writing()
    await until(lambda: line.said.endswith(b'"result":"a"}'))
    await ways.close()


async def test_idle_connections_are_closed() -> None:
    """A connection that never asks, and one that has asked; the time starts anew with each answer."""
    ways = Ways(idle_s=0.05)
    silent, asking = ways.open(), ways.open()
    asking.send(post(ECHO))

    await until(lambda: silent.is_closed and asking.is_closed)

    assert asking.said.endswith(b'"result":"a"}')
    assert not ways.plain.connections
    await ways.close()


async def test_a_request_under_way_keeps_its_connection_open_beyond_the_idle_time() -> None:
    """Only who asks nothing is idle; a task and a pipelined call alike."""
    ways = Ways(idle_s=0.02)
    holding, waiting = ways.open(), ways.open()
    holding.send(of_call("test_hold"))
    waiting.send(of_call("test_wait"))
    silent = ways.open()
    await until(lambda: silent.is_closed)

    assert not holding.is_closed
    assert not waiting.is_closed
    ways.held[0].set_result(True)
    ways.probe.released.set()
    await until(lambda: holding.said.endswith(b'"result":true}') and waiting.said.endswith(b'"result":true}'))
    await ways.close()


async def test_the_time_limit_of_a_call_is_that_of_the_long_way() -> None:
    """The caller is told, the work is cancelled, the connection stays; what needs no time is answered as ever."""
    settings = HttpSettings(modules=MODULES, write_timeout_s=0.15)
    answers = []
    for plain in (True, False):
        ways = Ways(settings)
        line = ways.open(plain=plain)
        line.send(of_call("test_hold"))
        await until(lambda line=line: line.said.endswith(b"}}"))  # type: ignore[misc]  # bound at once
        assert ways.held[0].cancelled()
        line.send(post(b"nonsense"))
        await until(lambda line=line: b"parse error" in line.said)  # type: ignore[misc]  # bound at once
        answers.append(without_dates(bytes(line.said)))
        assert dict(ways.dispatcher.failures) == {-32002: 1}
        await ways.close()

    assert answers[0] == answers[1]
    assert b"request timed out" in answers[0]


async def test_a_stop_lets_requests_under_way_end() -> None:
    """Idle connections close at once, the others when they have been answered."""
    ways = Ways()
    idle, holding, waiting = ways.open(), ways.open(), ways.open()
    holding.send(of_call("test_hold"))
    waiting.send(of_call("test_wait"))
    closing = asyncio.ensure_future(ways.plain.close(PATIENCE_S))
    await until(lambda: idle.is_closed)

    assert (holding.is_closed, waiting.is_closed, closing.done()) == (False, False, False)
    ways.held[0].set_result(True)
    ways.probe.released.set()
    await closing

    assert holding.said.endswith(b'"result":true}')
    assert waiting.said.endswith(b'"result":true}')
    assert holding.is_closed
    assert waiting.is_closed
    await ways.close()


async def test_a_stop_does_not_wait_for_ever() -> None:
    """What has not ended in time is cancelled and not answered."""
    ways = Ways()
    holding, waiting = ways.open(), ways.open()
    holding.send(of_call("test_hold"))
    waiting.send(of_call("test_wait"))
    await turns()

    await ways.plain.close(0.0)

    assert (holding.is_closed, waiting.is_closed, ways.held[0].cancelled()) == (True, True, True)
    assert not holding.said
    assert not waiting.said
    await ways.close()


async def test_work_goes_on_without_a_client() -> None:
    """A caller who hangs up has submitted all the same, and nothing is written to nobody."""
    ways = Ways()
    line = ways.open()
    line.send(of_call("test_hold"))
    line.hang_up()
    await turns()

    assert not ways.held[0].done()
    ways.held[0].set_exception(ValueError("a bug"))
    await turns()

    assert (bytes(line.said), dict(ways.dispatcher.failures)) == (b"", {-32603: 1})
    await ways.close()


async def test_who_did_the_work_is_gone_and_so_is_the_connection() -> None:
    """A pool that is being closed cancels what waits for it; there is nothing true to answer."""
    for plain in (True, False):
        ways = Ways()
        line = ways.open(plain=plain)
        line.send(of_call("test_hold"))
        await turns()
        ways.held[0].cancel()
        await until(lambda line=line: line.is_closed)  # type: ignore[misc]  # bound at once

        assert not line.said
        await ways.close()


async def test_a_streamed_answer_is_handed_over_with_what_was_begun() -> None:
    """It is not computed twice, and what came behind it is answered too."""
    ways = Ways()
    line = ways.open()
    line.send(of_call("test_stream"))
    line.send(post(ECHO))
    await until(lambda: line.said.endswith(b'"result":"a"}'))

    assert b"Transfer-Encoding: chunked" in line.said
    assert (ways.handed_over, ways.dispatcher.calls["test_stream"], ways.endpoint.begun) == (1, 1, {})
    await ways.close()


async def test_long_answers_are_packed_for_who_takes_that() -> None:
    """By the event loop up to a size, beside it from there on; pipelined calls too."""
    for size in (GZIP_FROM, GZIP_ASIDE_FROM):
        said = []
        for plain in (True, False):
            ways = Ways()
            line = ways.open(plain=plain)
            body = b'{"jsonrpc":"2.0","id":1,"method":"test_long","params":["%b"]}' % hex(size).encode()
            line.send(post(body, *HEAD, "Accept-Encoding: gzip"))
            await until(lambda line=line: b"\r\n\r\n" in line.said)  # type: ignore[misc]  # bound at once
            said.append(without_dates(bytes(line.said)))
            await ways.close()

        assert said[0] == said[1]
        assert len(gzip.decompress(said[0].partition(b"\r\n\r\n")[2])) > size


async def test_heads_are_not_remembered_without_bound() -> None:
    """A client that spells each request in another way costs no memory that grows."""
    ways = Ways()
    heads = ways.plain.heads
    for number in range(5_000):
        heads.read(post(ECHO, *HEAD, f"User-Agent: {number}").partition(b"\r\n\r\n")[0])

    assert len(heads._known) <= 1_024
    await ways.close()
