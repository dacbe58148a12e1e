"""What the pool does beyond geth's checklist: answers, departures, reasons to wait, heads, held transactions."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelpool.departures import DepartureLog
from parallelpool.errors import ReplacementUnderpriced
from parallelpool.events import (
    Departure,
    DropReason,
    TransactionAdmitted,
    TransactionDropped,
    TransactionsPromoted,
    TransactionsQueued,
)
from parallelpool.pool import Submission
from parallelpool.primitives import Address, Nonce, TxHash
from parallelpool.transaction import Transaction, keccak256
from tests.factories import ETHER, FakeChain, Key, legacy, typed
from tests.invariants import assert_pool
from tests.pool_rig import PoolRig

A, B, C = Key(1), Key(2), Key(3)


def rig_of_three(chain: FakeChain | None = None, **limits: int) -> PoolRig:
    """A pool with the funded accounts A, B and C."""
    rig = PoolRig(chain, **limits)
    rig.keys(3)
    return rig


def texts(answers: Sequence[object]) -> list[str]:
    """Answers as callers see them."""
    return [str(answer) for answer in answers]


# ------------------------------------------------------------------ answers


def test_news_are_told_in_the_order_of_events() -> None:
    """Admissions and departures as they happened, then what became executable, then what waits."""
    rig = rig_of_three()
    rig.add(legacy(A, 2), legacy(A, 0), legacy(A, 0, price=2), legacy(A, 1), legacy(B, 7))
    kinds = [type(event) for event in rig.news]
    promoted, waiting = rig.news[-2:]

    assert kinds == [
        TransactionAdmitted,
        TransactionAdmitted,
        TransactionAdmitted,
        TransactionDropped,
        TransactionAdmitted,
        TransactionAdmitted,
        TransactionsPromoted,
        TransactionsQueued,
    ]
    assert isinstance(promoted, TransactionsPromoted)
    assert [tx.hash for tx in promoted.transactions] == [
        legacy(A, 0, price=2).hash,
        legacy(A, 1).hash,
        legacy(A, 2).hash,
    ]
    assert isinstance(waiting, TransactionsQueued)
    assert [tx.hash for tx in waiting.transactions] == [legacy(B, 7).hash]


def test_replaced_in_the_same_call_was_accepted() -> None:
    """Both get their hash; the first has a record of who replaced it."""
    rig = rig_of_three()
    rig.add(legacy(A, 0), legacy(A, 0, price=2))
    departure = rig.pool.drop_record(legacy(A, 0).hash)

    assert departure is not None
    assert (departure.reason, departure.replaced_by) == (DropReason.REPLACED, legacy(A, 0, price=2).hash)


def test_what_must_leave_in_the_same_call_is_refused_and_never_was() -> None:
    """Over the sender's queue, and evicted by a better one of the same call: errors, no record, no news."""
    rig = rig_of_three(accountqueue=1, globalslots=1, globalqueue=2)
    queued = rig.try_add(legacy(A, 5), legacy(A, 6))
    news = [type(event) for event in rig.news]
    evicted = rig.try_add(legacy(B, 0, price=2), legacy(C, 0, price=2), legacy(C, 0, price=2, gas=90_000))
    better = rig.try_add(legacy(B, 1, price=3), legacy(B, 2, price=4), legacy(B, 3, price=5))

    assert texts(queued) == ["None", "txpool is full"]
    assert news == [TransactionAdmitted, TransactionsQueued]
    assert rig.pool.drop_record(legacy(A, 6).hash) is None
    assert texts(evicted) == ["None", "None", "replacement transaction underpriced"]
    for answer, tx in zip(better, (legacy(B, n, price=n + 2) for n in (1, 2, 3)), strict=True):
        assert (answer is None) == (tx.hash in rig.pool)


def test_a_refused_transaction_of_before_keeps_its_record() -> None:
    """Evicted, sent again, refused by a limit: it still is known where the first one went."""
    rig = rig_of_three(accountqueue=1)
    rig.add(legacy(A, 6))
    rig.add(legacy(A, 5))
    before = rig.reason(legacy(A, 6))
    again = rig.refusal(legacy(A, 6))

    assert (before, again) == (DropReason.RATE_LIMITED, "txpool is full")
    assert rig.reason(legacy(A, 6)) is DropReason.RATE_LIMITED


def test_one_larger_than_the_whole_pool_finds_no_room() -> None:
    """Everything would have to go and it would not be enough: nothing goes."""
    rig = rig_of_three(globalslots=1, globalqueue=1)
    rig.add(legacy(A, 0))
    refused = rig.refusal(legacy(B, 0, price=9, gas=5_000_000, data=bytes(70_000)))

    assert refused == "txpool is full"
    assert rig.meters.overflowed == 1
    assert rig.counts == (1, 0)


def test_evictions_of_one_call_are_throttled() -> None:
    """More than a quarter of GlobalSlots taken out of pending: the rest of the call is refused, the next is not."""
    rig = PoolRig(globalslots=8, globalqueue=1)
    keys = rig.keys(30)
    rig.add(*(legacy(key, 0) for key in keys[:9]))
    answers = rig.try_add(*(legacy(key, 0, price=5) for key in keys[10:16]))
    next_answers = rig.try_add(legacy(keys[20], 0, price=5))

    assert texts(answers) == ["None", "None", "None", "txpool is full", "txpool is full", "txpool is full"]
    assert rig.meters.throttled == 3
    assert next_answers == [None]
    assert rig.pool.statistics().overflow == 3


def test_an_underbid_replacement_evicts_nobody() -> None:
    """In a full pool geth makes room first and refuses then; here nobody has to go for a refused one."""
    rig = PoolRig(globalslots=2, globalqueue=1)
    a, b = rig.keys(2)
    rig.add(legacy(a, 0, price=100), legacy(b, 0, price=1), legacy(b, 1, price=1))
    refused = rig.refusal(legacy(a, 0, price=105))

    assert refused == "replacement transaction underpriced"
    assert rig.counts == (3, 0)
    assert rig.meters.underpriced == 0


def test_a_replaced_hash_is_named() -> None:
    """The refusal says whom it could not replace."""
    rig = rig_of_three()
    rig.add(legacy(A, 0))
    (answer,) = rig.try_add(legacy(A, 0, gas=90_000))

    assert isinstance(answer, ReplacementUnderpriced)
    assert answer.replaces == legacy(A, 0).hash


# ------------------------------------------------------------------ why it waits


def test_reasons_to_wait_have_numbers() -> None:
    """Nonce gap, funds over all lower nonces, base fee: each with what is missing, together where together."""
    rig = rig_of_three(FakeChain(base_fee=3))
    rig.account(A).balance = 320_000
    rig.reset()
    rig.add(legacy(A, 0), legacy(A, 3, price=2), legacy(A, 4, price=2), legacy(B, 0, price=5))
    placements = [rig.pool.placement(tx.hash) for tx in (legacy(A, 0), legacy(A, 4, price=2))]

    assert placements[0] == ("pending", "fee cap below base fee: max fee per gas 1, base fee 3")
    assert placements[1] is not None
    assert placements[1][0] == "queued"
    assert str(placements[1][1]).split("; ") == [
        "nonce gap: next nonce 1, tx nonce 4",
        "insufficient funds: balance 320000, required 500300, missing 180300",
        "fee cap below base fee: max fee per gas 2, base fee 3",
    ]
    assert rig.pool.placement(legacy(B, 0, price=5).hash) == ("pending", None)
    assert rig.pool.why_queued(legacy(C, 0).hash) == ()
    assert rig.pool.placement(legacy(C, 0).hash) is None


def test_a_gap_that_a_delegated_sender_may_not_fill_is_told() -> None:
    """One in flight is all he may have: the missing nonce would be refused until it is mined."""
    rig = PoolRig()
    rig.chain.fund(A, B)
    rig.add(legacy(A, 0), legacy(A, 2))
    free = rig.pool.why_queued(legacy(A, 2).hash)
    rig.account(A).code_hash = keccak256(b"delegated")
    rig.reset()
    limited = rig.pool.why_queued(legacy(A, 2).hash)
    rig.mine(legacy(A, 0))
    mined = rig.pool.why_queued(legacy(A, 2).hash)

    assert [str(each) for each in free] == ["nonce gap: next nonce 1, tx nonce 2"]
    assert [each.name for each in limited] == ["nonceGap", "senderLimit"]
    assert limited[1].figures() == {"inFlight": 1, "limit": 1}
    assert str(limited[1]) == "sender limit: 1 in flight, a delegated account may have 1"
    assert [each.name for each in mined] == ["nonceGap"]


def test_departures_of_a_sender_are_found_without_the_others() -> None:
    """In order; what returns to the pool is no departure any more."""
    rig = PoolRig()
    rig.chain.fund(A, B)
    rig.add(legacy(A, 0), legacy(A, 1), legacy(B, 0))
    for tx in (legacy(A, 1), legacy(A, 0), legacy(B, 0)):
        rig.remove(tx)
    both = [departure.nonce for departure in rig.pool.departures_of(A.address)]
    rig.add(legacy(A, 1))
    one = [departure.nonce for departure in rig.pool.departures_of(A.address)]
    rig.wait(3_601)

    assert (both, one) == ([1, 0], [0])
    assert rig.pool.departures_of(A.address) == rig.pool.departures_of(B.address) == ()


def test_best_ones_end_at_the_base_fee() -> None:
    """What cannot pay the base fee is pending and not offered, nor is what follows it."""
    rig = rig_of_three()
    rig.add(legacy(A, 0, price=5), legacy(A, 1, price=2), legacy(A, 2, price=9), legacy(B, 0, price=3))

    assert [(tx.sender, tx.nonce) for tx in rig.pool.pending_best(3)] == [(A.address, 0), (B.address, 0)]
    assert len(list(rig.pool.pending_best(3, min_tip=1))) == 1
    assert len(list(rig.pool.pending_best(0))) == 4
    assert rig.counts == (4, 0)


def test_best_ones_are_read_before_the_pool_changes() -> None:
    """Going on afterwards is an error, not a mixture."""
    rig = rig_of_three()
    rig.add(legacy(A, 0), legacy(A, 1))
    best = rig.pool.pending_best(0)
    next(best)
    rig.add(legacy(B, 0))

    with pytest.raises(RuntimeError):
        next(best)


def test_an_unknown_account_has_its_state_nonce() -> None:
    """Also without anything pooled."""
    rig = rig_of_three()
    rig.account(B).nonce = 9

    assert (rig.pool.nonce(B.address), rig.pool.nonce(bytes(20))) == (9, 0)


# ------------------------------------------------------------------ departures


def test_each_departure_has_its_reason() -> None:
    """Mined, superseded, unaffordable, too large for a block, expired, removed."""
    rig = rig_of_three()
    txs = {name: legacy(A, nonce) for nonce, name in enumerate(["mined", "superseded", "dear"])}
    txs["dear"] = legacy(A, 2, price=9)
    txs["large"] = legacy(B, 0, gas=2_000_000)
    txs["expired"] = legacy(C, 9)
    txs["removed"] = legacy(C, 0)
    rig.add(*txs.values())
    rig.chain.mine(txs["mined"], legacy(A, 1, price=7))
    rig.account(A).balance = 100_100
    rig.chain.gas_limit = 1_000_000
    rig.reset()
    rig.remove(txs["removed"])
    reasons = {name: rig.reason(tx) for name, tx in txs.items()}
    rig.wait(3 * 3_600 + 1)

    assert reasons == {
        "mined": DropReason.MINED,
        "superseded": DropReason.SUPERSEDED,
        "dear": DropReason.UNPAYABLE,
        "large": DropReason.GAS_ABOVE_BLOCK_LIMIT,
        "expired": None,
        "removed": DropReason.REMOVED,
    }
    assert rig.reason(txs["expired"]) is DropReason.EXPIRED
    assert rig.reason(txs["mined"]) is None, "remembered for an hour"
    assert len(rig.pool) == 0


def test_a_replaced_one_that_is_mined_after_all_is_mined() -> None:
    """Another producer took the old one: that is where it went."""
    rig = rig_of_three()
    rig.add(legacy(A, 0))
    rig.add(legacy(A, 0, price=2))
    rig.mine(legacy(A, 0))
    departure = rig.pool.drop_record(legacy(A, 0).hash)

    assert departure is not None
    assert (departure.reason, departure.replaced_by, departure.block_number) == (DropReason.MINED, None, 1)
    assert rig.reason(legacy(A, 0, price=2)) is DropReason.SUPERSEDED


def test_departures_are_forgotten_by_number_and_time() -> None:
    """The oldest first, and what came back at once."""

    def departure(number: int) -> Departure:
        return Departure(
            TxHash(bytes([number]) * 32), Address(bytes(20)), Nonce(0), DropReason.EXPIRED, float(number)
        )

    log = DepartureLog(capacity=3, lifetime_s=10.0)
    for number in range(5):
        log.record(departure(number))
    log.record(departure(2))
    by_number = [each.departed_at for each in log]
    log.forget(departure(3).hash)
    log.expire(13.5)

    assert by_number == [3.0, 4.0, 2.0]
    assert [each.departed_at for each in log] == [4.0, 2.0]
    log.expire(14.5)
    assert len(log) == 0


# ------------------------------------------------------------------ heads


def test_a_gap_filled_while_a_head_comes_is_promoted_at_once() -> None:
    """geth may leave it queued till the next head; the pool promotes behind the last pending one."""
    rig = rig_of_three()
    rig.add(legacy(A, 0), legacy(A, 1), legacy(A, 2))
    rig.mine(legacy(A, 0))
    rig.add(legacy(A, 3))

    assert rig.nonces(A) == ([1, 2, 3], [])


def test_crossing_into_osaka_drops_what_exceeds_its_cap() -> None:
    """Followers wait; the reason is the fork's cap."""
    rig = rig_of_three(FakeChain(network="Prague", gas_limit=60_000_000))
    rig.add(legacy(A, 0, gas=16_777_217), legacy(A, 1), legacy(B, 0, gas=16_777_216))
    rig.chain.network = "Osaka"
    rig.mine()

    assert (rig.nonces(A), rig.nonces(B)) == (([], [1]), ([0], []))
    assert rig.reason(legacy(A, 0, gas=16_777_217)) is DropReason.GAS_ABOVE_TRANSACTION_CAP


def test_returned_ones_join_what_is_pooled() -> None:
    """Blocks with nonces 0 to 2 are abandoned, 1 is refused for funds: 0 is pending, what follows the gap waits."""
    rig = rig_of_three()
    rig.account(A).nonce = 3
    rig.reset()
    rig.add(legacy(A, 3), legacy(A, 4))
    rig.account(A).nonce = 0
    rig.account(A).balance = 350_000
    rig.reset([legacy(A, 0), legacy(A, 1, price=3), legacy(A, 2)])

    assert rig.nonces(A) == ([0], [2, 3, 4])
    assert rig.meters.valid == 4


def test_returned_ones_are_not_held_against_each_other() -> None:
    """Two of which each alone can be paid both return, as in geth; admission would add them up."""
    rig = PoolRig()
    rig.chain.fund(A, balance=150_000)
    returning = [legacy(A, nonce, value=0) for nonce in (0, 1)]
    rig.reset(returning)

    assert rig.nonces(A) == ([0, 1], [])
    assert rig.try_add(legacy(A, 2, value=0))[0] is not None


def test_nothing_is_remembered_of_those_who_do_not_return() -> None:
    """A transaction that the new branch has superseded is refused, and its sender is nobody again."""
    rig = PoolRig()
    rig.chain.fund(A)
    rig.account(A).nonce = 5
    rig.reset([legacy(A, 0)])

    assert len(rig.pool) == 0


def test_returned_ones_are_announced_again() -> None:
    """They became executable; what was executable all the time is not told again."""
    rig = rig_of_three()
    rig.add(legacy(A, 0), legacy(B, 0))
    rig.mine(legacy(A, 0))
    rig.announced()
    rig.account(A).nonce = 0
    rig.chain.mined.clear()
    rig.reset([legacy(A, 0)])

    assert [tx.sender for tx in rig.announced()] == [A.address]
    assert rig.pool.drop_record(legacy(A, 0).hash) is None


def test_every_change_is_seen_in_the_sequence() -> None:
    """Whoever cached a view knows by a number that it is old."""
    rig = rig_of_three()
    numbers = [rig.pool.sequence]
    rig.add(legacy(A, 0))
    numbers.append(rig.pool.sequence)
    rig.mine()
    numbers.append(rig.pool.sequence)
    rig.remove(legacy(A, 0))
    numbers.append(rig.pool.sequence)

    assert numbers == sorted(set(numbers))


# ------------------------------------------------------------------ held back, restored


def test_restored_ones_keep_origin_time_and_order() -> None:
    """Also where they come in another order, and what is not accepted says why."""
    rig = rig_of_three(accountqueue=1)
    answers = rig.pool.restore(
        [
            Submission(legacy(A, 2), True, 3.0, arrival=0),
            Submission(legacy(A, 1), False, 2.0, arrival=1),
            Submission(legacy(B, 0, price=0), True, 9.0, arrival=2),
            Submission(legacy(A, 0), True, 1.0, arrival=7),
        ]
    )
    assert_pool(rig.pool)
    rig.add(legacy(C, 0))

    assert texts(list(answers)) == [
        "None",
        "None",
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1",
        "None",
    ]
    assert rig.nonces(A) == ([0, 1, 2], [])
    assert [(each.arrival, each.is_local, each.received_at) for each in rig.pool.pooled()][:3] == [
        (0, True, 3.0),
        (1, False, 2.0),
        (7, True, 1.0),
    ]
    assert rig.pool.pooled()[3].arrival == 8


nonces_and_prices = st.lists(
    st.tuples(st.sampled_from([A, B]), st.integers(0, 5), st.integers(1, 9)), max_size=8
)


@given(before=nonces_and_prices, batch=nonces_and_prices)
def test_a_revoked_call_leaves_no_trace(
    before: list[tuple[Key, int, int]], batch: list[tuple[Key, int, int]]
) -> None:
    """Held, then revoked: content, prices and nonces are what they were, and nobody saw anything in between."""
    rig = rig_of_three()

    def content() -> list[tuple[str, bytes]]:
        pending, queued = rig.pool.content()
        places = (("pending", pending), ("queued", queued))
        return sorted((name, tx.hash) for name, place in places for held in place.values() for tx in held)

    def made(each: tuple[Key, int, int]) -> Transaction:
        return legacy(each[0], each[1], price=each[2])

    rig.pool.add([made(each) for each in before])
    seen = (content(), [rig.pool.nonce(key.address) for key in (A, B)])
    answers = rig.pool.add([made(each) for each in batch], held=True)
    assert_pool(rig.pool)
    during = (content(), [rig.pool.nonce(key.address) for key in (A, B)])
    best = [tx.hash for tx in rig.pool.pending_best(0)]
    admitted = [made(each).hash for each, answer in zip(batch, answers, strict=True) if answer is None]
    rig.pool.revoke([TxHash(tx_hash) for tx_hash in admitted], "disk on fire")
    assert_pool(rig.pool)

    assert during == seen
    assert {("pending", tx_hash) for tx_hash in best} <= set(seen[0])
    assert (content(), [rig.pool.nonce(key.address) for key in (A, B)]) == seen


@given(before=nonces_and_prices, batch=nonces_and_prices)
def test_what_readers_miss_of_many_is_what_each_one_is_asked_for(
    before: list[tuple[Key, int, int]], batch: list[tuple[Key, int, int]]
) -> None:
    """Pooled, replaced, refused, held back and never seen ones, before and after those held are revoked."""
    rig = rig_of_three()
    earlier, later = (
        [legacy(key, nonce, price=price) for key, nonce, price in made] for made in (before, batch)
    )
    hashes = [tx.hash for tx in (*earlier, *later, legacy(C, 0))]
    rig.pool.add(earlier)
    answers = rig.pool.add(later, held=True)
    while_held = (set(rig.pool.missing(hashes)), {each for each in hashes if each not in rig.pool})
    admitted = [TxHash(tx.hash) for tx, answer in zip(later, answers, strict=True) if answer is None]
    rig.pool.revoke(admitted, "disk on fire")

    assert while_held[0] == while_held[1]
    assert legacy(C, 0).hash in while_held[0]
    assert set(rig.pool.missing(hashes)) == {each for each in hashes if each not in rig.pool}


@given(before=nonces_and_prices, batch=nonces_and_prices)
def test_an_acknowledged_call_is_as_if_it_had_never_been_held(
    before: list[tuple[Key, int, int]], batch: list[tuple[Key, int, int]]
) -> None:
    """Holding changes when readers see, never what they see then."""
    held, plain = rig_of_three(), rig_of_three()
    for rig, is_held in ((held, True), (plain, False)):
        rig.pool.add([legacy(key, nonce, price=price) for key, nonce, price in before])
        transactions = [legacy(key, nonce, price=price) for key, nonce, price in batch]
        rig.pool.add(transactions, held=is_held)
        rig.pool.acknowledge([TxHash(tx.hash) for tx in transactions])
        assert_pool(rig.pool)

    assert held.pool.content() == plain.pool.content()
    assert held.pool.statistics() == plain.pool.statistics()


def test_parallel_and_ordinary_types_replace_each_other() -> None:
    """One nonce, one rule, whatever the type."""
    rig = rig_of_three()
    rig.chain.fund(A, balance=10 * ETHER)
    rig.add(typed(A, 0, tx_type=5, tip=10, cap=10, data=b"PARALLEL"))
    refused = rig.refusal(legacy(A, 0, price=10))
    rig.add(legacy(A, 0, price=11))
    rig.add(typed(A, 0, tx_type=5, tip=13, cap=13))

    assert refused == "replacement transaction underpriced"
    assert [tx.type for tx in rig.pool.pending_of(A.address)] == [5]
