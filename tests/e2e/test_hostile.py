"""Hostile and broken clients against the real daemon: a clear answer each, and it still seals afterwards."""

import json
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon, Refused
from tests.e2e.signing import accounts, raw
from tests.rpc.test_raw_transactions import PENDING, POOL_CASES

PARSE_ERROR = (-32700, "parse error")
INVALID = (-32600, "invalid request")
UNFIT = "invalid argument 0: json: cannot unmarshal"
ACCOUNT = "0x" + "11" * 20
HASH = "0x" + "22" * 32


def seals(node: Daemon, index: int) -> None:
    """A transaction of account `index` goes into the next block."""
    account = accounts()[index]
    nonce = node.number("eth_getTransactionCount", account.address, "pending")
    tx_hash = node.call("eth_sendRawTransaction", raw(account, nonce))
    mined = node.call("dev_mine")
    assert node.call("eth_getTransactionReceipt", tx_hash)["blockHash"] == mined["hash"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """
    A daemon that seals when told. Account 0 has used nonce 0 and has nonce 1 pending, as the table of bad
    transactions wants it; when all is over it must still seal, stop in order and have logged no crash.
    """
    with daemons.running(tmp_path_factory.mktemp("hostile") / "data", "--dev.mine", "manual") as node:
        seals(node, 0)
        node.call("eth_sendRawTransaction", "0x" + PENDING.hex())
        yield node
        seals(node, 5)
        for trace in ("Traceback", "crashed", '"level": "error"', '"level": "critical"'):
            assert trace not in node.log()


def errors(answer: bytes) -> tuple[int, str]:
    """(code, message) of an error answer."""
    error = json.loads(answer)["error"]
    return error["code"], error["message"]


# ------------------------------------------------------------------ transactions


@pytest.mark.parametrize(("octets", "message"), POOL_CASES)
def test_a_bad_transaction_is_refused_over_http(target: Daemon, octets: bytes, message: str) -> None:
    """geth's code and words, and the pool is as it was."""
    before = target.call("txpool_content")

    with pytest.raises(Refused) as caught:
        target.call("eth_sendRawTransaction", "0x" + octets.hex())

    assert (caught.value.code, caught.value.message) == (-32000, message)
    assert target.call("txpool_content") == before


def test_bad_transactions_do_not_hold_up_good_ones(target: Daemon) -> None:
    """A batch of all of them with one good transaction in the middle: that one is pooled."""
    account = accounts()[6]
    nonce = target.number("eth_getTransactionCount", account.address, "pending")
    bad = ["0x" + case.values[0].hex() for case in POOL_CASES]  # type: ignore[union-attr]  # bytes, by the table
    raws = [*bad, raw(account, nonce), *bad]
    batch = [request("eth_sendRawTransaction", each, id=index) for index, each in enumerate(raws)]

    answers = json.loads(target.post(json.dumps(batch).encode()))

    assert [answer["id"] for answer in answers if "result" in answer] == [len(bad)]
    assert len(answers) == len(raws)
    seals(target, 6)


# ------------------------------------------------------------------ JSON-RPC bodies


def request(method: str, *params: object, id: object = 1) -> dict[str, Any]:  # noqa: A002 - the envelope's word
    """A request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def body(method: str, *params: object) -> bytes:
    """A request as bytes."""
    return json.dumps(request(method, *params)).encode()


BODIES: dict[str, tuple[bytes, tuple[int, str]]] = {
    "cut": (b"{", PARSE_ERROR),
    "words": (b"nonsense", PARSE_ERROR),
    "no text": (b"\xff\xfe", PARSE_ERROR),
    "zeros": (bytes(4_096), PARSE_ERROR),
    "an open list": (b"[", PARSE_ERROR),
    "not a number": (b'{"jsonrpc":"2.0","id":NaN,"method":"eth_chainId"}', PARSE_ERROR),
    "deep lists": (b"[" * 200_000, PARSE_ERROR),
    "deep objects": (b'{"a":' * 200_000, PARSE_ERROR),
    "deep parameters": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        PARSE_ERROR,
    ),
    "an empty batch": (b"[]", (-32600, "empty batch")),
    "null": (b"null", INVALID),
    "a number": (b"1", INVALID),
    "a text": (b'"x"', INVALID),
    "an empty object": (b"{}", INVALID),
    "an old version": (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', INVALID),
    "an object as id": (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', INVALID),
    "named parameters": (
        b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{"a":1}}',
        (-32602, "non-array args"),
    ),
    "no parameters": (body("eth_getBalance"), (-32602, "missing value for required argument 0")),
    "too many parameters": (body("dev_mine", 5), (-32602, "too many arguments, want at most 0")),
    "an unknown method": (
        body("eth_nothing"),
        (-32601, "the method eth_nothing does not exist/is not available"),
    ),
    "a long method": (body("x" * 3_000), (-32600, "method name too long: 3000 > 2048")),
    "a short address": (
        body("eth_getBalance", "0x12", "latest"),
        (-32602, "invalid argument 0: hex string has length 2, want 40 for common.Address"),
    ),
    "a block of 68 bits": (
        body("eth_getBalance", ACCOUNT, "0x" + "f" * 17),
        (-32602, "invalid argument 1: hex number > 64 bits"),
    ),
    "a leading zero": (
        body("eth_getBalance", ACCOUNT, "0x01"),
        (-32602, "invalid argument 1: hex number with leading zero digits"),
    ),
    "a block to come": (body("eth_getBalance", ACCOUNT, "0xffffff"), (-32000, "header not found")),
    "a huge value": (
        body("eth_call", {"value": "0x" + "f" * 100_000}, "latest"),
        (
            -32602,
            f"{UNFIT} hex number > 256 bits into Go struct field TransactionArgs.value of type *hexutil.Big",
        ),
    ),
    "data that is no hex": (
        body("eth_call", {"data": "0xzz"}, "latest"),
        (
            -32602,
            f"{UNFIT} invalid hex string into Go struct field TransactionArgs.data of type hexutil.Bytes",
        ),
    ),
    "a list for an object": (
        body("eth_call", [], "latest"),
        (-32602, f"{UNFIT} array into Go value of type ethapi.TransactionArgs"),
    ),
    "an endless loop": (
        body("eth_call", {"data": "0x5b5f56"}, "latest"),
        (-32000, "out of gas"),
    ),
    "a range backwards": (
        body("eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x1"}),
        (-32602, "invalid block range params"),
    ),
    "too many addresses": (
        body("eth_getLogs", {"address": [ACCOUNT] * 2_000}),
        (-32000, "exceed max addresses or topics per search position"),
    ),
    "percentiles backwards": (
        body("eth_feeHistory", "0x1", "latest", [50, 10]),
        (-32000, "invalid reward percentile: #0:50.000000 >= #1:10.000000"),
    ),
    "a filter of nobody": (body("eth_getFilterChanges", "0x99"), (-32000, "filter not found")),
    "a subscription over HTTP": (body("eth_subscribe", "newHeads"), (-32601, "notifications not supported")),
    "a tiny batch": (
        body("parallel_setBatchSize", "0x1"),
        (-32602, "invalid argument 0: batch size must be from 64 to 256, got 1"),
    ),
    "an unknown batch": (
        body("parallel_executeBatches", {"batchIds": [HASH]}),
        (3004, f"unknown batch {HASH}"),
    ),
    "an unknown field": (
        body("parallel_getBatches", {"nonsense": 1}),
        (-32602, 'invalid argument 0: unknown field "nonsense"'),
    ),
    "an unknown tag": (
        body("parallel_tagTransaction", {"to": ACCOUNT, "from": ACCOUNT}, "SIDEWAYS"),
        (-32602, "invalid argument 1: want one of PARALLEL, SEQUENTIAL"),
    ),
    "an unknown transaction": (
        body("parallel_isParallelizable", HASH),
        (-32000, f"transaction {HASH} is not in the pool"),
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_answered_clearly(target: Daemon, name: str) -> None:
    """Code and words, and the next request is served."""
    octets, expected = BODIES[name]

    assert errors(target.post(octets)) == expected
    assert target.number("eth_chainId") == 31_337


def test_too_large_a_batch_is_refused_whole(target: Daemon) -> None:
    """One answer for a thousand and one requests."""
    [answer] = json.loads(target.post(json.dumps([request("eth_chainId")] * 1_001).encode()))

    assert answer["error"] == {"code": -32600, "message": "batch too large"}


# ------------------------------------------------------------------ below JSON


HEAD = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def dial(node: Daemon) -> socket.socket:
    """A bare connection."""
    parts = urlsplit(node.http_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes, by a reset too."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def test_an_oversized_body_is_refused(target: Daemon) -> None:
    """413 for more than five megabytes, whatever they are."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        target.post(b" " * (6 * 1024 * 1024))

    caught.value.close()
    assert caught.value.code == 413


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"nonsense\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    ],
    ids=["TLS", "no HTTP", "a long path", "a long header", "a negative length", "two lengths", "a bad chunk"],
)
def test_bytes_that_are_no_http_are_answered_and_cut_off(target: Daemon, octets: bytes) -> None:
    """A status of 400 or above, the end of the connection, and service for the next."""
    with dial(target) as connection:
        connection.sendall(octets)
        answer = read_all(connection)

    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:200]
    assert target.number("eth_chainId") == 31_337


def test_clients_that_say_nothing_keep_nobody_waiting(target: Daemon) -> None:
    """Two hundred open connections, half of them with half a request, and calls are answered."""
    half = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    )
    with ExitStack() as stack:
        for index in range(200):
            connection = stack.enter_context(dial(target))
            if index % 2:
                connection.sendall(half)
        assert target.number("eth_chainId") == 31_337
        seals(target, 7)


def is_pooled(node: Daemon, address: str, nonce: int) -> bool:
    """Whether all transactions below `nonce` have come in."""
    return node.number("eth_getTransactionCount", address, "pending") >= nonce


def test_clients_that_hang_up_while_they_wait_are_forgotten(target: Daemon) -> None:
    """Waiting for a receipt that does not come, then gone: the transactions stay, and are mined."""
    account = accounts()[8]
    nonce = target.number("eth_getTransactionCount", account.address, "pending")
    for wanted in range(nonce + 1, nonce + 6):
        message = body("eth_sendRawTransactionSync", raw(account, wanted - 1), 60_000)
        with dial(target) as connection:
            head = f"{HEAD}Content-Length: {len(message)}\r\n\r\n"
            connection.sendall(head.encode() + message)
            pooled = partial(is_pooled, target, account.address, wanted)
            daemons.eventually(pooled)
    target.call("dev_mine")

    assert target.number("eth_getTransactionCount", account.address, "latest") == nonce + 5


@pytest.mark.parametrize(
    "text",
    ["nonsense", "{", "[" * 100_000, '{"a":' * 100_000, "\x00" * 1_000, '{"jsonrpc":"2.0","id":1e99999'],
    ids=["words", "cut", "deep lists", "deep objects", "zeros", "a huge number"],
)
async def test_garbage_over_websocket_is_answered(target: Daemon, text: str) -> None:
    """An error with id null; another connection is served."""
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(target.websocket_url) as garbage:
            await garbage.send_str(text)
            answer = await garbage.receive_json(timeout=60)
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        async with session.ws_connect(target.websocket_url) as good:
            await good.send_json(request("eth_chainId"))
            assert (await good.receive_json(timeout=60))["result"] == "0x7a69"


async def test_a_websocket_message_above_the_limit_ends_its_connection(target: Daemon) -> None:
    """This one alone, by close code 1009 (too big) or, if the client does not stop sending, by a reset."""
    end: aiohttp.WSMessage | None = None
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(target.websocket_url) as other,
    ):
        async with session.ws_connect(target.websocket_url) as greedy:
            with suppress(ConnectionError):
                await greedy.send_str("x" * (33 * 1024 * 1024))
                end = await greedy.receive(timeout=60)
        await other.send_json(request("eth_chainId"))
        assert (await other.receive_json(timeout=60))["result"] == "0x7a69"

    assert end is None or end.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


def test_frames_that_are_no_websocket_frames_end_the_connection(target: Daemon) -> None:
    """An unmasked frame with reserved bits, after a proper handshake."""
    with dial(target) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 101"
        connection.sendall(b"\xff\x7f" + b"\xff" * 64)
        read_all(connection)

    assert target.number("eth_chainId") == 31_337


def test_the_daemon_still_seals(target: Daemon) -> None:
    """After all of this."""
    seals(target, 0)
