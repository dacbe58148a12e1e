"""`parallel_verifyBatch` and batches by id or member, on the real engine."""

import pytest

from rpc.errors import Json
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import ZERO_SLOT, dev_account, send, transfers
from tests.rpc.senders import parallel, signed


def batch(*raw: bytes, **others: Json) -> dict[str, Json]:
    """A request."""
    return {"transactions": ["0x" + each.hex() for each in raw], **others}


async def test_an_antichain_keeps_its_promise(dev: Dev) -> None:
    """Pooled or not: nothing conflicts, and every order gives the same."""
    verdict = await dev.ask("parallel_verifyBatch", batch(*transfers(4), orders="0x6", seed="0x7"))

    assert len(verdict.pop("postStateDigest")) == 66
    assert verdict == {
        "valid": True,
        "conflictModel": "commutative-balance-v1",
        "conflicts": [],
        "conflictCount": "0x0",
        "shortfalls": [],
        "invalid": [],
        "unknown": [],
        "orders": "0x6",
        "divergence": None,
        "gasUsed": hex(4 * 21_000),
    }


async def test_conflicts_are_named_with_both_transactions(dev: Dev, counter: str) -> None:
    """Both hashes, the place and the kinds; a tag PARALLEL does not help."""
    calls = [parallel(dev_account(index), to=counter, gas=100_000) for index in range(2)]
    first, second = await send(dev, *calls)

    verdict = await dev.ask("parallel_verifyBatch", batch(*calls))

    assert verdict["valid"] is False
    slots = [found for found in verdict["conflicts"] if found["slot"] == ZERO_SLOT]
    assert {(found["a"], found["b"], found["address"], found["field"]) for found in slots} == {
        (first, second, counter, "storage")
    }
    assert all(set(found["kinds"]) <= {"read", "write"} for found in slots)
    assert int(verdict["conflictCount"], 16) == len(verdict["conflicts"])


async def test_what_cannot_be_executed_is_named(dev: Dev) -> None:
    """With geth's reason."""
    early = signed(dev_account(0), nonce=1)
    verdict = await dev.ask("parallel_verifyBatch", batch(early, *transfers(2)[1:]))

    (invalid,) = verdict["invalid"]
    assert verdict["valid"] is False
    assert invalid["reason"].startswith("nonce too high")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"transactions": None},
            -32602,
            "invalid argument 0: missing required field 'transactions' for VerifyRequest",
        ),
        ({"orders": "0x11"}, -32602, "invalid argument 0: orders must be from 1 to 16, got 17"),
        (
            {"conflictModel": "none"},
            -32602,
            "invalid argument 0: unknown conflict model 'none', want commutative-balance-v1",
        ),
        ({"transactions": ["0x02"]}, -32000, "typed transaction too short"),
        ({"some": "0x1"}, -32602, 'invalid argument 0: unknown field "some"'),
    ],
)
async def test_what_cannot_be_verified_is_refused(
    dev: Dev, changes: dict[str, Json], code: int, message: str
) -> None:
    """By name."""
    assert await dev.fail("parallel_verifyBatch", {**batch(*transfers(1)), **changes}) == (
        code,
        message,
        None,
    )


async def test_a_batch_is_verified_on_the_head_that_it_is_for(dev: Dev) -> None:
    """Another one is told; twice the same transaction is a mistake."""
    head = (await dev.ask("eth_getBlockByNumber", "latest", False))["hash"]
    (raw,) = transfers(1)

    assert (await dev.ask("parallel_verifyBatch", batch(raw, parentHash=head)))["valid"] is True
    assert await dev.fail("parallel_verifyBatch", batch(raw, parentHash="0x" + "00" * 32)) == (
        3001,
        "stale head",
        {"head": head},
    )
    assert await dev.fail("parallel_verifyBatch", batch(raw, raw)) == (
        -32602,
        "invalid argument 0: a transaction is there twice",
        None,
    )


async def test_a_batch_is_found_by_its_id_and_by_its_members(dev: Dev) -> None:
    """As long as it is on offer, and a while longer by its id."""
    hashes = await send(dev, *transfers(3))
    (offered,) = (await dev.ask("parallel_getBatches"))["batches"]

    by_id = await dev.ask("parallel_getBatchById", offered["batchId"])
    assert by_id == await dev.ask("parallel_getBatchByTransaction", hashes[1])
    assert (by_id["transactions"], by_id["kind"], by_id["isOffered"]) == (
        offered["transactions"],
        "parallel",
        True,
    )
    assert (by_id["gasLimit"], by_id["head"]["number"]) == (offered["gasLimit"], "0x0")

    await dev.ask("dev_mine")
    later = await dev.ask("parallel_getBatchById", offered["batchId"])
    assert later == {**by_id, "isOffered": False}
    assert await dev.ask("parallel_getBatchByTransaction", hashes[1]) is None
    assert await dev.fail("parallel_getBatchById", "0x" + "00" * 32) == (
        3004,
        "unknown batch 0x" + "00" * 32,
        None,
    )
