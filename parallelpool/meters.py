"""
What the pool counts, and the frozen picture of it that metrics and RPC read.

Meters count events and only rise; they have geth's meanings, which are written at each field. Gauges are not here
but read from the containers when the picture is taken, so that they cannot drift.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from parallelpool.events import DropReason


@dataclass(slots=True)
class PoolMeters:
    """Counts since the start of the daemon."""

    known: int = 0
    """Refused because the same transaction was pooled."""
    valid: int = 0
    """Accepted: replacements and transactions of abandoned blocks included."""
    invalid: int = 0
    """Refused by a check of the transaction, its account or its delegations."""
    underpriced: int = 0
    """Refused because a full pool held nothing cheaper, and one for each transaction that had to make room."""
    overflowed: int = 0
    """Refused because room could not be made."""
    throttled: int = 0
    """Refused because evictions had already taken too many executable transactions out at once."""
    pending_discard: int = 0
    """Replacements of an executable transaction that were refused."""
    pending_replace: int = 0
    """Executable transactions that were replaced."""
    pending_ratelimit: int = 0
    """Executable transactions dropped because the pool held too many."""
    pending_nofunds: int = 0
    """Executable transactions dropped because a new head left them unaffordable or too large for a block."""
    queued_discard: int = 0
    """Replacements of a waiting transaction that were refused."""
    queued_replace: int = 0
    """Waiting transactions that were replaced."""
    queued_ratelimit: int = 0
    """Waiting transactions dropped because sender or pool had too many."""
    queued_nofunds: int = 0
    """Waiting transactions dropped because they were unaffordable or too large for a block."""
    queued_eviction: int = 0
    """Waiting transactions dropped for their sender's long silence."""


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """Meters and gauges at one moment."""

    meters: PoolMeters
    """A copy that the pool no longer touches."""
    pending: int
    """Executable transactions; those whose journal record is being written count too, as in the next five."""
    queued: int
    """Transactions that wait."""
    local: int
    """Pooled transactions that were submitted over RPC."""
    slots: int
    """Pool space in use, in units of 32 KiB."""
    pending_senders: int
    """Senders with executable transactions."""
    queued_senders: int
    """Senders with transactions that wait."""
    held: int
    """Transactions whose journal record is being written."""
    departures: int
    """Departures that are remembered."""
    departed: Mapping[DropReason, int]
    """Departures since the start of the daemon, by reason."""
    gas_tip: int
    """Least tip cap that is accepted, in wei."""

    @property
    def overflow(self) -> int:
        """Refused for want of room: what `parallel_txpool_overflow` shows."""
        return self.meters.overflowed + self.meters.throttled
