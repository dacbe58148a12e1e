"""`parallel_getBatches` as a sequencer polls it: waiting for news, and asking again after a lost answer."""

import asyncio
from typing import Any, Final

from rpc.errors import Json
from rpc.offers import COALESCE_S
from tests.rpc.dev_node import Dev
from tests.rpc.parallel_rig import send, transfers

LONG: Json = hex(28_000)
"""Milliseconds that no test waits for."""

SOON_S: Final = 25.0
"""Less than a call that hears nothing would wait, and enough for a busy machine."""


async def asked(dev: Dev, request: dict[str, Json]) -> asyncio.Task[Any]:
    """A call that has reached the daemon and waits there."""
    before = dev.server.statistics().calls.get("parallel_getBatches", 0)
    call = asyncio.get_running_loop().create_task(dev.ask("parallel_getBatches", request))
    async with asyncio.timeout(SOON_S):
        while dev.server.statistics().calls.get("parallel_getBatches", 0) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return call


async def test_a_long_poll_ends_with_the_first_batch(dev: Dev) -> None:
    """Who has nothing is told as soon as there is something."""
    call = await asked(dev, {"waitMs": LONG})

    hashes = await send(dev, *transfers(1))

    async with asyncio.timeout(SOON_S):
        assert [batch["transactions"] for batch in (await call)["batches"]] == [hashes]


async def test_a_long_poll_waits_for_another_state_than_the_known_one(dev: Dev) -> None:
    """By its etag; a new head is another state too."""
    await send(dev, *transfers(1))
    known = await dev.ask("parallel_getBatches", {"waitMs": LONG})
    call = await asked(dev, {"waitMs": LONG, "ifNoneMatch": known["etag"]})

    await dev.ask("dev_mine")

    async with asyncio.timeout(SOON_S):
        answer = await call
    assert (answer["notModified"], answer["head"]["number"], answer["batches"]) == (False, "0x1", [])


async def test_a_long_poll_waits_until_the_budget_can_be_filled(dev: Dev) -> None:
    """With room for two, one is not enough, and a third shows that two are."""
    call = await asked(dev, {"waitMs": LONG, "maxGas": hex(2 * 21_000)})
    first, second, third = transfers(3)

    await send(dev, first, second)
    answer = await dev.ask("parallel_getBatches", {"maxGas": hex(2 * 21_000)})
    assert not answer["filtered"]
    assert not call.done()
    await send(dev, third)

    async with asyncio.timeout(SOON_S):
        answer = await call
    assert sum(len(batch["transactions"]) for batch in answer["batches"]) == 2


async def test_a_long_poll_ends_in_time_with_the_present_state(dev: Dev) -> None:
    """Nothing new is an answer."""
    answer = await dev.ask("parallel_getBatches", {"waitMs": hex(int(COALESCE_S * 2_000))})

    assert (answer["batches"], answer["notModified"]) == ([], False)


async def test_a_long_poll_on_a_head_that_is_left_behind_ends_at_once(dev: Dev) -> None:
    """The caller would build on the wrong block."""
    head = (await dev.ask("eth_getBlockByNumber", "latest", False))["hash"]
    before = dev.server.statistics().calls.get("parallel_getBatches", 0)
    call = asyncio.get_running_loop().create_task(
        dev.fail("parallel_getBatches", {"waitMs": LONG, "parentHash": head})
    )
    async with asyncio.timeout(SOON_S):
        while dev.server.statistics().calls.get("parallel_getBatches", 0) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    mined = await dev.ask("dev_mine")

    async with asyncio.timeout(SOON_S):
        assert await call == (3001, "stale head", {"head": mined["hash"]})


async def test_the_same_request_under_its_id_gets_the_same_answer(dev: Dev) -> None:
    """Whatever has happened meanwhile; another consumer's id is another one."""
    await send(dev, *transfers(1))
    request: dict[str, Json] = {"requestId": "0x" + "07" * 32, "consumerId": "one"}
    first = await dev.ask("parallel_getBatches", request)
    await send(dev, *transfers(2)[1:])

    assert await dev.ask("parallel_getBatches", request) == first
    other = await dev.ask("parallel_getBatches", {**request, "consumerId": "two"})
    assert len(other["batches"][0]["transactions"]) == 2


async def test_an_id_belongs_to_one_request(dev: Dev) -> None:
    """Two requests under one id are a mistake of the caller."""
    request: dict[str, Json] = {"requestId": "0x" + "07" * 32}
    await dev.ask("parallel_getBatches", request)

    assert await dev.fail("parallel_getBatches", {**request, "maxTxs": "0x1"}) == (
        -32602,
        f"requestId {request['requestId']} was used for another request",
        None,
    )


async def test_a_refusal_is_not_kept_under_an_id(dev: Dev) -> None:
    """The same request may be served later."""
    mined = await dev.ask("dev_mine")
    request: dict[str, Json] = {"requestId": "0x" + "07" * 32, "after": "0x" + "00" * 32}
    assert (await dev.fail("parallel_getBatches", request))[0] == 3004
    again: dict[str, Json] = {"requestId": request["requestId"], "parentHash": mined["hash"]}

    assert (await dev.ask("parallel_getBatches", again))["head"]["hash"] == mined["hash"]


async def test_a_callers_own_consumer_that_left_does_not_spoil_the_answer(dev: Dev) -> None:
    """Who was cut off while waiting asks again under the same id and gets what the first call would have got."""
    request: dict[str, Json] = {"requestId": "0x" + "07" * 32, "waitMs": LONG}
    cut_off = await asked(dev, request)
    cut_off.cancel()
    call = await asked(dev, request)

    hashes = await send(dev, *transfers(1))

    async with asyncio.timeout(SOON_S):
        assert [batch["transactions"] for batch in (await call)["batches"]] == [hashes]
