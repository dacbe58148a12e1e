"""
Each of the 20 pool metrics, driven by the event that must move it.

Read as a scraper reads them, from geth's page of a real server over a real pool. What moves beside the one in question
is written down too: every other name must stay.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from metrics.collectors import POOL_METRICS, render_as_geth
from metrics.sources import Sources
from parallelpool.events import DropReason
from tests.factories import Key, legacy
from tests.metrics.test_collectors import sources
from tests.node_rig import node, raw_transfer, send
from tests.pool_rig import PoolRig

A, B, C = Key(1), Key(2), Key(3)
PREFIX = "parallel_txpool_"
SAMPLE = re.compile(rf"^{PREFIX}(\w+) (\d+)$", re.MULTILINE)

Change = dict[str, int]


def read(given: Sources) -> Change:
    """All samples of the page, without the prefix."""
    figures = {name: int(value) for name, value in SAMPLE.findall(render_as_geth(given))}
    assert len(figures) == len(POOL_METRICS)
    return figures


def moved(before: Change, after: Change) -> Change:
    """What is not as it was, and by how much."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@dataclass(frozen=True)
class Case:
    """`event` happens after `setting`; `expected` moves and nothing else does."""

    expected: Change
    event: Callable[[PoolRig], object]
    setting: Callable[[PoolRig], object] = lambda rig: None
    limits: Change | None = None


def lower_balance(rig: PoolRig) -> None:
    """A head that leaves A enough for the cheaper one of its transactions."""
    rig.account(A).balance = 150_000
    rig.reset()


def fill_with_pending(rig: PoolRig) -> None:
    """Three executable ones at price 2 in a pool of three slots."""
    rig.add(legacy(A, 0, price=2), legacy(B, 0, price=2), legacy(C, 0, price=2))


def wait_and_queue_another(rig: PoolRig) -> None:
    """Somebody else's, who has been silent for less long."""
    rig.wait(1)
    rig.add(legacy(B, 5))


def reach_nonce_five(rig: PoolRig) -> None:
    """A head that fills the gap before the queued one."""
    rig.account(A).nonce = 5
    rig.reset()


GONE = {"slots": -1, "local": -1}
NEW = {"valid": 1, "slots": 1, "local": 1}

CASES = {
    "pending/discard": Case(
        {"pending_discard": 1},
        lambda rig: rig.refusal(legacy(A, 0, price=10, gas=90_000)),
        lambda rig: rig.add(legacy(A, 0, price=10)),
    ),
    "pending/replace": Case(
        {"pending_replace": 1, "valid": 1},
        lambda rig: rig.add(legacy(A, 0, price=11)),
        lambda rig: rig.add(legacy(A, 0, price=10)),
    ),
    "pending/ratelimit": Case(
        {"pending_ratelimit": 1, "valid": 1},
        lambda rig: rig.refusal(legacy(A, 2)),
        lambda rig: rig.add(legacy(A, 0), legacy(A, 1)),
        {"globalslots": 2, "accountslots": 1},
    ),
    "pending/nofunds": Case(
        {"pending_nofunds": 1, "pending": -1, **GONE},
        lower_balance,
        lambda rig: rig.add(legacy(A, 0), legacy(A, 1, price=2)),
    ),
    "queued/discard": Case(
        {"queued_discard": 1},
        lambda rig: rig.refusal(legacy(A, 5, price=10, gas=90_000)),
        lambda rig: rig.add(legacy(A, 5, price=10)),
    ),
    "queued/replace": Case(
        {"queued_replace": 1, "valid": 1},
        lambda rig: rig.add(legacy(A, 5, price=11)),
        lambda rig: rig.add(legacy(A, 5, price=10)),
    ),
    "queued/nofunds": Case(
        {"queued_nofunds": 1, "queued": -1, **GONE},
        lower_balance,
        lambda rig: rig.add(legacy(A, 5), legacy(A, 6, price=2)),
    ),
    "queued/ratelimit": Case(
        {"queued_ratelimit": 1, "valid": 1},
        lambda rig: rig.refusal(legacy(A, 6)),
        lambda rig: rig.add(legacy(A, 5)),
        {"accountqueue": 1},
    ),
    "queued/ratelimit by the pool": Case(
        {"queued_ratelimit": 1, "valid": 1},
        wait_and_queue_another,
        lambda rig: rig.add(legacy(A, 5)),
        {"globalqueue": 1},
    ),
    "known": Case({"known": 1}, lambda rig: rig.refusal(legacy(A, 0)), lambda rig: rig.add(legacy(A, 0))),
    "valid": Case({**NEW, "pending": 1}, lambda rig: rig.add(legacy(A, 0))),
    "valid from an abandoned block": Case(
        {"valid": 1, "slots": 1, "pending": 1}, lambda rig: rig.reset([legacy(A, 0)])
    ),
    "invalid by itself": Case({"invalid": 1}, lambda rig: rig.refusal(legacy(A, 0, gas=20_000))),
    "invalid by the account": Case({"invalid": 1}, lambda rig: rig.refusal(legacy(A, 0, value=2 * 10**18))),
    "underpriced newcomer": Case(
        {"underpriced": 1},
        lambda rig: rig.refusal(legacy(Key(4), 0, price=1)),
        fill_with_pending,
        {"globalslots": 2, "globalqueue": 1},
    ),
    "underpriced victim": Case(
        {"underpriced": 1, "valid": 1},
        lambda rig: rig.add(legacy(Key(4), 0, price=3)),
        fill_with_pending,
        {"globalslots": 2, "globalqueue": 1},
    ),
    "overflow without room": Case(
        {"overflow": 1},
        lambda rig: rig.refusal(legacy(B, 0, price=9, gas=5_000_000, data=bytes(70_000))),
        lambda rig: rig.add(legacy(A, 0)),
        {"globalslots": 1, "globalqueue": 1},
    ),
    "overflow by churn": Case(
        {"overflow": 1, "underpriced": 2, "valid": 2},
        lambda rig: rig.try_add(*(legacy(Key(secret), 0, price=5) for secret in (4, 5, 6))),
        lambda rig: rig.add(*(legacy(Key(secret), 0, price=2) for secret in (1, 2, 3, 7, 8))),
        {"globalslots": 4, "globalqueue": 1},
    ),
    "pending": Case(
        {"pending": 1, "queued": -1},
        reach_nonce_five,
        lambda rig: rig.add(legacy(A, 5)),
    ),
    "queued": Case({**NEW, "queued": 1}, lambda rig: rig.add(legacy(A, 5))),
    "local": Case(
        {"local": -1, "slots": -1, "queued": -1},
        lambda rig: rig.remove(legacy(A, 5)),
        lambda rig: rig.add(legacy(A, 5)),
    ),
    "not local": Case(
        {"valid": 1, "slots": 1, "queued": 1}, lambda rig: rig.pool.add([legacy(A, 5)], local=False)
    ),
    "slots": Case(
        {"valid": 1, "slots": 3, "local": 1, "pending": 1},
        lambda rig: rig.add(legacy(A, 0, gas=5_000_000, data=bytes(70_000))),
    ),
    "expired": Case(
        {"queued": -1, **GONE},
        lambda rig: rig.wait(3 * 3_600 + 1),
        lambda rig: rig.add(legacy(A, 5)),
    ),
    "mined": Case(
        {"pending": -1, **GONE},
        lambda rig: rig.mine(legacy(A, 0)),
        lambda rig: rig.add(legacy(A, 0)),
    ),
    "a wei less than the least tip": Case(
        {"pending": -1, **GONE}, lambda rig: rig.set_gas_tip(2), lambda rig: rig.add(legacy(A, 0))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_event_moves_its_metric_and_no_other(name: str) -> None:
    """Every figure of the page before and after."""
    case = CASES[name]
    rig = PoolRig(None, **(case.limits or {}))
    rig.keys(20)
    case.setting(rig)
    given = replace(sources(), pool=rig.pool)
    before = read(given)
    case.event(rig)

    assert moved(before, read(given)) == case.expected


def test_every_metric_of_the_pool_has_an_event() -> None:
    """The three of the batches have theirs below."""
    driven = {name for case in CASES.values() for name in case.expected}
    names = {metric.exported_name.removeprefix(PREFIX) for metric in POOL_METRICS}

    assert names - driven == {"batchsize", "batchcount", "parallelizable"}


def test_every_departure_is_counted_under_its_reason() -> None:
    """The counts by reason are those of the departures that were told."""
    rig = PoolRig(accountqueue=1)
    rig.keys(3)
    rig.add(legacy(A, 0, price=1), legacy(B, 0), legacy(C, 4))
    rig.add(legacy(A, 0, price=2))
    rig.refusal(legacy(C, 5))  # came and went within one call: it never was there
    rig.mine(legacy(B, 0))
    told = [departure.reason for departure in rig.departures()]

    assert rig.pool.statistics().departed == Counter(told)
    assert told == [DropReason.REPLACED, DropReason.MINED]


async def test_batches_move_their_metrics_and_no_other() -> None:
    """Two transfers that touch nothing in common make a batch; another size is another size."""
    async with node() as started:
        given = replace(sources(), pool=started.pool, batches=started.batches)
        empty = read(given)
        started.batches.set_batch_size(128)
        resized = read(given)
        for sender in (0, 1):
            await send(started, raw_transfer(sender, 0))
        pooled = read(given)
        await started.batches.current()
        planned = read(given)

    assert moved(empty, resized) == {"batchsize": 64}
    assert moved(resized, pooled) == {"valid": 2, "pending": 2, "slots": 2, "local": 2}
    assert moved(pooled, planned) == {"batchcount": 1, "parallelizable": 2}


def test_reading_moves_nothing() -> None:
    """Two readings without an event between them are equal."""
    rig = PoolRig()
    rig.keys(1)
    rig.add(legacy(A, 0))
    given = replace(sources(), pool=rig.pool)

    assert read(given) == read(given)
