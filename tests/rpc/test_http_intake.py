"""
Submissions that the engine reads and answers itself, and nobody can tell: the same bytes in give the same bytes out.

Real sockets, since the connections are the engine's; what becomes of each transaction is the test's choice.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiohttp import web

from parallelpool.engine import Lane
from parallelpool.errors import DecodeError, Underpriced
from parallelpool.ingress import DecodeRejection, Ingress, Intake, IntakeNews, Submissions, Workers
from parallelpool.transaction import Transaction
from rpc.dispatch import BatchLimits, Dispatcher
from rpc.errors import RpcError
from rpc.http_endpoint import HttpEndpoint
from rpc.http_intake import METHOD, HttpIntake, given_up
from rpc.method import Method
from rpc.namespaces.eth_submit import hash_of
from rpc.parameters import required
from rpc.plain_http import PlainHttp
from rpc.quantities import data
from rpc.settings import HttpSettings
from tests.deadline import until
from tests.rpc.conftest import MODULES, Probe
from tests.rpc.senders import CHAIN_ID, parallel, signed

HEAD = ("Host: localhost:8545", "Content-Type: application/json")
PATIENCE_S = 60.0
PARALLEL_TYPE = 5

GOOD, CHEAP, DEAR, CRASHING, HELD = (signed(nonce=nonce) for nonce in range(5))
"""By nonce, what becomes of a transaction; see `Rig`."""

FOREIGN = signed(nonce=0, chainId=1)
"""Its sender cannot be recovered for this chain."""


class Rig:
    """The methods, and what serves them; what becomes of a transaction hangs on its nonce."""

    def __init__(self, settings: HttpSettings, workers: Workers) -> None:
        self.probe = Probe()
        self.groups: list[int] = []
        """Transactions of each group that the engine has brought."""
        self.seen: list[Transaction | DecodeRejection] = []
        self.released = asyncio.Event()
        """Lets those with nonce 4 go on."""
        self.cancelled = 0
        self.parallel_tx_type: int | None = None
        self._lane = Lane("test", threads=1, limit=10)
        self.ingress = Ingress(
            workers, self._lane, chain_id=CHAIN_ID, parallel_tx_type=lambda: self.parallel_tx_type
        )
        method = Method(
            self.send_raw, required(data), is_pipelined=True, take_all=self.take_all, show=hash_of
        )
        self.dispatcher = Dispatcher({**self.probe.table(), METHOD: method}, BatchLimits())
        self.endpoint = HttpEndpoint(settings, self.dispatcher, lambda address: True)
        self.handlers = web.Server(self.endpoint.serve, access_log=None, lingering_time=PATIENCE_S)
        self.handed_over = 0
        self.plain: PlainHttp

    async def take_all(self, decoded: Sequence[Transaction | DecodeRejection]) -> list[Exception | None]:
        self.groups.append(len(decoded))
        self.seen += decoded
        try:
            if any(isinstance(each, Transaction) and each.nonce == 4 for each in decoded):
                await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [self.judge(each) for each in decoded]

    def judge(self, tx: Transaction | DecodeRejection) -> Exception | None:
        if isinstance(tx, DecodeRejection):
            return DecodeError(tx.message, tx.kind)
        if tx.sender_error is not None:
            return RpcError(f"invalid sender: {tx.sender_error}")
        outcomes: dict[int, Exception] = {
            1: Underpriced(),
            2: RpcError("tx fee <too> high", code=-32000, data="0x01"),
            3: AssertionError("a bug"),
        }
        return outcomes.get(tx.nonce)

    def send_raw(self, raw: bytes) -> asyncio.Future[Transaction]:
        async def send() -> Transaction:
            (tx,) = await self.ingress.decode_all([raw])
            if (refusal := self.judge(tx)) is not None:
                raise refusal
            assert isinstance(tx, Transaction)
            return tx

        return asyncio.ensure_future(send())

    def close(self) -> None:
        self.endpoint.close()
        self._lane.close()


class Counted(PlainHttp):
    """Counts the connections that the engine leaves to the loop."""

    def __init__(self, rig: Rig, *, idle_s: float) -> None:
        super().__init__(rig.endpoint, rig.handlers, idle_s=idle_s)
        self._rig = rig

    def connection(self) -> asyncio.Protocol:
        self._rig.handed_over += 1
        return super().connection()


class Client:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def answer(self) -> bytes:
        """The next answer, whole, without its date. Raises IncompleteReadError if the connection ends before."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            body = await self._reader.readexactly(int(length[1])) if length is not None else b""
        return re.sub(rb"\r\nDate: [^\r]+", b"", head) + body

    async def rest(self) -> bytes:
        """All up to the end of the connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read()

    @property
    def is_closed(self) -> bool:
        """By the server."""
        return self._reader.at_eof()

    def stop_writing(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


class Line:
    """Opens connections to one listener."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._clients: list[Client] = []

    async def open(self) -> Client:
        client = Client(*await asyncio.open_connection(*self._address))
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def workers() -> Workers:
    """The engine's threads."""
    return Workers(2)


def bound() -> socket.socket:
    """A socket on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


class Served:
    """A running rig: the engine's line and aiohttp's."""

    def __init__(self, rig: Rig, intake: HttpIntake, ours: Line, theirs: Line) -> None:
        self.rig = rig
        self.intake = intake
        self.ours = ours
        self.theirs = theirs


@asynccontextmanager
async def serving(
    workers: Workers, settings: HttpSettings | None = None, *, idle_s: float = PATIENCE_S
) -> AsyncIterator[Served]:
    """Serves a rig while the block runs; nothing of it is left afterwards."""
    rig = Rig(settings or HttpSettings(modules=MODULES), workers)
    rig.plain = Counted(rig, idle_s=idle_s)
    with bound() as listener:
        intake = HttpIntake(
            rig.ingress.listen(given_up([listener], 100), idle_s=idle_s), rig.plain, rig.dispatcher
        )
        reference = await asyncio.get_running_loop().create_server(rig.handlers, "127.0.0.1", 0)
        ours, theirs = Line(listener.getsockname()), Line(reference.sockets[0].getsockname())
    running = asyncio.create_task(intake.run())
    try:
        yield Served(rig, intake, ours, theirs)
    finally:
        rig.released.set()
        ours.close()
        theirs.close()
        reference.close()
        await intake.close(PATIENCE_S)
        await rig.plain.close(PATIENCE_S)
        await rig.handlers.shutdown(0.1)
        running.cancel()
        rig.close()


def call(raw: bytes | str, call_id: str = "1", method: str = METHOD) -> bytes:
    """The body of a submission."""
    digits = raw if isinstance(raw, str) else f"0x{raw.hex()}"
    return f'{{"jsonrpc":"2.0","id":{call_id},"method":"{method}","params":["{digits}"]}}'.encode()


def post(body: bytes, *headers: str, line: str = "POST / HTTP/1.1") -> bytes:
    """A request."""
    return "\r\n".join([line, *(headers or HEAD), f"Content-Length: {len(body)}", "", ""]).encode() + body


async def test_submissions_are_answered_as_by_aiohttp(workers: Workers) -> None:
    """Hashes, undecodable bytes, refusals of each kind, bugs; with CORS and without; one after the other."""
    for settings in (HttpSettings(modules=MODULES), HttpSettings(modules=MODULES, cors_domains=("*",))):
        async with serving(workers, settings) as served:
            ours, theirs = await served.ours.open(), await served.theirs.open()
            raws = (GOOD, CHEAP, DEAR, CRASHING, FOREIGN, b"\x7f\xc0", b"\x02", GOOD[:-1])
            for raw in raws:
                for call_id in ("1", "0", '"a-b"', "123456789012345"):
                    request = post(call(raw, call_id), *HEAD, "Accept-Encoding: gzip")
                    ours.send(request)
                    theirs.send(request)

                    assert await ours.answer() == await theirs.answer()

            assert served.rig.handed_over == 0
            assert served.rig.groups == [1] * 4 * len(raws)
            # Both ways count.
            assert served.rig.dispatcher.calls[METHOD] == 8 * len(raws)
            assert sum(served.rig.dispatcher.failures.values()) == 8 * (len(raws) - 1)
            assert served.rig.ingress.recovered_at_once.sum == 8 * len(raws)


async def test_everything_else_goes_on_with_the_loop(workers: Workers) -> None:
    """Other calls, heads, spellings and ids, batches, requests in a row; once on the loop it stays there."""
    unusual = (
        post(call("0x")),
        post(call("0x0")),
        post(call(GOOD, "null")),
        post(call(GOOD, '"<"')),
        post(call(GOOD, "18446744073709551616")),
        post(call("hello", method="test_echo")),
        post(b"[" + call(GOOD) + b"," + call(CHEAP, "2") + b"]"),
        post(b"nonsense"),
        post(b""),
        post(call(GOOD), "Host: evil.example", HEAD[1]),
        post(call(GOOD), *HEAD, "Origin: http://page.example"),
        post(call(GOOD), HEAD[0], "Content-Type: text/plain"),
        post(call(GOOD), line="POST /other HTTP/1.1"),
        post(b"", line="OPTIONS / HTTP/1.1"),
        post(call(GOOD), *HEAD, "X-Long: " + "a" * 2_000),
        post(b" " * 200_000 + call(GOOD)),
    )
    async with serving(workers) as served:
        for number, request in enumerate(unusual, 1):
            ours, theirs = await served.ours.open(), await served.theirs.open()
            for each in (request, post(call(GOOD))):
                ours.send(each)
                theirs.send(each)

                assert await ours.answer() == await theirs.answer()

            assert served.rig.handed_over == number
        assert served.rig.groups == []


async def test_a_connection_may_change_from_one_way_to_the_other(workers: Workers) -> None:
    """Submissions, then another call, then submissions; all in order, also where two come in one piece."""
    said: list[bytes] = []
    async with serving(workers) as served:
        client = await served.ours.open()
        for octets, answers in (
            (post(call(GOOD)), 1),
            (post(call(GOOD, "2")), 1),
            (post(call(GOOD, "3")) + post(call("said", "4", method="test_pipelined")), 2),
            (post(call(GOOD, "5")), 1),
        ):
            client.send(octets)
            said = [await client.answer() for _ in range(answers)]
            assert all(b'"result":' in each for each in said)

        assert b'"id":5' in said[-1]
        assert (served.rig.groups, served.rig.handed_over) == ([1, 1], 1)


async def test_a_request_in_pieces_is_answered(workers: Workers) -> None:
    """Wherever it is cut."""
    request = post(call(GOOD))
    async with serving(workers) as served:
        for cut in (1, 20, len(request) - 1):
            client = await served.ours.open()
            client.send(request[:cut])
            await until(lambda cut=cut: served.rig.handed_over > 0)  # type: ignore[misc]  # bound at once
            client.send(request[cut:])

            assert b'"result":' in await client.answer()
            served.rig.handed_over = 0


async def test_what_comes_while_a_submission_is_under_way_waits(workers: Workers) -> None:
    """It is answered in its turn, by whichever way it is for."""
    async with serving(workers) as served:
        client = await served.ours.open()
        client.send(post(call(HELD)))
        await until(lambda: served.rig.groups == [1])
        client.send(post(call(GOOD, "2")))
        client.send(post(call("said", "3", method="test_pipelined")))
        other = await served.ours.open()
        other.send(post(call(GOOD, "9")))

        assert b'"id":9' in await other.answer()
        assert served.rig.groups == [1, 1]
        served.rig.released.set()
        assert [(await client.answer()).partition(b'"id":')[2][:1] for _ in range(3)] == [b"1", b"2", b"3"]


async def test_many_clients_are_served_in_groups_and_each_gets_his_own(workers: Workers) -> None:
    """Answers do not get mixed up, and what comes together is decided together."""
    raws = [signed(nonce=100 + number) for number in range(64)]
    async with serving(workers) as served:
        clients = [await served.ours.open() for _ in raws]
        for number, (client, raw) in enumerate(zip(clients, raws, strict=True)):
            client.send(post(call(raw, str(number))))
        answers = [await client.answer() for client in clients]

        hashes = {tx.nonce: tx.hash for tx in served.rig.seen if isinstance(tx, Transaction)}
        for number, answer in enumerate(answers):
            assert b'"id":%d,"result":"0x%b"' % (number, hashes[100 + number].hex().encode()) in answer
        assert sum(served.rig.groups) == 64


async def test_the_time_limit_of_a_call_is_kept(workers: Workers) -> None:
    """The caller is told, and his connection stays."""
    async with serving(workers, HttpSettings(modules=MODULES, write_timeout_s=0.15)) as served:
        client = await served.ours.open()
        client.send(post(call(HELD)))

        assert b'"error":{"code":-32002,"message":"request timed out"}' in await client.answer()
        assert (served.rig.cancelled, served.rig.dispatcher.failures) == (1, {-32002: 1})
        served.rig.released.set()
        client.send(post(call(GOOD)))
        assert b'"result":' in await client.answer()


async def test_idle_connections_are_closed(workers: Workers) -> None:
    """One that never asks, one that has asked; not one whose request is under way."""
    async with serving(workers, idle_s=1.0) as served:
        silent = await served.ours.open()
        asking = await taken(served, GOOD)
        assert b'"result":' in await asking.answer()
        holding = await taken(served, HELD)

        assert (await silent.rest(), await asking.rest()) == (b"", b"")
        await (await served.ours.open()).rest()  # as long again
        served.rig.released.set()
        assert b'"result":' in await holding.answer()


async def taken(served: Served, raw: bytes) -> Client:
    """A connection on which a submission is under way. On a busy machine it may have been idle for too long before."""
    before = len(served.rig.groups)
    while True:
        client = await served.ours.open()
        client.send(post(call(raw)))
        await until(lambda client=client: len(served.rig.groups) > before or client.is_closed)  # type: ignore[misc]  # bound at once
        if len(served.rig.groups) > before:
            return client


async def test_a_client_that_hangs_up_has_submitted(workers: Workers) -> None:
    """Nothing is written to nobody, and the others are served on."""
    async with serving(workers) as served:
        gone = await served.ours.open()
        gone.send(post(call(HELD)))
        await until(lambda: served.rig.groups == [1])
        gone.close()
        other = await served.ours.open()
        other.send(post(call(GOOD)))
        assert b'"result":' in await other.answer()
        served.rig.released.set()
        other.send(post(call(GOOD)))

        assert b'"result":' in await other.answer()
        assert served.rig.cancelled == 0


async def test_a_client_that_stops_writing_is_answered(workers: Workers) -> None:
    """Half of a connection is enough for an answer."""
    async with serving(workers) as served:
        client = await served.ours.open()
        client.send(post(call(HELD)))
        client.stop_writing()
        await until(lambda: served.rig.groups == [1])
        served.rig.released.set()

        assert b'"result":' in await client.rest()


async def test_a_stop_lets_submissions_under_way_end(workers: Workers) -> None:
    """Idle connections close at once, nobody gets in any more, the others close when they have been answered."""
    async with serving(workers) as served:
        idle, holding = await served.ours.open(), await served.ours.open()
        holding.send(post(call(HELD)))
        await until(lambda: served.rig.groups == [1])
        closing = asyncio.create_task(served.intake.close(PATIENCE_S))

        assert await idle.rest() == b""
        with pytest.raises(ConnectionError):
            await served.ours.open()
        assert not closing.done()
        served.rig.released.set()
        assert b'"result":' in await holding.rest()
        await closing


async def test_a_stop_does_not_wait_for_ever(workers: Workers) -> None:
    """What has not ended in time is cancelled and not answered."""
    async with serving(workers) as served:
        holding = await served.ours.open()
        holding.send(post(call(HELD)))
        await until(lambda: served.rig.groups == [1])
        await served.intake.close(0.0)

        assert await holding.rest() == b""
        assert served.rig.cancelled == 1


async def test_a_new_parallel_type_holds_from_the_head_on_that_brings_it(workers: Workers) -> None:
    """Also for what was decoded before the head was known."""
    async with serving(workers) as served:
        client = await served.ours.open()
        for tx_type, expected in (
            (None, b"not supported"),
            (PARALLEL_TYPE, b'"result":'),
            (None, b"not supported"),
        ):
            served.rig.parallel_tx_type = tx_type
            client.send(post(call(parallel())))

            assert expected in await client.answer()


class Broken:
    """An intake one of whose threads has failed, and says so."""

    def __init__(self) -> None:
        self._bell, self._news = socket.socketpair()
        self._bell.send(b"!")
        self.fileno = self._news.fileno

    def take(self) -> IntakeNews:
        raise AssertionError("a thread has failed")

    def close_soon(self) -> None:
        pass

    def stop(self) -> None:
        self._bell.close()
        self._news.close()


async def test_a_failure_of_the_engine_is_raised_and_not_waited_for(workers: Workers) -> None:
    """Whoever runs the server learns of it; a daemon that is deaf would be worse than none."""
    async with serving(workers) as served:
        intake = HttpIntake(cast(Intake, Broken()), served.rig.plain, served.rig.dispatcher)
        with pytest.raises(AssertionError, match="a thread has failed"):
            await asyncio.wait_for(intake.run(), PATIENCE_S)
        await intake.close(PATIENCE_S)


def parts(workers: Workers) -> tuple[Intake, tuple[str, int]]:
    """The engine's part alone, and where it listens."""
    lane = Lane("test", threads=1, limit=1)
    lane.close()
    with bound() as listener:
        ingress = Ingress(workers, lane, chain_id=CHAIN_ID, parallel_tx_type=lambda: None)
        return ingress.listen(given_up([listener], 10), idle_s=PATIENCE_S), listener.getsockname()


async def judged(intake: Intake, client: Client, request: bytes) -> None:
    """Sends a request whose head is new, and says that it is plain."""
    client.send(request)
    connection, head = 0, b""

    def is_asked() -> bool:
        nonlocal connection, head
        for connection, head in intake.take().heads:  # noqa: B007 - the last one stays
            return True
        return False

    await until(is_asked)
    intake.judge(connection, head, len(request) - len(head) - 4)


async def submitted(intake: Intake) -> Submissions:
    """The next submissions."""
    found: list[Submissions] = []

    def has_come() -> bool:
        found.append(intake.take().submissions)
        return len(found[-1]) > 0

    await until(has_come)
    return found[-1]


async def test_an_answer_that_is_not_read_holds_up_nobody_else(workers: Workers) -> None:
    """It is written as it is read, and its client is served on after that and not before."""
    intake, address = parts(workers)
    slow, quick = [Client(*await asyncio.open_connection(*address)) for _ in range(2)]
    request, long = post(call(GOOD)), b'"%b"' % (b"x" * 20_000_000)
    try:
        await judged(intake, slow, request)
        intake.answer(await submitted(intake), [long], before=b"Content-Length: ", after=b"\r\n\r\n")
        slow.send(request)  # whatever of the answer the system holds, it is not all of it
        quick.send(request)
        intake.answer(await submitted(intake), [None], before=b"Content-Length: ", after=b"\r\n\r\n")
        assert b'"result":' in await quick.answer()

        assert (await slow.answer()).endswith(b'"error":%b}' % long)
        intake.hang_up(await submitted(intake))
        assert await slow.rest() == b""
    finally:
        for client in (slow, quick):
            client.close()
        intake.stop()


async def test_answers_must_be_as_many_as_submissions(workers: Workers) -> None:
    """A mistake of ours is raised and not answered."""
    intake, address = parts(workers)
    client = Client(*await asyncio.open_connection(*address))
    try:
        await judged(intake, client, post(call(GOOD)))
        submissions = await submitted(intake)

        assert submissions.peers == ["127.0.0.1"]
        with pytest.raises(Exception, match="not as many answers as submissions"):
            intake.answer(submissions, [], before=b"", after=b"")
    finally:
        client.close()
        intake.stop()


async def test_heads_are_judged_once(workers: Workers) -> None:
    """And a great many of them cost no memory that grows: what is forgotten is asked again."""
    intake, address = parts(workers)
    clients = [Client(*await asyncio.open_connection(*address)) for _ in range(64)]
    asked = answered = 0

    def serve() -> None:
        nonlocal asked, answered
        news = intake.take()
        for connection, head in news.heads:
            asked += 1
            intake.judge(connection, head, len(call(GOOD)))
        nobody: list[bytes | None] = [None] * len(news.submissions)
        intake.answer(news.submissions, nobody, before=b"Content-Length: ", after=b"\r\n\r\n")
        answered += len(nobody)

    async def ask(agents: Sequence[str]) -> None:
        """One request of each client."""
        expected = answered + len(agents)
        for client, agent in zip(clients, agents, strict=False):
            client.send(post(call(GOOD), *HEAD, f"User-Agent: {agent}"))

        def is_served() -> bool:
            serve()
            return answered == expected

        await until(is_served)
        for client, _ in zip(clients, agents, strict=False):
            await client.answer()

    try:
        for _ in range(3):
            await ask(["first"])
        assert asked == 1
        for start in range(0, 1_024, 64):
            await ask([str(start + number) for number in range(64)])
        await ask(["first"])
        assert asked == 1 + 1_024 + 1
    finally:
        for client in clients:
            client.close()
        intake.stop()
