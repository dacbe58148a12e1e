"""What the pool costs does not grow with what it holds. Counted in calls and bytes, since time is nobody's promise."""

import json
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from parallelpool.bench_pool import RichChain
from parallelpool.pool import TxPool
from parallelpool.transaction import Rules, Transaction
from tests.factories import CHAIN_ID, PARALLEL_TYPE, Key, legacy, limits
from tests.invariants import assert_pool
from tests.public_data import REPOSITORY

SMALL, LARGE = 250, 2_000
GROUP = 32
MINED = 50
KEYS = [Key(secret) for secret in range(1, LARGE + GROUP + 1)]
NEWCOMERS = KEYS[LARGE:]

CALLS_PER_ADMISSION = 120
"""Of Python or C functions; it was 69 when this was written."""

BYTES_PER_TRANSFER = 4_096


def crowd(size: int) -> tuple[TxPool, RichChain, list[Transaction]]:
    """A pool with one transaction of each of so many senders, on a chain that does no work of its own."""
    chain = RichChain(Rules.of_network("Osaka", chain_id=CHAIN_ID, parallel_tx_type=PARALLEL_TYPE))
    pool = TxPool(limits(globalslots=2 * LARGE), chain, lambda event: None)
    transactions = [legacy(key, 0, price=1_000 + number % 97) for number, key in enumerate(KEYS[:size])]
    assert pool.add(transactions) == [None] * size
    assert_pool(pool)
    return pool, chain, transactions


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called by it, in Python and in C."""
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_an_admission_costs_the_same_in_a_small_and_a_large_pool() -> None:
    """Thirty-two newcomers beside 250 transactions and beside 2,000: the same number of calls, and few."""
    newcomers = [legacy(key, 0, price=1_050) for key in NEWCOMERS]

    def admission(size: int) -> int:
        pool, _, _ = crowd(size)
        calls = calls_of(lambda: pool.add(newcomers))
        assert pool.stats() == (size + GROUP, 0)
        return calls

    assert admission(SMALL) == admission(LARGE) <= GROUP * CALLS_PER_ADMISSION


def test_a_head_costs_what_its_block_costs() -> None:
    """Fifty mined transactions of 250 and of 2,000: the same number of calls."""

    def head(size: int) -> int:
        pool, chain, transactions = crowd(size)
        chain.mine(transactions[:MINED])
        calls = calls_of(pool.reset)
        assert_pool(pool)
        assert pool.stats() == (size - MINED, 0)
        return calls

    assert head(SMALL) == head(LARGE)


@pytest.mark.timeout(320)
def test_a_pooled_transfer_takes_less_than_four_kibibytes() -> None:
    """
    The growth of a process of its own from 5,000 to 20,000 pooled, by what the system counts.

    The engine's decoded form and the bytes are in it, and each transaction has a sender of its own.
    """
    command = [sys.executable, "-m", "parallelpool", "bench", "pool", "--scale", "0.02", "--json"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=True)
    points = {point["pooled"]: point for point in json.loads(ran.stdout)["points"]}
    grown = 5_000 * points[10_000]["resident_bytes"] + 10_000 * points[20_000]["resident_bytes"]
    each = grown / 15_000

    assert 500 < each <= BYTES_PER_TRANSFER
