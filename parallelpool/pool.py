"""
The transaction pool: decoded transactions in, executable ones out, best first.

Behaviour and words are geth's legacy pool (`docs/pool.md` lists every difference). Synchronous, touched from the
event loop only. Each public method leaves the pool in a state in which `assert_invariants` holds: a transaction is
pending exactly if all nonces between the account's and its own are pooled too, and a refused one left no trace.
Promotion happens before a method returns, so an answer never lags behind what the pool holds.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from config.schema import TxPoolConfig
from parallelpool.errors import (
    AlreadyKnown,
    AuthorityReserved,
    DelegatedLimitReached,
    FutureReplacesPending,
    GappedDelegatedNonce,
    PoolError,
    PoolFull,
    ReplacementUnderpriced,
    Underpriced,
)
from parallelpool.events import Departure, DropReason, PoolEvent
from parallelpool.holdings import Holdings
from parallelpool.ordering import replacement_allowed
from parallelpool.primitives import Address, Gas, Nonce, TxHash, Wei
from parallelpool.reading import ReadablePool
from parallelpool.sender import fair_shares
from parallelpool.transaction import PooledTransaction, Transaction
from parallelpool.validation import (
    ChainState,
    HeadRules,
    SenderState,
    check_account,
    check_alone,
    is_pool_type,
)

UNDONE: Final[Mapping[DropReason, type[PoolError]]] = {
    DropReason.UNDERPRICED: Underpriced,
    DropReason.RATE_LIMITED: PoolFull,
}
"""What a sender is told whose transaction had to leave in the same call that admitted it."""


ACCOUNTS_AT_ONCE: Final = 2_000
"""Accounts that are read between two turns for others, where a new head makes it necessary to read many."""


PATIENCE: Final = 3
"""Heads that may come while accounts are read in turns; after that the rest is read in one, so that it ends."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A transaction on its way in."""

    transaction: Transaction
    is_local: bool
    """Came over RPC."""
    received_at: float
    """Unix seconds."""
    arrival: int | None = None
    """Place among all arrivals, for one that the pool held before a restart; others get the next one."""


class TxPool(ReadablePool):
    """All transactions that wait for a block."""

    def __init__(
        self,
        limits: TxPoolConfig,
        chain: ChainState,
        publish: Callable[[PoolEvent], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """
        An empty pool on the head of `chain`.

        News go to `publish`, within the call that causes them. `clock` never steps back and times lifetimes;
        `wall_clock` gives the unix seconds that people read.
        """
        super().__init__(
            chain,
            Holdings(limits.accountslots, limits.accountqueue, publish, clock=clock, wall_clock=wall_clock),
            gas_tip=Wei(limits.pricelimit),
        )
        self._limits = limits
        self._clock = clock
        self._wall_clock = wall_clock
        self._capacity = limits.globalslots + limits.globalqueue
        self._arrivals = 0
        self._churn = 0
        self._holdings.index.prices.reprice(self._head.next_base_fee)

    # ------------------------------------------------------------------ in

    def add(
        self, transactions: Sequence[Transaction], *, local: bool = True, held: bool = False
    ) -> list[PoolError | None]:
        """
        Admits each transaction or says why not; `None` means that it is in the pool.

        With `held` readers do not see them until `acknowledge`. A transaction that is admitted and must leave again
        before the call returns, because it is over a limit, is refused. One that a later transaction of the same
        call replaces was admitted.
        """
        now = self._wall_clock()
        return self._add([Submission(tx, local, now) for tx in transactions], held=held)

    def restore(self, submissions: Sequence[Submission]) -> list[PoolError | None]:
        """
        Takes back what the pool held before a restart, all of a sender's transactions in one call.

        As `add`, but they enter in nonce order, so that no limit on waiting ones strikes what was executable.
        """
        order = sorted(range(len(submissions)), key=lambda place: submissions[place].transaction.nonce)
        answers = self._add([submissions[place] for place in order], held=False)
        by_place = dict(zip(order, answers, strict=True))
        return [by_place[place] for place in range(len(submissions))]

    def _add(self, submissions: Sequence[Submission], *, held: bool) -> list[PoolError | None]:
        changes = self._holdings.begin()
        answers = [self._check(submission.transaction) for submission in submissions]
        senders = [Address(submission.transaction.sender) for submission in submissions]
        self._learn_states(sender for sender, answer in zip(senders, answers, strict=True) if answer is None)
        admitted: list[tuple[int, PooledTransaction]] = []
        for place, submission in enumerate(submissions):
            if answers[place] is None:
                pooled = self._pooled(submission, senders[place])
                answers[place] = refusal = self._admit(pooled, held=held)
                if refusal is None:
                    admitted.append((place, pooled))
        self._holdings.meters.valid += len(admitted)
        self._trim_queues({pooled.sender for _, pooled in admitted})
        self._truncate()
        for place, pooled in admitted:
            if (reason := changes.undone.get(pooled.arrival)) is not None:
                answers[place] = UNDONE[reason]()
        self._finish(senders)
        return answers

    def count_invalid(self) -> None:
        """Counts a transaction that cannot even be represented: amounts beyond 256 bits."""
        self._holdings.meters.invalid += 1

    def _check(self, tx: Transaction) -> PoolError | None:
        meters = self._holdings.meters
        if TxHash(tx.hash) in self._holdings.index:
            meters.known += 1
            return AlreadyKnown()
        refusal = check_alone(tx, self._head, min_tip=self._gas_tip, max_size=self._limits.maxtxsize)
        if refusal is not None:
            meters.invalid += 1
        return refusal

    def _learn_states(self, senders: Iterable[Address]) -> None:
        """Reads the accounts of senders that the pool does not know, in one go."""
        unknown = list(dict.fromkeys(sender for sender in senders if sender not in self._states))
        if unknown:
            for sender, account in zip(unknown, self._chain.accounts(unknown), strict=True):
                self._states[sender] = SenderState.of(account)

    def _finish(self, senders: Iterable[Address] = ()) -> None:
        """Publishes the changes and forgets the accounts of those who have nothing in the pool."""
        holdings = self._holdings
        for sender in holdings.left.union(senders):
            if holdings.pending.of(sender) is None and holdings.queued.of(sender) is None:
                self._states.pop(sender, None)
        holdings.finish()

    def _pooled(self, submission: Submission, sender: Address) -> PooledTransaction:
        arrival = submission.arrival if submission.arrival is not None else self._arrivals
        self._arrivals = max(self._arrivals, arrival + 1)
        return PooledTransaction.of(
            submission.transaction,
            sender,
            is_local=submission.is_local,
            arrival=arrival,
            received_at=submission.received_at,
        )

    def _admit(self, pooled: PooledTransaction, *, held: bool, is_promoting: bool = True) -> PoolError | None:
        """
        Decides on one transaction against account and pool; the sender's state is known.

        Unless `is_promoting`, one that could be executed is queued, for the caller to promote.
        """
        holdings = self._holdings
        sender, nonce = pooled.sender, pooled.nonce
        if pooled.hash in holdings.index:
            holdings.meters.known += 1
            return AlreadyKnown()
        state = self._states[sender]
        refusal = self._check_sender(pooled, state)
        if refusal is not None:
            holdings.meters.invalid += 1
            return refusal
        if holdings.index.slots + pooled.slots > self._capacity:
            refusal = self._make_room(pooled, state)
            if refusal is not None:
                return refusal
        old = holdings.pending.get(sender, nonce) or holdings.queued.get(sender, nonce)
        if old is not None:
            return self._replace(old, pooled, held=held)
        if is_promoting and nonce == self._next_nonce(sender, state):
            holdings.admit_executable(pooled, held=held)
            self._promote_run(sender, state)
        else:
            holdings.admit_waiting(pooled, held=held)
        return None

    def _check_sender(self, pooled: PooledTransaction, state: SenderState) -> PoolError | None:
        pending = self._holdings.pending.of(pooled.sender)
        old = None if pending is None else pending.get(pooled.nonce)
        return (
            check_account(
                pooled,
                state,
                pending_cost=0 if pending is None else pending.total_cost,
                replaced_cost=None if old is None else old.cost,
            )
            or self._check_delegated(pooled, state)
            or self._check_authorities(pooled)
        )

    def _check_delegated(self, pooled: PooledTransaction, state: SenderState) -> PoolError | None:
        """One transaction in flight for an account with code, or about to get it (EIP-7702)."""
        sender = pooled.sender
        if not self._is_delegated(sender):
            return None
        pending = self._holdings.pending.of(sender)
        if pending is None:
            return GappedDelegatedNonce() if pooled.nonce != state.nonce else None
        return None if pooled.nonce in pending else DelegatedLimitReached()

    def _check_authorities(self, pooled: PooledTransaction) -> PoolError | None:
        holdings = self._holdings
        for authority in pooled.authorities:
            if holdings.pending.count(authority) + holdings.queued.count(authority) > 1:
                return AuthorityReserved()
        return None

    def _replace(self, old: PooledTransaction, pooled: PooledTransaction, *, held: bool) -> PoolError | None:
        refusal = self._check_bump(old, pooled)
        if refusal is not None:
            return refusal
        if self._holdings.index.is_pending(old.hash):
            self._holdings.meters.pending_replace += 1
        else:
            self._holdings.meters.queued_replace += 1
        self._holdings.admit_replacing(pooled, old, held=held)
        return None

    def _check_bump(self, old: PooledTransaction, pooled: PooledTransaction) -> PoolError | None:
        if replacement_allowed(old, pooled, self._limits.pricebump):
            return None
        if self._holdings.index.is_pending(old.hash):
            self._holdings.meters.pending_discard += 1
        else:
            self._holdings.meters.queued_discard += 1
        return ReplacementUnderpriced(old.hash)

    def _make_room(self, pooled: PooledTransaction, state: SenderState) -> PoolError | None:
        """Evicts what pays less than `pooled` from a full pool, or says why not."""
        index, meters = self._holdings.index, self._holdings.meters
        if index.prices.is_underpriced(pooled):
            meters.underpriced += 1
            return Underpriced()
        if self._churn > self._limits.globalslots // 4:
            meters.throttled += 1
            return PoolFull()
        victims = index.prices.take_cheapest(index.slots + pooled.slots - self._capacity)
        if victims is None:
            meters.overflowed += 1
            return PoolFull()
        refusal = self._check_victims(victims, pooled, state)
        if refusal is not None:
            for victim in victims:
                index.prices.put_back(victim)
            return refusal
        for victim in victims:
            meters.underpriced += 1
            self._churn += self._remove(victim, DropReason.UNDERPRICED)
        return None

    def _check_victims(
        self, victims: Sequence[PooledTransaction], pooled: PooledTransaction, state: SenderState
    ) -> PoolError | None:
        holdings = self._holdings
        if self._is_gapped(pooled, state) and any(holdings.index.is_pending(each.hash) for each in victims):
            return FutureReplacesPending()
        # geth finds out about a missed price bump after the eviction; nobody should have to go for that.
        old = holdings.pending.get(pooled.sender, pooled.nonce) or holdings.queued.get(
            pooled.sender, pooled.nonce
        )
        return None if old is None or old in victims else self._check_bump(old, pooled)

    def _is_gapped(self, pooled: PooledTransaction, state: SenderState) -> bool:
        next_nonce = self._next_nonce(pooled.sender, state)
        if pooled.nonce <= next_nonce:
            return False
        queued = self._holdings.queued.of(pooled.sender)
        if queued is None:
            return True
        return any(Nonce(nonce) not in queued for nonce in range(next_nonce, pooled.nonce))

    # ------------------------------------------------------------------ between pending and queued

    def _promote_run(self, sender: Address, state: SenderState) -> None:
        """Makes queued transactions executable that continue the sender's executable ones."""
        holdings = self._holdings
        while run := holdings.queued.pop_run(sender, self._next_nonce(sender, state)):
            for pooled in run:
                old = holdings.pending.get(sender, pooled.nonce)
                if old is not None and not replacement_allowed(old, pooled, self._limits.pricebump):
                    holdings.meters.pending_discard += 1
                    holdings.drop(pooled, DropReason.REPLACED, replaced_by=old.hash)
                    continue
                holdings.promote(pooled)
                if old is not None:
                    holdings.meters.pending_replace += 1
                    holdings.drop(old, DropReason.REPLACED, replaced_by=pooled.hash)

    def _promote(self, sender: Address, state: SenderState) -> None:
        """Cleans the sender's queue against account and head, then promotes."""
        holdings = self._holdings
        for pooled in holdings.queued.pop_below(sender, state.nonce):
            self._drop_used(pooled, self._chain.transaction_location(pooled.hash))
        for pooled in holdings.queued.pop_unaffordable(sender, state.balance, self._head.gas_limit):
            holdings.meters.queued_nofunds += 1
            self._drop_unaffordable(pooled, state)
        self._promote_run(sender, state)

    def _demote(self, sender: Address, state: SenderState) -> None:
        """Takes out of the sender's executable transactions what the new head no longer allows."""
        holdings = self._holdings
        dropped = holdings.pending.pop_unaffordable(sender, state.balance, self._head.gas_limit)
        for pooled in dropped:
            holdings.meters.pending_nofunds += 1
            self._drop_unaffordable(pooled, state)
        for pooled in holdings.pending.pop_after_gap(sender, state.nonce):
            holdings.requeue(pooled)

    def _drop_used(self, pooled: PooledTransaction, location: tuple[int, int] | None) -> None:
        """Lets go what a block used the nonce of: this transaction, if it stands at `location`, or another one."""
        if location is None:
            self._holdings.drop(pooled, DropReason.SUPERSEDED)
        else:
            self._holdings.drop(pooled, DropReason.MINED, block_number=location[0])

    def _drop_unaffordable(self, pooled: PooledTransaction, state: SenderState) -> None:
        is_unpayable = pooled.cost > state.balance
        self._holdings.drop(
            pooled, DropReason.UNPAYABLE if is_unpayable else DropReason.GAS_ABOVE_BLOCK_LIMIT
        )

    def _remove(self, pooled: PooledTransaction, reason: DropReason, *, detail: str = "") -> int:
        """
        Takes one transaction out; higher nonces of its sender wait again.

        Returns how many transactions are no longer executable, this one included.
        """
        holdings = self._holdings
        if not holdings.index.is_pending(pooled.hash):
            holdings.queued.pop(pooled.sender, pooled.nonce)
            holdings.drop(pooled, reason, detail=detail)
            return 0
        _, *followers = holdings.pending.pop_from(pooled.sender, pooled.nonce)
        holdings.drop(pooled, reason, detail=detail)
        for follower in followers:
            holdings.requeue(follower)
        return 1 + len(followers)

    # ------------------------------------------------------------------ limits

    def _trim_queues(self, senders: Iterable[Address]) -> None:
        """Cuts the queue of each sender to what one may have, highest nonces first."""
        for sender in senders:
            excess = self._holdings.queued.count(sender) - self._limits.accountqueue
            if excess > 0:
                for pooled in self._holdings.queued.pop_highest(sender, excess):
                    self._holdings.meters.queued_ratelimit += 1
                    self._holdings.drop(pooled, DropReason.RATE_LIMITED)

    def _truncate(self) -> None:
        """Cuts pending and queued to what the pool may have, and ends the count of churn."""
        self._truncate_pending()
        self._truncate_queued()
        self._churn = 0

    def _truncate_pending(self) -> None:
        holdings, limits = self._holdings, self._limits
        excess = holdings.index.pending - limits.globalslots
        if excess <= 0:
            return
        losses = fair_shares(holdings.pending.largest_first(), excess, limits.accountslots)
        for sender, loss in losses.items():
            for pooled in holdings.pending.pop_highest(sender, loss):
                holdings.meters.pending_ratelimit += 1
                holdings.drop(pooled, DropReason.RATE_LIMITED)

    def _truncate_queued(self) -> None:
        holdings = self._holdings
        excess = holdings.index.queued - self._limits.globalqueue
        while excess > 0:
            oldest = holdings.queued.oldest()
            assert oldest is not None, "queued transactions have senders"
            popped = holdings.queued.pop_highest(oldest[0], excess)
            for pooled in popped:
                holdings.meters.queued_ratelimit += 1
                holdings.drop(pooled, DropReason.RATE_LIMITED)
            excess -= len(popped)

    def set_gas_tip(self, gas_tip: Wei) -> None:
        """Sets the least tip cap (wei). If it rose, what offers less leaves, and what followed it waits."""
        rose, self._gas_tip = gas_tip > self._gas_tip, gas_tip
        if not rose:
            return
        self._holdings.begin()
        cheap = [pooled for pooled in self._holdings.index if pooled.max_priority_fee_per_gas < gas_tip]
        for pooled in cheap:
            self._remove(pooled, DropReason.TIP_BELOW_MINIMUM)
        self._finish()

    def tick(self) -> None:
        """To be called once a minute: lets queues go whose sender was silent for too long."""
        holdings = self._holdings
        deadline = self._clock() - self._limits.lifetime.total_seconds()
        holdings.departures.expire(self._wall_clock())
        holdings.begin()
        while (oldest := holdings.queued.oldest()) is not None and oldest[1] < deadline:
            sender = oldest[0]
            for pooled in holdings.queued.pop_highest(sender, holdings.queued.count(sender)):
                holdings.meters.queued_eviction += 1
                holdings.drop(pooled, DropReason.EXPIRED)
        self._finish()

    def remove(self, tx_hash: bytes, /) -> bool:
        """Takes a transaction out; higher nonces of its sender wait then. Whether it was there."""
        pooled = self._holdings.index.get(TxHash(tx_hash))
        if pooled is None:
            return False
        self._holdings.begin()
        self._remove(pooled, DropReason.REMOVED)
        self._finish()
        return True

    # ------------------------------------------------------------------ a new head

    def reset(self, discarded: Sequence[Transaction] = ()) -> None:
        """
        Moves the pool to the head of the chain.

        `discarded` are the transactions of abandoned blocks that the new branch does not include; in this order
        they are taken back where account and pool allow.
        """
        for _ in self.resetting(discarded):
            pass

    def resetting(self, discarded: Sequence[Transaction] = ()) -> Iterator[None]:
        """
        As `reset`, which is done when this ends; at each yield others may have a turn, also to change the pool.

        Until the end the pool is on the old head: only accounts are read, and all changes are made at once.
        """
        old, head = self._head, HeadRules.of(self._chain)
        moved: dict[Address, SenderState] = {}
        unread = self._senders_to_read(old)
        patience = PATIENCE
        while True:
            self._read_changed(unread[:ACCOUNTS_AT_ONCE], moved)
            del unread[:ACCOUNTS_AT_ONCE]
            if not unread:
                break
            if not patience:
                continue
            yield
            if self._head is not old:
                # Somebody else has moved the pool meanwhile.
                old, head, patience = self._head, HeadRules.of(self._chain), patience - 1
                moved, unread = {}, self._senders_to_read(old)
            elif self._chain.head().hash != head.hash:
                unread = list(dict.fromkeys([*unread, *self._senders_to_read(head)]))
                moved = {sender: state for sender, state in moved.items() if sender in self._states}
                head, patience = HeadRules.of(self._chain), patience - 1
        self._move(head, moved, discarded)

    def _senders_to_read(self, known: HeadRules) -> list[Address]:
        """Senders whose accounts may differ from what they were on that head."""
        changed = self._chain.accounts_changed_since(known.number, known.hash)
        if changed is None:
            return list(self._states)
        return [sender for address in changed if (sender := Address(address)) in self._states]

    def _read_changed(self, senders: Sequence[Address], moved: dict[Address, SenderState]) -> None:
        for sender, account in zip(senders, self._chain.accounts(senders), strict=True):
            # One that left while others had their turn needs nothing; one that came back is known as of now.
            if (state := SenderState.of(account)) != self._states.get(sender, state):
                moved[sender] = state
            else:
                moved.pop(sender, None)

    def _move(
        self, head: HeadRules, moved: Mapping[Address, SenderState], discarded: Sequence[Transaction]
    ) -> None:
        """The change from one head to the next, given the accounts that differ."""
        old, self._head = self._head, head
        holdings = self._holdings
        holdings.begin()
        if old.max_transaction_gas is None and (cap := head.max_transaction_gas) is not None:
            self._drop_above_cap(cap)
        self._states.update(moved)
        self._drop_all_used(moved)
        senders = [*moved, *holdings.take_overfull(), *self._take_back(discarded)]
        if head.gas_limit < old.gas_limit:
            senders.extend(pooled.sender for pooled in holdings.index.prices.above_gas(head.gas_limit))
        for sender in dict.fromkeys(senders):
            self._promote(sender, self._states[sender])
            self._trim_queues((sender,))
            self._demote(sender, self._states[sender])
        holdings.index.prices.reprice(head.next_base_fee)
        self._truncate()
        # Of those whose transactions were not taken back, the accounts were read all the same.
        self._finish([*senders, *(Address(tx.sender) for tx in discarded)])

    def _drop_above_cap(self, cap: Gas) -> None:
        for pooled in self._holdings.index.prices.above_gas(cap):
            if pooled.hash in self._holdings.index:
                self._remove(pooled, DropReason.GAS_ABOVE_TRANSACTION_CAP)

    def _drop_all_used(self, senders: Iterable[Address]) -> None:
        """Lets go the executable transactions whose nonces were used by blocks."""
        pending, states = self._holdings.pending, self._states
        used = [pooled for sender in senders for pooled in pending.pop_below(sender, states[sender].nonce)]
        locations = self._chain.transaction_locations([pooled.hash for pooled in used]) if used else ()
        for pooled, location in zip(used, locations, strict=True):
            self._drop_used(pooled, location)

    def _take_back(self, discarded: Sequence[Transaction]) -> list[Address]:
        """
        Queues transactions of abandoned blocks as far as accounts and pool allow; returns their senders.

        None is held against another: a sender who can pay for each alone gets all of them back, as in geth.
        """
        taken_back: list[Address] = []
        now = self._wall_clock()
        recovered = [tx for tx in discarded if tx.sender_error is None and is_pool_type(tx)]
        self._learn_states(Address(tx.sender) for tx in recovered)
        for tx in recovered:
            sender = Address(tx.sender)
            pooled = self._pooled(Submission(tx, False, now), sender)
            if self._admit(pooled, held=False, is_promoting=False) is None:
                self._holdings.meters.valid += 1
                taken_back.append(sender)
        return taken_back

    # ------------------------------------------------------------------ held back

    def remember(self, departures: Iterable[Departure]) -> None:
        """Takes over departures of before a restart, oldest first."""
        for departure in departures:
            if departure.hash not in self._holdings.index:
                self._holdings.departures.record(departure)

    def acknowledge(self, hashes: Iterable[TxHash]) -> None:
        """Shows transactions that were admitted as `held`; what left meanwhile is passed over."""
        for tx_hash in hashes:
            if (pooled := self._holdings.index.get(tx_hash)) is not None:
                self._holdings.held.release(pooled)
        self._holdings.sequence += 1

    def revoke(self, hashes: Iterable[TxHash], cause: str) -> None:
        """
        Takes held transactions out again, because their journal records could not be written.

        What they replaced and readers still saw returns to its place.
        """
        holdings = self._holdings
        holdings.begin()
        for tx_hash in hashes:
            pooled = holdings.index.get(tx_hash)
            if pooled is None or not holdings.held.is_held(pooled):
                continue
            old = holdings.held.shown(pooled)
            if old is not None:
                holdings.restore_replaced(pooled, old, cause)
            else:
                self._remove(pooled, DropReason.NOT_DURABLE, detail=cause)
        self._finish()

    def assert_invariants(self) -> None:
        """
        Besides those of the containers: executable transactions begin with the account's nonce, nothing that could
        be executable waits, and the known accounts are those of the senders.
        """
        holdings = self._holdings
        holdings.assert_invariants()
        senders = {pooled.sender for pooled in holdings.index}
        assert self._states.keys() == senders, "accounts and senders differ"
        for sender, nonces in holdings.pending.by_sender.items():
            assert nonces.first.nonce == self._states[sender].nonce, (
                f"pending of {sender.hex()} begins elsewhere"
            )
        for sender, nonces in holdings.queued.by_sender.items():
            next_nonce = self._next_nonce(sender, self._states[sender])
            assert nonces.first.nonce > next_nonce, f"executable, yet queued: {sender.hex()}"
        assert self._churn == 0, "churn is counted within one call"
