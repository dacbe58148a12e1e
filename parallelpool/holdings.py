"""
What the pool holds, kept in step: index, sender lists, held-back transactions, departures, and the news of it.

Each method moves one transaction from one whole state to another; which to move and why is decided in
`parallelpool.pool`. Changes are collected between `begin` and `finish` and published together, in the order in
which they happened; a transaction that came and went again in between was never there.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from parallelpool.departures import DepartureLog
from parallelpool.events import (
    Departure,
    DropReason,
    PoolEvent,
    TransactionAdmitted,
    TransactionDropped,
    TransactionsPromoted,
    TransactionsQueued,
)
from parallelpool.held import HeldBack
from parallelpool.index import TransactionIndex
from parallelpool.meters import PoolMeters
from parallelpool.primitives import Address, TxHash
from parallelpool.sender import PendingSenders, QueuedSenders
from parallelpool.transaction import PooledTransaction, Transaction


@dataclass(slots=True)
class Changes:
    """What happened since `begin`."""

    events: list[PoolEvent | None] = field(default_factory=list)
    """Admissions and departures in order; `None` where both fell together and neither is told."""
    admitted: dict[int, int] = field(default_factory=dict)
    """Arrival of each newly admitted transaction -> its place in `events`."""
    undone: dict[int, DropReason] = field(default_factory=dict)
    """Arrival of each transaction that was admitted and had to leave at once -> why."""
    promoted: dict[TxHash, PooledTransaction] = field(default_factory=dict)
    """Became executable."""
    waiting: dict[TxHash, PooledTransaction] = field(default_factory=dict)
    """Came into the queue."""
    left: set[Address] = field(default_factory=set)
    """Senders of departed transactions."""


class Holdings:
    """The containers of the pool. Others read them; only this class and its lists' own methods change them."""

    def __init__(
        self,
        guaranteed: int,
        account_queue: int,
        publish: Callable[[PoolEvent], None],
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        """
        `guaranteed` and `account_queue` are geth's AccountSlots and AccountQueue. `clock` never steps back and times
        heartbeats; `wall_clock` gives the unix seconds that people read.
        """
        self.index = TransactionIndex()
        self.pending = PendingSenders(guaranteed)
        self.queued = QueuedSenders()
        self.held = HeldBack()
        self.departures = DepartureLog()
        self.meters = PoolMeters()
        self.departed: Counter[DropReason] = Counter()
        """Departures since the start, by reason."""
        self.sequence = 0
        """Rises whenever what readers see may have changed."""
        self._account_queue = account_queue
        self._overfull: set[Address] = set()
        self._publish = publish
        self._clock = clock
        self._wall_clock = wall_clock
        self._changes = Changes()

    # -- between begin and finish

    @property
    def left(self) -> set[Address]:
        """Senders of what departed since `begin`."""
        return self._changes.left

    def begin(self) -> Changes:
        """Starts to collect changes."""
        assert not self._changes.events, "changes of an earlier operation were not published"
        self._changes = Changes()
        return self._changes

    def finish(self) -> None:
        """Publishes what happened since `begin`."""
        changes, self._changes = self._changes, Changes()
        self.sequence += 1
        for event in changes.events:
            if isinstance(event, TransactionAdmitted) and event.pooled.hash in self.index:
                self.departures.forget(event.pooled.hash)
            if event is not None:
                self._publish(event)
        promoted = [pooled for pooled in changes.promoted.values() if self.index.is_pending(pooled.hash)]
        if promoted:
            self._publish(TransactionsPromoted(_in_nonce_order(promoted)))
        waiting = [
            pooled
            for pooled in changes.waiting.values()
            if pooled.hash in self.index and not self.index.is_pending(pooled.hash)
        ]
        if waiting:
            self._publish(TransactionsQueued(_in_nonce_order(waiting)))

    # -- in

    def admit_executable(self, pooled: PooledTransaction, *, held: bool) -> None:
        """Takes in a transaction that continues its sender's executable ones."""
        replaced = self.pending.put(pooled)
        assert replaced is None, "an executable transaction has a nonce of its own"
        self._admit(pooled, None, is_pending=True, held=held)
        self.queued.beat(pooled.sender, self._clock())

    def admit_waiting(self, pooled: PooledTransaction, *, held: bool) -> None:
        """Takes in a transaction that waits for a lower nonce."""
        replaced = self.queued.queue(pooled, self._clock())
        assert replaced is None, "the nonce was free"
        self._admit(pooled, None, is_pending=False, held=held)

    def admit_replacing(self, pooled: PooledTransaction, old: PooledTransaction, *, held: bool) -> None:
        """Takes in a transaction in the place of `old`, which leaves."""
        is_pending = self.index.is_pending(old.hash)
        replaced = (self.pending if is_pending else self.queued).put(pooled)
        assert replaced is old, "the replaced transaction stands at its nonce"
        if is_pending:
            self.queued.beat(pooled.sender, self._clock())
        self._admit(pooled, old, is_pending=is_pending, held=held)

    def _admit(
        self, pooled: PooledTransaction, old: PooledTransaction | None, *, is_pending: bool, held: bool
    ) -> None:
        changes = self._changes
        changes.admitted[pooled.arrival] = len(changes.events)
        changes.events.append(TransactionAdmitted(pooled))
        (changes.promoted if is_pending else changes.waiting)[pooled.hash] = pooled
        self.index.add(pooled, is_pending=is_pending)
        if held:
            self.held.hold(pooled, old)
        if old is not None:
            self.drop(old, DropReason.REPLACED, replaced_by=pooled.hash)

    # -- between the lists

    def promote(self, pooled: PooledTransaction) -> PooledTransaction | None:
        """Makes a transaction executable that is out of its queue; returns what stood at its nonce."""
        old = self.pending.put(pooled)
        self.index.move(pooled, is_pending=True)
        self._changes.promoted[pooled.hash] = pooled
        self.queued.beat(pooled.sender, self._clock())
        return old

    def requeue(self, pooled: PooledTransaction) -> None:
        """Lets a transaction wait that is out of its sender's executable ones."""
        old = self.queued.queue(pooled, self._clock())
        assert old is None, "a nonce is either executable or waits"
        if self.queued.count(pooled.sender) > self._account_queue:
            self._overfull.add(pooled.sender)
        self.index.move(pooled, is_pending=False)
        self._changes.waiting[pooled.hash] = pooled

    def take_overfull(self) -> list[Address]:
        """Senders whose queue has more than one may have, since executable ones went back to it; each is told once."""
        overfull = [sender for sender in self._overfull if self.queued.count(sender) > self._account_queue]
        self._overfull.clear()
        return sorted(overfull)

    # -- out

    def drop(
        self,
        pooled: PooledTransaction,
        reason: DropReason,
        *,
        replaced_by: TxHash | None = None,
        block_number: int | None = None,
        detail: str = "",
    ) -> None:
        """Lets a transaction go that is out of its list."""
        changes = self._changes
        self.index.discard(pooled)
        self.held.release(pooled)
        changes.left.add(pooled.sender)
        place = changes.admitted.pop(pooled.arrival, None)
        if place is not None and reason is not DropReason.REPLACED:
            changes.events[place] = None
            changes.undone[pooled.arrival] = reason
            return
        departure = Departure(
            pooled.hash,
            pooled.sender,
            pooled.nonce,
            reason,
            self._wall_clock(),
            replaced_by=replaced_by,
            block_number=block_number,
            detail=detail,
        )
        self.departures.record(departure)
        self.departed[reason] += 1
        changes.events.append(TransactionDropped(departure))

    def restore_replaced(self, pooled: PooledTransaction, old: PooledTransaction, cause: str) -> None:
        """Takes `old` back in the place of `pooled`, which replaced it and leaves as if it had never come."""
        is_pending = self.index.is_pending(pooled.hash)
        (self.pending if is_pending else self.queued).put(old)
        self.drop(pooled, DropReason.NOT_DURABLE, detail=cause)
        self.index.add(old, is_pending=is_pending)
        self.departures.forget(old.hash)

    def assert_invariants(self) -> None:
        """Each container's own invariants; lists and index hold the same; held ones are pooled; nothing is untold."""
        self.index.assert_invariants()
        self.pending.assert_invariants()
        self.queued.assert_invariants()
        executable = {pooled.hash for nonces in self.pending.by_sender.values() for pooled in nonces}
        waiting = {pooled.hash for nonces in self.queued.by_sender.values() for pooled in nonces}
        pooled_hashes = {pooled.hash for pooled in self.index}
        assert executable == {tx_hash for tx_hash in pooled_hashes if self.index.is_pending(tx_hash)}, (
            "pending"
        )
        assert waiting == pooled_hashes - executable, "queued"
        assert all(tx_hash in pooled_hashes for tx_hash in self.held), "a held transaction left the pool"
        assert not any(departure.hash in pooled_hashes for departure in self.departures), (
            "departed, yet pooled"
        )
        assert not self._changes.events, "news untold"


def _in_nonce_order(pooled: list[PooledTransaction]) -> tuple[Transaction, ...]:
    """Senders in the order of their first transaction here, each sender's in nonce order."""
    if len(pooled) == 1:
        return (pooled[0].transaction,)
    ranks: dict[Address, int] = {}
    for each in pooled:
        ranks.setdefault(each.sender, len(ranks))
    ordered = sorted(pooled, key=lambda each: (ranks[each.sender], each.nonce))
    return tuple(each.transaction for each in ordered)
