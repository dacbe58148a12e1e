"""
geth's two price heaps to the letter, with what has left still in them, in the place of our price order.

Whom a full pool evicts hangs on which heap a transaction stands in. geth moves the worst fifth to the floating heap at
every head, and whenever more than a quarter of the entries have left; until then the entries of those who left count in
the ratio of the heaps. Ours are made when they are first needed after a head, of those who are there. With this in its
place everything else about a full pool must be as in geth.

Source: geth core/txpool/legacypool/list.go, pricedList.
"""

from heapq import heapify, heappop, heappush
from typing import TypeAlias

from parallelpool.index import Pooled, PriceOrder
from parallelpool.ordering import price_of
from parallelpool.primitives import TxHash, Wei
from parallelpool.transaction import PooledTransaction

Entry: TypeAlias = tuple[int, Wei, Wei, int, TxHash]
"""(effective tip, fee cap, tip cap, -nonce, hash); streams have no two equal prices."""


class GethPriceHeaps(PriceOrder):
    """Eviction by geth's heaps; the rest is the order's own."""

    def __init__(self, pooled: Pooled) -> None:
        super().__init__(pooled)
        self._everything = pooled
        self._base_fee: Wei | None = None
        self._urgent: list[Entry] = []
        self._floating: list[Entry] = []
        self._stale = 0
        self._taken: set[TxHash] = set()
        self._replaced: set[TxHash] = set()

    def reprice(self, base_fee: Wei | None) -> None:
        super().reprice(base_fee)
        self._base_fee = base_fee
        self._reheap()

    def put(self, pooled: PooledTransaction, *, is_pending: bool) -> None:
        super().put(pooled, is_pending=is_pending)
        # In geth what is replaced has left before the one that replaces it comes.
        places = (pooled.sender, pooled.nonce)
        old = [each.hash for each in self._everything if (each.sender, each.nonce) == places]
        old.remove(pooled.hash)
        self._replaced.update(old)
        for _ in old:
            self._left(pooled)
        heappush(self._urgent, _entry(pooled, self._base_fee))

    def forget(self, pooled: PooledTransaction) -> None:
        super().forget(pooled)
        if pooled.hash in self._taken:
            self._taken.remove(pooled.hash)
        elif pooled.hash in self._replaced:
            self._replaced.remove(pooled.hash)
        else:
            self._left()

    def _left(self, coming: PooledTransaction | None = None) -> None:
        self._stale += 1
        if self._stale > (len(self._urgent) + len(self._floating)) // 4:
            self._reheap(coming)

    def is_underpriced(self, newcomer: PooledTransaction) -> bool:
        return (
            self._is_beaten_by_worst(self._urgent, price_of(newcomer, self._base_fee))
            and self._is_beaten_by_worst(self._floating, price_of(newcomer, None))
            and bool(self._urgent or self._floating)
        )

    def _is_beaten_by_worst(self, heap: list[Entry], price: tuple[int, Wei, Wei]) -> bool:
        """Drops who left from the top first: not done, and so still counted, in a heap that is not asked any more."""
        self._clean(heap)
        return not heap or price <= heap[0][:3]

    def take_cheapest(self, slots: int) -> list[PooledTransaction] | None:
        taken: list[PooledTransaction] = []
        while slots > 0:
            is_urgent = len(self._urgent) > 4 * len(self._floating)
            heap = self._urgent if is_urgent else self._floating
            if not heap:
                for pooled in taken:
                    heappush(self._urgent, _entry(pooled, self._base_fee))
                return None
            worst = self._everything.get(heappop(heap)[-1])
            if worst is None:
                self._stale -= 1
            elif is_urgent:
                heappush(self._floating, _entry(worst, None))
            else:
                taken.append(worst)
                slots -= worst.slots
        self._taken = {pooled.hash for pooled in taken}
        return taken

    def put_back(self, pooled: PooledTransaction) -> None:
        self._taken.remove(pooled.hash)
        heappush(self._urgent, _entry(pooled, self._base_fee))

    def _reheap(self, coming: PooledTransaction | None = None) -> None:
        self._stale = 0
        there = [each for each in self._everything if each is not coming and each.hash not in self._replaced]
        self._urgent = [_entry(pooled, self._base_fee) for pooled in there]
        heapify(self._urgent)
        worst = [heappop(self._urgent)[-1] for _ in range(len(self._urgent) // 5)]
        moved = (self._everything.get(tx_hash) for tx_hash in worst)
        self._floating = [_entry(pooled, None) for pooled in moved if pooled is not None]
        heapify(self._floating)

    def _clean(self, heap: list[Entry]) -> None:
        """Drops the entries of those who left from the top."""
        while heap and self._everything.get(heap[0][-1]) is None:
            heappop(heap)
            self._stale -= 1


def _entry(pooled: PooledTransaction, base_fee: Wei | None) -> Entry:
    return (*price_of(pooled, base_fee), -pooled.nonce, pooled.hash)
