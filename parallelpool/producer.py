"""
Seals blocks on the embedded chain.

In: the planner's offer. Out: a stored block. One block at a time; when to seal is the sealing mode's
decision: `batch` (enough executable transactions wait, or the first has waited long enough), `instant`,
`interval`, or `manual`. The head's news travel by the chain's event.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from parallelpool.batching import Batches, Offer
from parallelpool.chain import Block, BlockAttributes, BuiltBlock, EmbeddedChain, Header, StorageFailure
from parallelpool.events import EventBus, HeadChanged, TransactionsPromoted
from parallelpool.execution import Execution, Executor, summary
from parallelpool.transaction import Transaction, keccak256

log = structlog.get_logger("parallelpool.producer")

RETRY_S: Final = 1.0
"""Between two attempts to seal where the store fails."""


class UnknownBatch(Exception):
    """A batch id that is not on offer (any more): head or pool have moved on."""

    def __init__(self, batch_id: bytes) -> None:
        super().__init__(f"unknown batch 0x{batch_id.hex()}")
        self.batch_id = batch_id


@dataclass(frozen=True, slots=True)
class SealingPolicy:
    """When blocks are sealed and what they say."""

    mode: str
    """`batch`, `instant`, `interval` or `manual`."""
    period_s: float
    """Time between blocks in mode `interval`."""
    patience_s: float = 0.5
    """In mode `batch`: longest wait of the first executable transaction."""
    beneficiary: bytes = bytes(20)
    gas_limit: int = 60_000_000
    """Wanted gas limit; each block moves towards it by at most 1/1024."""
    extra_data: bytes = b""


@dataclass(frozen=True, slots=True)
class ProducerStatistics:
    """Counters since the start."""

    blocks: int
    total_processed: int
    """Transactions put into blocks."""
    successfully_batched: int
    """Those of them that stood in a parallel batch and needed one execution."""
    last_execution: Execution | None


class Producer:
    """Makes blocks from the planner's offers; `run` follows the sealing mode until cancelled."""

    def __init__(
        self,
        chain: EmbeddedChain,
        batches: Batches,
        executor: Executor,
        events: EventBus,
        policy: SealingPolicy,
        *,
        executable: Callable[[], int],
        best: Callable[[int | None], Iterator[Transaction]],
        settle: Callable[[Header], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        `executable` says how many transactions of the pool are executable, `best` gives those that pay a base fee,
        best tips first; `settle` brings the pool to a new head at once, so that the next block is not built from
        what this one mined.
        """
        self._chain = chain
        self._batches = batches
        self._executor = executor
        self._events = events
        self._policy = policy
        self._executable = executable
        self._best = best
        self._settle = settle
        self._clock = clock
        self._sealing = asyncio.Lock()
        self._blocks = 0
        self._processed = 0
        self._batched = 0
        self._last: Execution | None = None
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why the newest attempt to seal came to nothing: the store cannot be read or written."""
        return self._failure

    # -- sealing

    async def seal(self) -> Header:
        """Seals one block from the pool now, an empty one if nothing is executable."""
        header = await self._seal_offer(allow_empty=True)
        assert header is not None, "an empty block is allowed here"
        return header

    async def execute_batches(
        self, batch_ids: Sequence[bytes] | None, /, *, dry_run: bool, compare: bool
    ) -> Execution:
        """
        Executes the named batches of the current offer (`None`: all) as the next block.

        Their order in the block is that of the plan. Raises UnknownBatch; CoreDivergence where a comparison
        fails, and then nothing is stored.
        """
        async with self._sealing:
            offer = await self._batches.current()
            candidates = _members(offer, batch_ids)
            attributes = self.attributes(self._chain.head())
            serial: BuiltBlock | None = None
            if compare:
                built, serial = await self._executor.execute_and_compare(attributes, candidates)
            else:
                built = await self._executor.execute(attributes, candidates, mode="parallel")
            stored = not dry_run and bool(built.block.transactions)
            if stored:
                began = time.perf_counter()
                await self._chain.commit(built)
                self._follow(built, offer, began)
            execution = summary(built, stored=stored, serial=serial)
            if stored:
                self._last = execution
            return execution

    async def submit_block(self, raw: bytes, /) -> Block:
        """
        Puts a block that was made elsewhere on the head, in turn with our own. Raises BlockRefused.

        `raw` is the block's RLP; its parent must be the head. Its transactions need not be in the pool.
        """
        async with self._sealing:
            block = await self._executor.import_block(raw)
            self._settle(block.header)
            log.info(
                "block submitted",
                number=block.header.number,
                hash="0x" + block.header.hash.hex(),
                txs=len(block.transactions),
                gas_used=block.header.gas_used,
            )
            return block

    async def run(self) -> None:
        """Seals by the policy until cancelled; where the store fails, nothing is lost and it is tried again."""
        while True:
            try:
                await self._follow_policy()
            except StorageFailure as error:
                log.error("block could not be sealed", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _follow_policy(self) -> None:
        match self._policy.mode:
            case "interval":
                await self._seal_at_intervals()
            case "instant":
                await self._seal_on_demand(patience_s=0.0, enough=1)
            case "batch":
                await self._seal_on_demand(patience_s=self._policy.patience_s, enough=None)
            case _:
                await asyncio.Event().wait()

    def statistics(self) -> ProducerStatistics:
        """Figures for people and metrics."""
        return ProducerStatistics(self._blocks, self._processed, self._batched, self._last)

    # -- the sealing modes

    async def _seal_at_intervals(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._policy.period_s
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due + self._policy.period_s, loop.time())
            await self._seal_offer(allow_empty=True)

    async def _seal_on_demand(self, *, patience_s: float, enough: int | None) -> None:
        """
        Seals when `enough` transactions are executable, or the first has waited `patience_s`.

        What could not be included (fee cap under the base fee, say) waits for the next event instead of
        being tried in a loop.
        """
        loop = asyncio.get_running_loop()
        with self._events.subscribe(TransactionsPromoted, HeadChanged, capacity=64) as feed:
            if self._executable() > 0:
                await self._seal_offer(allow_empty=False)
            async for event in feed:
                if isinstance(event, HeadChanged) or self._executable() == 0:
                    continue
                deadline = loop.time() + patience_s
                wanted = enough if enough is not None else self._batches.batch_size
                while self._executable() < wanted and (left := deadline - loop.time()) > 0:
                    if not await feed.wait_next(left):
                        break
                    feed.drain()
                while self._executable() > 0 and await self._seal_offer(allow_empty=False) is not None:
                    pass

    async def _seal_offer(self, *, allow_empty: bool) -> Header | None:
        try:
            header = await self._seal_next(allow_empty=allow_empty)
        except StorageFailure as error:
            self._failure = str(error)
            raise
        if header is not None:
            self._failure = None
        return header

    async def _seal_next(self, *, allow_empty: bool) -> Header | None:
        async with self._sealing:
            offer: Offer | None = None
            candidates = self._candidates()
            if len(candidates) > 1:
                offer = await self._batches.current()
                candidates = offer.execution_order
            if not candidates and not allow_empty:
                return None
            began = time.perf_counter()
            attributes = self.attributes(self._chain.head())
            built, is_stored = await self._executor.seal(attributes, candidates, allow_empty=allow_empty)
            if not is_stored:
                return None
            self._follow(built, offer, began)
            self._last = summary(built, stored=True)
            return built.block.header

    def _candidates(self) -> list[Transaction]:
        """The first two that a block would take: with fewer there is nothing to arrange, and no plan is needed."""
        return list(islice(self._best(self._chain.next_base_fee()), 2))

    # -- parts

    def attributes(self, parent: Header) -> BlockAttributes:
        """
        The next block's free fields.

        The timestamp is the wall clock's, and always past the parent's. The randomness is derived, so that the
        same chain gives the same blocks.
        """
        timestamp = max(int(self._clock()), parent.timestamp + 1)
        return BlockAttributes(
            timestamp=timestamp,
            beneficiary=self._policy.beneficiary,
            prev_randao=keccak256(parent.hash + timestamp.to_bytes(8, "big")),
            gas_limit=self._chain.next_gas_limit(self._policy.gas_limit, timestamp),
            extra_data=self._policy.extra_data,
            parent_beacon_block_root=bytes(32),
        )

    def _follow(self, built: BuiltBlock, offer: Offer | None, began: float) -> None:
        """Takes the pool to a block that was stored; `began` is when its making did (`time.perf_counter`)."""
        header = built.block.header
        self._settle(header)
        self._count(built, offer)
        log.info(
            "block sealed",
            number=header.number,
            hash="0x" + header.hash.hex(),
            txs=len(built.block.transactions),
            left_out=len(built.left_out),
            gas_used=header.gas_used,
            executions=built.statistics.executions,
            conflicts=built.statistics.conflicts,
            execution_ms=round(built.statistics.elapsed_ns / 1e6, 3),
            sealing_ms=round((time.perf_counter() - began) * 1e3, 3),
        )

    def _count(self, built: BuiltBlock, offer: Offer | None) -> None:
        self._blocks += 1
        self._processed += len(built.block.transactions)
        if offer is None:
            return  # a transaction alone stands in no parallel batch
        self._batches.observe(offer, built)
        runs = built.statistics.executions_per_transaction
        parallel = offer.parallelizable
        self._batched += sum(
            1
            for tx, executions in zip(built.block.transactions, runs, strict=True)
            if executions == 1 and tx.hash in parallel
        )


def _members(offer: Offer, batch_ids: Sequence[bytes] | None) -> list[Transaction]:
    """Transactions of the named batches in the plan's order. Raises UnknownBatch."""
    if batch_ids is None:
        return offer.execution_order
    on_offer = {batch.batch_id for batch in offer.plan.batches}
    for batch_id in batch_ids:
        if batch_id not in on_offer:
            raise UnknownBatch(batch_id)
    wanted = set(batch_ids)
    return [
        offer.candidates[index]
        for batch in offer.plan.batches
        if batch.batch_id in wanted
        for index in batch.members
    ]
