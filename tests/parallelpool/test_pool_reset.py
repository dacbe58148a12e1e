"""What a new head costs the pool, and that others have their turn while accounts are read."""

import pytest

from parallelpool import pool as pool_module
from tests.factories import FakeAccount, FakeChain, Key, legacy
from tests.invariants import assert_pool
from tests.pool_rig import PoolRig

COUNT = 40
KEYS = [Key(secret) for secret in range(1, COUNT + 1)]


def crowd(*, tells_changes: bool) -> PoolRig:
    """A pool with two transactions of each of forty senders."""
    rig = PoolRig(FakeChain(tells_changes=tells_changes))
    rig.chain.fund(*KEYS)
    rig.add(*(legacy(key, nonce) for key in KEYS for nonce in (0, 1)))
    return rig


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight accounts at once."""
    monkeypatch.setattr(pool_module, "ACCOUNTS_AT_ONCE", 8)


def test_a_head_reads_what_changed() -> None:
    """Three senders had transactions mined: their accounts are read and no others."""
    rig = crowd(tells_changes=True)
    reads = rig.chain.account_reads
    rig.mine(*(legacy(key, 0) for key in KEYS[:3]))

    assert rig.chain.account_reads - reads == 3
    assert rig.counts == (2 * COUNT - 3, 0)


def test_a_chain_that_does_not_tell_is_asked_for_all_once() -> None:
    """One question for each sender, and the same pool."""
    rig = crowd(tells_changes=False)
    reads = rig.chain.account_reads
    rig.mine(*(legacy(key, 0) for key in KEYS[:3]))

    assert rig.chain.account_reads - reads == COUNT
    assert rig.counts == (2 * COUNT - 3, 0)


def test_admission_to_known_senders_reads_nothing() -> None:
    """An account is read when its sender comes, not again."""
    rig = crowd(tells_changes=True)
    reads = rig.chain.account_reads
    rig.add(legacy(KEYS[0], 2))

    assert rig.chain.account_reads == reads


@pytest.mark.usefixtures("small_slices")
def test_many_accounts_are_read_in_slices_on_the_old_head() -> None:
    """Forty accounts, eight at once: four turns for others, who see the old head; then all changes at once."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS))
    before = (rig.pool.head, rig.pool.content())
    seen = [(rig.pool.head, rig.pool.content()) for _ in rig.pool.resetting()]
    assert_pool(rig.pool)

    assert seen == [before] * 4
    assert rig.counts == (COUNT, 0)
    assert rig.pool.head.number == 1


@pytest.mark.usefixtures("small_slices")
def test_the_pool_may_change_between_the_slices() -> None:
    """One sender leaves, one comes, one comes back, one goes on: each is as after a reset in one piece."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS[:-1]))
    newcomer = Key(COUNT + 1)
    rig.chain.fund(newcomer)
    slices = rig.pool.resetting()
    next(slices)
    for nonce in (0, 1):
        rig.pool.remove(legacy(KEYS[0], nonce).hash)
        rig.pool.remove(legacy(KEYS[1], nonce).hash)
    assert rig.pool.add([legacy(KEYS[1], 1), legacy(newcomer, 0), legacy(KEYS[-1], 2)]) == [None] * 3
    for _ in slices:
        pass
    assert_pool(rig.pool)

    assert rig.nonces(KEYS[0]) == ([], [])
    assert rig.nonces(KEYS[1]) == ([1], [])
    assert rig.nonces(newcomer) == ([0], [])
    assert rig.nonces(KEYS[-1]) == ([0, 1, 2], [])
    assert rig.nonces(KEYS[2]) == ([1], [])


@pytest.mark.usefixtures("small_slices")
def test_a_head_that_comes_meanwhile_is_the_one_moved_to() -> None:
    """What was read of the first head is not used for the second."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS))
    slices = rig.pool.resetting()
    next(slices)
    rig.chain.mine(*(legacy(key, 1) for key in KEYS[:5]))
    for _ in slices:
        pass
    assert_pool(rig.pool)

    assert rig.pool.head.number == 2
    assert rig.counts == (COUNT - 5, 0)


@pytest.mark.usefixtures("small_slices")
def test_heads_that_keep_coming_do_not_keep_a_reset_from_its_end() -> None:
    """A head in every turn for others, and a chain that never tells what changed: some turns, then all in one."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS))
    turns = 0
    for _ in rig.pool.resetting():
        rig.chain.mine(legacy(KEYS[turns], 1))
        turns += 1
    assert_pool(rig.pool)

    assert turns == pool_module.PATIENCE
    assert rig.pool.head.number == 1 + turns
    assert rig.counts == (COUNT - turns, 0)


@pytest.mark.usefixtures("small_slices")
def test_of_a_head_that_comes_meanwhile_what_changed_is_read_again() -> None:
    """Forty accounts after a reorg, eight are read, then a block of two of those and one more: two are read twice."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS))
    reads = rig.chain.account_reads
    slices = rig.pool.resetting()
    next(slices)
    rig.chain.tells_changes = True
    rig.chain.mine(*(legacy(key, 1) for key in (*KEYS[:2], KEYS[-1])))
    for _ in slices:
        pass
    assert_pool(rig.pool)

    assert rig.chain.account_reads - reads == COUNT + 2
    assert rig.pool.head.number == 2
    assert rig.counts == (COUNT - 3, 0)


@pytest.mark.usefixtures("small_slices")
def test_a_reset_by_somebody_else_meanwhile_is_built_upon() -> None:
    """The producer settles between two slices; the slow reset ends on the same head."""
    rig = crowd(tells_changes=False)
    rig.chain.mine(*(legacy(key, 0) for key in KEYS))
    slices = rig.pool.resetting([])
    next(slices)
    rig.reset()
    for _ in slices:
        pass
    assert_pool(rig.pool)

    assert rig.counts == (COUNT, 0)


def test_a_rising_gas_limit_asks_nobody_and_a_falling_one_those_above_it() -> None:
    """No account is read either way; the one transaction that fits no block any more leaves."""
    rig = crowd(tells_changes=True)
    rig.add(legacy(KEYS[0], 2, gas=200_000))
    reads = rig.chain.account_reads
    rig.chain.gas_limit = 20_000_000
    rig.reset()
    risen = rig.counts
    rig.chain.gas_limit = 150_000
    rig.reset()

    assert risen == (2 * COUNT + 1, 0)
    assert rig.counts == (2 * COUNT, 0)
    assert rig.chain.account_reads == reads


def test_a_queue_that_grew_by_a_demotion_is_trimmed_at_the_next_head() -> None:
    """geth caps a queue when it is next gone through; nobody else has to be looked at for that."""
    rig = PoolRig(accountqueue=3)
    rig.chain.fund(KEYS[0])
    rig.add(*(legacy(KEYS[0], nonce) for nonce in range(8)))
    rig.chain.account(KEYS[0]).nonce = 0
    rig.chain.state[KEYS[0].address] = FakeAccount(0, 100 * 1 + 100_000)
    rig.remove(legacy(KEYS[0], 1))
    demoted = rig.nonces(KEYS[0])
    rig.reset()

    assert demoted == ([0], [2, 3, 4, 5, 6, 7])
    assert rig.nonces(KEYS[0]) == ([0], [2, 3, 4])
