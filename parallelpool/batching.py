"""
From pending transactions to batches that may run side by side.

In: the pool's news and the access sets of its transactions. Out: an `Offer`: candidates in execution order and the
plan that arranges them. The engine's builder holds the executable transactions and is kept by what changed; the
set is chosen first, best tips first under the caller's budget, and batching only arranges it. Batches order work
and never decide correctness: the executor validates every read.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Protocol, Self, TypeAlias

from parallelpool._core import (
    AdaptiveSize,
    Batch,
    BatchBuilder,
    BatchPlan,
    BatchVerification,
    find_conflicts,
    verify_batch,
)
from parallelpool.access import AccessBook, AccessSet, rest_after
from parallelpool.chain import BuiltBlock, CallRequest, CoreChain, Header
from parallelpool.engine import Lane
from parallelpool.events import (
    EventBus,
    HeadChanged,
    Resync,
    TransactionAdmitted,
    TransactionDropped,
    TransactionsPromoted,
    TransactionsQueued,
)
from parallelpool.transaction import PooledTransaction, Transaction

__all__ = [
    "Batch",
    "BatchFigures",
    "BatchPlan",
    "BatchVerification",
    "Batches",
    "Dependency",
    "HotSpot",
    "Offer",
    "OfferedBatch",
    "Selection",
    "TxBatch",
    "Verdict",
]

MIN_BATCH_SIZE = 64
MAX_BATCH_SIZE = 256
"""Bounds of the number of transactions that closes a batch."""

REPLAN_S = 0.1
"""Shortest time between two plans that nobody asked for."""

LONGEST_REST_S = 10.0
"""Longest time between them while transactions keep coming: such a plan is for figures alone."""

VERDICT_LIMIT = 1_024
"""Pending transactions that a verdict compares with, best tips first."""

NEWS_WAITING = 65_536
"""Events of the pool between two plans; beyond, the pool is read anew."""

NEWS_AT_ONCE = 300
"""Events that are taken over before others get a turn: some milliseconds."""

NEWS_S = 0.5
"""Longest time for which they wait."""

PLANS_AT_MOST = 8
"""Plans of one offer: what was chosen may have left meanwhile, or its accesses be other ones than was thought."""

REMEMBERED_BATCHES = 4_096
"""Batches that can be asked for by their id after they were offered, the latest."""

Strategy: TypeAlias = Literal["tip", "width", "latency", "fifo"]
"""Which come first; all but `fifo` choose by tip and differ in how they arrange what was chosen."""

Conflict: TypeAlias = tuple[bytes, bytes, str, bytes | None, str, str]
"""As `_core.find_conflicts`: (hash of the other, address, field, slot, kind there, kind here)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the caller wants to be offered; `None` and empty mean no bound."""

    base_fee: int | None = None
    """Wei per gas that tips are counted at; default: the next block's."""
    max_gas: int | None = None
    """Declared gas of all candidates; default: the head's gas limit."""
    max_blob_gas: int | None = None
    max_bytes: int | None = None
    max_transactions: int | None = None
    min_tip: int | None = None
    """Wei per gas."""
    batch_size: int | None = None
    min_batch_size: int | None = None
    strategy: Strategy = "tip"
    beneficiary: bytes | None = None
    """Who earns the fees of the block that is made of it; default: this daemon's own."""
    senders: frozenset[bytes] = frozenset()
    exclude_transactions: frozenset[bytes] = frozenset()
    """Hashes of what stays back, and with it its sender's later nonces: what others have leased."""
    exclude_addresses: frozenset[bytes] = frozenset()
    """Candidates that touch one of these accounts stay back."""
    exclude_locations: frozenset[tuple[bytes, bytes]] = frozenset()
    """Candidates that touch one of these (account, slot) stay back."""


@dataclass(frozen=True, slots=True)
class TxBatch:
    """Transactions of one batch, with the id that follows from its content."""

    batch_id: bytes
    """keccak256(rlp([version, chainId, parentHash, kind, [txHash...]]))."""
    kind: str
    """`parallel`: any order gives the same. `sequential`: one by one, in this order."""
    transactions: tuple[Transaction, ...]

    @property
    def batchId(self) -> bytes:  # noqa: N802 - the original interface's name
        """The same as `batch_id`, under the original's name."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan over candidates, of one state of head and pool."""

    parent: Header
    candidates: tuple[Transaction, ...]
    """In execution order; the plan's indices point here."""
    access_sets: tuple[AccessSet, ...]
    plan: BatchPlan
    sequence: int
    """Snapshot counter of the pool."""
    withheld: bool
    """More exists, but the selection's budget or exclusions kept it back."""

    @property
    def batches(self) -> tuple[TxBatch, ...]:
        """The plan's batches with their transactions."""
        return tuple(
            TxBatch(batch.batch_id, batch.kind, tuple(self.candidates[index] for index in batch.members))
            for batch in self.plan.batches
        )

    @property
    def execution_order(self) -> list[Transaction]:
        """All candidates, batch after batch."""
        return [self.candidates[index] for batch in self.plan.batches for index in batch.members]

    @property
    def parallelizable(self) -> frozenset[bytes]:
        """Hashes of the candidates that stand in parallel batches."""
        hashes = self.plan.candidates
        return frozenset(
            hashes[index]
            for batch in self.plan.batches
            if batch.kind == "parallel"
            for index in batch.members
        )


@dataclass(frozen=True, slots=True)
class OfferedBatch:
    """A batch that was offered, without the rest of its offer: many are remembered."""

    parent: Header
    """The head that it was offered on."""
    batch: Batch
    """As the engine made it; its indices point into an offer that may be gone."""
    transactions: tuple[Transaction, ...]
    """Its members, in its order."""

    @classmethod
    def of(cls, offer: Offer, index: int) -> Self:
        """The batch of that place in the offer's plan."""
        batch = offer.plan.batches[index]
        return cls(offer.parent, batch, tuple(map(offer.candidates.__getitem__, batch.members)))


@dataclass(frozen=True, slots=True)
class HotSpot:
    """A location, or a whole account, at which pending transactions must keep an order."""

    address: bytes
    field: str | None
    """`nonce`, `balance`, `code` or `storage`; `None` for a whole account."""
    slot: bytes | None
    readers: int
    changers: int
    """Transactions that credit or debit without looking."""
    writers: int
    queue: int
    """All of them."""
    waiting_gas: int
    """Sum of their predicted gas."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A pending transaction that must come before another, with one reason."""

    hash: bytes
    address: bytes
    field: str
    slot: bytes | None
    kind_there: str
    kind_here: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a transaction stands against what is pending."""

    access_set: AccessSet
    conflicts: tuple[Conflict, ...]
    compared_with: int
    is_sequential: bool
    """The sender asks for sequential execution by its tag."""

    @property
    def is_parallelizable(self) -> bool:
        """Known accesses, not tagged SEQUENTIAL, and no conflict with another sender's pending transaction."""
        return self.access_set.is_known and not self.conflicts and not self.is_sequential


@dataclass(frozen=True, slots=True)
class BatchFigures:
    """The batches on offer now."""

    batch_size: int = MIN_BATCH_SIZE
    """Configured size."""
    batches: int = 0
    parallel_batches: int = 0
    parallelizable: int = 0
    """Pending transactions in parallel batches."""
    sequential: int = 0
    """Pending transactions in sequential batches."""
    unknown: int = 0
    """Pending transactions without a known access set."""
    largest_batch: int = 0


class PoolView(Container[bytes], Protocol):
    """The part of the pool that candidates come from; contains the hashes of its transactions."""

    @property
    def sequence(self) -> int: ...
    def pending_best(self, base_fee: int | None, /) -> Iterator[Transaction]: ...
    def pooled(self) -> list[PooledTransaction]: ...
    def missing(self, hashes: Sequence[bytes], /) -> list[bytes]: ...


class ChainView(Protocol):
    """The part of the chain that plans depend on."""

    @property
    def core(self) -> CoreChain: ...
    def head(self) -> Header: ...
    def next_base_fee(self, number: int | None = None, /) -> int | None: ...


class _Mirror:
    """
    The engine's builder, kept in step with the pool by its events.

    Between `begin` and the next one nothing changes. Where events were lost, the pool is read anew.
    """

    def __init__(self, chain: ChainView, pool: PoolView, events: EventBus) -> None:
        self._chain = chain
        self._pool = pool
        self._news = events.subscribe(
            TransactionAdmitted,
            TransactionsPromoted,
            TransactionsQueued,
            TransactionDropped,
            Resync,
            capacity=NEWS_WAITING,
        )
        self._is_stale = True
        self._head: bytes | None = None
        self._arrivals: dict[bytes, int] = {}
        self._next = 1
        self.builder = BatchBuilder()
        self.transactions: dict[bytes, Transaction] = {}
        """By hash: what the builder holds."""

    def catch_up(self, most: int | None = None) -> bool:
        """Takes over what has happened to pool and head, `most` events; whether there may be more."""
        removed: dict[bytes, None] = {}
        added: dict[bytes, Transaction] = {}
        events = list(islice(iter(self._news.next_nowait, None), most))
        for event in events:
            match event:
                case Resync():
                    self._is_stale = True
                case TransactionAdmitted(pooled):
                    self._arrivals[pooled.hash] = pooled.arrival
                case TransactionsPromoted(transactions):
                    added.update((tx.hash, tx) for tx in transactions)
                case TransactionsQueued(transactions):
                    for tx in transactions:
                        added.pop(tx.hash, None)
                        removed[tx.hash] = None
                case TransactionDropped(departure):
                    added.pop(departure.hash, None)
                    removed[departure.hash] = None
                    self._arrivals.pop(departure.hash, None)
        if self._is_stale:
            self._read_anew()
        else:
            self._take(removed, added)
        head = self._chain.head().hash
        if head != self._head:
            self.builder.change_head(self._next, base_fee=self._chain.next_base_fee())
            self._next += 1
            self._head = head
        return len(events) == most

    async def learn(self, access_sets: Sequence[AccessSet], lane: Lane) -> bool:
        """Takes access sets over; whether any of them says something new. Nothing else may change meanwhile."""
        number, self._next = self._next, self._next + 1
        try:
            return await lane.run(self.builder.apply, number, access_sets=access_sets) > 0
        except BaseException:
            # Nobody knows whether they were taken over, or still will be.
            self._is_stale = True
            raise

    def drop(self, hashes: Sequence[bytes]) -> None:
        """Takes out what the pool no longer has, though its news are still on their way."""
        self._take(dict.fromkeys(hashes), {})

    def _take(self, removed: dict[bytes, None], added: dict[bytes, Transaction]) -> None:
        gone = [tx_hash for tx_hash in removed if self.transactions.pop(tx_hash, None) is not None]
        new = {tx_hash: tx for tx_hash, tx in added.items() if tx_hash not in self.transactions}
        if not gone and not new:
            return
        # One without a known arrival was admitted before the others of its delta were.
        additions = [(tx, self._arrivals.get(tx_hash, 0), None) for tx_hash, tx in new.items()]
        self.builder.apply(self._next, removed=gone, added=additions)
        self._next += 1
        self.transactions.update(new)

    def _read_anew(self) -> None:
        self.builder, self._next, self._head = BatchBuilder(), 1, None
        self.transactions = {}
        self._arrivals = {pooled.hash: pooled.arrival for pooled in self._pool.pooled()}
        self._take({}, {tx.hash: tx for tx in self._pool.pending_best(None)})
        self._is_stale = False


class Batches:
    """Builds offers. Touched from the event loop; the engine plans on the hints lane."""

    def __init__(
        self,
        chain: ChainView,
        pool: PoolView,
        access: AccessBook,
        lane: Lane,
        events: EventBus,
        *,
        batch_size: int,
        min_batch_size: int,
        beneficiary: bytes,
        adaptive: bool = False,
    ) -> None:
        """`adaptive`: the batch size begins at `batch_size` and follows what `observe` is told."""
        self._chain = chain
        self._beneficiary = beneficiary
        self._pool = pool
        self._access = access
        self._lane = lane
        self._batch_size = batch_size
        self._min_batch_size = min_batch_size
        self._adaptive = AdaptiveSize(batch_size) if adaptive else None
        self._unobserved: tuple[BatchPlan, BuiltBlock] | None = None
        self._planning = asyncio.Lock()
        self._mirror = _Mirror(chain, pool, events)
        self._last: tuple[tuple[bytes, int, int], Offer] | None = None
        self._offered: OrderedDict[bytes, OfferedBatch] = OrderedDict()

    @property
    def batch_size(self) -> int:
        """Transactions that close a batch."""
        return self._batch_size

    def set_batch_size(self, transactions: int, /) -> None:
        """Raises ValueError outside 64..256. Where the size is adaptive, it goes on from there."""
        if not MIN_BATCH_SIZE <= transactions <= MAX_BATCH_SIZE:
            raise ValueError(
                f"batch size must be from {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE}, got {transactions}"
            )
        self._batch_size = transactions
        if self._adaptive is not None:
            self._adaptive = AdaptiveSize(transactions)
            self._unobserved = None

    def observe(self, offer: Offer, built: BuiltBlock, /) -> None:
        """
        What became of an offer as a block; an adaptive batch size follows it with the next plan.

        A serial execution throws nothing away, so it says nothing about predictions.
        """
        if self._adaptive is not None and built.statistics.parallel:
            self._unobserved = (offer.plan, built)

    async def current(self, selection: Selection | None = None, /) -> Offer:
        """
        The batches of the pool on the head, best tips first.

        The offer for the default selection is kept until head, pool or batch size change.
        """
        async with self._planning:
            await self._adapt()
            if selection is not None and selection != Selection():
                return await self._plan(selection)
            key = (self._chain.head().hash, self._pool.sequence, self._batch_size)
            if self._last is None or self._last[0] != key:
                self._last = (key, await self._plan(Selection()))
            return self._last[1]

    async def run(self, events: EventBus) -> None:
        """
        Keeps the default offer up to date until cancelled, and the access book free of what has left the pool.

        So that figures are of now, and access sets are there before somebody asks for batches. Changes that
        come close together are planned once.
        """
        with events.subscribe(TransactionsPromoted, TransactionDropped, HeadChanged, capacity=1) as feed:
            while True:
                began = time.monotonic()
                await self.current()
                self._access.keep_only(self._pool)
                took_s = time.monotonic() - began
                await feed.next()
                await self._rest(rest_after(took_s, REPLAN_S, LONGEST_REST_S))
                feed.drain()

    async def _rest(self, seconds: float) -> None:
        """Takes over news meanwhile: they would pile up, and beyond `NEWS_WAITING` get lost."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, NEWS_S))
            async with self._planning:
                await self._catch_up()

    async def verdict(self, subject: Transaction | CallRequest, /) -> Verdict:
        """Pre-executes the subject on the head and compares it with the best pending transactions of others."""
        access_set = await self._access.of_message(subject)
        sender = subject.sender if isinstance(subject, Transaction) else None
        others: list[Transaction] = []
        for tx in self._pool.pending_best(self._chain.next_base_fee()):
            if len(others) == VERDICT_LIMIT:
                break
            if tx.hash != access_set.hash and tx.sender != sender:
                others.append(tx)
        access_sets = await self._access.of(others)
        conflicts = find_conflicts(access_sets, access_set)
        is_sequential = isinstance(subject, Transaction) and subject.tag == "SEQUENTIAL"
        return Verdict(access_set, tuple(conflicts), len(others), is_sequential)

    def figures(self) -> BatchFigures:
        """The default offer as it was planned last."""
        if self._last is None:
            return BatchFigures(batch_size=self._batch_size)
        offer = self._last[1]
        sizes = [len(batch.members) for batch in offer.plan.batches]
        parallelizable = len(offer.parallelizable)
        return BatchFigures(
            batch_size=self._batch_size,
            batches=len(sizes),
            parallel_batches=sum(1 for batch in offer.plan.batches if batch.kind == "parallel"),
            parallelizable=parallelizable,
            sequential=len(offer.candidates) - parallelizable,
            unknown=sum(1 for access_set in offer.access_sets if not access_set.is_known),
            largest_batch=max(sizes, default=0),
        )

    # -- questions about what is pending or was offered

    def find(self, batch_id: bytes, /) -> OfferedBatch | None:
        """A batch that was offered lately, still on offer or not."""
        return self._offered.get(batch_id)

    def containing(self, tx_hash: bytes, /) -> OfferedBatch | None:
        """The batch of the present default offer that a transaction stands in."""
        if self._last is None:
            return None
        offer = self._last[1]
        try:
            candidate = offer.plan.candidates.index(tx_hash)
        except ValueError:
            return None
        homes = (index for index, batch in enumerate(offer.plan.batches) if candidate in batch.members)
        return OfferedBatch.of(offer, next(homes))

    async def hottest(self, limit: int, /, *, by: Literal["address", "slot"]) -> tuple[HotSpot, ...]:
        """Where most pending transactions must keep an order, most first. Access sets are those of the last offers."""
        await self.current()
        spots = await self._lane.run(self._mirror.builder.hottest, limit, by=by)
        return tuple(HotSpot(*spot) for spot in spots)

    async def dependencies(self, tx_hash: bytes, limit: int, /) -> tuple[Dependency, ...] | None:
        """
        Better paid pending transactions that this one must follow, the nearest first.

        `None` if it is not executable or cannot pay the base fee.
        """
        await self.current()
        found = await self._lane.run(self._mirror.builder.dependencies, tx_hash, limit)
        return None if found is None else tuple(Dependency(*edge) for edge in found)

    async def verify(
        self,
        transactions: Sequence[Transaction],
        /,
        *,
        beneficiary: bytes | None = None,
        orders: int = 4,
        seed: int = 0,
        gas_cap: int | None = None,
    ) -> BatchVerification:
        """
        Holds transactions against the promise of a parallel batch, on the head.

        `gas_cap` bounds their declared gas; default: the head's gas limit. Raises CoreInvalidArgument above it,
        and for a transaction that is there twice.
        """
        return await self._lane.run(
            verify_batch,
            self._chain.core,
            self._beneficiary if beneficiary is None else beneficiary,
            transactions,
            orders=orders,
            seed=seed,
            gas_cap=self._chain.head().gas_limit if gas_cap is None else gas_cap,
        )

    # -- planning

    async def _adapt(self) -> None:
        adaptive, observed = self._adaptive, self._unobserved
        if adaptive is None or observed is None:
            return
        self._unobserved = None
        size = await self._lane.run(adaptive.observe, *observed)
        # An operator may have set another one meanwhile.
        if adaptive is self._adaptive:
            self._batch_size = size

    async def _plan(self, selection: Selection) -> Offer:
        await self._catch_up()
        parent, sequence = self._chain.head(), self._pool.sequence
        self._mirror.catch_up()
        has_exclusions = bool(selection.exclude_addresses or selection.exclude_locations)
        # Who touches what is known once access sets are there, so exclusions come second.
        wanted = replace(selection, exclude_addresses=frozenset(), exclude_locations=frozenset())
        plan, chosen, access_sets = await self._build_with_access(wanted, parent)
        if has_exclusions:
            plan, chosen, access_sets = await self._build_with_access(selection, parent)
        offer = Offer(parent, chosen, access_sets, plan, sequence, plan.withheld)
        self._remember(offer)
        return offer

    async def _catch_up(self) -> None:
        """Takes over most news, with turns for others between."""
        has_more = True
        while has_more:
            has_more = self._mirror.catch_up(NEWS_AT_ONCE)
            await asyncio.sleep(0)

    async def _build_with_access(
        self, selection: Selection, parent: Header
    ) -> tuple[BatchPlan, tuple[Transaction, ...], tuple[AccessSet, ...]]:
        """
        A plan of which every candidate is pooled and has its access set of this head.

        Heads that come faster than plans end it with what there is: the executor validates all of it.
        """
        tries = PLANS_AT_MOST
        while True:
            tries -= 1
            plan = await self._build(selection, parent)
            gone = self._pool.missing(plan.candidates)
            if gone and tries:
                self._mirror.drop(gone)
                continue
            chosen = tuple(map(self._mirror.transactions.__getitem__, plan.candidates))
            access_sets = tuple(await self._access.of(chosen))
            if not await self._mirror.learn(access_sets, self._lane) or not tries:
                return plan, chosen, access_sets

    async def _build(self, selection: Selection, parent: Header) -> BatchPlan:
        batch_size = selection.batch_size or self._batch_size
        return await self._lane.run(
            self._mirror.builder.build,
            self._chain.core,
            parent.hash,
            self._beneficiary if selection.beneficiary is None else selection.beneficiary,
            batch_size=batch_size,
            # A level is cut at the batch size, so a greater least size would leave no parallel batch.
            min_batch_size=min(selection.min_batch_size or self._min_batch_size, batch_size),
            strategy=selection.strategy,
            at_base_fee=selection.base_fee,
            max_gas=selection.max_gas if selection.max_gas is not None else parent.gas_limit,
            max_blob_gas=selection.max_blob_gas,
            max_bytes=selection.max_bytes,
            max_transactions=selection.max_transactions,
            min_tip=selection.min_tip or 0,
            senders=tuple(selection.senders),
            exclude_transactions=tuple(selection.exclude_transactions),
            exclude_addresses=tuple(selection.exclude_addresses),
            exclude_locations=tuple(selection.exclude_locations),
        )

    def _remember(self, offer: Offer) -> None:
        for index, batch in enumerate(offer.plan.batches):
            self._offered[batch.batch_id] = OfferedBatch.of(offer, index)
            self._offered.move_to_end(batch.batch_id)
        while len(self._offered) > REMEMBERED_BATCHES:
            self._offered.popitem(last=False)
