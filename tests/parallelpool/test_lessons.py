"""What blocks teach: when, from which, within which bounds, and what is left to the next daemon."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from parallelpool.access import CpuShare
from parallelpool.chain import CoreInvalidArgument, Header, PredictionStatistics, StateUnavailable
from parallelpool.engine import EngineBusy
from parallelpool.events import EventBus, HeadChanged
from parallelpool.lessons import BLOCK_GAS, BLOCKS_BEHIND, SAVE_EVERY_S, Lessons
from tests.deadline import until


@dataclass
class FixedChain:
    """A chain whose blocks each take a millisecond to learn from."""

    number: int = 0
    learned: list[tuple[int, int]] = field(default_factory=list)
    """Block and gas."""
    files: dict[Path, int] = field(default_factory=dict)
    """Lessons in each file."""
    lessons: int = 0
    busy_ns: int = 0
    failure: Exception | None = None

    def head(self) -> Header:
        """The head has a number and nothing else."""
        return cast("Header", SimpleNamespace(number=self.number))

    async def learn_from(self, number: int, gas: int, patience_ms: int, /) -> int:
        """Notes the call."""
        if self.failure is not None:
            raise self.failure
        self.learned.append((number, gas))
        self.lessons += 1
        self.busy_ns += 1_000_000
        return 1

    async def load_templates(self, path: Path, /) -> int:
        """Adds the file's lessons."""
        if self.failure is not None:
            raise self.failure
        self.lessons += self.files.get(path, 0)
        return self.files.get(path, 0)

    async def save_templates(self, path: Path, /) -> None:
        """Notes the lessons."""
        if self.failure is not None:
            raise self.failure
        self.files[path] = self.lessons

    def prediction_statistics(self) -> PredictionStatistics:
        """Lessons and time."""
        return cast("PredictionStatistics", SimpleNamespace(lessons=self.lessons, busy_ns=self.busy_ns))


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


FILE = Path("templates")


@dataclass
class Rig:
    """Lessons with a clock, one CPU, and half of it."""

    chain: FixedChain = field(default_factory=FixedChain)
    clock: Clock = field(default_factory=Clock)

    def lessons(self, file: Path | None = FILE) -> Lessons:
        """New lessons on the chain."""
        budget = CpuShare(0.5, cpus=1, clock=self.clock)
        return Lessons(self.chain, budget, file, clock=self.clock)


async def test_each_new_block_is_learned_from_once() -> None:
    """
    Blocks from before the start are not, those that came since the last time are, in order.
    """
    rig = Rig(FixedChain(number=7))
    lessons = rig.lessons()
    for head in (8, 11):
        rig.chain.number = head
        await lessons.learn()

    assert rig.chain.learned == [(number, BLOCK_GAS) for number in (8, 9, 10, 11)]


async def test_blocks_that_are_far_behind_are_passed_over() -> None:
    """
    A storm of blocks costs the newest few.
    """
    rig = Rig()
    lessons = rig.lessons()
    rig.chain.number = 1_000
    await lessons.learn()

    assert [number for number, _ in rig.chain.learned] == list(range(1_001 - BLOCKS_BEHIND, 1_001))


async def test_a_head_in_place_of_another_is_learned_from() -> None:
    """
    Also where the chain has become shorter; the block 0 teaches nothing.
    """
    rig = Rig()
    lessons = rig.lessons()
    for head in (3, 2, 0, 1):
        rig.chain.number = head
        await lessons.learn()

    assert [number for number, _ in rig.chain.learned] == [1, 2, 3, 2, 1]


async def test_without_cpu_time_left_nothing_runs_only_to_teach() -> None:
    """
    What ran anyway still teaches; when time has passed there is gas again.
    """
    rig = Rig()
    lessons = rig.lessons()
    rig.chain.busy_ns = 10**9
    for head, now in ((1, 0.0), (2, 0.0), (3, 60.0)):
        rig.chain.number, rig.clock.now = head, now
        await lessons.learn()

    assert rig.chain.learned == [(1, BLOCK_GAS), (2, 0), (3, BLOCK_GAS)]


async def test_a_state_that_is_not_kept_teaches_nothing_and_ends_nothing() -> None:
    """
    The next block is learned from again.
    """
    rig = Rig()
    lessons = rig.lessons()
    rig.chain.number, rig.chain.failure = 1, StateUnavailable("gone")
    await lessons.learn()
    rig.chain.number, rig.chain.failure = 2, None
    await lessons.learn()

    assert rig.chain.learned == [(2, BLOCK_GAS)]


async def test_lessons_are_saved_now_and_then_and_at_the_end() -> None:
    """
    After a head that comes when enough time has passed, and only if there is something new.
    """
    rig, events = Rig(), EventBus()
    lessons = rig.lessons()
    running = asyncio.create_task(lessons.run(events))
    try:
        await asyncio.sleep(0)
        for head, now in ((1, 1.0), (2, SAVE_EVERY_S), (3, SAVE_EVERY_S + 1)):
            rig.chain.number, rig.clock.now = head, now
            events.publish(HeadChanged(added=(rig.chain.head(),), removed=()))
            await until(lambda head=head: len(rig.chain.learned) == head, timeout_s=60)  # type: ignore[misc]
        assert rig.chain.files == {FILE: 2}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    await lessons.save()
    assert rig.chain.files == {FILE: 3}
    rig.chain.files.clear()
    await lessons.save()
    assert rig.chain.files == {}


async def test_a_full_lane_is_waited_out() -> None:
    """
    The blocks are learned from with the next head.
    """
    rig, events = Rig(), EventBus()
    running = asyncio.create_task(rig.lessons().run(events))
    try:
        await asyncio.sleep(0)
        rig.chain.number, rig.chain.failure = 1, EngineBusy("full")
        events.publish(HeadChanged(added=(rig.chain.head(),), removed=()))
        for _ in range(5):
            await asyncio.sleep(0)
        rig.chain.number, rig.chain.failure = 2, None
        events.publish(HeadChanged(added=(rig.chain.head(),), removed=()))
        await until(lambda: len(rig.chain.learned) == 2, timeout_s=60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert [number for number, _ in rig.chain.learned] == [1, 2]


async def test_what_was_loaded_is_not_written_again() -> None:
    """
    Neither is anything without a file.
    """
    rig = Rig()
    rig.chain.files[FILE] = 5
    lessons = rig.lessons()
    await lessons.load()
    rig.chain.files.clear()
    await lessons.save()
    homeless = rig.lessons(None)
    await homeless.load()
    rig.chain.lessons += 1
    await homeless.save()

    assert (rig.chain.lessons, rig.chain.files) == (6, {})


async def test_a_bad_file_is_told_of_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Neither one that cannot be read nor one that cannot be written.
    """
    rig = Rig()
    lessons = rig.lessons()
    rig.chain.failure = CoreInvalidArgument("templates holds no templates")
    await lessons.load()
    rig.chain.lessons = 3
    await lessons.save()

    assert rig.chain.files == {}
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("templates holds no templates") == 2
