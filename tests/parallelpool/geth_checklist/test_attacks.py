"""
geth's `legacypool2_test.go`: floods that must not push honest executable transactions out (the DETER attacks).

Names of geth's tests stand in the docstrings.
"""

from collections.abc import Callable

import pytest

from parallelpool.transaction import Transaction
from tests.factories import Key, legacy, typed
from tests.pool_rig import PoolRig


def keys_from(first: int, count: int, rig: PoolRig, balance: int = 10**18) -> list[Key]:
    """So many funded accounts, secrets from `first` on."""
    keys = [Key(secret) for secret in range(first, first + count)]
    rig.chain.fund(*keys, balance=balance)
    return keys


@pytest.mark.parametrize(
    ("limits", "future"),
    [
        ({"globalslots": 100, "globalqueue": 100}, lambda key, nonce: legacy(key, nonce, price=500)),
        ({}, lambda key, nonce: typed(key, nonce, tip=100, cap=400)),
    ],
    ids=["TestTransactionFutureAttack", "TestTransactionFuture1559"],
)
def test_far_future_flood_does_not_lower_pending(
    limits: dict[str, int], future: Callable[[Key, int], Transaction]
) -> None:
    """
    TestTransactionFutureAttack, TestTransactionFuture1559: dear gapped ones do not lower the pending count.

    The first in a pool that is full, the second under the limits that geth has by itself.
    """
    rig = PoolRig(None, **limits)
    rig.pool.add([legacy(key, 0, price=1) for key in keys_from(1_000, 384, rig)])
    before = rig.counts[0]
    for attacker in keys_from(9_000, 5, rig):
        rig.pool.add([future(attacker, 1_000 + nonce) for nonce in range(200)])
    rig.reset()

    assert before >= 100
    assert rig.counts[0] == before


def test_overdraft_flood_after_futures_adds_no_unpayable_ones() -> None:
    """
    TestTransactionZAttack: futures from 1,024 accounts, then 5,120 overdrafts of one account, five times over.

    The number of pending transactions whose sender cannot pay for all of his stays as it was.
    """
    rig = PoolRig()

    def unpayable() -> int:
        pending, _ = rig.pool.content()
        count = 0
        for sender, transactions in pending.items():
            left = rig.chain.state[sender].balance
            for tx in transactions:
                left -= tx.cost
                count += left < 0
        return count

    rig.pool.add([legacy(key, 0, price=1) for key in keys_from(1_000, 5_120, rig)])
    before = unpayable()
    rig.pool.add([legacy(key, 1_000, price=200) for key in keys_from(20_000, 1_024, rig)])
    (overdrawn,) = keys_from(30_000, 1, rig, balance=80 * 100_100)
    overdrafts = [legacy(overdrawn, nonce, price=80) for nonce in range(5_120)]
    for _ in range(5):
        rig.pool.add(overdrafts)
    rig.reset()

    assert before == 0
    assert unpayable() == before
