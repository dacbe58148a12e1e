"""Lists by nonce, senders' collections, heartbeats, and fair shares."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelpool.primitives import Address, Gas, Nonce, Wei
from parallelpool.sender import NonceList, PendingSenders, QueuedSenders, fair_shares
from parallelpool.transaction import PooledTransaction
from tests.factories import Key, legacy

A, B, C = Key(1), Key(2), Key(3)


def pooled(nonce: int, *, key: Key = A, price: int = 1, gas: int = 100_000) -> PooledTransaction:
    """As the pool holds it."""
    tx = legacy(key, nonce, price=price, gas=gas)
    return PooledTransaction.of(tx, Address(tx.sender), is_local=True, arrival=nonce, received_at=0.0)


def filled(nonces: Sequence[int]) -> NonceList:
    """A list of these nonces, put in shuffled."""
    filled_list = NonceList()
    for nonce in random.Random(1).sample(nonces, len(nonces)):
        filled_list.put(pooled(nonce))
    return filled_list


def numbers(transactions: Sequence[PooledTransaction] | NonceList) -> list[int]:
    """Their nonces."""
    return [each.nonce for each in transactions]


@pytest.mark.parametrize("nonces", [[], [4], [4, 5, 7, 8, 20]])
def test_ranges_are_taken_out_exactly(nonces: list[int]) -> None:
    """Below, from, highest: for an empty list, for one transaction alone, and for many."""
    for bound in range(22):
        low, high = filled(nonces), filled(nonces)

        assert numbers(low.pop_below(Nonce(bound))) == [each for each in nonces if each < bound]
        assert numbers(low) == [each for each in nonces if each >= bound]
        assert numbers(high.pop_from(Nonce(bound))) == [each for each in nonces if each >= bound]
        assert numbers(high) == [each for each in nonces if each < bound]
    for count in range(6):
        tail = filled(nonces)

        assert numbers(tail.pop_highest(count)) == nonces[::-1][:count]
        assert numbers(tail) == nonces[: max(0, len(nonces) - count)]


def test_costs_follow_every_change() -> None:
    """Put, replace and take out keep the sum."""
    nonces = filled([1, 2, 3])
    nonces.put(pooled(2, price=5))
    after_replacement = nonces.total_cost
    nonces.pop(Nonce(1))
    nonces.pop_from(Nonce(3))

    assert after_replacement == 2 * 100_100 + 500_100
    assert nonces.total_cost == 500_100


@pytest.mark.parametrize(
    ("nonces", "next_nonce", "run"),
    [([3, 4, 6], 3, [3, 4]), ([3, 4, 6], 2, []), ([3, 4, 6], 9, [3, 4]), ([5], 5, [5]), ([], 0, [])],
)
def test_runs_begin_at_or_below_the_next_nonce(nonces: list[int], next_nonce: int, run: list[int]) -> None:
    """As geth's Ready: from the lowest on, if that is not above; lower ones come along."""
    queue = filled(nonces)

    assert numbers(queue.pop_run(Nonce(next_nonce))) == run
    assert numbers(queue) == nonces[len(run) :]


@pytest.mark.parametrize(
    ("nonces", "first", "left"),
    [([3, 4, 5], 3, []), ([3, 4, 6, 7], 3, [6, 7]), ([4, 5], 3, [4, 5]), ([3], 3, []), ([4], 3, [4])],
)
def test_what_stands_behind_a_gap_is_found(nonces: list[int], first: int, left: list[int]) -> None:
    """The run that begins with the account's nonce stays."""
    pending = filled(nonces)

    assert numbers(pending.pop_after_gap(Nonce(first))) == left


def test_unaffordable_ones_are_found_again_after_the_bounds_fell() -> None:
    """A filter that found nothing more to do is not asked again until something dearer comes."""
    nonces = NonceList()
    for each in (pooled(0), pooled(1, price=3), pooled(2, gas=200_000), pooled(3)):
        nonces.put(each)
    dear = nonces.pop_unaffordable(Wei(250_000), Gas(150_000))
    again = nonces.pop_unaffordable(Wei(250_000), Gas(150_000))
    nonces.put(pooled(5, price=3))
    new = nonces.pop_unaffordable(Wei(250_000), Gas(150_000))
    poorer = nonces.pop_unaffordable(Wei(100_099), Gas(150_000))

    assert [numbers(each) for each in (dear, again, new, poorer)] == [[1, 2], [], [5], [0, 3]]


def test_a_sender_without_transactions_is_gone() -> None:
    """The last one out takes list, crowd and heartbeat along."""
    pending, queued = PendingSenders(1), QueuedSenders()
    for nonce in range(3):
        pending.put(pooled(nonce))
        queued.queue(pooled(nonce + 10), 5.0)
    pending.pop_from(Address(A.address), Nonce(0))
    queued.pop_below(Address(A.address), Nonce(100))
    pending.assert_invariants()
    queued.assert_invariants()

    assert (len(pending), len(queued)) == (0, 0)
    assert list(pending.largest_first()) == []
    assert queued.oldest() is None


def test_the_crowded_are_found_largest_first() -> None:
    """Only those above the guaranteed share, in the order of their sizes, after every change."""
    pending = PendingSenders(2)
    for key, count in ((A, 3), (B, 5), (C, 2)):
        for nonce in range(count):
            pending.put(pooled(nonce, key=key))
        pending.assert_invariants()
    pending.pop_highest(Address(B.address), 1)

    assert list(pending.largest_first()) == [(4, B.address), (3, A.address)]


def test_heartbeats_are_set_once_and_renewed_on_purpose() -> None:
    """A second waiting transaction does not renew; `beat` does, and not for those who have none."""
    queued = QueuedSenders()
    queued.queue(pooled(5), 1.0)
    queued.queue(pooled(5, key=B), 2.0)
    queued.queue(pooled(6), 3.0)
    first = queued.oldest()
    queued.beat(Address(A.address), 4.0)
    queued.beat(Address(C.address), 5.0)
    queued.assert_invariants()

    assert first == (A.address, 1.0)
    assert queued.oldest() == (B.address, 2.0)


def by_rounds(sizes: dict[Address, int], excess: int, guaranteed: int) -> dict[Address, int]:
    """geth's truncatePending as it is written, one transaction at a time."""
    left = dict(sizes)
    over = excess
    spammers = sorted(
        (sender for sender in left if left[sender] > guaranteed), key=lambda sender: (left[sender], sender)
    )
    offenders: list[Address] = []
    while over > 0 and spammers:
        offender = spammers.pop()
        offenders.append(offender)
        if len(offenders) > 1:
            threshold = left[offender]
            while over > 0 and left[offenders[-2]] > threshold:
                for each in offenders[:-1]:
                    left[each] -= 1
                    over -= 1
    while over > 0 and offenders and left[offenders[-1]] > guaranteed:
        for each in offenders:
            left[each] -= 1
            over -= 1
    return {sender: sizes[sender] - left[sender] for sender in sizes if left[sender] < sizes[sender]}


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 300), st.integers(1, 20))
def test_fair_shares_are_geths(sizes: list[int], excess: int, guaranteed: int) -> None:
    """The rounds added up lose what the rounds lose."""
    by_sender = {Address(bytes([number]) * 20): size for number, size in enumerate(sizes)}
    crowded = sorted(
        ((size, sender) for sender, size in by_sender.items() if size > guaranteed), reverse=True
    )

    assert fair_shares(crowded, excess, guaranteed) == by_rounds(by_sender, excess, guaranteed)
