"""The bus: who gets what, who loses what, and that nobody waits."""

import asyncio

import pytest

from parallelpool.events import Event, EventBus, Feed, Resync, TransactionsPromoted, TransactionsQueued
from tests.deadline import until
from tests.factories import Key, legacy


def promoted(nonce: int) -> TransactionsPromoted:
    """An event that is told apart by its nonce."""
    return TransactionsPromoted((legacy(Key(1), nonce),))


def nonces(events: list[TransactionsPromoted]) -> list[int]:
    """The nonces of such events."""
    return [event.transactions[0].nonce for event in events]


def test_a_feed_gets_its_kinds_in_order() -> None:
    """Other kinds do not come, and earlier events neither."""
    bus = EventBus()
    bus.publish(promoted(0))
    with bus.subscribe(TransactionsPromoted, capacity=8) as feed:
        bus.publish(promoted(1))
        bus.publish(TransactionsQueued((legacy(Key(1), 2),)))
        bus.publish(promoted(3))

        assert nonces(feed.drain()) == [1, 3]
        assert feed.drain() == []


def test_a_slow_reader_loses_its_oldest_and_another_loses_nothing() -> None:
    """Each feed has its own bound; `lost` adds up."""
    bus = EventBus()
    with (
        bus.subscribe(TransactionsPromoted, capacity=2) as slow,
        bus.subscribe(TransactionsPromoted, capacity=9) as fast,
    ):
        for nonce in range(5):
            bus.publish(promoted(nonce))

        assert nonces(slow.drain()) == [3, 4]
        assert (slow.lost, fast.lost) == (3, 0)
        assert nonces(fast.drain()) == [0, 1, 2, 3, 4]


def test_who_asked_for_it_is_told_of_a_loss_before_the_next_event() -> None:
    """The mark stands where the lost events would have, once for each loss."""
    bus = EventBus()
    feed: Feed[Event] = bus.subscribe(TransactionsPromoted, Resync, capacity=2)
    with feed:
        for nonce in range(3):
            bus.publish(promoted(nonce))
        first = feed.drain()
        bus.publish(promoted(3))
        second = feed.drain()

    assert [type(event) for event in first] == [Resync, TransactionsPromoted, TransactionsPromoted]
    assert first[0] == Resync(1)
    assert [type(event) for event in second] == [TransactionsPromoted]


def test_an_ended_feed_gets_nothing_more() -> None:
    """Leaving the block ends it, also for the bus, and a second end is no error."""
    bus = EventBus()
    with bus.subscribe(TransactionsPromoted, TransactionsQueued, capacity=2) as feed:
        pass
    bus.drop(feed)
    bus.publish(promoted(0))

    assert feed.drain() == []
    assert bus.readers == 0


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_feed_without_room_is_a_mistake(capacity: int) -> None:
    """Nothing could ever be read from it."""
    with pytest.raises(ValueError, match="room for one event"):
        EventBus().subscribe(TransactionsPromoted, capacity=capacity)


async def test_reading_waits_for_the_next_event() -> None:
    """The loop goes on as soon as something is published, and takes all that is there."""
    bus = EventBus()
    seen: list[int] = []

    async def read() -> None:
        with bus.subscribe(TransactionsPromoted, capacity=4) as feed:
            async for event in feed:
                seen.extend(nonces([event]))

    reading = asyncio.create_task(read())
    await until(lambda: bus.readers == 1)
    bus.publish(promoted(0))
    bus.publish(promoted(1))
    await until(lambda: len(seen) == 2)
    bus.publish(promoted(2))
    await until(lambda: len(seen) == 3)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert seen == [0, 1, 2]
    assert bus.readers == 0


async def test_waiting_with_a_deadline_says_whether_something_came() -> None:
    """It stays in the feed; an empty feed answers no after the time."""
    bus = EventBus()
    with bus.subscribe(TransactionsPromoted, capacity=4) as feed:
        nothing = await feed.wait_next(0.001)
        bus.publish(promoted(0))
        something = await feed.wait_next(10.0)

        assert (nothing, something) == (False, True)
        assert nonces(feed.drain()) == [0]
