"""
Keeps the pool in step with the chain and with time.

In: head changes and the clock. Out: the pool on the new head, mined transactions gone, those of abandoned blocks
taken back, silent senders' queues expired, the journal rewritten when it has grown. A head is handled as pool first,
then journal, then news; `parallelpool.admission` sees to that order.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from parallelpool.admission import Admission
from parallelpool.errors import JournalError
from parallelpool.events import EventBus, HeadChanged, Resync
from parallelpool.transaction import Header, Transaction
from parallelpool.validation import HeaderView

log = structlog.get_logger("parallelpool.maintain")

TICK_S: Final = 60.0
"""Between two looks at the lifetimes; geth's evictionInterval."""

RECOVERY_S: Final = 1.0
"""Between two attempts to make a failed journal whole, and between two syncs of a buffered one."""

MAX_REORG_DEPTH: Final = 64
"""Deeper reorgs take no transactions back; geth's limit."""

HEADS_WAITING: Final = 1_024
"""Head changes that may wait while a reorg's blocks are read."""


class BlockView(Protocol):
    """A block, as far as this module asks."""

    @property
    def transactions(self) -> Sequence[Transaction]: ...


class ChainSource(Protocol):
    """Where heads come from; `parallelpool.chain` implements it."""

    def head(self) -> HeaderView: ...
    async def block_by_hash(self, block_hash: bytes, /) -> BlockView | None: ...


class Maintenance:
    """`run` follows chain and clock until cancelled."""

    def __init__(
        self,
        chain: ChainSource,
        admission: Admission,
        events: EventBus,
        *,
        rejournal_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rejournal_s` is the greatest time between two rewrites of the journal."""
        self._chain = chain
        self._admission = admission
        self._events = events
        self._rejournal_s = rejournal_s
        self._clock = clock
        self._compacted_at = clock()

    def settle(self, header: Header | None = None) -> None:
        """
        Moves the pool to the head of the chain at once, if it is not there.

        For whoever made the head and builds the next block; reorgs go through `run`, which reads the blocks.
        """
        if not self._is_settled():
            self._admission.pool.reset()

    def _is_settled(self) -> bool:
        return self._admission.pool.head.hash == self._chain.head().hash

    async def run(self) -> None:
        """Follows heads and clock until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_heads())
            tasks.create_task(self._follow_clock())

    async def _follow_heads(self) -> None:
        with self._events.subscribe(HeadChanged, Resync, capacity=HEADS_WAITING) as feed:
            self.settle()
            async for event in feed:
                if isinstance(event, HeadChanged):
                    await self.move(event)
                elif isinstance(event, Resync):
                    log.warning("head changes were lost", lost=event.lost)
                    self.settle()

    async def move(self, event: HeadChanged) -> None:
        """Moves the pool to the head of the chain and takes back what the abandoned blocks held."""
        discarded = await self._discarded(event)
        if discarded:
            log.info("taking back transactions of abandoned blocks", transactions=len(discarded))
        elif self._is_settled():
            return
        for _ in self._admission.pool.resetting(discarded):
            await asyncio.sleep(0)

    async def _discarded(self, event: HeadChanged) -> list[Transaction]:
        """
        Transactions of the abandoned blocks that the new branch does not include.

        The newest block's come first, as in geth: which of two that exclude each other returns (EIP-7702) hangs on it.
        """
        if not event.removed or not event.added:
            return []  # a chain that was only cut back keeps nothing, as geth's setHead
        if abs(event.removed[-1].number - event.added[-1].number) > MAX_REORG_DEPTH:
            log.info("deep reorg takes no transactions back", depth=len(event.removed))
            return []
        discarded = await self._transactions(event.removed[::-1])
        included = {tx.hash for tx in await self._transactions(event.added)}
        return [tx for tx in discarded if tx.hash not in included]

    async def _transactions(self, headers: Sequence[Header]) -> list[Transaction]:
        found: list[Transaction] = []
        for header in headers:
            block = await self._chain.block_by_hash(header.hash)
            if block is None:
                log.warning("block of a reorg is not there", number=header.number, hash=header.hash)
                continue
            found.extend(block.transactions)
        return found

    async def _follow_clock(self) -> None:
        next_tick = self._clock() + TICK_S
        while True:
            await asyncio.sleep(RECOVERY_S)
            if self._clock() >= next_tick:
                next_tick = self._clock() + TICK_S
                self._admission.pool.tick()
            self._admission.sync()
            await self.keep_journal()

    async def keep_journal(self) -> None:
        """Rewrites the journal if it has grown, failed, or stood for long; a failure is told and tried again."""
        is_old = self._clock() - self._compacted_at >= self._rejournal_s
        if not is_old and not self._admission.wants_compaction():
            return
        try:
            await self._admission.compact()
        except JournalError as error:
            log.error("journal of the pool could not be rewritten", error=str(error))
        else:
            self._compacted_at = self._clock()
