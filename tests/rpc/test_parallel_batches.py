"""`parallel_getBatches` on the real engine."""

import pytest

from rpc.errors import Json
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import (
    ARGUMENT,
    RECIPIENT,
    ZERO_SLOT,
    deployment,
    dev_account,
    send,
    transfers,
)
from tests.rpc.senders import CHAIN_ID, GWEI, parallel, signed


async def test_batches_on_offer(dev: Dev) -> None:
    """Independent transfers are one parallel batch; the answer has all fields of the schema."""
    hashes = await send(dev, *transfers(4))

    offer = await dev.ask("parallel_getBatches")

    assert (offer["notModified"], offer["filtered"], offer["lease"], offer["next"]) == (
        False,
        False,
        None,
        None,
    )
    assert offer["conflictModel"] == "commutative-balance-v1"
    assert offer["head"]["number"] == "0x0"
    assert offer["chainId"] == hex(CHAIN_ID)
    assert len(offer["epoch"]) == 18
    (batch,) = offer["batches"]
    assert sorted(batch["transactions"]) == sorted(hashes)
    assert (batch["kind"], batch["index"], batch["after"]) == ("parallel", "0x0", [])
    assert batch["gasLimit"] == hex(4 * 21_000)
    assert batch["predictedGas"] == hex(4 * 21_000)
    assert batch["criticalPathGas"] == hex(21_000)
    assert batch["tipSum"] == hex(4 * 21_000 * GWEI)
    assert batch["bytes"] == hex(sum(len(raw) for raw in transfers(4)))


async def test_conflicting_calls_are_never_one_batch(dev: Dev, counter: str) -> None:
    """Dependencies and groups say who waits for whom; a tag PARALLEL changes nothing."""
    calls = [parallel(dev_account(index), to=counter, gas=100_000) for index in range(2)]
    hashes = await send(dev, *calls, *transfers(5)[2:])

    offer = await dev.ask(
        "parallel_getBatches", {"include": ["hashes", "deps", "groups", "accessList", "predictions"]}
    )

    listed = [tx_hash for batch in offer["batches"] for tx_hash in batch["transactions"]]
    assert sorted(listed) == sorted(hashes)
    for batch in offer["batches"]:
        if batch["kind"] == "parallel":
            assert len(set(batch["transactions"]) & set(hashes[:2])) <= 1
    first, second = sorted(listed.index(tx_hash) for tx_hash in hashes[:2])
    assert offer["deps"][second] == [hex(first)]
    assert [hex(first), hex(second)] in offer["groups"]
    assert sorted(len(group) for group in offer["groups"]) == [1, 1, 1, 2]
    with_counter = [
        batch
        for batch in offer["batches"]
        if {"address": counter, "storageKeys": [ZERO_SLOT]} in batch["accessList"]
    ]
    assert with_counter
    assert {prediction["source"] for batch in offer["batches"] for prediction in batch["predictions"]} == {
        "trace",
        "transfer",
    }


async def test_transactions_are_given_in_the_form_asked_for(dev: Dev) -> None:
    """Raw bytes, or objects."""
    raw = transfers(2)
    await send(dev, *raw)

    (batch,) = (await dev.ask("parallel_getBatches", {"include": ["raw"]}))["batches"]
    assert sorted(batch["transactions"]) == sorted("0x" + each.hex() for each in raw)
    (batch,) = (await dev.ask("parallel_getBatches", {"include": ["objects"]}))["batches"]
    assert all(view["blockHash"] is None and view["type"] == "0x2" for view in batch["transactions"])


async def test_selections_bound_the_offer(dev: Dev) -> None:
    """Gas, count, tip, senders, addresses; what is kept back is told."""
    await send(dev, *transfers(3))
    sender = dev_account(1).address

    for selection, size in (
        ({"maxGas": hex(2 * 21_000)}, 2),
        ({"maxTxs": "0x1"}, 1),
        ({"minTip": hex(2 * GWEI)}, 0),
        ({"senders": [sender]}, 1),
        ({"excludeAddresses": ["0x" + "70" * 20]}, 2),
        ({"maxBytes": "0x0"}, 0),
    ):
        offer = await dev.ask("parallel_getBatches", selection)

        assert sum(len(batch["transactions"]) for batch in offer["batches"]) == size, selection
        assert offer["filtered"] is ("senders" not in selection), selection


async def test_strategies_choose_by_tip_or_by_arrival(dev: Dev) -> None:
    """With room for one: the best paid, or the first that came."""
    cheap, dear = (
        signed(dev_account(0), to=RECIPIENT),
        signed(dev_account(1), to=RECIPIENT, maxPriorityFeePerGas=2 * GWEI),
    )
    first, best = await send(dev, cheap, dear)

    for strategy, chosen in (("tip", best), ("width", best), ("latency", best), ("fifo", first)):
        offer = await dev.ask("parallel_getBatches", {"strategy": strategy, "maxTxs": "0x1"})
        assert [batch["transactions"] for batch in offer["batches"]] == [[chosen]], strategy


async def test_who_looks_at_the_fee_recipients_money_conflicts_with_all(dev: Dev) -> None:
    """The fees of all others change it: with that recipient no batch holds the call and another transaction."""
    looked_at = "0x" + "fe" * 20
    init = deployment("73" + "fe" * 20 + "3160005500")
    raw = signed(dev_account(9), to=None, gas=200_000, data=init)
    (tx_hash,) = await send(dev, raw)
    await dev.ask("dev_mine")
    looker = (await dev.ask("eth_getTransactionReceipt", tx_hash))["contractAddress"]
    (call, *_) = await send(dev, signed(dev_account(0), to=looker, gas=100_000), *transfers(4)[1:])

    ordinary = await dev.ask("parallel_getBatches")
    watched = await dev.ask("parallel_getBatches", {"feeRecipient": looked_at})

    assert [len(batch["transactions"]) for batch in ordinary["batches"]] == [4]
    assert all(
        call not in batch["transactions"] or len(batch["transactions"]) == 1 for batch in watched["batches"]
    )


async def test_an_offer_is_pulled_piece_by_piece(dev: Dev, counter: str) -> None:
    """`next` continues where the piece ended."""
    calls = [signed(dev_account(index), to=counter, gas=100_000) for index in range(2)]
    await send(dev, *calls, *transfers(5)[2:])
    whole = await dev.ask("parallel_getBatches")
    assert len(whole["batches"]) > 1

    pulled: list[Json] = []
    after: str | None = None
    while True:
        request: dict[str, Json] = {"maxBatches": "0x1"}
        if after is not None:
            request["after"] = after
        piece = await dev.ask("parallel_getBatches", request)
        pulled += piece["batches"]
        after = piece["next"]
        if after is None:
            break

    assert pulled == whole["batches"]


async def test_an_unchanged_offer_is_not_sent_again(dev: Dev) -> None:
    """Until head or pool change."""
    await send(dev, *transfers(2))
    etag = (await dev.ask("parallel_getBatches"))["etag"]

    same = await dev.ask("parallel_getBatches", {"ifNoneMatch": etag})
    assert (same["notModified"], same["batches"], same["etag"]) == (True, [], etag)
    await send(dev, *transfers(3)[2:])
    other = await dev.ask("parallel_getBatches", {"ifNoneMatch": etag})
    assert (other["notModified"], len(other["batches"])) == (False, 1)


async def test_ids_follow_from_content(dev: Dev) -> None:
    """The same transactions on the same head are the same batch, whatever is asked beside."""
    await send(dev, *transfers(2))

    first = await dev.ask("parallel_getBatches")
    second = await dev.ask("parallel_getBatches", {"include": ["raw"], "batchSize": "0x50"})

    assert [batch["batchId"] for batch in first["batches"]] == [
        batch["batchId"] for batch in second["batches"]
    ]


@pytest.mark.parametrize(
    ("request_", "code", "message", "data"),
    [
        ({"batchsize": "0x40"}, -32602, 'invalid argument 0: unknown field "batchsize"', None),
        (
            {"batchSize": "0x3f"},
            -32602,
            "invalid argument 0: batch size must be from 64 to 256, got 63",
            None,
        ),
        ({"baseFee": hex(2**128)}, -32602, "invalid argument 0: a fee must fit into 128 bits", None),
        ({"minTip": hex(2**256 - 1)}, -32602, "invalid argument 0: a fee must fit into 128 bits", None),
        (
            {"leaseMs": "0x10"},
            -32602,
            f"{ARGUMENT} leases are not supported by this version: leave leaseMs out or 0x0",
            None,
        ),
        (
            {"waitMs": hex(30_001)},
            -32602,
            "invalid argument 0: waitMs must be at most 30000, got 30001",
            None,
        ),
        (
            {"consumerId": "c" * 65},
            -32602,
            "invalid argument 0: consumerId must have at most 64 characters, got 65",
            None,
        ),
        (
            {"timestamp": "0x0"},
            -32602,
            "timestamp 0 is not after the head's, 0",
            None,
        ),
        ({"strategy": "best"}, -32602, "invalid argument 0: want one of tip, width, latency, fifo", None),
        (
            {"include": ["raw", "hashes"]},
            -32602,
            f"{ARGUMENT} include has more than one of hashes, raw, objects",
            None,
        ),
        (
            {"include": ["proof"]},
            -32602,
            f"{ARGUMENT} want one of hashes, raw, objects, accessList, deps, groups, predictions",
            None,
        ),
        ({"kinds": ["some"]}, -32602, "invalid argument 0: want one of parallel, sequential", None),
        ({"after": "0x" + "00" * 32}, 3004, "unknown batch 0x" + "00" * 32, None),
        (
            {"excludeLocations": [{"address": RECIPIENT}]},
            -32602,
            f"{ARGUMENT} missing required field 'storageKeys' for Location",
            None,
        ),
        (
            [],
            -32602,
            "invalid argument 0: json: cannot unmarshal array into Go value of type BatchRequest",
            None,
        ),
    ],
)
async def test_requests_that_cannot_be_served_are_refused(
    dev: Dev, request_: Json, code: int, message: str, data: Json
) -> None:
    """By name, never in silence."""
    assert await dev.fail("parallel_getBatches", request_) == (code, message, data)


async def test_a_stale_head_is_told(dev: Dev) -> None:
    """A caller that builds on another block gets the current one."""
    head = (await dev.ask("eth_getBlockByNumber", "latest", False))["hash"]

    assert (await dev.ask("parallel_getBatches", {"parentHash": head}))["head"]["hash"] == head
    assert await dev.fail("parallel_getBatches", {"parentHash": "0x" + "00" * 32}) == (
        3001,
        "stale head",
        {"head": head},
    )
