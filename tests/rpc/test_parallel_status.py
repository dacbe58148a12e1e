"""`parallel_status` on the real engine."""

import pytest

from rpc.errors import Json
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import (
    RECIPIENT,
    send,
    transfers,
)
from tests.rpc.senders import ALICE, BOB, GWEI, parallel, signed


async def test_status_counts(dev: Dev) -> None:
    """Pool, batches and what has been produced."""
    await send(dev, *transfers(3), signed(ALICE, nonce=5))

    assert await dev.ask("parallel_status") == await dev.ask("parallel_status", None)
    assert await dev.ask("parallel_status") == {
        "pending": "0x3",
        "queued": "0x1",
        "parallelizable": "0x3",
        "batches": "0x1",
        "batchSize": "0x40",
        "totalProcessed": "0x0",
        "successfullyBatched": "0x0",
    }
    await dev.ask("dev_mine")
    after = await dev.ask("parallel_status")
    assert (after["pending"], after["totalProcessed"], after["successfullyBatched"]) == ("0x0", "0x3", "0x3")


async def test_status_of_a_transaction_says_where_it_stands_and_why(dev: Dev) -> None:
    """Pending, queued, mined, replaced, never seen."""
    pending, waiting = await send(dev, parallel(ALICE), signed(ALICE, nonce=5))
    (replaced,) = await send(dev, signed(BOB))
    (better,) = await send(dev, signed(BOB, maxFeePerGas=5 * GWEI, maxPriorityFeePerGas=2 * GWEI))

    standing = await dev.ask("parallel_status", {"hash": pending})
    assert (standing["status"], standing["tag"], standing["batchKind"]) == ("pending", "PARALLEL", "parallel")
    assert standing["prediction"]["source"] == "transfer"
    assert len(standing["batchId"]) == 66

    standing = await dev.ask("parallel_status", {"hash": waiting})
    assert standing["status"] == "queued"
    assert standing["reason"] == "nonce gap: next nonce 1, tx nonce 5"
    assert standing["conditions"] == [{"name": "nonceGap", "nextNonce": "0x1", "nonce": "0x5"}]

    standing = await dev.ask("parallel_status", {"hash": replaced})
    assert (standing["status"], standing["reason"], standing["replacedBy"]) == ("dropped", "replaced", better)

    standing = await dev.ask("parallel_status", {"hash": "0x" + "99" * 32})
    assert standing["status"] == "unknown"

    await dev.ask("dev_mine")
    standing = await dev.ask("parallel_status", {"hash": pending})
    assert (standing["status"], standing["blockNumber"]) == ("mined", "0x1")


async def test_the_reason_of_a_pending_transaction_is_what_it_waits_for(dev: Dev) -> None:
    """And not that it is no candidate, which follows from it."""
    (cheap,) = await send(dev, signed(ALICE, maxFeePerGas=1, maxPriorityFeePerGas=1))
    base_fee = int(await dev.ask("eth_baseFee"), 16)

    standing = await dev.ask("parallel_status", {"hash": cheap})

    assert (standing["status"], standing["batchId"]) == ("pending", None)
    assert standing["reason"] == f"fee cap below base fee: max fee per gas 1, base fee {base_fee}"
    assert [each["name"] for each in standing["conditions"]] == ["feeCapBelowBaseFee"]


async def test_status_of_a_sender(dev: Dev) -> None:
    """Its next nonce, what is executable, and what waits for what."""
    first, gapped = await send(dev, signed(ALICE), signed(ALICE, nonce=2))

    status = await dev.ask("parallel_status", {"address": ALICE.address})

    assert status["nonce"] == "0x1"
    assert [entry["hash"] for entry in status["pending"]] == [first]
    assert [entry["hash"] for entry in status["queued"]] == [gapped]
    assert status["pending"][0]["reason"] is None
    assert "nonce" in status["queued"][0]["reason"]


async def test_status_of_a_sender_tells_where_his_transactions_went(dev: Dev) -> None:
    """Replaced, then mined: oldest first, with reason and block."""
    (first,) = await send(dev, signed(ALICE))
    (better,) = await send(dev, signed(ALICE, maxFeePerGas=5 * GWEI, maxPriorityFeePerGas=2 * GWEI))
    await dev.ask("dev_mine")

    status = await dev.ask("parallel_status", {"address": ALICE.address})
    nobody = await dev.ask("parallel_status", {"address": BOB.address})

    assert [
        (each["hash"], each["reason"], each["replacedBy"], each["blockNumber"]) for each in status["departed"]
    ] == [(first, "replaced", better, None), (better, "mined", None, "0x1")]
    assert (status["pending"], status["queued"]) == ([], [])
    assert nobody["departed"] == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"hash": "0x12"}, "invalid argument 0: hex string has length 2, want 64 for common.Hash"),
        ({"Hash": "0x12"}, 'invalid argument 0: unknown field "Hash"'),
        (
            {"hash": "0x" + "00" * 32, "address": RECIPIENT},
            'invalid argument 0: want one of "hash" and "address"',
        ),
    ],
)
async def test_wrong_status_requests_are_refused(dev: Dev, request_: Json, message: str) -> None:
    """A typo must not look like an answer."""
    assert await dev.fail("parallel_status", request_) == (-32602, message, None)
