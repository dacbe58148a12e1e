"""
What the collectors read: small protocols, so that nothing here reaches into the daemon.

Every figure is read from its owner at scrape time; nothing is counted beside the containers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from parallelpool.access import AccessStatistics
from parallelpool.batching import BatchFigures
from parallelpool.distribution import Distribution
from parallelpool.execution import ExecutionFigures
from parallelpool.meters import PoolStatistics


class PoolSource(Protocol):
    """The pool's own account of itself."""

    def statistics(self) -> PoolStatistics: ...


class BatchSource(Protocol):
    """The batch planner's figures, as of its last plan."""

    def figures(self) -> BatchFigures: ...


class AccessSource(Protocol):
    """The book of access sets."""

    def statistics(self) -> AccessStatistics: ...


class ExecutionSource(Protocol):
    """The executor's sums, and whether its self-check has found a difference."""

    @property
    def divergence(self) -> str | None: ...

    def figures(self) -> ExecutionFigures: ...


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the daemon can do its work, with the reason where it cannot."""

    healthy: bool
    """False makes `/healthz` answer 503."""
    details: Mapping[str, object]
    """Head, pool and store facts for people."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """What is measured by how often it fell where."""

    admission_seconds: Distribution
    recovered_at_once: Distribution
    sync_seconds: Callable[[], Distribution | None]
    """`None` where no journal is kept."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the exporter reads."""

    pool: PoolSource
    batches: BatchSource
    execution: ExecutionSource
    health: Callable[[], Health]
    distributions: Distributions
    access: AccessSource
