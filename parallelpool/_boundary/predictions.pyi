"""Figures of what is done ahead of need."""

from typing import final

@final
class PredictionStatistics:
    """Sums since the start, and what is held now."""

    @property
    def held(self) -> int:
        """Predictions that hold on the head."""
    @property
    def records(self) -> int:
        """Those of them with a run that the executor can apply."""
    @property
    def runs(self) -> int:
        """Runs that came to an end."""
    @property
    def capped(self) -> int:
        """Runs that hit the cap of gas."""
    @property
    def cancelled(self) -> int:
        """Runs stopped because execution wanted the thread."""
    @property
    def timed_out(self) -> int:
        """Runs stopped by the clock."""
    @property
    def refused(self) -> int:
        """Runs refused because the sender or the transaction had had its share on this head."""
    @property
    def stale(self) -> int:
        """Predictions dropped because a head changed what they read."""
    @property
    def busy_ns(self) -> int:
        """Time of all runs, in nanoseconds of all threads."""
    @property
    def gas(self) -> int:
        """Gas of all runs."""
    @property
    def by_template(self) -> int:
        """Answers that a template gave."""
    @property
    def templates(self) -> int:
        """Templates there are."""
    @property
    def lessons(self) -> int:
        """Calls that templates were learned from, by earlier daemons too."""
