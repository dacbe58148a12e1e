"""
All transactions of the pool by hash, by the accounts they delegate, and by price.

`TransactionIndex` is the one answer to "is it pooled, and is it executable": every gauge is a length of its
containers. `PriceOrder` decides who leaves a full pool. Both know nothing of nonces.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Final, Protocol, TypeAlias

from parallelpool.ordering import price_of
from parallelpool.primitives import Address, TxHash, Wei
from parallelpool.transaction import PooledTransaction

URGENT_SHARE: Final = 4
FLOATING_SHARE: Final = 1
"""Eviction keeps the two heaps at this ratio; geth's urgentRatio and floatingRatio."""


class Pooled(Protocol):
    """What the price order asks of the index."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[PooledTransaction]: ...
    def get(self, tx_hash: TxHash, /) -> PooledTransaction | None: ...


HeapEntry: TypeAlias = tuple[int, Wei, Wei, int, int, TxHash]
"""(effective tip, fee cap, tip cap, -nonce, -arrival, hash): at equal price the higher nonce goes first."""


class PriceOrder:
    """
    The cheapest transactions of the pool, in geth's two heaps.

    The urgent heap orders by what a transaction pays in the block to come, the floating one by its caps alone.
    Eviction draws from both, so neither a wave of high tips nor one of high fee caps pushes out the other kind.

    The heaps are made when they are first needed after a new head, so a pool that is not full pays nothing for
    them. O(log n) for each transaction then, O(n log n) for making them. What leaves the pool is deleted from
    the heaps lazily: an entry counts as long as its heap's member set has its hash.

    Source: geth core/txpool/legacypool/list.go, pricedList.
    """

    def __init__(self, pooled: Pooled) -> None:
        self._pooled = pooled
        self._base_fee: Wei | None = None
        self._is_made = False
        self._urgent: list[HeapEntry] = []
        self._floating: list[HeapEntry] = []
        self._urgent_members: set[TxHash] = set()
        self._floating_members: set[TxHash] = set()

    def reprice(self, base_fee: Wei | None) -> None:
        """A new head: `base_fee` (wei) is that of the block to come."""
        self._base_fee = base_fee
        self._unmake()

    def put(self, pooled: PooledTransaction) -> None:
        """A transaction has come into the pool."""
        if self._is_made:
            self._urgent_members.add(pooled.hash)
            heappush(self._urgent, self._entry(pooled, self._base_fee))

    def forget(self, pooled: PooledTransaction) -> None:
        """A transaction has left the pool."""
        if not self._is_made:
            return
        self._urgent_members.discard(pooled.hash)
        self._floating_members.discard(pooled.hash)
        members = len(self._urgent_members) + len(self._floating_members)
        if len(self._urgent) + len(self._floating) > 2 * members + 64:
            self._sweep()

    def is_underpriced(self, newcomer: PooledTransaction) -> bool:
        """Whether nothing in the pool pays less than `newcomer`; an equal price is not less."""
        self._make()
        urgent = self._worst(self._urgent, self._urgent_members)
        floating = self._worst(self._floating, self._floating_members)
        if urgent is None and floating is None:
            return False
        return (urgent is None or price_of(newcomer, self._base_fee) <= urgent[:3]) and (
            floating is None or price_of(newcomer, None) <= floating[:3]
        )

    def take_cheapest(self, slots: int) -> list[PooledTransaction] | None:
        """
        The cheapest transactions that together have `slots`; `None` if there are not enough.

        They are out of this order but still in the pool: the caller drops them or puts them back.
        """
        self._make()
        taken: list[PooledTransaction] = []
        while slots > 0:
            if len(self._urgent_members) * FLOATING_SHARE > len(self._floating_members) * URGENT_SHARE:
                pooled = self._pop(self._urgent, self._urgent_members)
                self._floating_members.add(pooled.hash)
                heappush(self._floating, self._entry(pooled, None))
            elif self._floating_members:
                taken.append(pooled := self._pop(self._floating, self._floating_members))
                slots -= pooled.slots
            else:
                for pooled in taken:
                    self.put(pooled)
                return None
        return taken

    def _make(self) -> None:
        if self._is_made:
            return
        entries = [self._entry(pooled, self._base_fee) for pooled in self._pooled]
        heapify(entries)
        self._is_made, self._urgent = True, entries
        self._urgent_members = {entry[-1] for entry in entries}
        for _ in range(len(entries) * FLOATING_SHARE // (URGENT_SHARE + FLOATING_SHARE)):
            pooled = self._pop(self._urgent, self._urgent_members)
            self._floating_members.add(pooled.hash)
            self._floating.append(self._entry(pooled, None))
        heapify(self._floating)

    def _unmake(self) -> None:
        self._is_made = False
        self._urgent, self._floating = [], []
        self._urgent_members, self._floating_members = set(), set()

    def _sweep(self) -> None:
        """Throws out the entries of what has left, so that the heaps never grow beyond twice the pool."""
        self._urgent = _live(self._urgent, self._urgent_members)
        self._floating = _live(self._floating, self._floating_members)

    def _entry(self, pooled: PooledTransaction, base_fee: Wei | None) -> HeapEntry:
        tip, cap, tip_cap = price_of(pooled, base_fee)
        return tip, cap, tip_cap, -pooled.nonce, -pooled.arrival, pooled.hash

    def _worst(self, heap: list[HeapEntry], members: set[TxHash]) -> HeapEntry | None:
        while heap and heap[0][-1] not in members:
            heappop(heap)
        return heap[0] if heap else None

    def _pop(self, heap: list[HeapEntry], members: set[TxHash]) -> PooledTransaction:
        while (tx_hash := heappop(heap)[-1]) not in members:
            pass
        members.remove(tx_hash)
        pooled = self._pooled.get(tx_hash)
        assert pooled is not None, "a member of the price order is pooled"
        return pooled

    def assert_invariants(self) -> None:
        """Once made, the order holds exactly the pooled transactions, each in one heap, with an entry there."""
        if not self._is_made:
            return
        assert not self._urgent_members & self._floating_members, "a transaction in both heaps"
        held = self._urgent_members | self._floating_members
        assert held == {pooled.hash for pooled in self._pooled}, "price order and pool differ"
        assert self._urgent_members <= {entry[-1] for entry in self._urgent}, "urgent entries"
        assert self._floating_members <= {entry[-1] for entry in self._floating}, "floating entries"


def _live(heap: list[HeapEntry], members: set[TxHash]) -> list[HeapEntry]:
    """A heap of the members alone, each once."""
    entries = list({entry[-1]: entry for entry in heap if entry[-1] in members}.values())
    heapify(entries)
    return entries


class TransactionIndex:
    """Every pooled transaction, once. geth's `lookup`, split by whether a transaction is executable."""

    def __init__(self) -> None:
        self._pending: dict[TxHash, PooledTransaction] = {}
        self._queued: dict[TxHash, PooledTransaction] = {}
        self._local: set[TxHash] = set()
        self._delegations: dict[Address, set[TxHash]] = {}
        self._slots = 0
        self.prices = PriceOrder(self)
        """The order of eviction; kept in step by this class."""

    def __len__(self) -> int:
        return len(self._pending) + len(self._queued)

    def __iter__(self) -> Iterator[PooledTransaction]:
        return chain(self._pending.values(), self._queued.values())

    def __contains__(self, tx_hash: TxHash) -> bool:
        return tx_hash in self._pending or tx_hash in self._queued

    def get(self, tx_hash: TxHash, /) -> PooledTransaction | None:
        """The pooled transaction with this hash."""
        return self._pending.get(tx_hash) or self._queued.get(tx_hash)

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
        self.prices.put(pooled)

    def move(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        """Notes that a pooled transaction became executable, or no longer is."""
        if is_pending:
            self._pending[pooled.hash] = self._queued.pop(pooled.hash)
        else:
            self._queued[pooled.hash] = self._pending.pop(pooled.hash)

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
