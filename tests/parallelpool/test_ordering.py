"""Prices, the replacement rule, and the best-first order."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelpool.ordering import best_first, effective_tip, replacement_allowed
from parallelpool.primitives import Address, Gas, Wei
from parallelpool.transaction import PooledTransaction, Transaction
from tests.factories import Key, legacy, typed

A, B, C = Key(1), Key(2), Key(3)


def pooled(tx: Transaction, arrival: int = 0) -> PooledTransaction:
    """As the pool holds it."""
    return PooledTransaction.of(tx, Address(tx.sender), is_local=True, arrival=arrival, received_at=0.0)


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [(1, 2, True), (1, 1, False), (9, 10, True), (100, 109, False), (100, 110, True), (100, 90, False)],
)
def test_price_bump_is_floored_and_strict(old: int, new: int, allowed: bool) -> None:
    """Ten percent, rounded down, but never equal."""
    assert (
        replacement_allowed(pooled(legacy(A, 0, price=old)), pooled(legacy(A, 0, price=new)), 10) is allowed
    )


@given(
    old_cap=st.integers(1, 10**12),
    old_tip=st.integers(0, 10**12),
    cap=st.integers(1, 10**12),
    tip=st.integers(0, 10**12),
    bump=st.integers(1, 300),
)
def test_replacement_rule_is_geths(old_cap: int, old_tip: int, cap: int, tip: int, bump: int) -> None:
    """Strictly more in both caps, and both at least at the threshold: list.Add restated."""
    old, new = pooled(typed(A, 0, cap=old_cap, tip=old_tip)), pooled(typed(A, 0, cap=cap, tip=tip))
    too_low = old_cap >= cap or old_tip >= tip
    below_threshold = old_cap * (100 + bump) // 100 > cap or old_tip * (100 + bump) // 100 > tip

    assert replacement_allowed(old, new, bump) is not (too_low or below_threshold)


def test_effective_tip_may_be_negative() -> None:
    """A cap below the base fee pays less than nothing; without a base fee the tip cap is all."""
    tips = [effective_tip(Wei(10), Wei(3), base_fee) for base_fee in (None, Wei(0), Wei(8), Wei(12))]

    assert tips == [3, 3, 2, -2]


def take(
    by_sender: Iterable[list[PooledTransaction]],
    *,
    base_fee: int = 0,
    min_tip: int = 0,
    gas_cap: int | None = None,
) -> list[tuple[bytes, int]]:
    """(sender, nonce) in the order of taking."""
    best = best_first(
        by_sender,
        Wei(base_fee),
        min_tip=Wei(min_tip),
        gas_cap=None if gas_cap is None else Gas(gas_cap),
    )
    return [(each.sender, each.nonce) for each in best]


def test_a_dear_follower_waits_for_its_cheap_predecessor() -> None:
    """Nonce order binds a sender; others overtake."""
    first = [pooled(legacy(A, 0, price=2), 0), pooled(legacy(A, 1, price=9), 1)]
    second = [pooled(legacy(B, 0, price=5), 2)]

    assert take([first, second]) == [(B.address, 0), (A.address, 0), (A.address, 1)]


def test_a_sender_is_cut_at_the_first_that_cannot_run() -> None:
    """Below the minimum tip, or above the gas cap: what follows would run into a nonce gap."""
    cheap = [
        pooled(legacy(A, 0, price=5), 0),
        pooled(legacy(A, 1, price=1), 1),
        pooled(legacy(A, 2, price=9), 2),
    ]
    heavy = [pooled(legacy(B, 0, price=4, gas=200_000), 3), pooled(legacy(B, 1, price=4), 4)]

    assert take([cheap, heavy], min_tip=2) == [(A.address, 0), (B.address, 0), (B.address, 1)]
    assert take([cheap, heavy], min_tip=2, gas_cap=150_000) == [(A.address, 0)]
    assert take([cheap, heavy], base_fee=5) == [(A.address, 0)]


def test_equal_tips_go_by_arrival_across_senders() -> None:
    """The later sender's second does not overtake the earlier sender's second."""
    first = [pooled(legacy(A, 0), 5), pooled(legacy(A, 1), 6)]
    second = [pooled(legacy(B, 0), 1), pooled(legacy(B, 1), 9)]
    third = [pooled(legacy(C, 0), 3)]

    assert take([first, second, third]) == [
        (B.address, 0),
        (C.address, 0),
        (A.address, 0),
        (A.address, 1),
        (B.address, 1),
    ]
