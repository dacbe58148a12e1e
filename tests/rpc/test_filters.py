"""Log queries and polled filters."""

import json

import pytest

from parallelpool.events import HeadChanged, TransactionsPromoted
from rpc import filters
from rpc.block_cache import BlockCache
from rpc.caller import Caller
from rpc.dispatch import BatchLimits, Dispatcher
from rpc.errors import Json
from rpc.filters import LIFETIME_S, FilterBook
from rpc.methods import method_table
from rpc.news import News
from rpc.offers import Offers
from rpc.quantities import to_data
from rpc.settings import CallSettings, RpcSettings
from rpc.streamed import Streamed
from tests.rpc.fakes import FakeLog, FakeNode, FakeReceipt, FakeTransaction, account, as_transaction, word

ALICE, BOB = account(0xA), account(0xB)
ONE, TWO = word(1), word(2)
CALLER = Caller("http", "127.0.0.1", None, is_operator=True)


class Clock:
    """Time that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Calls methods over a chain of two blocks with logs."""

    def __init__(self, node: FakeNode, clock: Clock, calls: CallSettings) -> None:
        backend = node.backend
        blocks = BlockCache(backend.chain)
        self.news = News(backend.chain, backend.events, blocks)
        self.book = FilterBook(self.news, clock=clock)
        rows = method_table(backend, blocks, self.book, Offers(backend), RpcSettings(calls=calls))
        self._dispatcher = Dispatcher(rows, BatchLimits())

    async def ask(self, method: str, *params: Json) -> Json:
        """The result, or the error as `(code, message)`."""
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        said = await self._dispatcher.respond(message.encode(), CALLER)
        assert not isinstance(said, Streamed)
        answer = json.loads(said or b"null")
        if "error" in answer:
            return [answer["error"]["code"], answer["error"]["message"]]
        result: Json = answer["result"]
        return result


@pytest.fixture
def clock() -> Clock:
    """Stands still."""
    return Clock()


@pytest.fixture
def client(node: FakeNode, clock: Clock) -> Client:
    """Blocks 1 (Alice: ONE; Bob: ONE, TWO) and 2 (Alice: no topic)."""
    first = FakeReceipt(logs=(FakeLog(ALICE, (ONE,)),))
    second = FakeReceipt(logs=(FakeLog(BOB, (ONE, TWO)),))
    node.chain.append([FakeTransaction(hash=word(0x11)), FakeTransaction(hash=word(0x12))], [first, second])
    node.chain.append([FakeTransaction(hash=word(0x21))], [FakeReceipt(logs=(FakeLog(ALICE),))])
    return Client(node, clock, CallSettings(log_query_limit=3, block_range_limit=100, log_result_limit=2))


def places(found: Json) -> list[tuple[str, str]]:
    """(block, index) of log views."""
    assert isinstance(found, list)
    return [(view["blockNumber"], view["logIndex"]) for view in found]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, [("0x2", "0x0")]),
        ({"fromBlock": "0x1", "toBlock": "0x1"}, [("0x1", "0x0"), ("0x1", "0x1")]),
        ({"fromBlock": "earliest", "address": to_data(BOB)}, [("0x1", "0x1")]),
        ({"fromBlock": "0x0", "address": [to_data(ALICE)]}, [("0x1", "0x0"), ("0x2", "0x0")]),
        ({"fromBlock": "0x0", "topics": [to_data(ONE)]}, [("0x1", "0x0"), ("0x1", "0x1")]),
        ({"fromBlock": "0x0", "topics": [[to_data(TWO), to_data(ONE)], to_data(TWO)]}, [("0x1", "0x1")]),
        ({"fromBlock": "0x0", "topics": [None, [to_data(TWO)]]}, [("0x1", "0x1")]),
        ({"fromBlock": "0x0", "topics": [[to_data(TWO), None], to_data(TWO)]}, [("0x1", "0x1")]),
        ({"fromBlock": "0x0", "topics": [to_data(TWO)]}, []),
        ({"blockHash": to_data(word(1 << 16))}, [("0x1", "0x0"), ("0x1", "0x1")]),
        ({"fromBlock": "safe", "toBlock": "finalized"}, [("0x2", "0x0")]),
    ],
)
async def test_logs_are_found(client: Client, criteria: Json, expected: list[tuple[str, str]]) -> None:
    """By range, block, address and topics, in order."""
    assert places(await client.ask("eth_getLogs", criteria)) == expected


@pytest.mark.parametrize(
    ("criteria", "code", "message"),
    [
        ({"fromBlock": "0x1", "toBlock": "0x5"}, -32602, "block range extends beyond current head block"),
        ({"fromBlock": "0x5"}, -32602, "invalid block range params"),
        ({"fromBlock": "0x5", "toBlock": "0x5"}, -32602, "block range extends beyond current head block"),
        ({"toBlock": "0x5"}, -32602, "invalid block range params"),
        ({"toBlock": "earliest"}, -32602, "invalid block range params"),
        ({"fromBlock": "0x2", "toBlock": "0x1"}, -32602, "invalid block range params"),
        ({"fromBlock": "latest", "toBlock": "0x1"}, -32602, "invalid block range params"),
        ({"fromBlock": "pending"}, -32602, "pending logs are not supported"),
        ({"blockHash": to_data(word(9))}, -32000, "unknown block"),
        (
            {"blockHash": to_data(word(9)), "fromBlock": "0x1"},
            -32602,
            "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
        ),
        ({"topics": [[]] * 5}, -32602, "invalid argument 0: exceed max topics"),
        ({"topics": [["0x" + "00" * 32] * 1_001]}, -32602, "invalid argument 0: exceed max topics"),
        ({"topics": [[to_data(ONE)] * 4]}, -32000, "exceed max addresses or topics per search position"),
        ({"address": [to_data(ALICE)] * 4}, -32000, "exceed max addresses or topics per search position"),
        ({"address": 5}, -32602, "invalid argument 0: invalid addresses in query"),
        ({"address": [5]}, -32602, "invalid argument 0: non-string address at index 0"),
        (
            {"address": [to_data(ALICE), "0x"]},
            -32602,
            (
                "invalid argument 0: invalid address at index 1: "
                "hex has invalid length 0 after decoding; expected 20 for address"
            ),
        ),
        ({"address": ""}, -32602, "invalid argument 0: invalid address: empty hex string"),
        ({"topics": [5]}, -32602, "invalid argument 0: invalid topic(s)"),
        ({"topics": [[5]]}, -32602, "invalid argument 0: invalid topic(s)"),
        (
            {"topics": ["0x12"]},
            -32602,
            "invalid argument 0: hex has invalid length 1 after decoding; expected 32 for topic",
        ),
        ({"fromBlock": "1"}, -32602, "invalid argument 0: hex string without 0x prefix"),
        ({"fromBlock": "0x0"}, -32602, "query exceeds the limit of 2 logs"),
        ([], -32602, "invalid argument 0: json: cannot unmarshal array into Go value of type filters.input"),
    ],
)
async def test_impossible_queries_are_refused_in_geths_words(
    client: Client, criteria: Json, code: int, message: str
) -> None:
    """Each with its code."""
    assert await client.ask("eth_getLogs", criteria) == [code, message]


async def test_a_range_limit_bounds_queries(client: Client, node: FakeNode) -> None:
    """`--rpc.rangelimit`."""
    for _ in range(200):
        node.chain.append()

    assert await client.ask("eth_getLogs", {"fromBlock": "0x0"}) == [-32602, "exceed maximum block range 100"]


async def test_filters_gather_between_polls(client: Client, node: FakeNode) -> None:
    """Blocks, transactions and logs; a poll empties; ids look as geth's."""
    blocks = await client.ask("eth_newBlockFilter")
    hashes = await client.ask("eth_newPendingTransactionFilter")
    whole = await client.ask("eth_newPendingTransactionFilter", True)
    logs = await client.ask("eth_newFilter", {"address": to_data(BOB)})
    assert isinstance(blocks, str)
    assert 0 < int(blocks, 16) < 2**128
    assert blocks == hex(int(blocks, 16))

    header = node.chain.append(
        [FakeTransaction(hash=word(0x31))], [FakeReceipt(logs=(FakeLog(ALICE), FakeLog(BOB)))]
    )
    await client.news.tell(HeadChanged((header,), ()))
    await client.news.tell(TransactionsPromoted((as_transaction(FakeTransaction(hash=word(5))),)))

    assert await client.ask("eth_getFilterChanges", blocks) == [to_data(header.hash)]
    assert await client.ask("eth_getFilterChanges", blocks) == []
    assert await client.ask("eth_getFilterChanges", hashes) == [to_data(word(5))]
    changes = await client.ask("eth_getFilterChanges", whole)
    assert isinstance(changes, list)
    assert changes[0]["hash"] == to_data(word(5))
    assert places(await client.ask("eth_getFilterChanges", logs)) == [("0x3", "0x1")]


async def test_filter_logs_are_all_that_the_filter_means(client: Client) -> None:
    """Only for log filters."""
    logs = await client.ask("eth_newFilter", {"fromBlock": "0x0", "address": to_data(BOB)})
    blocks = await client.ask("eth_newBlockFilter")

    assert places(await client.ask("eth_getFilterLogs", logs)) == [("0x1", "0x1")]
    assert await client.ask("eth_getFilterLogs", blocks) == [-32000, "filter not found"]


async def test_an_uninstalled_filter_is_gone(client: Client) -> None:
    """The second time there is nothing to uninstall."""
    made = await client.ask("eth_newBlockFilter")

    assert [await client.ask("eth_uninstallFilter", made) for _ in range(2)] == [True, False]
    assert await client.ask("eth_getFilterChanges", made) == [-32000, "filter not found"]


async def test_a_filter_that_nobody_polls_expires(client: Client, clock: Clock) -> None:
    """Five minutes after the last poll, which starts them anew."""
    made = await client.ask("eth_newBlockFilter")
    clock.now += LIFETIME_S - 1
    assert await client.ask("eth_getFilterChanges", made) == []
    clock.now += LIFETIME_S - 1
    assert await client.ask("eth_getFilterChanges", made) == []
    clock.now += LIFETIME_S + 1

    assert await client.ask("eth_getFilterChanges", made) == [-32000, "filter not found"]
    assert len(client.book) == 0


async def test_a_filter_that_grows_too_large_is_dropped(
    client: Client, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client learns that it missed something."""
    monkeypatch.setattr(filters, "HELD_ITEMS", 2)
    made = await client.ask("eth_newBlockFilter")
    for _ in range(3):
        await client.news.tell(HeadChanged((node.chain.append(),), ()))

    assert await client.ask("eth_getFilterChanges", made) == [-32000, "filter not found"]


async def test_the_number_of_filters_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client cannot fill the memory."""
    monkeypatch.setattr(filters, "HELD_FILTERS", 1)
    await client.ask("eth_newBlockFilter")

    assert await client.ask("eth_newBlockFilter") == [-32000, "too many filters (limit 1)"]


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"fromBlock": "pending"}, "pending logs are not supported"),
        ({"fromBlock": "latest", "toBlock": "0x1"}, "invalid block range params"),
        ({"fromBlock": "0x5", "toBlock": "0x1"}, "invalid block range params"),
    ],
)
async def test_filters_for_impossible_ranges_are_refused(
    client: Client, criteria: Json, message: str
) -> None:
    """A filter sees the future only."""
    assert await client.ask("eth_newFilter", criteria) == [-32602, message]


async def test_a_log_filter_respects_its_range(client: Client, node: FakeNode) -> None:
    """Blocks outside it say nothing; nor do logs with fewer topics than the filter has positions."""
    made = await client.ask("eth_newFilter", {"fromBlock": "0x4", "toBlock": "0x4"})
    too_deep = await client.ask("eth_newFilter", {"topics": [None]})
    for _ in range(3):
        header = node.chain.append([FakeTransaction()], [FakeReceipt(logs=(FakeLog(),))])
        await client.news.tell(HeadChanged((header,), ()))

    assert places(await client.ask("eth_getFilterChanges", made)) == [("0x4", "0x0")]
    assert await client.ask("eth_getFilterChanges", too_deep) == []
