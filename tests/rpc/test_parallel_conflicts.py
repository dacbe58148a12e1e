"""`parallel_getConflicts` and `parallel_getDependencies` on the real engine."""

import pytest

from rpc.errors import Json
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import ZERO_SLOT, dev_account, send, transfers
from tests.rpc.senders import GWEI, signed


async def calls(dev: Dev, counter: str, count: int) -> list[str]:
    """Calls that all count up one slot, the best paid first; their hashes."""
    raw = [
        signed(
            dev_account(index),
            to=counter,
            gas=100_000,
            maxPriorityFeePerGas=(9 - index) * GWEI,
            maxFeePerGas=50 * GWEI,
        )
        for index in range(count)
    ]
    return await send(dev, *raw)


async def test_the_most_contended_place_comes_first(dev: Dev, counter: str) -> None:
    """With how many read, change and write it, and the gas that waits there; what nobody fights for is not listed."""
    await calls(dev, counter, 3)
    await send(dev, *transfers(5)[3:])

    answer = await dev.ask("parallel_getConflicts")
    by_address = await dev.ask("parallel_getConflicts", {"by": "address", "limit": "0x1"})

    (place,) = [each for each in answer["locations"] if each["slot"] == ZERO_SLOT]
    assert place["address"] == counter
    assert (place["field"], place["writers"], place["queue"]) == ("storage", "0x3", "0x3")
    assert int(place["waitingGas"], 16) > 3 * 21_000
    assert answer["locations"][0]["address"] == counter
    assert [(each["address"], each["slot"]) for each in by_address["locations"]] == [(counter, None)]


async def test_nothing_pending_contends_for_nothing(dev: Dev) -> None:
    """Neither do transfers between strangers."""
    assert (await dev.ask("parallel_getConflicts"))["locations"] == []
    await send(dev, *transfers(4))
    assert (await dev.ask("parallel_getConflicts", {"by": "slot"}))["locations"] == []


async def test_dependencies_are_named_with_their_reason(dev: Dev, counter: str) -> None:
    """The better paid come before; what is not pending has no place."""
    first, second, third = await calls(dev, counter, 3)
    (other,) = await send(dev, *transfers(4)[3:])
    unknown = "0x" + "99" * 32

    answers = await dev.ask("parallel_getDependencies", {"hashes": [first, third, other, unknown]})
    nearest = await dev.ask("parallel_getDependencies", {"hashes": [third], "limit": "0x1"})

    by_hash = {answer["hash"]: answer["after"] for answer in answers}
    assert (by_hash[first], by_hash[other], by_hash[unknown]) == ([], [], None)
    assert {edge["hash"] for edge in by_hash[third]} == {first, second}
    assert all((edge["address"], edge["slot"]) == (counter, ZERO_SLOT) for edge in by_hash[third])
    assert [edge["hash"] for edge in nearest[0]["after"]] == [second]


@pytest.mark.parametrize(
    ("method", "request_", "message"),
    [
        ("parallel_getConflicts", {"limit": "0x0"}, "limit must be from 1 to 1024, got 0"),
        ("parallel_getConflicts", {"by": "hash"}, "want one of address, slot"),
        ("parallel_getDependencies", {}, "missing required field 'hashes' for DependencyRequest"),
        (
            "parallel_getDependencies",
            {"hashes": ["0x12"]},
            "hex string has length 2, want 64 for common.Hash",
        ),
        (
            "parallel_getDependencies",
            {"hashes": [], "limit": "0x101"},
            "limit must be from 1 to 256, got 257",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    dev: Dev, method: str, request_: dict[str, Json], message: str
) -> None:
    """By name."""
    assert await dev.fail(method, request_) == (-32602, f"invalid argument 0: {message}", None)
