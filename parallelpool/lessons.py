"""
What blocks teach about calls: templates of what calls of one code and selector access.

In: new heads. Out: engine templates that know more, in the data directory too. Only transactions that made it into a
block teach, so nobody turns or flushes templates for free. Runs that are needed for it are paid from the CPU share of
work ahead of need; templates are hints like everything that predicts.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from parallelpool.access import CpuShare
from parallelpool.chain import CoreError, Header, PredictionStatistics, StateUnavailable
from parallelpool.engine import EngineBusy
from parallelpool.events import EventBus, HeadChanged

log = structlog.get_logger("parallelpool.lessons")

__all__ = ["TEMPLATES_FILE", "Lessons"]

TEMPLATES_FILE: Final = "templates"
"""In the data directory."""

BLOCK_GAS: Final = 30_000_000
"""Gas of runs that do nothing but teach, for one block."""

PATIENCE_MS: Final = 20
"""After which no more such runs begin."""

BLOCKS_BEHIND: Final = 8
"""Newest blocks that are learned from when heads come faster than lessons."""

SAVE_EVERY_S: Final = 300.0


class LessonSource(Protocol):
    """The part of the chain that learns."""

    def head(self) -> Header: ...
    async def learn_from(self, number: int, gas: int, patience_ms: int, /) -> int: ...
    async def load_templates(self, path: Path, /) -> int: ...
    async def save_templates(self, path: Path, /) -> None: ...
    def prediction_statistics(self) -> PredictionStatistics: ...


class Lessons:
    """Learns from each new head, and keeps what was learned in a file. Touched from the event loop."""

    def __init__(
        self,
        source: LessonSource,
        budget: CpuShare,
        file: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`file` of `None`: what is learned ends with the daemon."""
        self._source = source
        self._budget = budget
        self._file = file
        self._clock = clock
        self._learned_to = source.head().number
        self._saved_at = clock()
        self._saved_lessons = 0

    async def load(self) -> None:
        """Takes over what an earlier daemon learned. A file that makes no sense is told of and passed over."""
        if self._file is None:
            return
        try:
            count = await self._source.load_templates(self._file)
        except CoreError as error:
            log.warning("what was learned about calls could not be read", error=str(error))
        else:
            log.debug("learned about calls before", templates=count)
        self._saved_lessons = self._source.prediction_statistics().lessons

    async def save(self) -> None:
        """Leaves what was learned to the next daemon; if that fails, it is learned again."""
        lessons = self._source.prediction_statistics().lessons
        if self._file is None or lessons == self._saved_lessons:
            return
        self._saved_at, self._saved_lessons = self._clock(), lessons
        try:
            await self._source.save_templates(self._file)
        except CoreError as error:
            log.warning("what was learned about calls could not be written", error=str(error))

    async def run(self, events: EventBus) -> None:
        """Learns from new heads until cancelled."""
        with events.subscribe(HeadChanged, capacity=1) as feed:
            while True:
                await feed.next()
                try:
                    await self.learn()
                    if self._clock() >= self._saved_at + SAVE_EVERY_S:
                        await self.save()
                except EngineBusy:
                    log.debug("no room for lessons")

    async def learn(self) -> None:
        """Learns from the blocks since the last time, at most the `BLOCKS_BEHIND` newest."""
        head = self._source.head().number
        first = max(min(self._learned_to, head - 1) + 1, head - BLOCKS_BEHIND + 1, 1)
        for number in range(first, head + 1):
            gas = BLOCK_GAS if self._budget.wait_s() == 0 else 0
            try:
                await self._source.learn_from(number, gas, PATIENCE_MS)
            except StateUnavailable:
                log.debug("the state before the block is not kept", number=number)
            self._budget.pay(self._source.prediction_statistics().busy_ns / 1e9)
        self._learned_to = head
