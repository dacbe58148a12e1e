"""
The 20 pool metrics: one table of names, texts and readings.

Names are geth's with `/` written as `_`, without prefix and without `_total`; all are gauges, as geth
renders its meters. prometheus-client's own counters would add a suffix, hence a custom collector.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from metrics.sources import Sources


@dataclass(frozen=True, slots=True)
class PoolMetric:
    """One exported figure."""

    name: str
    """geth's spelling, with slashes."""
    text: str
    """HELP line: what is counted, in which unit."""
    read: Callable[[Sources], int]
    """The current value."""

    @property
    def exported_name(self) -> str:
        """The name on the metrics page."""
        return self.name.replace("/", "_")


POOL_METRICS: tuple[PoolMetric, ...] = (
    PoolMetric(
        "parallel/txpool/pending/discard",
        "Replacements of pending transactions refused for too small a price bump.",
        lambda sources: sources.pool.statistics().meters.pending_discard,
    ),
    PoolMetric(
        "parallel/txpool/pending/replace",
        "Pending transactions replaced by a better paying one.",
        lambda sources: sources.pool.statistics().meters.pending_replace,
    ),
    PoolMetric(
        "parallel/txpool/pending/ratelimit",
        "Pending transactions dropped because the pool was over its slots.",
        lambda sources: sources.pool.statistics().meters.pending_ratelimit,
    ),
    PoolMetric(
        "parallel/txpool/pending/nofunds",
        "Pending transactions dropped because the sender could not pay, or the gas limit was above the block's.",
        lambda sources: sources.pool.statistics().meters.pending_nofunds,
    ),
    PoolMetric(
        "parallel/txpool/queued/discard",
        "Replacements of queued transactions refused for too small a price bump.",
        lambda sources: sources.pool.statistics().meters.queued_discard,
    ),
    PoolMetric(
        "parallel/txpool/queued/replace",
        "Queued transactions replaced by a better paying one.",
        lambda sources: sources.pool.statistics().meters.queued_replace,
    ),
    PoolMetric(
        "parallel/txpool/queued/ratelimit",
        "Queued transactions dropped by the limits per account and in all.",
        lambda sources: sources.pool.statistics().meters.queued_ratelimit,
    ),
    PoolMetric(
        "parallel/txpool/queued/nofunds",
        "Queued transactions dropped because the sender could not pay, or the gas limit was above the block's.",
        lambda sources: sources.pool.statistics().meters.queued_nofunds,
    ),
    PoolMetric(
        "parallel/txpool/known",
        "Transactions offered again while in the pool.",
        lambda sources: sources.pool.statistics().meters.known,
    ),
    PoolMetric(
        "parallel/txpool/valid",
        "Transactions accepted into the pool, replacements and re-injections included.",
        lambda sources: sources.pool.statistics().meters.valid,
    ),
    PoolMetric(
        "parallel/txpool/invalid",
        "Transactions refused by a validity check.",
        lambda sources: sources.pool.statistics().meters.invalid,
    ),
    PoolMetric(
        "parallel/txpool/underpriced",
        "Transactions refused or evicted because others pay more.",
        lambda sources: sources.pool.statistics().meters.underpriced,
    ),
    PoolMetric(
        "parallel/txpool/overflow",
        "Transactions refused because no room could be made, or evictions were throttled.",
        lambda sources: sources.pool.statistics().overflow,
    ),
    PoolMetric(
        "parallel/txpool/pending",
        "Executable transactions in the pool.",
        lambda sources: sources.pool.statistics().pending,
    ),
    PoolMetric(
        "parallel/txpool/queued",
        "Transactions in the pool that wait for an earlier nonce.",
        lambda sources: sources.pool.statistics().queued,
    ),
    PoolMetric(
        "parallel/txpool/local",
        "Pooled transactions that were submitted over RPC.",
        lambda sources: sources.pool.statistics().local,
    ),
    PoolMetric(
        "parallel/txpool/slots",
        "Slots of 32,768 bytes that the pooled transactions take.",
        lambda sources: sources.pool.statistics().slots,
    ),
    PoolMetric(
        "parallel/txpool/batchsize",
        "Configured number of transactions that closes a batch.",
        lambda sources: sources.batches.figures().batch_size,
    ),
    PoolMetric(
        "parallel/txpool/batchcount",
        "Batches on offer.",
        lambda sources: sources.batches.figures().batches,
    ),
    PoolMetric(
        "parallel/txpool/parallelizable",
        "Pending transactions that stand in parallel batches.",
        lambda sources: sources.batches.figures().parallelizable,
    ),
)
"""Every name, in the order of the documentation."""


class PoolCollector(Collector):
    """Reads the 20 figures when the page is scraped."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge for each name."""
        for metric in POOL_METRICS:
            yield GaugeMetricFamily(metric.exported_name, metric.text, value=metric.read(self._sources))

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Names without values, so that registering reads nothing."""
        for metric in POOL_METRICS:
            yield GaugeMetricFamily(metric.exported_name, metric.text)


def render_as_geth(sources: Sources) -> str:
    """
    The 20 figures in the text that geth's own page has: sorted, TYPE without HELP, a blank line after each.

    Source: geth metrics/prometheus/collector.go, as described in its documentation.
    """
    blocks = [
        f"# TYPE {metric.exported_name} gauge\n{metric.exported_name} {metric.read(sources)}\n"
        for metric in sorted(POOL_METRICS, key=lambda metric: metric.name)
    ]
    return "\n".join(blocks) + "\n"
