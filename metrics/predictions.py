"""
What is done ahead of need, and what it cost: sums since the start, and what is held now.

How many of those runs execution could use stands beside the other sums of execution
(`parallelpool_execution_reused_total`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.sources import AccessSource
from parallelpool.access import AccessStatistics

NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class PredictionMetric:
    """One figure."""

    name: str
    """A sum's name goes on with `_total` on the page."""
    text: str
    """HELP line: what is counted, in which unit."""
    read: Callable[[AccessStatistics], float]


SUMS: Final = (
    PredictionMetric(
        "parallelpool_ahead_runs", "Runs ahead of need that ended.", lambda now: now.engine.runs
    ),
    PredictionMetric(
        "parallelpool_ahead_capped", "Runs that hit the cap of gas.", lambda now: now.engine.capped
    ),
    PredictionMetric(
        "parallelpool_ahead_cancelled",
        "Runs stopped because execution wanted the thread.",
        lambda now: now.engine.cancelled,
    ),
    PredictionMetric(
        "parallelpool_ahead_timed_out", "Runs stopped by the clock.", lambda now: now.engine.timed_out
    ),
    PredictionMetric(
        "parallelpool_ahead_refused",
        "Runs refused because sender or transaction had had its share.",
        lambda now: now.engine.refused,
    ),
    PredictionMetric(
        "parallelpool_ahead_stale",
        "Predictions dropped because a head changed what they read.",
        lambda now: now.engine.stale,
    ),
    PredictionMetric(
        "parallelpool_ahead_busy_seconds",
        "Time of runs ahead of need, of all threads.",
        lambda now: now.engine.busy_ns / NANOSECONDS,
    ),
    PredictionMetric("parallelpool_ahead_gas", "Gas of runs ahead of need.", lambda now: now.engine.gas),
    PredictionMetric(
        "parallelpool_ahead_postponed",
        "Times that runs waited for their share of the CPUs.",
        lambda now: now.postponed,
    ),
    PredictionMetric(
        "parallelpool_template_answers", "Answers that a template gave.", lambda now: now.engine.by_template
    ),
    PredictionMetric(
        "parallelpool_template_lessons",
        "Calls that templates were learned from, by earlier daemons too.",
        lambda now: now.engine.lessons,
    ),
)

GAUGES: Final = (
    PredictionMetric("parallelpool_predictions", "Predictions held.", lambda now: now.engine.held),
    PredictionMetric(
        "parallelpool_prediction_records",
        "Predictions held with a run that execution can apply.",
        lambda now: now.engine.records,
    ),
    PredictionMetric("parallelpool_templates", "Templates of calls.", lambda now: now.engine.templates),
)


class PredictionCollector(Collector):
    """Reads the book's figures when the page is scraped."""

    def __init__(self, source: AccessSource) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Every sum and every gauge."""
        now = self._source.statistics()
        for metric in SUMS:
            yield CounterMetricFamily(metric.name, metric.text, value=metric.read(now))
        for metric in GAUGES:
            yield GaugeMetricFamily(metric.name, metric.text, value=metric.read(now))

    def describe(self) -> Iterator[Metric]:
        """Names without values, so that registering reads nothing."""
        for metric in SUMS:
            yield CounterMetricFamily(metric.name, metric.text)
        for metric in GAUGES:
            yield GaugeMetricFamily(metric.name, metric.text)
