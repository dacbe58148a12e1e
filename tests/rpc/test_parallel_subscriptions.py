"""`parallel_subscribe` on the real engine: heads, and the batches on offer."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from rpc.errors import Json
from rpc.namespaces.parallel_batch_request import batch_request
from rpc.parallel_subscriptions import OfferedBatches
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import dev_account, send, transfers
from tests.rpc.senders import ALICE, GWEI, signed

Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture
async def socket(dev: Dev) -> AsyncIterator[Socket]:
    """A connection to the daemon."""
    async with dev.session.ws_connect(dev.server.websocket_url or "") as connected:
        yield connected


async def ask(socket: Socket, method: str, *params: Json) -> dict[str, Any]:
    """The answer to one call."""
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    answer: dict[str, Any] = await socket.receive_json(timeout=60)
    return answer


async def told(socket: Socket, subscription_id: str) -> Any:
    """The payload of the next notification."""
    notification = await socket.receive_json(timeout=60)
    assert notification["method"] == "parallel_subscription"
    assert notification["params"]["subscription"] == subscription_id
    return notification["params"]["result"]


async def test_heads_are_told(dev: Dev, socket: Socket) -> None:
    """What a builder needs to know of its next parent."""
    subscription_id = (await ask(socket, "parallel_subscribe", "heads"))["result"]

    mined = await dev.ask("dev_mine")

    view = await told(socket, subscription_id)
    block = await dev.ask("eth_getBlockByNumber", "latest", False)
    assert view == {
        "number": mined["number"],
        "hash": mined["hash"],
        "parentHash": block["parentHash"],
        "stateRoot": block["stateRoot"],
        "timestamp": block["timestamp"],
        "gasUsed": "0x0",
        "baseFee": block["baseFeePerGas"],
    }


async def test_departures_are_told_with_their_reasons(dev: Dev, socket: Socket) -> None:
    """Replaced, then mined: the story of each, as `parallel_status` tells it later."""
    subscription_id = (await ask(socket, "parallel_subscribe", "departures"))["result"]
    (first,) = await send(dev, signed(ALICE))
    (better,) = await send(dev, signed(ALICE, maxFeePerGas=5 * GWEI, maxPriorityFeePerGas=2 * GWEI))
    replaced = await told(socket, subscription_id)
    await dev.ask("dev_mine")
    mined = await told(socket, subscription_id)
    status = await dev.ask("parallel_status", {"address": ALICE.address})

    assert (replaced["hash"], replaced["reason"], replaced["replacedBy"]) == (first, "replaced", better)
    assert (mined["hash"], mined["reason"], mined["blockNumber"]) == (better, "mined", "0x1")
    assert status["departed"] == [replaced, mined]


async def test_batches_are_told_as_they_come_and_go(dev: Dev, socket: Socket) -> None:
    """First what is on offer, then what changed; a new head takes all of them away."""
    subscription_id = (await ask(socket, "parallel_subscribe", "batches"))["result"]
    empty = await told(socket, subscription_id)
    assert (empty["added"], empty["invalidated"], empty["head"]["number"]) == ([], [], "0x0")

    hashes = await send(dev, *transfers(1))
    first = await told(socket, subscription_id)
    (batch,) = first["added"]
    assert (batch["transactions"], first["invalidated"]) == (hashes, [])
    assert first["epoch"] == empty["epoch"]

    await dev.ask("dev_mine")
    last = await told(socket, subscription_id)
    while last["head"]["number"] == "0x0":
        last = await told(socket, subscription_id)
    assert (last["added"], last["invalidated"]) == ([], [batch["batchId"]])


async def test_batches_are_told_by_the_subscribers_filter(dev: Dev, socket: Socket) -> None:
    """In the form it asks for, within its budget."""
    raw = transfers(2)
    await send(dev, *raw)

    subscription_id = (
        await ask(socket, "parallel_subscribe", "batches", {"include": ["raw"], "maxTxs": "0x1"})
    )["result"]

    (batch,) = (await told(socket, subscription_id))["added"]
    assert len(batch["transactions"]) == 1
    assert batch["transactions"][0] in ["0x" + each.hex() for each in raw]


async def test_contention_is_told_when_it_changes(dev: Dev, counter: str, socket: Socket) -> None:
    """Transfers between strangers change nothing; a second call of one contract does."""
    subscription_id = (await ask(socket, "parallel_subscribe", "conflicts", {"by": "address"}))["result"]
    assert (await told(socket, subscription_id))["locations"] == []

    await send(dev, *transfers(5)[2:])
    await send(dev, *(signed(dev_account(index), to=counter, gas=100_000) for index in range(2)))

    (place,) = (await told(socket, subscription_id))["locations"]
    assert (place["address"], place["queue"]) == (counter, "0x2")


async def test_what_was_unsubscribed_is_told_no_more(dev: Dev, socket: Socket) -> None:
    """The connection stays, and other subscriptions of it."""
    batches = (await ask(socket, "parallel_subscribe", "batches"))["result"]
    await told(socket, batches)
    assert (await ask(socket, "parallel_unsubscribe", batches))["result"] is True
    heads = (await ask(socket, "parallel_subscribe", "heads"))["result"]

    await send(dev, *transfers(1))
    await dev.ask("dev_mine")

    assert (await told(socket, heads))["number"] == "0x1"


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (["newHeads"], -32601, 'no "newHeads" subscription in parallel namespace'),
        (
            ["batches", {"waitMs": "0x1"}],
            -32602,
            'invalid argument 1: field "waitMs" does not apply to a subscription',
        ),
        (["batches", {"some": 1}], -32602, 'invalid argument 1: unknown field "some"'),
        (["heads", {}], -32602, "too many arguments, want at most 1"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_refused(
    socket: Socket, params: list[Json], code: int, message: str
) -> None:
    """By name."""
    assert (await ask(socket, "parallel_subscribe", *params))["error"] == {"code": code, "message": message}


class SlowClient:
    """The outbox of a client that may leave things unread."""

    def __init__(self) -> None:
        self.is_behind = False
        self.messages: list[bytes] = []

    def notify(self, message: bytes, /) -> None:
        """Takes everything."""
        self.messages.append(message)


def offer(*ids: str) -> dict[str, Json]:
    """An offer of batches with these ids."""
    facts: dict[str, Json] = dict.fromkeys(("head", "baseFee", "sequence", "epoch"), "0x0")
    return facts | {"etag": "".join(ids), "batches": [{"batchId": each} for each in ids]}


def test_a_client_that_does_not_keep_up_is_told_to_begin_anew() -> None:
    """Changes that it could not be told are made up for by all that is on offer, and a word about it."""
    client = SlowClient()
    subscription = OfferedBatches(client, batch_request({}))
    subscription.activate()
    subscription.answered(offer("0x01"))
    client.is_behind = True
    subscription.answered(offer("0x01", "0x02"))
    subscription.answered(offer("0x02"))
    client.is_behind = False
    subscription.answered(offer("0x02", "0x03"))
    subscription.answered(offer("0x03"))

    assert len(client.messages) == 3
    resync, after = (message.decode() for message in client.messages[1:])
    assert '"added":[{"batchId":"0x02"},{"batchId":"0x03"}],"invalidated":[],"resync":true' in resync
    assert '"added":[],"invalidated":["0x02"]' in after
    assert "resync" not in after
