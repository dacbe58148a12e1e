"""The index by hash, and the price order that decides who leaves a full pool."""

import random

from parallelpool.index import TransactionIndex
from parallelpool.ordering import price_of
from parallelpool.primitives import Address, Wei
from parallelpool.transaction import PooledTransaction, Transaction
from tests.factories import Key, legacy, set_code, typed

A, B, C = Key(1), Key(2), Key(3)


def pooled(tx: Transaction, arrival: int = 0, *, is_local: bool = False) -> PooledTransaction:
    """As the pool holds it."""
    return PooledTransaction.of(tx, Address(tx.sender), is_local=is_local, arrival=arrival, received_at=0.0)


def index_of(*transactions: PooledTransaction, base_fee: int | None = 0) -> TransactionIndex:
    """All of these pending."""
    index = TransactionIndex()
    index.prices.reprice(None if base_fee is None else Wei(base_fee))
    for each in transactions:
        index.add(each, is_pending=True)
    return index


def test_gauges_are_lengths() -> None:
    """Pending, queued, local and slots follow adding, moving and discarding."""
    index = TransactionIndex()
    first, second = pooled(legacy(A, 0), is_local=True), pooled(legacy(A, 1, data=bytes(40_000), gas=10**6))
    index.add(first, is_pending=True)
    index.add(second, is_pending=False)
    both = (index.pending, index.queued, index.local, index.slots)
    index.move(second, is_pending=True)
    moved = (index.pending, index.queued, index.is_pending(second.hash))
    index.discard(first)
    index.assert_invariants()

    assert both == (1, 1, 1, 3)
    assert moved == (2, 0, True)
    assert (index.pending, index.queued, index.local, index.slots, len(index)) == (1, 0, 0, 2, 1)
    assert (first.hash in index, index.get(second.hash)) == (False, second)


def test_delegations_end_with_the_last_that_names_them() -> None:
    """Two transactions name B; it is free when both are gone."""
    index = TransactionIndex()
    first, second = pooled(set_code(A, 0, [B])), pooled(set_code(C, 0, [B, A]))
    index.add(first, is_pending=True)
    index.add(second, is_pending=True)
    index.discard(first)
    one_left = index.has_delegation(Address(B.address))
    index.discard(second)
    index.assert_invariants()

    assert one_left
    assert not index.has_delegation(Address(B.address))


def test_equal_price_is_underpriced_and_any_better_heap_is_not() -> None:
    """A newcomer must beat the worst of one heap at least; the empty pool underprices nobody."""
    cheap = pooled(typed(A, 0, cap=10, tip=2))
    index = index_of(cheap, base_fee=5)

    assert index.prices.is_underpriced(pooled(typed(B, 0, cap=10, tip=2)))
    assert index.prices.is_underpriced(pooled(typed(B, 7, cap=9, tip=2)))
    assert not index.prices.is_underpriced(pooled(typed(B, 0, cap=11, tip=2)))
    assert not index.prices.is_underpriced(pooled(typed(B, 0, cap=10, tip=3)))
    assert not index_of().prices.is_underpriced(cheap)


def test_the_cheapest_go_first_and_at_equal_price_the_higher_nonce() -> None:
    """Nonces 0 to 4 of one account at one price leave from the end."""
    index = index_of(*(pooled(legacy(A, nonce), nonce) for nonce in range(5)))
    taken = index.prices.take_cheapest(3)

    assert taken is not None
    assert [each.nonce for each in taken] == [4, 3, 2]


def test_too_much_asked_leaves_the_order_whole() -> None:
    """More slots than there are: nothing is taken, and the same question for less is answered."""
    index = index_of(*(pooled(legacy(A, nonce, price=1 + nonce), nonce) for nonce in range(10)))
    refused = index.prices.take_cheapest(11)
    index.assert_invariants()
    taken = index.prices.take_cheapest(10)

    assert refused is None
    assert taken is not None
    assert len(taken) == 10


def test_large_ones_free_their_slots() -> None:
    """Three slots asked, one victim of three slots is enough."""
    large = pooled(legacy(A, 0, price=1, gas=10**7, data=bytes(70_000)))
    index = index_of(large, *(pooled(legacy(B, nonce, price=9), nonce) for nonce in range(3)))

    assert index.prices.take_cheapest(3) == [large]


def test_both_heaps_agree_with_a_sorted_list_under_churn() -> None:
    """
    Thousands of comings and goings: what is taken is always the worst of a heap, and the heaps do not outgrow the pool.

    The first fifth, by effective tip, goes to the floating heap when the order is made; one of the five worst by
    either order must be what leaves first.
    """
    chance = random.Random(11)
    index = index_of(base_fee=30)
    alive: dict[bytes, PooledTransaction] = {}
    for step in range(3_000):
        each = pooled(typed(Key(1 + step), 0, cap=chance.randint(1, 60), tip=1), step)
        index.add(each, is_pending=True)
        alive[each.hash] = each
        if chance.random() < 0.4:
            gone = alive.pop(chance.choice(list(alive)))
            index.discard(gone)
        if len(alive) > 100:
            by_tip = min(price_of(each, Wei(30)) for each in alive.values())
            by_caps = min(price_of(each, None) for each in alive.values())
            taken = index.prices.take_cheapest(1)
            assert taken is not None
            (worst,) = taken
            assert price_of(worst, Wei(30)) == by_tip or price_of(worst, None) == by_caps
            index.discard(alive.pop(worst.hash))
        if step % 500 == 0:
            index.assert_invariants()
            index.prices.reprice(Wei(30))
    index.assert_invariants()
