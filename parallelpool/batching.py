"""
From pending transactions to batches that may run side by side.

In: the pool's best transactions and their access sets. Out: an `Offer`: candidates in execution order and the
plan that arranges them. The set is chosen first, best tips first under the caller's budget; batching only
arranges it. Batches order work and never decide correctness: the executor validates every read.
"""

import asyncio
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from parallelpool._core import Batch, BatchPlan, find_conflicts, plan_batches
from parallelpool.access import AccessBook, AccessSet
from parallelpool.chain import CallRequest, CoreChain, Header
from parallelpool.engine import Lane
from parallelpool.events import EventBus, HeadChanged, TransactionDropped, TransactionsPromoted
from parallelpool.transaction import Transaction

__all__ = ["Batch", "BatchFigures", "BatchPlan", "Batches", "Offer", "Selection", "TxBatch", "Verdict"]

MIN_BATCH_SIZE = 64
MAX_BATCH_SIZE = 256
"""Bounds of the number of transactions that closes a batch."""

REPLAN_S = 0.1
"""Shortest time between two plans that nobody asked for."""

VERDICT_LIMIT = 1_024
"""Pending transactions that a verdict compares with, best tips first."""

Conflict: TypeAlias = tuple[bytes, bytes, str, bytes | None, str, str]
"""As `_core.find_conflicts`: (hash of the other, address, field, slot, kind there, kind here)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the caller wants to be offered; `None` and empty mean no bound."""

    base_fee: int | None = None
    """Wei per gas that tips are counted at; default: the next block's."""
    max_gas: int | None = None
    """Declared gas of all candidates; default: the head's gas limit."""
    max_bytes: int | None = None
    max_transactions: int | None = None
    min_tip: int | None = None
    """Wei per gas."""
    batch_size: int | None = None
    min_batch_size: int | None = None
    senders: frozenset[bytes] = frozenset()
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
        return frozenset(
            self.candidates[index].hash
            for batch in self.plan.batches
            if batch.kind == "parallel"
            for index in batch.members
        )


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


class ChainView(Protocol):
    """The part of the chain that plans depend on."""

    @property
    def core(self) -> CoreChain: ...
    def head(self) -> Header: ...
    def next_base_fee(self, number: int | None = None, /) -> int | None: ...


@dataclass(slots=True)
class _Budget:
    """Counts down while candidates are chosen."""

    gas: int
    size: int | None
    transactions: int | None
    spent_senders: set[bytes] = field(default_factory=set)

    def take(self, tx: Transaction) -> bool:
        """Whether `tx` fits; if not, its sender's later nonces may not be taken either."""
        fits = (
            tx.sender not in self.spent_senders
            and tx.gas_limit <= self.gas
            and (self.size is None or tx.size <= self.size)
            and (self.transactions is None or self.transactions > 0)
        )
        if not fits:
            self.spent_senders.add(tx.sender)
            return False
        self.gas -= tx.gas_limit
        if self.size is not None:
            self.size -= tx.size
        if self.transactions is not None:
            self.transactions -= 1
        return True


class Batches:
    """Builds offers. Touched from the event loop; the engine plans on the hints lane."""

    def __init__(
        self,
        chain: ChainView,
        pool: PoolView,
        access: AccessBook,
        lane: Lane,
        *,
        batch_size: int,
        min_batch_size: int,
        beneficiary: bytes,
    ) -> None:
        self._chain = chain
        self._beneficiary = beneficiary
        self._pool = pool
        self._access = access
        self._lane = lane
        self._batch_size = batch_size
        self._min_batch_size = min_batch_size
        self._planning = asyncio.Lock()
        self._last: tuple[tuple[bytes, int, int], Offer] | None = None

    @property
    def batch_size(self) -> int:
        """Transactions that close a batch."""
        return self._batch_size

    def set_batch_size(self, transactions: int, /) -> None:
        """Raises ValueError outside 64..256."""
        if not MIN_BATCH_SIZE <= transactions <= MAX_BATCH_SIZE:
            raise ValueError(
                f"batch size must be from {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE}, got {transactions}"
            )
        self._batch_size = transactions

    async def current(self, selection: Selection | None = None, /) -> Offer:
        """
        The batches of the pool on the head, best tips first.

        The offer for the default selection is kept until head, pool or batch size change.
        """
        if selection is not None and selection != Selection():
            return await self._plan(selection)
        async with self._planning:
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
                await self.current()
                self._access.keep_only(self._pool)
                await feed.next()
                await asyncio.sleep(REPLAN_S)
                feed.drain()

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

    async def _plan(self, selection: Selection) -> Offer:
        parent, sequence = self._chain.head(), self._pool.sequence
        chosen, withheld = self._choose(selection, parent)
        access_sets = await self._access.of(chosen)
        if selection.exclude_addresses or selection.exclude_locations:
            kept = _without_excluded(chosen, access_sets, selection)
            withheld = withheld or len(kept) < len(chosen)
            chosen, access_sets = [chosen[index] for index in kept], [access_sets[index] for index in kept]
        plan = await self._lane.run(
            plan_batches,
            self._chain.core,
            parent.hash,
            self._beneficiary,
            chosen,
            access_sets,
            batch_size=selection.batch_size or self._batch_size,
            min_batch_size=selection.min_batch_size or self._min_batch_size,
        )
        return Offer(parent, tuple(chosen), tuple(access_sets), plan, sequence, withheld)

    def _choose(self, selection: Selection, parent: Header) -> tuple[list[Transaction], bool]:
        """Candidates by tip under the budget, and whether something was kept back."""
        base_fee = selection.base_fee if selection.base_fee is not None else self._chain.next_base_fee()
        gas = selection.max_gas if selection.max_gas is not None else parent.gas_limit
        budget = _Budget(gas, selection.max_bytes, selection.max_transactions)
        chosen: list[Transaction] = []
        withheld = False
        for tx in self._pool.pending_best(base_fee):
            if selection.senders and tx.sender not in selection.senders:
                continue
            if selection.min_tip is not None and _effective_tip(tx, base_fee) < selection.min_tip:
                budget.spent_senders.add(tx.sender)
                withheld = True
            elif budget.take(tx):
                chosen.append(tx)
            else:
                withheld = True
                if budget.transactions == 0 or budget.gas < 21_000:
                    break
        return chosen, withheld


def _effective_tip(tx: Transaction, base_fee: int | None) -> int:
    if base_fee is None:
        return tx.max_priority_fee_per_gas
    return min(tx.max_priority_fee_per_gas, tx.max_fee_per_gas - base_fee)


def _without_excluded(
    chosen: Sequence[Transaction], access_sets: Iterable[AccessSet], selection: Selection
) -> list[int]:
    """Indices of what touches nothing excluded; a sender's later nonces fall with an earlier one."""
    kept: list[int] = []
    fallen: set[bytes] = set()
    for index, (tx, access_set) in enumerate(zip(chosen, access_sets, strict=True)):
        touches = not access_set.is_known or any(
            address in selection.exclude_addresses
            or (slot is not None and (address, slot) in selection.exclude_locations)
            for address, _, slot, _ in access_set.accesses
        )
        if touches or tx.sender in fallen:
            fallen.add(tx.sender)
        else:
            kept.append(index)
    return kept
