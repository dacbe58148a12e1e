"""
geth's tests of list, heap, validation and builder order, on our parts.

Names of geth's tests stand in the docstrings.
"""

import itertools
import random

import pytest

from parallelpool.ordering import price_of
from parallelpool.primitives import Address, Wei
from parallelpool.sender import NonceList
from parallelpool.transaction import PooledTransaction, Transaction
from tests.factories import ETHER, FakeChain, Key, legacy, typed
from tests.pool_rig import PoolRig

A = Key(1)


def pooled(tx: Transaction, arrival: int = 0) -> PooledTransaction:
    """As the pool holds it."""
    return PooledTransaction.of(tx, Address(tx.sender), is_local=True, arrival=arrival, received_at=0.0)


def test_list_sorts_what_comes_in_random_order() -> None:
    """TestStrictListAdd: 1,024 in random order come out complete and in nonce order."""
    transactions = [pooled(legacy(A, nonce)) for nonce in range(1_024)]
    shuffled = random.Random(3).sample(transactions, len(transactions))
    nonces = NonceList()
    for each in shuffled:
        nonces.put(each)

    assert list(nonces) == transactions


def test_list_holds_costs_beyond_256_bits() -> None:
    """TestListAddVeryExpensive: three at a price of 2^256-1 are kept, and their costs add up."""
    price = 2**256 - 1
    nonces = NonceList()
    for nonce in range(3):
        nonces.put(pooled(legacy(A, nonce, price=price)))

    assert nonces.total_cost == 3 * (price * 100_000 + 100)


@pytest.mark.parametrize("base_fee", [0, 1, 2, 3])
def test_price_order_is_strict_for_every_base_fee(base_fee: int) -> None:
    """TestPriceHeapCmp: (cap, tip) = (2,1) > (1,2) > (1,1) > (1,0), negative effective tips included."""
    caps_and_tips = [(2, 1), (1, 2), (1, 1), (1, 0)]
    prices = [price_of(pooled(typed(A, 0, cap=cap, tip=tip)), Wei(base_fee)) for cap, tip in caps_and_tips]

    assert all(better > worse for better, worse in itertools.pairwise(prices))


def test_highest_nonce_is_refused() -> None:
    """TestValidateTransactionEIP2681, TestSendTxEIP2681: 42 and 2^64-2 are accepted, 2^64-1 is not."""
    rig = PoolRig()
    rig.chain.fund(A)
    rig.add(legacy(A, 42), legacy(A, 2**64 - 2))

    assert rig.refusal(legacy(A, 2**64 - 1)) == "nonce has max value"


@pytest.mark.parametrize("base_fee", [None, 0, 5, 50])
def test_best_first_keeps_nonces_and_falls_in_price(base_fee: int | None) -> None:
    """TestTransactionPriceNonceSort: 25 accounts of 25 at random prices, each cut at its first below the base fee."""
    chance = random.Random(25)
    rig = PoolRig(FakeChain(base_fee=base_fee))
    keys = rig.keys(25)
    sent: dict[bytes, list[Transaction]] = {}
    for start, key in enumerate(keys):
        for nonce in range(25):
            cap = chance.randint(1, 50)
            tx = (
                legacy(key, nonce, price=cap)
                if base_fee is None
                else typed(key, nonce, cap=cap, tip=chance.randint(1, cap))
            )
            sent.setdefault(key.address, []).append(tx)
        rig.add(*sent[keys[start].address])
    best = list(rig.pool.pending_best(base_fee))

    def tip(tx: Transaction) -> int:
        return min(tx.max_priority_fee_per_gas, tx.max_fee_per_gas - (base_fee or 0))

    expected = {
        sender: list(itertools.takewhile(lambda tx: tip(tx) >= 0, transactions))
        for sender, transactions in sent.items()
    }
    taken: dict[bytes, list[Transaction]] = {}
    for tx in best:
        taken.setdefault(tx.sender, []).append(tx)
    assert taken == {sender: transactions for sender, transactions in expected.items() if transactions}
    for first, second in itertools.pairwise(best):
        assert first.sender == second.sender or tip(first) >= tip(second)


def test_equal_prices_go_in_order_of_arrival() -> None:
    """TestTransactionTimeSort: of equal prices the first that came goes first."""
    rig = PoolRig()
    keys = random.Random(5).sample(rig.keys(10, balance=ETHER), 10)
    for key in keys:
        rig.add(legacy(key, 0))

    assert [tx.sender for tx in rig.pool.pending_best(0)] == [key.address for key in keys]


def test_refusals_are_not_swallowed() -> None:
    """TestSendTx without locals: a limit that geth calls temporary is answered as an error."""
    rig = PoolRig()
    rig.chain.fund(A)
    rig.account(A).code_hash = b"\x01" * 32
    rig.add(legacy(A, 0))

    assert rig.refusal(legacy(A, 1)) == "in-flight transaction limit reached for delegated accounts"
