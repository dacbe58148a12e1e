"""
How long admission and syncs take, and how many senders are recovered at once: histograms, our own names.

In: the owners' distributions. Out: prometheus-client's histograms with cumulative buckets, made when the page is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.sources import Distributions
from parallelpool.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram."""

    name: str
    text: str
    """HELP line: what is measured, in which unit."""
    read: Callable[[Distributions], Distribution | None]
    """`None`: there is nothing to measure, and the histogram is not on the page."""


HISTOGRAMS: Final = (
    Histogram(
        "parallelpool_admission_duration_seconds",
        "From a decoded transaction to its answer, the wait for the journal included.",
        lambda given: given.admission_seconds,
    ),
    Histogram(
        "parallelpool_journal_sync_duration_seconds",
        "One sync of the pool's journal, which many transactions share.",
        lambda given: given.sync_seconds(),
    ),
    Histogram(
        "parallelpool_recovery_batch_transactions",
        "Transactions that are decoded and whose senders are recovered in one engine call.",
        lambda given: given.recovered_at_once,
    ),
)


class DistributionCollector(Collector):
    """Reads the distributions when the page is scraped."""

    def __init__(self, given: Distributions) -> None:
        self._given = given

    def collect(self) -> Iterator[Metric]:
        """Every histogram that there is."""
        for histogram in HISTOGRAMS:
            if (distribution := histogram.read(self._given)) is not None:
                yield HistogramMetricFamily(
                    histogram.name,
                    histogram.text,
                    buckets=cumulative(distribution),
                    sum_value=distribution.sum,
                )

    def describe(self) -> Iterator[Metric]:
        """Names without values, so that registering reads nothing."""
        for histogram in HISTOGRAMS:
            yield HistogramMetricFamily(histogram.name, histogram.text)


def cumulative(distribution: Distribution) -> list[tuple[str, float]]:
    """(upper bound, observations up to it), the last one without a bound."""
    bounds = (*(str(float(bound)) for bound in distribution.bounds), "+Inf")
    return list(zip(bounds, accumulate(distribution.counts), strict=True))
