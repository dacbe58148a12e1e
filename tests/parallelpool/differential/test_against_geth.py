"""
The pool against a real geth (1.17.8, `--txpool.nolocals`): equal after every step, but for a short list of differences.

Run where there is a geth: `make geth` builds one; `PARALLELPOOL_GETH` may name another.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import structlog

from tests.parallelpool.differential import geth
from tests.parallelpool.differential.accounts import RICH, Draft
from tests.parallelpool.differential.differences import Difference
from tests.parallelpool.differential.pair import pair
from tests.parallelpool.differential.walk import Plan, walk

FEW_PENDING: Final = {"globalslots": 12, "globalqueue": 600, "accountslots": 3, "accountqueue": 8}
"""Room enough, so that nobody is evicted for his price, and few who may be executable."""

FEW_QUEUED: Final = {"globalslots": 600, "globalqueue": 9, "accountslots": 16, "accountqueue": 4}
"""
Without reorgs: one promotes for many accounts in one run, geth goes through them in the order of a Go map, and who
has been silent longest is then left to chance.
"""

FULL: Final = {"globalslots": 8, "globalqueue": 28, "accountslots": 64, "accountqueue": 64}
"""
Few slots in all, and nobody is over his share: transactions leave for their price alone.

With both at once geth's choice hangs on the order in which a Go map gives the accounts that are cut back. Without
reorgs: see `docs/pool.md`.
"""

SHORT: Final = (
    Plan(1, 250),
    Plan(2, 120, FEW_PENDING),
    Plan(3, 120, FEW_QUEUED, reorgs=0),
    Plan(33, 200, FULL, reorgs=0, is_full=True),
)

LONG: Final = (
    *(Plan(seed, 1_500) for seed in (1, 2, 3, 4)),
    *(Plan(seed, 800, FEW_PENDING) for seed in (11, 12)),
    *(Plan(seed, 800, FEW_QUEUED, reorgs=0) for seed in (21, 22)),
    *(Plan(seed, 800, FULL, reorgs=0, is_full=True) for seed in (4, 32, 33, 34)),
)

REFUSALS: Final = (
    "already known",
    "authority already reserved",
    "future transaction tries to replace pending",
    "gapped-nonce tx from delegated accounts",
    "in-flight transaction limit reached for delegated accounts",
    "insufficient funds for gas * price + value",
    "insufficient gas for floor data gas cost",
    "intrinsic gas too low",
    "invalid sender",
    "max fee per gas higher than 2^256-1",
    "max initcode size exceeded",
    "max priority fee per gas higher than 2^256-1",
    "max priority fee per gas higher than max fee per gas",
    "nonce has max value",
    "nonce too low",
    "only replay-protected (EIP-155) transactions allowed over RPC",
    "oversized data",
    "replacement transaction underpriced",
    "rlp",
    "set code tx must have at least one authorization tuple",
    "transaction gas limit too high (cap",
    "transaction gas price below minimum",
    "transaction type not supported",
    "transaction underpriced",
)
"""What a long stream must have been answered, up to the first colon."""

LATER: Final = frozenset({Difference.DROPPED_AT_ONCE})
"""Differences that a test of their own brings about."""


@pytest.fixture(autouse=True)
def _needs_geth() -> None:
    if geth.program() is None:
        pytest.skip("no geth: run `make geth`, or name one by PARALLELPOOL_GETH")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A line for each of some hundred thousand requests would be most of the work."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("plan", SHORT, ids=str)
async def test_both_pools_are_equal_after_every_step(plan: Plan, tmp_path: Path) -> None:
    """A short walk: answers, content, counts, texts, nonces, meters."""
    both = await walk(plan, tmp_path)

    assert both.answers["pooled"] > plan.steps // 4
    assert both.blocks
    assert (both.node.pool.statistics().meters.underpriced > 0) is plan.is_full


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_both_pools_are_equal_on_long_walks(tmp_path: Path) -> None:
    """Thousands of transactions, hundreds of heads; every refusal and every permitted difference is met."""
    answers: Counter[str] = Counter()
    met: Counter[Difference] = Counter()
    for plan in LONG:
        folder = tmp_path / str(plan)
        folder.mkdir()
        both = await walk(plan, folder)
        answers.update(both.answers)
        met.update(both.met)

    assert [refusal for refusal in REFUSALS if not answers[refusal]] == []
    assert met.keys() | LATER == set(Difference)


async def test_what_goes_beyond_the_queue_of_a_sender_is_refused_and_not_dropped(tmp_path: Path) -> None:
    """geth answers a hash and drops; the pools are equal all the same."""
    async with pair(tmp_path, accountqueue=4) as both:
        for nonce in range(2, 9):
            await both.submit(Draft(RICH[0], nonce).raw)

    assert both.met == {Difference.DROPPED_AT_ONCE: 3}
    assert both.answers == {"pooled": 4, "txpool is full": 3}
