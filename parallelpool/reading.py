"""
What readers see of the pool: content, nonces, best-first order, and why a transaction waits or where it went.

Nothing here changes anything. Transactions whose journal records are still being written are not shown; see
`parallelpool.held`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import merge
from itertools import chain
from typing import Final, Literal

from parallelpool.conditions import Condition, FeeCapTooLow, FundsMissing, NonceGap, SenderLimit
from parallelpool.events import Departure, DropReason
from parallelpool.holdings import Holdings
from parallelpool.meters import PoolStatistics
from parallelpool.ordering import best_first, effective_tip
from parallelpool.primitives import Address, Gas, Nonce, TxHash, Wei
from parallelpool.transaction import PooledTransaction, Transaction
from parallelpool.validation import ChainState, HeadRules, SenderState

DELEGATED_IN_FLIGHT: Final = 1
"""Executable transactions that an account with code, or one about to get it, may have (EIP-7702); as geth."""


class ReadablePool:
    """The reading half of `parallelpool.pool.TxPool`."""

    def __init__(self, chain: ChainState, holdings: Holdings, *, gas_tip: Wei) -> None:
        self._chain = chain
        self._holdings = holdings
        self._gas_tip = gas_tip
        self._head = HeadRules.of(chain)
        self._states: dict[Address, SenderState] = {}

    @property
    def head(self) -> HeadRules:
        """The head that the pool stands on."""
        return self._head

    @property
    def sequence(self) -> int:
        """Rises whenever what readers see may have changed."""
        return self._holdings.sequence

    def __len__(self) -> int:
        return len(self._holdings.index)

    def __contains__(self, tx_hash: object) -> bool:
        return isinstance(tx_hash, bytes) and self.get(TxHash(tx_hash)) is not None

    def get(self, tx_hash: bytes, /) -> Transaction | None:
        """A pooled transaction, pending or queued."""
        pooled = self._shown(TxHash(tx_hash))
        return None if pooled is None else pooled.transaction

    def missing(self, hashes: Sequence[bytes], /) -> list[bytes]:
        """Those of `hashes` that readers do not see. Of thousands it costs a tenth of asking for each."""
        unseen = self._holdings.index.missing(hashes)
        if held := set(self._holdings.held):
            unseen += [tx_hash for tx_hash in hashes if tx_hash in held]
        # What is held back may stand for one that readers still see.
        return [tx_hash for tx_hash in unseen if tx_hash not in self]

    def _shown(self, tx_hash: TxHash) -> PooledTransaction | None:
        """A transaction that readers see."""
        holdings = self._holdings
        pooled = holdings.index.get(tx_hash)
        if pooled is None:
            return holdings.held.replaced(tx_hash)
        return None if holdings.held.is_held(pooled) else pooled

    def nonce(self, address: bytes, /) -> Nonce:
        """The first nonce that the account's executable transactions leave free (geth's virtual nonce)."""
        sender, holdings = Address(address), self._holdings
        state = self._states.get(sender)
        if state is None:
            (account,) = self._chain.accounts([sender])
            return Nonce(account.nonce)
        pending = holdings.pending.of(sender)
        if pending is None or not holdings.held.has(sender):
            return self._next_nonce(sender, state)
        seen = sum(1 for _ in holdings.held.shown_run(sender, pending))
        return max(state.nonce, Nonce(pending.first.nonce + seen))

    def content_from(self, address: bytes, /) -> tuple[list[Transaction], list[Transaction]]:
        """(pending, queued) of one sender in nonce order."""
        pending, queued = self._shown_of(Address(address))
        return [each.transaction for each in pending], [each.transaction for each in queued]

    def _shown_of(self, sender: Address) -> tuple[list[PooledTransaction], list[PooledTransaction]]:
        holdings = self._holdings
        pending, queued = holdings.pending.of(sender) or (), holdings.queued.of(sender) or ()
        if not holdings.held.has(sender):
            return list(pending), list(queued)
        run = list(holdings.held.shown_run(sender, pending))
        # What stands behind an executable transaction that is not shown yet is, for readers, still waiting.
        waiting = [shown for each in (*pending, *queued) if (shown := holdings.held.shown(each)) is not None]
        return run, waiting[len(run) :]

    def snapshot(self) -> tuple[list[PooledTransaction], list[PooledTransaction]]:
        """
        (pending, queued) of one moment, in no order.

        References and no more, a few milliseconds for a hundred thousand, so that a long answer can be made in slices.
        """
        pending, queued = self._holdings.index.snapshot()
        if held := set(self._holdings.held.senders):
            pending = [each for each in pending if each.sender not in held]
            queued = [each for each in queued if each.sender not in held]
            for sender in held:
                executable, waiting = self._shown_of(sender)
                pending.extend(executable)
                queued.extend(waiting)
        return pending, queued

    def content(self) -> tuple[dict[bytes, list[Transaction]], dict[bytes, list[Transaction]]]:
        """(pending, queued), each sender -> transactions in nonce order."""
        pending: dict[bytes, list[Transaction]] = {}
        queued: dict[bytes, list[Transaction]] = {}
        for sender in self._states:
            executable, waiting = self.content_from(sender)
            if executable:
                pending[sender] = executable
            if waiting:
                queued[sender] = waiting
        return pending, queued

    def pending_of(self, address: bytes, /) -> list[Transaction]:
        """The account's executable transactions in nonce order."""
        return self.content_from(address)[0]

    def pending_best(
        self, base_fee: int | None, /, *, min_tip: int = 0, gas_cap: int | None = None
    ) -> Iterator[Transaction]:
        """
        Executable transactions as a producer takes them: by what they pay above `base_fee` (wei), at equal
        prices in order of arrival, each sender's in nonce order.

        A sender's are cut at the first one that pays less than `min_tip` (wei) or needs more gas than `gas_cap`.
        Read it without a change to the pool in between: RuntimeError otherwise.
        """
        best = self._best(
            None if base_fee is None else Wei(base_fee),
            min_tip=Wei(min_tip),
            gas_cap=None if gas_cap is None else Gas(gas_cap),
        )
        return self._while_unchanged(best, self.sequence)

    def _best(
        self, base_fee: Wei | None, *, min_tip: Wei, gas_cap: Gas | None
    ) -> Iterator[PooledTransaction]:
        """From the price order; of the few senders of whom something is held back, what is shown."""
        holdings = self._holdings
        unheld = holdings.index.prices.best_first(
            base_fee, min_tip=min_tip, gas_cap=gas_cap, without=list(holdings.held.senders)
        )
        runs = (
            holdings.held.shown_run(sender, nonces)
            for sender in holdings.held.senders
            if (nonces := holdings.pending.of(sender)) is not None
        )
        held = best_first(runs, base_fee, min_tip=min_tip, gas_cap=gas_cap)
        if (best_held := next(held, None)) is None:
            return unheld

        def rank(pooled: PooledTransaction) -> tuple[int, int]:
            tip = effective_tip(pooled.max_fee_per_gas, pooled.max_priority_fee_per_gas, base_fee)
            return -tip, pooled.arrival

        # Neither side is sorted by rank, since a sender's dear transaction may stand behind a cheap one; but the better
        # of the two next ones is what one order over all senders has next.
        return merge(unheld, chain((best_held,), held), key=rank)

    def _while_unchanged(self, best: Iterator[PooledTransaction], sequence: int) -> Iterator[Transaction]:
        while True:
            if self.sequence != sequence:
                raise RuntimeError("the pool changed while its best transactions were read")
            if (pooled := next(best, None)) is None:
                return
            yield pooled.transaction

    def stats(self) -> tuple[int, int]:
        """(pending, queued) transactions."""
        return self._holdings.index.pending, self._holdings.index.queued

    def placement(self, tx_hash: bytes, /) -> tuple[Literal["pending", "queued"], str | None] | None:
        """Where a pooled transaction stands, and what it waits for, if anything."""
        pooled = self._shown(TxHash(tx_hash))
        if pooled is None:
            return None
        reasons = "; ".join(str(condition) for condition in self.why_queued(tx_hash)) or None
        return ("pending" if pooled.nonce < self.nonce(pooled.sender) else "queued"), reasons

    def why_queued(self, tx_hash: bytes, /) -> tuple[Condition, ...]:
        """
        What a pooled transaction waits for; empty if nothing, or if it is not pooled.

        A pending one may still wait for the base fee to fall, or for the account to be able to pay for all of its
        transactions.
        """
        pooled = self._shown(TxHash(tx_hash))
        if pooled is None:
            return ()
        conditions: list[Condition] = []
        next_nonce = self.nonce(pooled.sender)
        if pooled.nonce >= next_nonce:
            conditions.append(NonceGap(next_nonce, pooled.nonce))
            in_flight = self._holdings.pending.count(pooled.sender)
            if in_flight >= DELEGATED_IN_FLIGHT and self._is_delegated(pooled.sender):
                conditions.append(SenderLimit(in_flight, DELEGATED_IN_FLIGHT))
        balance, required = self._states[pooled.sender].balance, self._cost_up_to(pooled)
        if required > balance:
            conditions.append(FundsMissing(balance, required))
        base_fee = self._head.next_base_fee
        if base_fee is not None and pooled.max_fee_per_gas < base_fee:
            conditions.append(FeeCapTooLow(pooled.max_fee_per_gas, base_fee))
        return tuple(conditions)

    def _is_delegated(self, sender: Address) -> bool:
        """Whether the account has code, or a pooled transaction would give it some (EIP-7702)."""
        return self._states[sender].has_code or self._holdings.index.has_delegation(sender)

    def _cost_up_to(self, pooled: PooledTransaction) -> Wei:
        lists = (self._holdings.pending.of(pooled.sender), self._holdings.queued.of(pooled.sender))
        return Wei(
            sum(
                each.cost
                for nonces in lists
                if nonces is not None
                for each in nonces
                if each.nonce <= pooled.nonce
            )
        )

    def drop_record(self, tx_hash: bytes, /) -> Departure | None:
        """
        How a transaction left the pool, for the last hour or 100,000 departures.

        Where a block has taken it since, that is the answer, whatever the pool thought of it.
        """
        departure = self._holdings.departures.get(TxHash(tx_hash))
        if self._shown(TxHash(tx_hash)) is not None:
            return None  # it is leaving, but that is not on disk yet
        location = None if departure is None else self._chain.transaction_location(tx_hash)
        if departure is None or location is None:
            return departure
        return replace(
            departure, reason=DropReason.MINED, replaced_by=None, block_number=location[0], detail=""
        )

    def departures_of(self, address: bytes, /) -> tuple[Departure, ...]:
        """The remembered departures of one sender, oldest first."""
        return tuple(self._holdings.departures.of(Address(address)))

    def departures(self) -> tuple[Departure, ...]:
        """All remembered departures, oldest first."""
        return tuple(self._holdings.departures)

    def pooled(self) -> list[PooledTransaction]:
        """Everything in the pool, in order of arrival; held ones and what they replaced included."""
        return sorted(self.everything(), key=lambda each: each.arrival)

    def everything(self) -> list[PooledTransaction]:
        """The same in no order: a millisecond for tens of thousands, so that others can read on elsewhere."""
        return [*self._holdings.index, *self._holdings.held.all_replaced()]

    def statistics(self) -> PoolStatistics:
        """Meters and gauges of this moment."""
        holdings = self._holdings
        return PoolStatistics(
            meters=replace(holdings.meters),
            pending=holdings.index.pending,
            queued=holdings.index.queued,
            local=holdings.index.local,
            slots=holdings.index.slots,
            pending_senders=len(holdings.pending),
            queued_senders=len(holdings.queued),
            held=len(holdings.held),
            departures=len(holdings.departures),
            departed=dict(holdings.departed),
            gas_tip=self._gas_tip,
        )

    def _next_nonce(self, sender: Address, state: SenderState) -> Nonce:
        """geth's virtual nonce: the first one that the sender's executable transactions leave free."""
        pending = self._holdings.pending.of(sender)
        return state.nonce if pending is None else max(state.nonce, Nonce(pending.last.nonce + 1))
