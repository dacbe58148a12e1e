"""
geth's `legacypool_test.go`, line by line: what each of its tests verifies, on our pool.

Names of geth's tests stand in the docstrings. Lines that do not apply are listed in `docs/pool.md`.
"""

import random
from collections.abc import Callable

import pytest

from parallelpool.transaction import Transaction
from tests.factories import ETHER, FakeChain, Key, legacy, typed
from tests.pool_rig import PoolRig

A = Key(1)


def funded(balance: int = ETHER, **limits: int) -> PoolRig:
    """A pool with one funded account, A."""
    rig = PoolRig(None, **limits)
    rig.chain.fund(A, balance=balance)
    return rig


def test_nonce_stays_when_state_moves_under_reset() -> None:
    """TestStateChangeDuringReset: the pool's nonce is 2 before and after the state reaches 2 by itself."""
    rig = funded()
    rig.add(legacy(A, 0), legacy(A, 1))
    before = rig.pool.nonce(A.address)
    rig.mine(legacy(A, 0), legacy(A, 1))

    assert (before, rig.pool.nonce(A.address)) == (2, 2)


def test_invalid_transactions_are_refused_in_order_of_the_checks() -> None:
    """TestInvalidTransactions: intrinsic gas before funds, then funds, nonce, and the minimum tip."""
    rig = PoolRig()
    rig.account(A).balance = 1
    unpaid = rig.refusal(legacy(A, 0, gas=100))
    unfunded = rig.refusal(legacy(A, 0))
    rig.account(A).nonce = 1
    rig.account(A).balance = ETHER
    rig.reset()
    used = rig.refusal(legacy(A, 0))
    rig.set_gas_tip(1_000)
    cheap = rig.refusal(legacy(A, 1))

    assert unpaid == "intrinsic gas too low: gas 100, minimum needed 21000"
    assert unfunded == (
        "insufficient funds for gas * price + value: balance 1, tx cost 100100, overshot 100099"
    )
    assert used == "nonce too low: next nonce 1, tx nonce 0"
    assert cheap == "transaction gas price below minimum: gas tip cap 1, minimum needed 1000"
    assert rig.meters.invalid == 4


def test_queue_loses_what_the_state_has_passed() -> None:
    """TestQueue: an executable one becomes pending; one below the state's nonce leaves the queue."""
    rig = funded()
    rig.add(legacy(A, 0), legacy(A, 2))
    before = rig.nonces(A)
    rig.account(A).nonce = 3
    rig.reset()

    assert before == ([0], [2])
    assert rig.counts == (0, 0)


def test_gapped_nonces_wait() -> None:
    """TestQueue2: nonces 0, 10, 11 give one pending and two queued."""
    rig = funded()
    rig.add(legacy(A, 0), legacy(A, 10), legacy(A, 11))

    assert rig.nonces(A) == ([0], [10, 11])


def test_tip_above_fee_cap_is_refused() -> None:
    """TestTipAboveFeeCap: a tip of 2 with a cap of 1."""
    rig = funded()

    assert rig.refusal(typed(A, 0, tip=2, cap=1)) == "max priority fee per gas higher than max fee per gas"


def test_a_removed_transaction_can_come_back() -> None:
    """TestChainFork: taken out, then accepted again after a reset."""
    rig = funded()
    rig.add(legacy(A, 0))
    rig.remove(legacy(A, 0))
    rig.reset()
    rig.add(legacy(A, 0))

    assert rig.nonces(A) == ([0], [])


def test_only_the_better_of_one_nonce_stays() -> None:
    """TestDoubleNonce: price 1, then 2 in its place, then 1 refused; one transaction is left."""
    rig = funded()
    rig.add(legacy(A, 0, price=1))
    rig.add(legacy(A, 0, price=2, gas=1_000_000))
    refused = rig.refusal(legacy(A, 0, price=1, gas=1_000_000))

    assert refused == "replacement transaction underpriced"
    assert [tx.max_fee_per_gas for tx in rig.pool.pending_of(A.address)] == [2]
    assert len(rig.pool) == 1


def test_missing_nonce_waits() -> None:
    """TestMissingNonce: nonce 1 of a fresh account is queued."""
    rig = funded()
    rig.add(legacy(A, 1))

    assert rig.counts == (0, 1)


def test_pool_nonce_follows_the_state_down() -> None:
    """TestNonceRecovery: the state falls from 10 to 9, and the pool's nonce with it."""
    rig = funded()
    rig.account(A).nonce = 10
    rig.reset()
    rig.add(legacy(A, 10))
    rig.account(A).nonce = 9
    rig.reset()

    assert rig.pool.nonce(A.address) == 9
    assert rig.nonces(A) == ([], [10])


def test_unaffordable_and_oversized_are_dropped_on_reset() -> None:
    """TestDropping: a lower balance drops what it cannot pay for alone, a lower block limit what needs more gas."""
    rig = funded(balance=200_000)
    rig.add(*(legacy(A, start + n, gas=21_000 + 100 * n, value=0) for start in (0, 10) for n in range(3)))
    before = rig.nonces(A)
    rig.account(A).balance = 21_150
    rig.reset()
    poorer = rig.nonces(A)
    rig.chain.gas_limit = 21_050
    rig.reset()

    assert before == ([0, 1, 2], [10, 11, 12])
    assert poorer == ([0, 1], [10, 11])
    assert rig.nonces(A) == ([0], [10])
    assert (rig.meters.pending_nofunds, rig.meters.queued_nofunds) == (2, 2)


def test_followers_of_dropped_ones_are_postponed() -> None:
    """TestPostponing: one wei less drops every dear one; affordable followers wait, and half of all is left."""
    rig = PoolRig()
    keys = rig.keys(2, balance=10**9)
    for account, key in enumerate(keys):
        # Cheap and dear in turn; the second account begins with a dear one.
        rig.add(
            *(
                legacy(key, nonce, gas=25_000 if (account + nonce) % 2 == 0 else 50_000)
                for nonce in range(100)
            )
        )
    for key in keys:
        rig.account(key).balance = 50_099
    rig.reset()

    assert rig.nonces(keys[0]) == ([0], list(range(2, 100, 2)))
    assert rig.nonces(keys[1]) == ([], list(range(1, 100, 2)))
    assert len(rig.pool) == 100
    assert rig.meters.pending_nofunds == 100


def test_filling_a_gap_promotes_what_waited() -> None:
    """TestGapFilling: nonces 0 and 2, then 1: one announcement, then two more."""
    rig = funded()
    rig.add(legacy(A, 0), legacy(A, 2))
    first = (rig.counts, len(rig.announced()))
    rig.add(legacy(A, 1))

    assert first == ((1, 1), 1)
    assert (rig.counts, [tx.nonce for tx in rig.announced()]) == ((3, 0), [1, 2])


def test_one_account_cannot_queue_more_than_its_limit() -> None:
    """
    TestQueueAccountLimiting: no more than AccountQueue are kept, none is pending.

    geth answers the ones beyond with a hash and drops them; here they are refused, as `docs/pool.md` says.
    """
    rig = funded(accountqueue=16)
    answers = [rig.try_add(legacy(A, nonce))[0] for nonce in range(1, 22)]

    assert rig.nonces(A) == ([], list(range(1, 17)))
    assert [str(answer) for answer in answers[16:]] == ["txpool is full"] * 5
    assert answers[:16] == [None] * 16
    assert rig.meters.queued_ratelimit == 5


def test_queued_of_all_accounts_stay_within_the_limits() -> None:
    """TestQueueGlobalLimiting: per account at most AccountQueue, in all at most GlobalQueue."""
    rig = PoolRig(accountqueue=16, globalqueue=16 * 3 - 1)
    keys = rig.keys(5)
    chance = random.Random(17)
    next_nonce = dict.fromkeys(keys, 1)
    for _ in range(16 * 3 * 3):
        key = chance.choice(keys[:4])
        rig.try_add(legacy(key, next_nonce[key]))
        next_nonce[key] += 1
        assert max(len(rig.nonces(each)[1]) for each in keys) <= 16
        assert rig.counts[1] <= 16 * 3 - 1
    filled = rig.counts
    rig.try_add(*(legacy(keys[4], nonce) for nonce in range(1, 20)))

    assert filled == (0, 16 * 3 - 1)
    assert rig.counts == (0, 16 * 3 - 1)


def test_queued_ones_expire_and_pending_ones_do_not() -> None:
    """TestQueueTimeLimiting: nothing goes before the lifetime; after a full idle lifetime only the gapped one does."""
    lifetime = 3 * 3_600
    rig = funded()
    rig.add(legacy(A, 1))
    rig.wait(lifetime - 1)
    young = rig.counts
    rig.wait(2)
    old = rig.counts
    rig.account(A).nonce = 4
    rig.reset()
    rig.add(legacy(A, 4), legacy(A, 6))
    rig.wait(lifetime + 1)

    assert (young, old) == ((0, 1), (0, 0))
    assert rig.nonces(A) == ([4], [])
    assert rig.meters.queued_eviction == 2


def test_a_promotion_keeps_an_older_gapped_one_alive() -> None:
    """TestQueueTimeLimiting: the sender's clock starts anew when one of his becomes executable, not by a gapped one."""
    lifetime = 3 * 3_600
    rig = funded()
    rig.add(legacy(A, 2))
    rig.wait(lifetime / 2)
    rig.add(legacy(A, 0))
    rig.wait(lifetime / 2 + 60)
    survived = rig.nonces(A)
    rig.add(legacy(A, 4))
    rig.wait(lifetime / 2)

    assert survived == ([0], [2])
    assert rig.nonces(A) == ([0], [])


def test_consecutive_ones_of_one_account_are_all_pending() -> None:
    """TestPendingLimiting: AccountQueue + 5 consecutive ones are all executable, each announced once."""
    rig = funded()
    for nonce in range(69):
        rig.add(legacy(A, nonce))

    assert rig.counts == (69, 0)
    assert [tx.nonce for tx in rig.announced()] == list(range(69))


def test_pending_of_all_accounts_stay_within_the_limit() -> None:
    """TestPendingGlobalLimiting: five accounts overfill; no more than GlobalSlots are pending."""
    rig = PoolRig(globalslots=160)
    keys = rig.keys(5)
    rig.try_add(*(legacy(key, nonce) for key in keys for nonce in range(64)))

    assert rig.counts == (160, 0)
    assert rig.meters.pending_ratelimit == 160


@pytest.mark.parametrize("excess", [0, 1, 16_384])
def test_size_limit_is_exact(excess: int) -> None:
    """TestAllowedTxSize: 131,072 bytes are accepted, one more is not, nor is far more."""
    rig = funded(balance=10**30)
    overhead = len(legacy(A, 0, gas=9_000_000, data=b"\x01" * 100_000).raw) - 100_000
    tx = legacy(A, 0, gas=9_000_000, data=b"\x01" * (131_072 - overhead + excess))

    if excess:
        assert rig.refusal(tx) == f"oversized data: transaction size {131_072 + excess}, limit 131072"
    else:
        assert tx.size == 131_072
        rig.add(tx)


def test_truncated_ones_leave_every_index() -> None:
    """TestCapClearsFromAll: with limits of 2, 2 and 8, what 16 of one account leave behind is nowhere."""
    rig = funded(accountslots=2, accountqueue=2, globalslots=8)
    transactions = [legacy(A, nonce) for nonce in range(16)]
    rig.try_add(*transactions)

    assert rig.counts == (8, 0)
    assert [tx.hash in rig.pool for tx in transactions] == [True] * 8 + [False] * 8


def test_every_account_keeps_its_guaranteed_share() -> None:
    """TestPendingMinimumAllowance: with GlobalSlots 1, each of five accounts keeps exactly AccountSlots."""
    rig = PoolRig(globalslots=1)
    keys = rig.keys(5)
    rig.try_add(*(legacy(key, nonce) for key in keys for nonce in range(32)))

    assert [len(rig.nonces(key)[0]) for key in keys] == [16] * 5


Priced = Callable[[Key, int, int], Transaction]
PRICED: list[Priced] = [
    lambda key, nonce, price: legacy(key, nonce, price=price),
    lambda key, nonce, price: typed(key, nonce, tip=price, cap=price + 1),
]


@pytest.mark.parametrize("priced", PRICED, ids=["legacy", "dynamic-fee"])
def test_raising_the_minimum_tip_drops_what_offers_less(priced: Priced) -> None:
    """TestRepricing, TestRepricingDynamicFee: followers wait, nothing is announced, the gaps can be refilled."""
    rig = PoolRig()
    a, b, c = rig.keys(3)
    rig.add(
        *(priced(a, nonce, price) for nonce, price in enumerate([2, 1, 2])),
        *(priced(b, nonce, price) for nonce, price in enumerate([1, 2, 2])),
        *(priced(c, nonce, price) for nonce, price in zip([1, 2, 3], [2, 1, 2], strict=True)),
    )
    before = (rig.counts, len(rig.announced()))
    rig.set_gas_tip(2)
    after = (rig.counts, len(rig.announced()))
    refused = [rig.refusal(priced(a, 1, 1)), rig.refusal(priced(b, 0, 1)), rig.refusal(priced(c, 2, 1))]
    rig.announced()
    rig.add(priced(a, 1, 2), priced(b, 0, 2), priced(c, 2, 2))

    assert before == ((6, 3), 6)
    assert after == ((1, 5), 0)
    assert refused == ["transaction gas price below minimum: gas tip cap 1, minimum needed 2"] * 3
    assert len(rig.announced()) == 5


def test_minimum_tip_counts_the_tip_cap() -> None:
    """TestMinGasPriceEnforced: a price of 2, or a tip of 2 under a cap of 3, is below a minimum of 3."""
    rig = funded()
    rig.set_gas_tip(3)
    refused = [rig.refusal(legacy(A, 0, price=2)), rig.refusal(typed(A, 0, tip=2, cap=3))]

    assert refused == ["transaction gas price below minimum: gas tip cap 2, minimum needed 3"] * 2


def test_full_pool_takes_better_payers_only() -> None:
    """TestUnderpricing: capacity 4, filled, then improved until four are pending and none is queued."""
    rig = PoolRig(FakeChain(base_fee=None), globalslots=2, globalqueue=2)
    k0, k1, k2 = rig.keys(3, balance=10_000_000)
    rig.add(legacy(k0, 0, price=1), legacy(k0, 1, price=2), legacy(k1, 1, price=1))
    rig.add(legacy(k2, 0, price=1))
    filled = (rig.counts, len(rig.announced()))
    cheap = rig.refusal(legacy(k1, 0, price=1))
    rig.add(legacy(k1, 1, price=5))
    rig.add(legacy(k1, 0, price=3))
    rig.add(legacy(k1, 2, price=4))
    rig.add(legacy(k1, 3, price=5))
    future = rig.refusal(legacy(k1, 5, price=6))

    assert filled == ((3, 1), 3)
    assert cheap == "transaction underpriced"
    assert future == "future transaction tries to replace pending"
    assert rig.counts == (4, 0)
    assert len(rig.announced()) == 4


def test_a_better_payer_causes_no_churn() -> None:
    """TestStableUnderpricing: 128 pending of one account; one better takes one place, nobody becomes queued."""
    rig = PoolRig(globalslots=128, globalqueue=1_024)
    a, b = rig.keys(2)
    rig.add(*(legacy(a, nonce, price=1) for nonce in range(128)))
    rig.announced()
    rig.add(legacy(b, 0, price=3))

    assert rig.counts == (128, 0)
    assert [tx.sender for tx in rig.announced()] == [b.address]


def test_full_pool_compares_caps_and_tips() -> None:
    """TestUnderpricingDynamicFee: equal cap and lower tip is underpriced; four pending and none queued at the end."""
    rig = PoolRig(FakeChain(base_fee=None), globalslots=2, globalqueue=2)
    k0, k1, k2 = rig.keys(3, balance=10_000_000)
    rig.add(typed(k0, 0, cap=3, tip=2), legacy(k0, 1, price=2), typed(k1, 1, cap=2, tip=1))
    rig.add(typed(k2, 0, cap=2, tip=1))
    filled = (rig.counts, len(rig.announced()))
    refused = rig.refusal(typed(k1, 0, cap=2, tip=1))
    rig.add(legacy(k1, 0, price=2))
    rig.add(legacy(k1, 1, price=3))
    rig.add(typed(k1, 2, cap=4, tip=1))

    assert filled == ((3, 1), 3)
    assert refused == "transaction underpriced"
    assert rig.counts == (4, 0)
    assert len(rig.announced()) == 3


def test_high_tips_and_high_caps_do_not_evict_each_other() -> None:
    """TestDualHeapEviction: over rising base fees, a wave of either kind never pushes out the best of the other."""
    rig = PoolRig(globalslots=10, globalqueue=10)
    secret = 100

    def wave(base_fee: int, *, urgent: bool) -> Transaction:
        nonlocal secret
        best: Transaction | None = None
        for step in range(20):
            secret += 1
            rig.chain.fund(Key(secret), balance=10**12)
            cap, tip = (base_fee + 1 + step, 1 + step) if urgent else (base_fee + 200 + step, 1)
            best = typed(Key(secret), 0, cap=cap, tip=tip)
            rig.try_add(best)
        assert len(rig.pool) == 20
        assert best is not None
        return best

    high_cap = wave(0, urgent=False)
    for base_fee in range(0, 1_001, 100):
        rig.chain.base_fee = base_fee
        rig.reset()
        high_tip = wave(base_fee, urgent=True)
        assert high_cap.hash in rig.pool
        high_cap = wave(base_fee, urgent=False)
        assert high_tip.hash in rig.pool


def test_known_ones_are_refused_and_the_rest_accepted() -> None:
    """TestDeduplication: half of 16 are known; those are errors, the others are in; 16 pending."""
    rig = funded()
    transactions = [legacy(A, nonce) for nonce in range(16)]
    rig.add(*transactions[::2])
    answers = rig.try_add(*transactions)

    assert [str(answer) for answer in answers[::2]] == ["already known"] * 8
    assert answers[1::2] == [None] * 8
    assert rig.counts == (16, 0)
    assert rig.meters.known == 8


@pytest.mark.parametrize("nonce", [0, 2], ids=["pending", "queued"])
def test_replacement_by_price(nonce: int) -> None:
    """TestReplacement: 1 to 2 is enough, 100 to 109 is not, 100 to 110 is; only pending ones are announced."""
    rig = funded()
    rig.add(legacy(A, nonce, price=1, gas=100_000))
    same_price = rig.refusal(legacy(A, nonce, price=1, gas=100_001))
    rig.add(legacy(A, nonce, price=2, gas=100_001))
    rig.add(legacy(A, nonce, price=100, gas=100_000))
    too_little = rig.refusal(legacy(A, nonce, price=109, gas=100_001))
    rig.add(legacy(A, nonce, price=110, gas=100_001))

    assert same_price == too_little == "replacement transaction underpriced"
    assert len(rig.announced()) == (4 if nonce == 0 else 0)
    meters = rig.meters
    assert (meters.pending_replace, meters.pending_discard) == ((3, 2) if nonce == 0 else (0, 0))
    assert (meters.queued_replace, meters.queued_discard) == ((0, 0) if nonce == 0 else (3, 2))


@pytest.mark.parametrize("nonce", [0, 2], ids=["pending", "queued"])
def test_replacement_raises_both_caps(nonce: int) -> None:
    """TestReplacementDynamicFee: one cap, or both by less than the bump, is refused; both at the bump is accepted."""
    rig = funded()
    rig.add(typed(A, nonce, cap=100, tip=60))
    refused = [
        rig.refusal(typed(A, nonce, cap=100, tip=66)),
        rig.refusal(typed(A, nonce, cap=110, tip=60)),
        rig.refusal(typed(A, nonce, cap=109, tip=66)),
        rig.refusal(typed(A, nonce, cap=110, tip=65)),
        rig.refusal(typed(A, nonce, cap=100, tip=60, gas=100_001)),
    ]
    rig.add(typed(A, nonce, cap=110, tip=66))

    assert refused == ["replacement transaction underpriced"] * 5
    assert len(rig.announced()) == (2 if nonce == 0 else 0)


def test_status_of_each_transaction() -> None:
    """TestStatusCheck: pending, pending, queued, queued, unknown."""
    rig = PoolRig()
    a, b, c = rig.keys(3)
    transactions = [legacy(a, 0), legacy(b, 0), legacy(b, 2), legacy(c, 2)]
    rig.add(*transactions)
    placements = [rig.pool.placement(tx.hash) for tx in [*transactions, legacy(a, 1)]]

    assert [place and place[0] for place in placements] == ["pending", "pending", "queued", "queued", None]


def test_slots_of_transactions() -> None:
    """TestSlotCount: an empty transaction has one slot, one of 10 x 32 KiB and its frame eleven."""
    rig = funded(balance=10**30, maxtxsize=4 * 1_024 * 1_024)
    rig.chain.network = "Cancun"
    rig.chain.gas_limit = 100_000_000
    rig.reset()
    rig.add(legacy(A, 0))
    small = rig.pool.statistics().slots
    rig.add(legacy(A, 1, gas=50_000_000, data=bytes(10 * 32 * 1_024)))

    assert (small, rig.pool.statistics().slots) == (1, 12)
