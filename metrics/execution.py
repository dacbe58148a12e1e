"""
What execution did and cost since the start: our own names, beside geth's, on the standard page.

Sums are counters, so their names end in `_total`; whether the self-check has found a difference is a gauge.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.sources import ExecutionSource
from parallelpool.execution import ExecutionFigures

NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class ExecutionMetric:
    """One sum."""

    name: str
    """On the page `_total` follows."""
    text: str
    """HELP line: what is counted, in which unit."""
    read: Callable[[ExecutionFigures], float]


EXECUTION_METRICS: Final = (
    ExecutionMetric("parallelpool_execution_blocks", "Blocks executed.", lambda sums: sums.blocks),
    ExecutionMetric(
        "parallelpool_execution_parallel_blocks",
        "Blocks executed speculatively on several threads.",
        lambda sums: sums.parallel_blocks,
    ),
    ExecutionMetric(
        "parallelpool_execution_executions",
        "Runs of the EVM, repeated ones included.",
        lambda sums: sums.executions,
    ),
    ExecutionMetric(
        "parallelpool_execution_conflicts",
        "Executions thrown away because a read had changed.",
        lambda sums: sums.conflicts,
    ),
    ExecutionMetric(
        "parallelpool_execution_wasted_gas", "Gas of executions thrown away.", lambda sums: sums.wasted_gas
    ),
    ExecutionMetric(
        "parallelpool_execution_transfers",
        "Plain transfers applied without an EVM.",
        lambda sums: sums.transfers,
    ),
    ExecutionMetric(
        "parallelpool_execution_reused",
        "Transactions that a record of an earlier run was applied for.",
        lambda sums: sums.reused,
    ),
    ExecutionMetric(
        "parallelpool_execution_cpu_seconds",
        "CPU time of executions, of all threads.",
        lambda sums: sums.cpu_ns / NANOSECONDS,
    ),
    ExecutionMetric(
        "parallelpool_execution_wall_seconds",
        "Wall time of executions.",
        lambda sums: sums.elapsed_ns / NANOSECONDS,
    ),
    ExecutionMetric(
        "parallelpool_execution_checked_blocks",
        "Parallel blocks that the self-check executed serially too.",
        lambda sums: sums.checked_blocks,
    ),
    ExecutionMetric(
        "parallelpool_execution_checked_transfers",
        "Transfers that the self-check executed by the EVM too.",
        lambda sums: sums.checked_transfers,
    ),
)

DIVERGED: Final = (
    "parallelpool_execution_diverged",
    "1 after the self-check has found parallel execution to differ; then all blocks are executed serially.",
)


class ExecutionCollector(Collector):
    """Reads the executor's sums when the page is scraped."""

    def __init__(self, source: ExecutionSource) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Every sum, and the gauge."""
        sums = self._source.figures()
        for metric in EXECUTION_METRICS:
            yield CounterMetricFamily(metric.name, metric.text, value=metric.read(sums))
        yield GaugeMetricFamily(*DIVERGED, value=self._source.divergence is not None)

    def describe(self) -> Iterator[Metric]:
        """Names without values, so that registering reads nothing."""
        for metric in EXECUTION_METRICS:
            yield CounterMetricFamily(metric.name, metric.text)
        yield GaugeMetricFamily(*DIVERGED)
