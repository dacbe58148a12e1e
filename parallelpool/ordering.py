"""
Who pays more: pure functions over prices, and the order in which a block wants transactions.

Nothing here reads state or keeps any. All amounts are wei; an effective tip may be negative.
"""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias

from parallelpool.primitives import Gas, Wei
from parallelpool.transaction import PooledTransaction

Price: TypeAlias = tuple[int, Wei, Wei]
"""(effective tip, fee cap, tip cap): compares as geth's price heap does."""


Ranked: TypeAlias = tuple[int, int, PooledTransaction, Iterator[PooledTransaction]]
"""(-effective tip, arrival, the sender's next transaction, those after it)."""


def effective_tip(max_fee_per_gas: Wei, max_priority_fee_per_gas: Wei, base_fee: Wei | None) -> int:
    """What the block producer earns per gas; negative where the fee cap is below the base fee."""
    if base_fee is None:
        return max_priority_fee_per_gas
    return min(max_priority_fee_per_gas, max_fee_per_gas - base_fee)


def price_of(pooled: PooledTransaction, base_fee: Wei | None) -> Price:
    """
    The price that decides who is evicted first; the least goes.

    Without a base fee only the caps count, which is also the order of geth's floating heap.
    """
    cap, tip = pooled.max_fee_per_gas, pooled.max_priority_fee_per_gas
    return (0 if base_fee is None else min(tip, cap - base_fee)), cap, tip


def replacement_allowed(old: PooledTransaction, new: PooledTransaction, bump_percent: int) -> bool:
    """
    Whether `new` may take the nonce of `old`.

    Fee cap and tip cap must each exceed the old one and reach `old * (100 + bump_percent) // 100`; reaching it
    exactly is enough.

    Source: geth core/txpool/legacypool/list.go, list.Add.
    """
    old_cap, old_tip = old.max_fee_per_gas, old.max_priority_fee_per_gas
    cap, tip = new.max_fee_per_gas, new.max_priority_fee_per_gas
    return (
        cap > old_cap
        and tip > old_tip
        and cap >= old_cap * (100 + bump_percent) // 100
        and tip >= old_tip * (100 + bump_percent) // 100
    )


def best_first(
    by_sender: Iterable[Iterable[PooledTransaction]],
    base_fee: Wei | None,
    *,
    min_tip: Wei,
    gas_cap: Gas | None,
) -> Iterator[PooledTransaction]:
    """
    Executable transactions as a block producer takes them: highest effective tip first, at equal tips the one
    that came first, each sender's in nonce order.

    `by_sender` holds each sender's executable transactions in nonce order. A sender is cut at the first
    transaction that pays less than `min_tip` or needs more gas than `gas_cap`: what follows could not run
    either.
    """

    def ranked(rest: Iterator[PooledTransaction]) -> Ranked | None:
        pooled = next(rest, None)
        if pooled is None or (gas_cap is not None and pooled.gas_limit > gas_cap):
            return None
        tip = effective_tip(pooled.max_fee_per_gas, pooled.max_priority_fee_per_gas, base_fee)
        # Arrivals are unique, so the comparison never reaches the transaction itself.
        return (-tip, pooled.arrival, pooled, rest) if tip >= min_tip else None

    heads = [head for transactions in by_sender if (head := ranked(iter(transactions))) is not None]
    heapify(heads)
    while heads:
        _, _, pooled, rest = heads[0]
        yield pooled
        if (head := ranked(rest)) is not None:
            heapreplace(heads, head)
        else:
            heappop(heads)
