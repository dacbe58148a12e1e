"""`parallel_isParallelizable` and `parallel_analyzeTransactionData` on the real engine."""

import pytest

from rpc.errors import Json
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import (
    ARGUMENT,
    NO_PREFIX,
    PARALLEL,
    RECIPIENT,
    SEQUENTIAL,
    ZERO_SLOT,
    send,
    transfers,
)
from tests.rpc.senders import ALICE, BOB, POOR, parallel, signed


async def test_a_conflict_is_named(dev: Dev, counter: str) -> None:
    """With whom, where, and which kinds of access; a tag PARALLEL does not help."""
    (pending,) = await send(dev, signed(BOB, to=counter, gas=100_000))
    raw = parallel(ALICE, to=counter, gas=100_000)

    verdict = await dev.ask("parallel_isParallelizable", "0x" + raw.hex())

    assert verdict["parallelizable"] is False
    assert verdict["tag"] == "PARALLEL"
    slots = [reason for reason in verdict["reasons"] if reason.get("slot") == ZERO_SLOT]
    assert slots
    assert {(reason["kind"], reason["with"], reason["address"], reason["field"]) for reason in slots} == {
        ("conflict", pending, counter, "storage")
    }
    assert all(pending in reason["message"] for reason in slots)
    assert verdict["comparedWith"] == "0x1"


async def test_an_independent_transfer_is_parallelizable(dev: Dev) -> None:
    """As raw bytes, as a hash once it is pooled, and as an object."""
    await send(dev, *transfers(3)[1:])
    raw = signed(ALICE)

    by_bytes = await dev.ask("parallel_isParallelizable", "0x" + raw.hex())
    (tx_hash,) = await send(dev, raw)
    by_hash = await dev.ask("parallel_isParallelizable", tx_hash)
    by_object = await dev.ask(
        "parallel_isParallelizable", {"from": POOR.address, "to": "0x" + "55" * 20, "gas": "0x5208"}
    )

    for verdict in (by_bytes, by_hash, by_object):
        assert (verdict["parallelizable"], verdict["reasons"], verdict["conflicts"]) == (True, [], "0x0")
        assert verdict["prediction"]["known"] is True
    assert by_hash["comparedWith"] == "0x2"


async def test_a_tag_sequential_is_a_reason(dev: Dev) -> None:
    """The sender's word against it counts."""
    raw = parallel(ALICE, "SEQUENTIAL")

    verdict = await dev.ask("parallel_isParallelizable", "0x" + raw.hex())

    assert verdict["parallelizable"] is False
    assert [reason["kind"] for reason in verdict["reasons"]] == ["tag"]


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ("0x" + "99" * 32, -32000, f"transaction 0x{'99' * 32} is not in the pool"),
        ("0x02", -32000, "typed transaction too short"),
        ("99", -32602, f"{ARGUMENT} {NO_PREFIX}"),
        ({"to": "0x12"}, -32602, "invalid argument 0: hex string has length 2, want 40 for common.Address"),
        (
            5,
            -32602,
            "invalid argument 0: json: cannot unmarshal number into Go value of type ethapi.TransactionArgs",
        ),
    ],
)
async def test_what_is_no_transaction_has_no_verdict(dev: Dev, asked: Json, code: int, message: str) -> None:
    """Unknown hashes, broken bytes, wrong objects."""
    assert await dev.fail("parallel_isParallelizable", asked) == (code, message, None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "0x" + PARALLEL + "a9059cbb00",
            {"tag": "PARALLEL", "input": "0xa9059cbb00", "selector": "0xa9059cbb", "tagGas": "0x80"},
        ),
        ("0x" + SEQUENTIAL, {"tag": "SEQUENTIAL", "input": "0x", "selector": None, "inputSize": "0x0"}),
        ("0xa9059cbb", {"tag": None, "input": "0xa9059cbb", "selector": "0xa9059cbb", "tagGas": "0x0"}),
        ("0x", {"tag": None, "size": "0x0", "zeroBytes": "0x0", "calldataGas": "0x0"}),
        ("0x0001", {"zeroBytes": "0x1", "nonzeroBytes": "0x1", "calldataGas": "0x14"}),
    ],
)
async def test_data_is_taken_apart(dev: Dev, data: str, expected: dict[str, Json]) -> None:
    """Tag, what the code sees, selector, and what the bytes cost."""
    analysis = await dev.ask("parallel_analyzeTransactionData", data, RECIPIENT)

    assert {name: analysis[name] for name in expected} == expected
    assert (analysis["isContract"], analysis["delegate"]) == (False, None)


async def test_the_function_is_named_and_the_run_foretold(dev: Dev, counter: str) -> None:
    """Its usual signature; what it touches; and a tag, with a reason that names whom it would meet."""
    data = "0x" + PARALLEL + "a9059cbb" + "00" * 64
    alone = await dev.ask("parallel_analyzeTransactionData", data, counter)
    (pending,) = await send(dev, signed(BOB, to=counter, gas=100_000))
    together = await dev.ask("parallel_analyzeTransactionData", data, counter)

    assert alone["signature"] == "transfer(address,uint256)"
    assert {"address": counter, "field": "storage", "slot": ZERO_SLOT, "kind": "write"} in alone[
        "prediction"
    ]["accesses"]
    assert alone["recommendation"] == {
        "tag": "PARALLEL",
        "reason": "no conflict with 0 pending transactions",
    }
    assert together["recommendation"]["tag"] == "SEQUENTIAL"
    assert pending in together["recommendation"]["reason"]
    assert int(together["conflicts"], 16) > 0


async def test_what_cannot_be_foretold_gets_no_recommendation(dev: Dev) -> None:
    """A run that fails for nobody in particular says little; an unknown function is not named."""
    analysis = await dev.ask("parallel_analyzeTransactionData", "0x5b600056")
    unnamed = await dev.ask("parallel_analyzeTransactionData", "0xffffffff", RECIPIENT)

    assert analysis["prediction"]["succeeded"] is False
    assert analysis["recommendation"]["tag"] is None
    assert (unnamed["signature"], unnamed["recommendation"]["tag"]) == (None, "PARALLEL")


async def test_the_target_is_looked_at(dev: Dev, counter: str) -> None:
    """Without one there is no selector: the data is init code."""
    called = await dev.ask("parallel_analyzeTransactionData", "0xa9059cbb", counter)
    created = await dev.ask("parallel_analyzeTransactionData", "0xa9059cbb")

    assert called["isContract"] is True
    assert (created["selector"], "isContract" in created) == (None, False)
