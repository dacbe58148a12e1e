"""
How often a measured amount fell where: a fixed number of counters, whatever is observed.

For figures of which the mean says too little. Each has one owner, who observes; readers take a picture.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

LATENCY_BOUNDS_S: Final = tuple(0.0001 * 2**step for step in range(15))
"""0.1 ms to 1.6 s, each twice the one before."""


class Distribution:
    """Counts of observations by upper bound. Any one thread may observe at a time; reading is always safe."""

    __slots__ = ("_counts", "_sum", "bounds")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` ascend; what is above the last one is counted too."""
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float, times: int = 1) -> None:
        """Counts `times` observations of `amount`; a bound belongs to what is below it."""
        self._counts[bisect_left(self.bounds, amount)] += times
        self._sum += amount * times

    @property
    def counts(self) -> tuple[int, ...]:
        """Observations up to each bound and above the one before; the last of those above all."""
        return tuple(self._counts)

    @property
    def sum(self) -> float:
        """Of all observed amounts."""
        return self._sum
