"""The 20 pool metrics: names, types, and the page they stand on."""

from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from metrics import MetricsServer
from metrics.collectors import POOL_METRICS, render_as_geth
from metrics.execution import EXECUTION_METRICS
from metrics.sources import Distributions, Health, Sources
from parallelpool.access import AccessStatistics
from parallelpool.batching import BatchFigures
from parallelpool.chain import PredictionStatistics
from parallelpool.distribution import Distribution
from parallelpool.errors import AlreadyKnown
from parallelpool.events import DropReason
from parallelpool.execution import ExecutionFigures
from parallelpool.meters import PoolMeters, PoolStatistics
from tests.node_rig import node, raw_transfer, send

NAMES = [
    "parallel_txpool_pending_discard",
    "parallel_txpool_pending_replace",
    "parallel_txpool_pending_ratelimit",
    "parallel_txpool_pending_nofunds",
    "parallel_txpool_queued_discard",
    "parallel_txpool_queued_replace",
    "parallel_txpool_queued_ratelimit",
    "parallel_txpool_queued_nofunds",
    "parallel_txpool_known",
    "parallel_txpool_valid",
    "parallel_txpool_invalid",
    "parallel_txpool_underpriced",
    "parallel_txpool_overflow",
    "parallel_txpool_pending",
    "parallel_txpool_queued",
    "parallel_txpool_local",
    "parallel_txpool_slots",
    "parallel_txpool_batchsize",
    "parallel_txpool_batchcount",
    "parallel_txpool_parallelizable",
]


@dataclass
class FixedPool:
    """A pool that reports what it was given."""

    figures: PoolStatistics

    def statistics(self) -> PoolStatistics:
        """The given figures."""
        return self.figures


@dataclass
class FixedBatches:
    """A planner that reports what it was given."""

    given: BatchFigures

    def figures(self) -> BatchFigures:
        """The given figures."""
        return self.given


@dataclass
class FixedExecution:
    """An executor that reports what it was given."""

    given: ExecutionFigures
    divergence: str | None

    def figures(self) -> ExecutionFigures:
        """The given sums."""
        return self.given


class FixedAccess:
    """A book whose engine's i-th figure is 201 + i, with 214 postponed runs."""

    def statistics(self) -> AccessStatistics:
        """The given figures."""
        engine = cast(
            "PredictionStatistics", SimpleNamespace(**dict(zip(ENGINE_FIGURES, range(201, 214), strict=True)))
        )
        return AccessStatistics(engine, share=0.5, postponed=214)


ENGINE_FIGURES = (
    "held",
    "records",
    "runs",
    "capped",
    "cancelled",
    "timed_out",
    "refused",
    "stale",
    "busy_ns",
    "gas",
    "by_template",
    "templates",
    "lessons",
)


def sources(*, healthy: bool = True) -> Sources:
    """Sources in which the i-th metric of the documentation reads i + 1, the i-th sum of execution 101 + i."""
    meters = PoolMeters(
        pending_discard=1,
        pending_replace=2,
        pending_ratelimit=3,
        pending_nofunds=4,
        queued_discard=5,
        queued_replace=6,
        queued_ratelimit=7,
        queued_nofunds=8,
        known=9,
        valid=10,
        invalid=11,
        underpriced=12,
        overflowed=6,
        throttled=7,
    )
    others = dict.fromkeys(("pending_senders", "queued_senders", "held", "departures", "gas_tip"), 0)
    departed = {DropReason.MINED: 31, DropReason.EXPIRED: 32}
    pool = PoolStatistics(
        meters=meters, pending=14, queued=15, local=16, slots=17, departed=departed, **others
    )
    batches = replace(BatchFigures(), batch_size=18, batches=19, parallelizable=20)
    execution = FixedExecution(ExecutionFigures(*range(101, 112)), None if healthy else "block 7")
    return Sources(
        FixedPool(pool),
        FixedBatches(batches),
        execution,
        lambda: Health(healthy, {"head": 7}),
        distributions(),
        FixedAccess(),
    )


def distributions() -> Distributions:
    """Admission of 1 s twice and 5 s once, no syncs measured, three calls of 1, 1 and 100 transactions."""
    admission, recovered = Distribution((1.0, 2.5)), Distribution((1, 2, 64))
    admission.observe(1.0, 2)
    admission.observe(5.0)
    for transactions in (1, 1, 100):
        recovered.observe(transactions)
    return Distributions(admission, recovered, lambda: None)


async def page(given: Sources, path: str) -> tuple[int, str]:
    """Status and text of one page of a server over `given`."""
    async with (
        MetricsServer(given, "127.0.0.1", 0) as server,
        aiohttp.ClientSession() as session,
        session.get(server.url + path) as answer,
    ):
        return answer.status, await answer.text()


def test_the_names_are_the_documented_twenty() -> None:
    """
    Names are part of the interface; order is that of the documentation.
    """
    assert [metric.exported_name for metric in POOL_METRICS] == NAMES


async def test_the_page_shows_every_metric_as_a_gauge_with_help_and_its_own_value() -> None:
    """
    Each name has one HELP line, TYPE gauge, and reads its own figure and no other.
    """
    _, text = await page(sources(), "/metrics")
    lines = text.splitlines()

    for index, name in enumerate(NAMES):
        assert f"# TYPE {name} gauge" in lines
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
        assert f"{name} {index + 1}.0" in lines


@pytest.mark.parametrize("healthy", [True, False])
async def test_executions_sums_are_counters_and_a_difference_is_a_gauge(healthy: bool) -> None:
    """
    Each reads its own figure; they stand on the standard page only.
    """
    _, text = await page(sources(healthy=healthy), "/metrics")
    lines = text.splitlines()

    read = {
        "blocks": 101,
        "parallel_blocks": 102,
        "executions": 103,
        "conflicts": 104,
        "wasted_gas": 105,
        "transfers": 106,
        "reused": 107,
        "cpu_seconds": 108e-9,
        "wall_seconds": 109e-9,
        "checked_blocks": 110,
        "checked_transfers": 111,
    }
    assert len(read) == len(EXECUTION_METRICS) == len(fields(ExecutionFigures))
    for name, figure in read.items():
        assert f"# TYPE parallelpool_execution_{name}_total counter" in lines
        assert f"parallelpool_execution_{name}_total {float(figure)}" in lines
    assert f"parallelpool_execution_diverged {float(not healthy)}" in lines
    assert "parallelpool_execution" not in render_as_geth(sources())


async def test_distributions_are_histograms_with_cumulative_buckets() -> None:
    """
    A bound counts what is up to it; one without a journal is absent; geth's page has none of them.
    """
    _, text = await page(sources(), "/metrics")
    lines = [line for line in text.splitlines() if line.startswith(("parallelpool_adm", "parallelpool_rec"))]

    assert lines == [
        'parallelpool_admission_duration_seconds_bucket{le="1.0"} 2.0',
        'parallelpool_admission_duration_seconds_bucket{le="2.5"} 2.0',
        'parallelpool_admission_duration_seconds_bucket{le="+Inf"} 3.0',
        "parallelpool_admission_duration_seconds_count 3.0",
        "parallelpool_admission_duration_seconds_sum 7.0",
        'parallelpool_recovery_batch_transactions_bucket{le="1.0"} 2.0',
        'parallelpool_recovery_batch_transactions_bucket{le="2.0"} 2.0',
        'parallelpool_recovery_batch_transactions_bucket{le="64.0"} 2.0',
        'parallelpool_recovery_batch_transactions_bucket{le="+Inf"} 3.0',
        "parallelpool_recovery_batch_transactions_count 3.0",
        "parallelpool_recovery_batch_transactions_sum 102.0",
    ]
    assert "sync" not in text
    assert "parallelpool_admission" not in render_as_geth(sources())


async def test_departures_are_counted_by_reason() -> None:
    """
    Each reason has a series from the start, so that a rate can be taken of the first one.
    """
    _, text = await page(sources(), "/metrics")
    lines = [line for line in text.splitlines() if line.startswith("parallelpool_departures_total")]

    assert len(lines) == len(DropReason)
    assert 'parallelpool_departures_total{reason="mined"} 31.0' in lines
    assert 'parallelpool_departures_total{reason="expired"} 32.0' in lines
    assert 'parallelpool_departures_total{reason="replaced"} 0.0' in lines


async def test_a_daemon_measures_admission_recovery_and_syncs(tmp_path: Path) -> None:
    """
    One submission is one of each; a refused one is answered too.
    """
    async with node(datadir=tmp_path) as started:
        for _ in range(2):
            with suppress(AlreadyKnown):
                await send(started, raw_transfer(0, 0))
        assert started.metrics is not None
        async with (
            aiohttp.ClientSession() as session,
            session.get(started.metrics.url + "/metrics") as answer,
        ):
            text = await answer.text()

    assert "parallelpool_admission_duration_seconds_count 2.0" in text
    assert "parallelpool_recovery_batch_transactions_sum 2.0" in text
    assert "parallelpool_journal_sync_duration_seconds_count 1.0" in text


async def test_geths_page_has_its_text_form() -> None:
    """
    Sorted by geth's spelling, TYPE without HELP, integers, a blank line after each value.
    """
    text = render_as_geth(sources())

    assert text.startswith(
        "# TYPE parallel_txpool_batchcount gauge\nparallel_txpool_batchcount 19\n\n# TYPE "
    )
    assert "HELP" not in text
    assert text.count("# TYPE ") == len(NAMES)


async def test_health_is_200_or_503_with_its_details() -> None:
    """
    A load balancer reads the status, people read the body.
    """
    answers = [await page(sources(healthy=healthy), "/healthz") for healthy in (True, False)]

    assert answers == [(200, '{"healthy":true,"head":7}'), (503, '{"healthy":false,"head":7}')]


async def test_work_ahead_of_need_is_counted_and_what_is_held_is_a_gauge() -> None:
    """
    Sums get `_total`, times are seconds, and nothing of it is on geth's page.
    """
    _, text = await page(sources(), "/metrics")
    lines = text.splitlines()
    sums = {
        "ahead_runs": 203,
        "ahead_capped": 204,
        "ahead_cancelled": 205,
        "ahead_timed_out": 206,
        "ahead_refused": 207,
        "ahead_stale": 208,
        "ahead_busy_seconds": 2.09e-07,
        "ahead_gas": 210,
        "ahead_postponed": 214,
        "template_answers": 211,
        "template_lessons": 213,
    }

    for name, figure in sums.items():
        assert f"parallelpool_{name}_total {float(figure)}" in lines
    for name, figure in {"predictions": 201, "prediction_records": 202, "templates": 212}.items():
        assert f"parallelpool_{name} {float(figure)}" in lines
    assert "parallelpool_ahead" not in render_as_geth(sources())
