"""
Transactions that left the pool, by reason: a counter with a label, our own name.

Mined ones are among them, so that the rates add up to all that came in.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics.sources import PoolSource
from parallelpool.events import DropReason

NAME: Final = "parallelpool_departures"
"""On the page `_total` follows."""

TEXT: Final = "Transactions that left the pool, mined ones included, by reason."


class DepartureCollector(Collector):
    """Reads the pool's counts when the page is scraped."""

    def __init__(self, pool: PoolSource) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """Every reason, those that never happened too."""
        departed = self._pool.statistics().departed
        family = CounterMetricFamily(NAME, TEXT, labels=["reason"])
        for reason in DropReason:
            family.add_metric([reason.name.lower()], departed.get(reason, 0))
        yield family

    def describe(self) -> Iterator[Metric]:
        """The name without values, so that registering reads nothing."""
        yield CounterMetricFamily(NAME, TEXT, labels=["reason"])
