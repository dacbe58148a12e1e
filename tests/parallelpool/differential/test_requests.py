"""
The edge of the RPC against a real geth: the same broken and hostile requests to both, the same answers.

Compared are the status, and the JSON of the answer with the order of its keys; over WebSocket the answers and how the
connection ends. What differs on purpose stands in `docs/rpc.md`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from tests.parallelpool.differential import geth
from tests.parallelpool.differential.pair import Pair, pair

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        geth.program() is None, reason="no geth: run `make geth`, or name one by PARALLELPOOL_GETH"
    ),
]

JSON_HEADERS: Final = {"Content-Type": "application/json"}

CALL: Final = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'

NOTE: Final = b'{"jsonrpc":"2.0","method":"eth_chainId"}'

ACCOUNT: Final = "0x" + "11" * 20

HASH: Final = "0x" + "22" * 32

ENVELOPES: Final = (
    *(
        b"",
        b" ",
        b"\n\n",
        b"nul",
        b"null",
        b"true",
        b"1",
        b'"x"',
        b"[",
        b"]",
        b"{",
        b"}",
        b"[]",
        b"[ ]",
        b"{}",
    ),
    *(
        b"[[]]",
        b"[{}]",
        b"[null]",
        b"[1,2]",
        b"[1,]",
        b"[,]",
        b"{'a':1}",
        b"\xff",
        b"\x00" + CALL,
        b"/**/" + CALL,
    ),
    *(
        b"\xef\xbb\xbf" + CALL,
        b" \t\r\n" + CALL + b"\n",
        CALL + b" trailing",
        CALL + CALL,
        b"[" + CALL + b"] [1]",
    ),
    b'{"JSONRPC":"2.0","ID":1,"Method":"eth_chainId"}',
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"eth_chainId"}',
    b'{"jsonrpc":"2.0","id":1,"ID":2,"method":"eth_chainId"}',
    b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","method":"net_version"}',
    b'{"jsonrpc":"1.0","jsonrpc":"2.0","id":1,"method":"eth_chainId"}',
    b'{"jsonrpc":"2.0","jsonrpc":"1.0","id":1,"method":"eth_chainId"}',
    b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","error":5}',
    b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","result":5}',
    *(
        b'{"jsonrpc":"2.0","id":1,%b}' % field
        for field in (
            b'"error":5',
            b'"error":"x"',
            b'"error":{"code":"x"}',
            b'"error":null',
            b'"result":null',
            b'"result":5',
        )
    ),
    b'[{"jsonrpc":"2.0","id":1,"result":5},1]',
    *(
        b'{"jsonrpc":"2.0","id":1,"method":%b}' % name
        for name in (b"null", b"5", b"[]", b'""', b'"_"', b'"eth_"')
    ),
    *(
        b'{"jsonrpc":%b,"id":1,"method":"eth_chainId"}' % version
        for version in (b"2.0", b"null", b'"2"', b'""')
    ),
    *(
        b'{"jsonrpc":"2.0","id":%b,"method":"eth_chainId"}' % given
        for given in (b"1.50", b"1e2", b"1e400", b"-1", b"0", b"9" * 30, b"9" * 5_000, b'"<&>"', b'"a\\/b"')
    ),
    *(
        b'{"jsonrpc":"2.0","id":%b,"method":"eth_chainId"}' % given
        for given in (
            b'"\\u0041"',
            b"true",
            b"null",
            b"[1]",
            b"{}",
            b"01",
            b".5",
            b"NaN",
            b'"' + b"x" * 5_000 + b'"',
        )
    ),
    *(
        b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":%b}' % given
        for given in (b"null", b"5", b'"x"', b"true", b"{}", b"[null]", b"[1]", b"[" * 600 + b"]" * 600)
    ),
    *(
        b'{"jsonrpc":"2.0","id":1,"method":"%b"}' % name
        for name in (
            b"eth",
            b"ETH_chainId",
            b"eth.chainId",
            b" eth_chainId",
            b"<b>&",
            b"x" * 3_000,
            b"\xc3\xa9" * 1_500,
        )
    ),
    b"[%b,%b,{},[],5]" % (CALL, NOTE),
    b"[%b]" % NOTE,
    b"[%b]" % b",".join([CALL] * 1_001),
    b"[%b]" % b",".join([NOTE] * 1_000 + [CALL]),
    b"[%b]" % b",".join([b'{"id":5}'] * 1_001),
    *(b"[" * 600 + b"]" * 600, b"[" * 200_000, b'{"a":' * 200_000),
)

RAWS: Final[Sequence[object]] = (
    *("", "0x", "0x0", "0xzz", "0X02", "02c0", " 0x02", "0x02 ", None, 5, True, [], {}),
    *(
        f"0x{first:02x}{rest}"
        for first in (1, 2, 3, 4, 6, 0x7F, 0x80, 0xB8, 0xBF, 0xC0, 0xF8, 0xFF)
        for rest in ("", "c0", "80", "01", "c180", "f800", "ff" * 8)
    ),
)

LIMITS: Final[Sequence[object]] = (None, 0, -1, "0x1", 1.5, True, [], {})
"""Milliseconds to wait for a receipt."""

ACCOUNTS: Final[Sequence[object]] = (
    *(ACCOUNT, ACCOUNT[2:], ACCOUNT + "1", ACCOUNT + "00", "0x" + "g" * 40, "0x", "", None, 5, {}),
)

HASHES: Final[Sequence[object]] = ("0x", "", None, 5, [], HASH[2:], HASH + "00")

BLOCKS: Final[Sequence[object]] = (
    *(
        "latest",
        "pending",
        "earliest",
        "Latest",
        "",
        "0x",
        "0x0",
        "0x00",
        "0xf",
        "1",
        1,
        1.5,
        None,
        True,
        [],
        {},
    ),
    *("0x7fffffffffffffff", "0x8000000000000000", "0x1" + "0" * 16, "0xzz", "-0x1", "0x-1", "0x1_0", HASH),
    *({"blockNumber": number} for number in ("0x0", "0x00", 0, None, "latest")),
    *({"blockHash": block_hash} for block_hash in (HASH, "0x00", 5)),
    {"x": 1},
    {"BLOCKNUMBER": "0x0"},
    {"blockHash": HASH, "blockNumber": "0x0"},
    {"requireCanonical": 5},
)

PERCENTILES: Final[Sequence[object]] = ([50, 20], [101], [-1], ["50"], "x", None)

LOG_FILTERS: Final[Sequence[object]] = (
    *(None, 5, []),
    *({"address": given} for given in (5, [5], "0x1", [ACCOUNT] * 1_001)),
    *({"topics": given} for given in (5, [5], [["0x1"]], [None] * 5, [[HASH] * 1_001])),
    *({"fromBlock": given} for given in (5, "0x5", "pending")),
    *({"toBlock": given} for given in ("0x0", "0x5", "earliest")),
    {"fromBlock": "0x5", "toBlock": "0x1"},
    {"fromBlock": "0x5", "toBlock": "0x5"},
    {"blockHash": HASH},
    {"blockHash": HASH, "fromBlock": "0x0"},
)

REQUESTS: Final[Sequence[tuple[str, object]]] = (
    *(("eth_sendRawTransaction", [raw]) for raw in RAWS),
    ("eth_sendRawTransaction", []),
    ("eth_sendRawTransaction", ["0x02", 1]),
    *(("eth_sendRawTransactionSync", ["0x02", limit]) for limit in LIMITS),
    *(("txpool_contentFrom", [account]) for account in ACCOUNTS),
    ("txpool_contentFrom", []),
    ("txpool_content", [1]),
    ("txpool_inspect", {"a": 1}),
    ("txpool_status", [None]),
    *(("eth_getTransactionCount", [ACCOUNT, block]) for block in BLOCKS),
    *(("eth_getTransactionByHash", [tx_hash]) for tx_hash in HASHES),
    *(("eth_getBlockByNumber", ["0xf", given]) for given in (True, None, "true", 1)),
    *(("eth_feeHistory", ["0x1", "latest", given]) for given in PERCENTILES),
    *(("eth_getLogs", [given]) for given in LOG_FILTERS),
    *(("eth_getFilterChanges", [given]) for given in ("0x1", None, 5)),
    *(("eth_uninstallFilter", [given]) for given in ("0x1", None, 5)),
    *(("eth_subscribe", given) for given in ([], ["newHeads"], [5])),
    *(("eth_unsubscribe", given) for given in ([], ["0x1"], [5])),
)

FRAMES: Final[dict[str, bytes]] = {
    "a call": CALL,
    "two calls in one frame": CALL + CALL,
    "something behind a call": CALL + b" x",
    "no JSON": b"nonsense",
    "a cut message": b"{",
    "an empty frame": b"",
    "white space": b"  ",
    "deep lists": b"[" * 20_000,
    "a wide id": CALL.replace(b'"id":1', b'"id":12345678901234567890123'),
    "a long method": b'{"jsonrpc":"2.0","id":1,"method":"%b_subscribe","params":["a"]}' % (b"x" * 3_000),
    **{
        f"a subscription to {params}": b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":%b}'
        % params.encode()
        for params in (
            *(
                "null",
                "[]",
                "[5]",
                '["foo"]',
                '{"a":1}',
                '["newHeads",1]',
                '["logs"]',
                '["logs",{"address":5}]',
            ),
            *('["logs",{"topics":[null,null,null,null,null]}]', '["newPendingTransactions","x"]'),
        )
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both nodes on the genesis."""
    async with pair(tmp_path_factory.mktemp("requests")) as nodes:
        yield nodes


async def post(both: Pair, url: str | None, body: bytes) -> tuple[int, object]:
    """(status, answer)."""
    assert url is not None
    async with both.session.post(url, data=body, headers=JSON_HEADERS) as response:
        octets = await response.read()
        # Numbers as they are written: ids are given back to the letter.
        answer = (
            json.loads(octets, object_pairs_hook=list, parse_int=str, parse_float=str) if octets else None
        )
        return response.status, answer


@pytest.mark.parametrize("body", ENVELOPES, ids=lambda body: repr(body[:60]))
async def test_an_envelope_is_answered_as_by_geth(both: Pair, body: bytes) -> None:
    """Status, id, code and words."""
    assert await post(both, both.node.server.http_url, body) == await post(both, both.geth.url, body)


async def test_requests_are_answered_as_by_geth(both: Pair) -> None:
    """Hex, numbers, addresses, block parameters and log filters, in every wrong way."""
    differences = []
    for method, params in REQUESTS:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        ours, theirs = [await post(both, url, body) for url in (both.node.server.http_url, both.geth.url)]
        if ours != theirs:
            differences.append((method, params, ours, theirs))

    assert differences == []


SILENT: Final = (NOTE, b'{"jsonrpc":"2.0","id":1,"result":5}')
"""Frames that are not answered."""


async def talk(both: Pair, url: str | None, frame: bytes) -> list[Any]:
    """What is said to this frame, and to a call after it; the end of the connection, if that comes first."""
    assert url is not None
    heard: list[Any] = []
    async with both.session.ws_connect(url.replace("http://", "ws://"), max_msg_size=0) as socket:
        for sent in (*SILENT, frame, CALL):
            await socket.send_frame(sent, aiohttp.WSMsgType.TEXT)
            if sent in SILENT:
                continue
            async with asyncio.timeout(60):
                message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return [*heard, (message.type, message.data)]
            heard.append(message.data)
    return heard


@pytest.mark.parametrize("name", FRAMES)
async def test_a_websocket_is_answered_as_by_geth(both: Pair, name: str) -> None:
    """The same frames to the letter, and the same end of the connection."""
    ours, theirs = [await talk(both, url, FRAMES[name]) for url in (both.node.server.http_url, both.geth.url)]

    assert [str(each) for each in ours] == [str(each) for each in theirs]
