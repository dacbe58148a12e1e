"""
Where did it go: the last departures from the pool, by hash and by sender.

Bounded in number and time, so it answers for the recent past and nothing else; the oldest are forgotten first.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from parallelpool.events import Departure
from parallelpool.primitives import Address, TxHash

REMEMBERED: Final = 100_000
"""Departures that are remembered."""

REMEMBERED_S: Final = 3_600.0
"""Seconds for which a departure is remembered."""


class DepartureLog:
    """One departure for each hash, the newest."""

    def __init__(self, capacity: int = REMEMBERED, lifetime_s: float = REMEMBERED_S) -> None:
        self._capacity = capacity
        self._lifetime_s = lifetime_s
        # A plain dictionary searches for its oldest among the places of all that were forgotten before.
        self._departures: OrderedDict[TxHash, Departure] = OrderedDict()
        self._by_sender: dict[Address, dict[TxHash, None]] = {}

    def __len__(self) -> int:
        return len(self._departures)

    def __iter__(self) -> Iterator[Departure]:
        """Oldest first."""
        return iter(self._departures.values())

    def record(self, departure: Departure) -> None:
        """Remembers a departure, in place of an older one of the same transaction."""
        self.forget(departure.hash)
        self._departures[departure.hash] = departure
        self._by_sender.setdefault(departure.sender, {})[departure.hash] = None
        if len(self._departures) > self._capacity:
            self.forget(next(iter(self._departures)))

    def get(self, tx_hash: TxHash) -> Departure | None:
        """How the transaction left last."""
        return self._departures.get(tx_hash)

    def of(self, sender: Address) -> list[Departure]:
        """The sender's, oldest first."""
        return [self._departures[tx_hash] for tx_hash in self._by_sender.get(sender, ())]

    def forget(self, tx_hash: TxHash) -> None:
        """The transaction is in the pool again, or never left, or left too long ago."""
        if (departure := self._departures.pop(tx_hash, None)) is not None:
            own = self._by_sender[departure.sender]
            del own[tx_hash]
            if not own:
                del self._by_sender[departure.sender]

    def expire(self, now: float) -> None:
        """Forgets what left too long before `now` (unix seconds)."""
        expired: list[TxHash] = []
        for tx_hash, departure in self._departures.items():
            if now - departure.departed_at <= self._lifetime_s:
                break
            expired.append(tx_hash)
        for tx_hash in expired:
            self.forget(tx_hash)
