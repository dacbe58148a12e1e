"""Subscriptions over WebSocket: what is told, in which order, and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest

from parallelpool.events import HeadChanged, TransactionsPromoted
from rpc import outbox, subscriptions
from rpc.errors import Json
from rpc.outbox import Outbox
from rpc.quantities import to_data
from rpc.server import RpcServer
from tests.deadline import until
from tests.rpc.conftest import Serve
from tests.rpc.fakes import FakeLog, FakeNode, FakeReceipt, FakeTransaction, account, as_transaction, word

Socket = aiohttp.ClientWebSocketResponse
TOPIC = word(0x70)


@pytest.fixture
async def connected(serve: Serve) -> AsyncIterator[tuple[RpcServer, Socket]]:
    """A server and a connection to it."""
    async with (
        serve() as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.websocket_url or "") as socket,
    ):
        yield server, socket


async def ask(socket: Socket, method: str, *params: Json) -> dict[str, Any]:
    """The answer to one call."""
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    answer: dict[str, Any] = await socket.receive_json()
    return answer


async def told(socket: Socket, subscription_id: str) -> Any:
    """The payload of the next notification."""
    notification = await socket.receive_json()
    assert list(notification) == ["jsonrpc", "method", "params"]
    assert notification["method"] == "eth_subscription"
    assert notification["params"]["subscription"] == subscription_id
    return notification["params"]["result"]


def logs(*topics: Sequence[bytes]) -> list[FakeReceipt]:
    """One receipt with a log for each topic list."""
    return [FakeReceipt(logs=tuple(FakeLog(topics=tuple(listed)) for listed in topics))]


async def test_new_heads_are_told_with_all_header_fields(
    connected: tuple[RpcServer, Socket], node: FakeNode
) -> None:
    """In geth's order, with the hash last."""
    _, socket = connected
    subscription_id = (await ask(socket, "eth_subscribe", "newHeads"))["result"]

    header = node.mine()
    view = await told(socket, subscription_id)

    assert view["number"] == "0x1"
    assert view["hash"] == to_data(header.hash)
    assert list(view) == [
        "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
        "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
        "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot",
        "requestsHash", "hash",
    ]  # fmt: skip


async def test_pending_transactions_are_told_by_hash_or_whole(
    connected: tuple[RpcServer, Socket], node: FakeNode
) -> None:
    """One notification each."""
    _, socket = connected
    hashes = (await ask(socket, "eth_subscribe", "newPendingTransactions"))["result"]
    whole = (await ask(socket, "eth_subscribe", "newPendingTransactions", True))["result"]
    first, second = FakeTransaction(hash=word(1)), FakeTransaction(hash=word(2), nonce=1)

    node.events.publish(TransactionsPromoted((as_transaction(first), as_transaction(second))))

    assert [await told(socket, hashes) for _ in range(2)] == [to_data(word(1)), to_data(word(2))]
    objects = [await told(socket, whole) for _ in range(2)]
    assert [view["nonce"] for view in objects] == ["0x0", "0x1"]
    assert objects[0]["blockHash"] is None


async def test_logs_are_told_by_criteria(connected: tuple[RpcServer, Socket], node: FakeNode) -> None:
    """Only matching ones; indices count all logs of the block."""
    _, socket = connected
    subscription_id = (await ask(socket, "eth_subscribe", "logs", {"topics": [to_data(TOPIC)]}))["result"]

    node.mine([FakeTransaction()], logs([word(1)], [TOPIC], []))
    view = await told(socket, subscription_id)

    assert (view["logIndex"], view["topics"], view["removed"]) == ("0x1", [to_data(TOPIC)], False)
    assert view["transactionHash"] == to_data(word(1))
    assert view["blockNumber"] == "0x1"


async def test_a_reorg_tells_old_logs_as_removed_before_the_new_ones(
    connected: tuple[RpcServer, Socket], node: FakeNode
) -> None:
    """Blocks leave newest first."""
    _, socket = connected
    subscription_id = (await ask(socket, "eth_subscribe", "logs", {}))["result"]
    one = node.mine([FakeTransaction(hash=word(11))], logs([word(1)]))
    two = node.mine([FakeTransaction(hash=word(12))], logs([word(2)]))
    assert [(await told(socket, subscription_id))["topics"] for _ in range(2)] == [
        [to_data(word(1))],
        [to_data(word(2))],
    ]

    node.chain.pop()
    node.chain.pop()
    other = node.chain.append([FakeTransaction(hash=word(13))], logs([word(3)]), salt=1)
    node.events.publish(HeadChanged((other,), (one, two)))
    views = [await told(socket, subscription_id) for _ in range(3)]

    assert [(view["topics"][0], view["removed"]) for view in views] == [
        (to_data(word(2)), True),
        (to_data(word(1)), True),
        (to_data(word(3)), False),
    ]


async def test_unsubscribing_ends_the_news(connected: tuple[RpcServer, Socket], node: FakeNode) -> None:
    """An id works once; the other subscription goes on."""
    _, socket = connected
    ended = (await ask(socket, "eth_subscribe", "newHeads"))["result"]
    kept = (await ask(socket, "eth_subscribe", "newHeads"))["result"]

    assert (await ask(socket, "eth_unsubscribe", ended))["result"] is True
    assert (await ask(socket, "eth_unsubscribe", ended))["error"] == {
        "code": -32000,
        "message": "subscription not found",
    }
    node.mine()
    assert (await told(socket, kept))["number"] == "0x1"


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (["foo"], -32601, 'no "foo" subscription in eth namespace'),
        ([], -32602, "expected subscription name as first argument"),
        ([1], -32602, "expected subscription name as first argument"),
        (["newHeads", 1], -32602, "too many arguments, want at most 1"),
        (["logs"], -32602, "missing value for required argument 1"),
        (
            ["logs", {"address": "0x12"}],
            -32602,
            "invalid argument 1: invalid address: hex has invalid length 1 after decoding; expected 20 for address",
        ),
        (["logs", {"fromBlock": "pending"}], -32602, "pending logs are not supported"),
        (["logs", {"topics": [[]] * 5}], -32602, "invalid argument 1: exceed max topics"),
        (
            ["newPendingTransactions", "yes"],
            -32602,
            "invalid argument 1: json: cannot unmarshal string into Go value of type bool",
        ),
    ],
)
async def test_wrong_subscriptions_are_refused_in_geths_words(
    connected: tuple[RpcServer, Socket], params: list[Json], code: int, message: str
) -> None:
    """Kinds, criteria and parameter counts."""
    answer = await ask(connected[1], "eth_subscribe", *params)

    assert answer["error"] == {"code": code, "message": message}


async def test_named_params_are_refused(connected: tuple[RpcServer, Socket]) -> None:
    """As for every other method."""
    _, socket = connected
    await socket.send_json(
        {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": {"kind": "newHeads"}}
    )

    assert (await socket.receive_json())["error"] == {"code": -32602, "message": "non-array args"}


async def test_other_namespaces_have_no_subscriptions(connected: tuple[RpcServer, Socket]) -> None:
    """The text names the namespace."""
    answer = await ask(connected[1], "net_subscribe", "newHeads")

    assert answer["error"] == {"code": -32601, "message": 'no "newHeads" subscription in net namespace'}


async def test_syncing_can_be_subscribed_to_and_stays_silent(
    connected: tuple[RpcServer, Socket], node: FakeNode
) -> None:
    """Our own chain has nothing to catch up with."""
    _, socket = connected
    await ask(socket, "eth_subscribe", "syncing")
    heads = (await ask(socket, "eth_subscribe", "newHeads"))["result"]

    node.mine()

    assert (await told(socket, heads))["number"] == "0x1"


async def test_the_id_comes_before_the_news_in_a_batch(
    connected: tuple[RpcServer, Socket], node: FakeNode
) -> None:
    """What happens while the batch still runs waits for its answer."""
    _, socket = connected
    node.ingress.known[b"\x01"] = FakeTransaction()
    await socket.send_json(
        [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newPendingTransactions"]},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_sendRawTransaction", "params": ["0x01"]},
        ]
    )

    subscribed, submitted = await socket.receive_json()
    news = await told(socket, subscribed["result"])

    assert (submitted["result"], news) == (to_data(word(1)), to_data(word(1)))


async def test_closing_the_connection_ends_its_subscriptions(serve: Serve, node: FakeNode) -> None:
    """Nobody reads blocks for a client that is gone."""
    async with serve() as server, aiohttp.ClientSession() as session:
        async with session.ws_connect(server.websocket_url or "") as socket:
            await ask(socket, "eth_subscribe", "logs", {})
        await until(lambda: not server.statistics().websocket_connections)
        node.mine([FakeTransaction()], logs([word(1)]))
        async with session.ws_connect(server.websocket_url or "") as socket:
            await ask(socket, "eth_subscribe", "newHeads")

    assert node.chain.reads == 0


async def test_a_connection_has_a_bounded_number_of_subscriptions(
    connected: tuple[RpcServer, Socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it the client is told so."""
    monkeypatch.setattr(subscriptions, "HELD_SUBSCRIPTIONS", 2)
    _, socket = connected
    answers = [await ask(socket, "eth_subscribe", "newHeads") for _ in range(3)]

    assert answers[2]["error"] == {"code": -32000, "message": "too many subscriptions (limit 2)"}


async def test_an_outbox_gives_up_on_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notifications never wait; answers do."""
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 2)
    box = Outbox()
    for message in (b"a", b"b", b"c"):
        box.notify(message)

    assert box.has_overflowed
    assert await box.take() is None


async def test_an_answer_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of requests is slowed down, nothing is lost."""
    monkeypatch.setattr(outbox, "MAX_BYTES", 3)
    box = Outbox()
    await box.answer(b"abc")
    waiting = asyncio.ensure_future(box.answer(b"d"))
    await asyncio.sleep(0)

    assert not waiting.done()
    assert await box.take() == b"abc"
    await waiting
    box.close()
    assert [await box.take(), await box.take()] == [b"d", None]


async def test_log_addresses_select(connected: tuple[RpcServer, Socket], node: FakeNode) -> None:
    """Another contract's logs are not told."""
    _, socket = connected
    wanted = account(0x77)
    subscription_id = (await ask(socket, "eth_subscribe", "logs", {"address": to_data(wanted)}))["result"]

    node.mine([FakeTransaction()], [FakeReceipt(logs=(FakeLog(), FakeLog(address=wanted)))])

    assert (await told(socket, subscription_id))["logIndex"] == "0x1"
