"""
All transactions of the pool by hash, by the accounts they delegate, and by price.

`TransactionIndex` is the one answer to "is it pooled, and is it executable": every gauge is a length of its
containers. `PriceOrder` says who leaves a full pool and who is best for a block.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, Protocol

from parallelpool.primitives import Address, Gas, TxHash, Wei
from parallelpool.transaction import CorePriceOrder, PooledTransaction

READ_AT_ONCE: Final = 256
"""Transactions that are asked of the order at once while it is read best first."""


class Pooled(Protocol):
    """What the price order asks of the index."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[PooledTransaction]: ...
    def get(self, tx_hash: TxHash, /) -> PooledTransaction | None: ...


class PriceOrder:
    """
    The transactions of the pool by what they pay: the engine's order, in terms of the pool's objects.

    One table serves eviction and the choice of candidates. Eviction draws on geth's two heaps: by what a
    transaction pays in the block to come, and by its caps alone, so neither a wave of high tips nor one of high
    fee caps pushes out the other kind. O(log n) for each change; what a new head makes necessary is made when
    it is first asked for.

    Source: geth core/txpool/legacypool/list.go, pricedList.
    """

    def __init__(self, pooled: Pooled) -> None:
        self._pooled = pooled
        self._order = CorePriceOrder()

    def reprice(self, base_fee: Wei | None) -> None:
        """A new head: `base_fee` (wei) is that of the block to come."""
        self._order.reprice(base_fee)

    def put(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        """A transaction has come into the pool."""
        self._order.put(pooled.transaction, pooled.arrival, is_pending)

    def move(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        """A transaction became executable, or no longer is."""
        self._order.set_executable(pooled.hash, is_pending)

    def forget(self, pooled: PooledTransaction) -> None:
        """A transaction has left the pool."""
        self._order.remove(pooled.hash)

    def is_underpriced(self, newcomer: PooledTransaction) -> bool:
        """Whether nothing in the pool pays less than `newcomer`; an equal price is not less."""
        return self._order.is_underpriced(newcomer.max_fee_per_gas, newcomer.max_priority_fee_per_gas)

    def take_cheapest(self, slots: int) -> list[PooledTransaction] | None:
        """
        The cheapest transactions that together have `slots`; `None` if there are not enough.

        They are out of this order but still in the pool: the caller drops them or puts them back.
        """
        taken = self._order.take_cheapest(slots)
        return None if taken is None else [self._found(tx_hash) for tx_hash in taken]

    def put_back(self, pooled: PooledTransaction) -> None:
        """Undoes `take_cheapest` for one of those it gave."""
        self._order.put_back(pooled.hash)

    def above_gas(self, gas_limit: Gas) -> list[PooledTransaction]:
        """All that need more gas than `gas_limit`, in order of arrival."""
        above = (self._found(tx_hash) for tx_hash in self._order.above_gas(gas_limit))
        return sorted(above, key=lambda pooled: pooled.arrival)

    def best_first(
        self, base_fee: Wei | None, *, min_tip: Wei, gas_cap: Gas | None, without: Sequence[Address]
    ) -> Iterator[PooledTransaction]:
        """
        The executable ones as `parallelpool.ordering.best_first` puts them, but those of the senders `without`.

        To be read without a change to the pool in between.
        """
        best = self._order.best_first(base_fee, min_tip=min_tip, gas_cap=gas_cap, without=without)
        while taken := best.take(READ_AT_ONCE):
            yield from map(self._found, taken)

    def _found(self, tx_hash: bytes) -> PooledTransaction:
        pooled = self._pooled.get(TxHash(tx_hash))
        assert pooled is not None, "what is in the price order is pooled"
        return pooled

    def assert_invariants(self) -> None:
        """The order is consistent in itself and holds exactly the pooled transactions."""
        fault = self._order.find_fault()
        assert fault is None, fault
        assert len(self._order) == len(self._pooled), "price order and pool differ"
        assert all(pooled.hash in self._order for pooled in self._pooled), "price order and pool differ"


class TransactionIndex:
    """Every pooled transaction, once. geth's `lookup`, split by whether a transaction is executable."""

    def __init__(self) -> None:
        self._pending: dict[TxHash, PooledTransaction] = {}
        self._queued: dict[TxHash, PooledTransaction] = {}
        self._local: set[TxHash] = set()
        self._delegations: dict[Address, set[TxHash]] = {}
        self._slots = 0
        self.prices = PriceOrder(self)
        """By what they pay; kept in step by this class."""

    def __len__(self) -> int:
        return len(self._pending) + len(self._queued)

    def __iter__(self) -> Iterator[PooledTransaction]:
        return chain(self._pending.values(), self._queued.values())

    def __contains__(self, tx_hash: TxHash) -> bool:
        return tx_hash in self._pending or tx_hash in self._queued

    def get(self, tx_hash: TxHash, /) -> PooledTransaction | None:
        """The pooled transaction with this hash."""
        return self._pending.get(tx_hash) or self._queued.get(tx_hash)

    def missing(self, hashes: Sequence[bytes], /) -> list[bytes]:
        """Those of `hashes` that are not pooled."""
        pending, queued = self._pending, self._queued
        return [tx_hash for tx_hash in hashes if tx_hash not in pending and tx_hash not in queued]

    def snapshot(self) -> tuple[list[PooledTransaction], list[PooledTransaction]]:
        """(executable, waiting) of this moment."""
        return list(self._pending.values()), list(self._queued.values())

    @property
    def pending(self) -> int:
        """Executable transactions."""
        return len(self._pending)

    @property
    def queued(self) -> int:
        """Transactions that wait."""
        return len(self._queued)

    @property
    def local(self) -> int:
        """Transactions that came over RPC."""
        return len(self._local)

    @property
    def slots(self) -> int:
        """Pool space in units of 32 KiB."""
        return self._slots

    def is_pending(self, tx_hash: TxHash) -> bool:
        """Whether the transaction is pooled and executable."""
        return tx_hash in self._pending

    def has_delegation(self, address: Address) -> bool:
        """Whether a pooled transaction would delegate `address` (EIP-7702)."""
        return address in self._delegations

    def add(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        """Takes in a transaction that is not pooled yet."""
        assert pooled.hash not in self, "a transaction is pooled once"
        (self._pending if is_pending else self._queued)[pooled.hash] = pooled
        self._slots += pooled.slots
        if pooled.is_local:
            self._local.add(pooled.hash)
        for authority in pooled.authorities:
            self._delegations.setdefault(authority, set()).add(pooled.hash)
        self.prices.put(pooled, is_pending=is_pending)

    def move(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        """Notes that a pooled transaction became executable, or no longer is."""
        if is_pending:
            self._pending[pooled.hash] = self._queued.pop(pooled.hash)
        else:
            self._queued[pooled.hash] = self._pending.pop(pooled.hash)
        self.prices.move(pooled, is_pending=is_pending)

    def discard(self, pooled: PooledTransaction) -> None:
        """Takes out a pooled transaction."""
        if self._pending.pop(pooled.hash, None) is None:
            del self._queued[pooled.hash]
        self._slots -= pooled.slots
        self._local.discard(pooled.hash)
        for authority in pooled.authorities:
            delegating = self._delegations[authority]
            delegating.discard(pooled.hash)
            if not delegating:
                del self._delegations[authority]
        self.prices.forget(pooled)

    def assert_invariants(self) -> None:
        """Each transaction once, slots and locals add up, delegations are exactly those of the pooled ones."""
        assert not self._pending.keys() & self._queued.keys(), "both pending and queued"
        everything = list(self)
        assert all(self.get(pooled.hash) is pooled for pooled in everything), "hash of another transaction"
        assert self._slots == sum(pooled.slots for pooled in everything), "slots"
        assert self._local == {pooled.hash for pooled in everything if pooled.is_local}, "locals"
        delegations: dict[Address, set[TxHash]] = {}
        for pooled in everything:
            for authority in pooled.authorities:
                delegations.setdefault(authority, set()).add(pooled.hash)
        assert self._delegations == delegations, "delegations"
        self.prices.assert_invariants()
