"""
geth's `TestSetCodeTransactions` and `TestSetCodeTransactionsReorg`: what delegated accounts may have pooled.

Names of geth's subtests stand in the docstrings.
"""

from parallelpool.transaction import keccak256
from tests.factories import Key, legacy, set_code
from tests.pool_rig import PoolRig

IN_FLIGHT = "in-flight transaction limit reached for delegated accounts"
GAPPED = "gapped-nonce tx from delegated accounts"
RESERVED = "authority already reserved"
DELEGATION = keccak256(bytes.fromhex("ef0100") + bytes(20))
"""Code hash of an account that is delegated to somebody."""

A, B, C, D = (Key(secret) for secret in range(1, 5))


def rig_of_four() -> PoolRig:
    """A pool with the funded accounts A, B, C and D."""
    rig = PoolRig()
    rig.keys(4)
    return rig


def test_delegated_account_has_one_in_flight() -> None:
    """accept-one-inflight-tx-of-delegated-account: the next nonce once, then only its replacement."""
    rig = rig_of_four()
    rig.account(A).code_hash = DELEGATION
    gapped = rig.refusal(legacy(A, 1))
    rig.add(legacy(A, 0))
    second = rig.refusal(legacy(A, 1))
    gapped_after = rig.refusal(legacy(A, 2))
    rig.add(legacy(A, 0, price=10))

    assert (gapped, second, gapped_after) == (GAPPED, IN_FLIGHT, IN_FLIGHT)
    assert rig.nonces(A) == ([0], [])


def test_pooled_delegation_leaves_one_transaction() -> None:
    """allow-one-tx-from-pooled-delegation: the authority's first is accepted, a second not, a replacement is."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [B]))
    rig.add(legacy(B, 0))
    second = rig.refusal(legacy(B, 1))
    rig.add(legacy(B, 0, price=10))

    assert second == IN_FLIGHT


def test_authority_with_one_in_flight_may_be_named() -> None:
    """accept-authorization-from-sender-of-one-inflight-tx: then its next transaction is refused."""
    rig = rig_of_four()
    rig.add(legacy(B, 0))
    rig.add(set_code(A, 0, [B]))

    assert rig.refusal(legacy(B, 1)) == IN_FLIGHT


def test_authority_with_two_in_flight_may_not_be_named() -> None:
    """reject-authorization-from-sender-with-more-than-one-inflight-tx, pending and queued counted together."""
    rig = rig_of_four()
    rig.add(legacy(B, 0), legacy(B, 1), legacy(C, 0), legacy(C, 5))
    two_pending = rig.refusal(set_code(A, 0, [B]))
    one_of_each = rig.refusal(set_code(A, 0, [C]))

    assert (two_pending, one_of_each) == (RESERVED, RESERVED)


def test_two_transactions_may_name_one_authority() -> None:
    """allow-setcode-tx-with-pending-authority-tx."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [C]))
    rig.add(set_code(B, 0, [C]))

    assert rig.counts == (2, 0)


def test_set_code_is_replaced_by_price() -> None:
    """replace-by-fee-setcode-tx."""
    rig = rig_of_four()
    rig.add(set_code(B, 0, [C]))
    rig.add(set_code(B, 0, [C], tip=2, cap=2))

    assert rig.counts == (1, 0)


def test_replaced_authority_is_free_again() -> None:
    """allow-more-than-one-tx-from-replaced-authority."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [B]))
    rig.add(set_code(A, 0, [C], tip=3_000, cap=3_000))
    rig.add(legacy(B, 0), legacy(B, 1))

    assert rig.nonces(B) == ([0, 1], [])


def test_replaced_self_sponsor_is_free_and_the_new_authority_bound() -> None:
    """allow-tx-from-replaced-self-sponsor-authority."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [A]))
    alone = rig.refusal(legacy(A, 1))
    rig.add(set_code(A, 0, [B], tip=30, cap=30))
    rig.add(legacy(A, 1))
    rig.add(legacy(B, 0))

    assert alone == IN_FLIGHT
    assert rig.refusal(legacy(B, 1)) == IN_FLIGHT


def test_replacement_frees_no_second_place() -> None:
    """replacements-respect-inflight-tx-count."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [B]))
    rig.add(legacy(B, 0))
    rig.add(legacy(B, 0, price=30))

    assert rig.refusal(legacy(B, 1, price=30)) == IN_FLIGHT


def test_second_delegation_outlives_the_first() -> None:
    """track-multiple-conflicting-delegations: replacing one of two keeps the authority bound."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [C]))
    rig.add(set_code(B, 0, [C]))
    rig.add(set_code(A, 0, [D], tip=30, cap=30))
    rig.add(legacy(C, 0))

    assert rig.refusal(legacy(C, 1)) == IN_FLIGHT


def test_replacement_clears_all_authorities() -> None:
    """remove-hash-from-authority-tracker: three authorities named, then a plain transaction in its place."""
    rig = rig_of_four()
    keys = [Key(100 + each) for each in range(3)]
    rig.chain.fund(*keys)
    rig.add(set_code(A, 0, keys))
    rig.add(legacy(A, 0, price=30))
    rig.add(*(legacy(key, nonce) for key in keys for nonce in range(2)))

    assert [rig.nonces(key) for key in keys] == [([0, 1], [])] * 3


def test_delegation_in_the_state_binds_and_its_end_frees() -> None:
    """TestSetCodeTransactionsReorg: one while the state delegates the account, two after it no longer does."""
    rig = rig_of_four()
    rig.add(set_code(A, 0, [A]))
    rig.account(A).code_hash = DELEGATION
    rig.mine(set_code(A, 0, [A]))
    rig.add(legacy(A, 1))
    second = rig.refusal(legacy(A, 2))
    rig.chain.state[A.address] = type(rig.account(A))(nonce=1, balance=10**18)
    rig.reset()
    rig.add(legacy(A, 2))

    assert second == IN_FLIGHT
    assert rig.nonces(A) == ([1, 2], [])
