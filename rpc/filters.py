"""
Filters that clients poll: each gathers news between two polls and forgets itself when nobody asks.

In: news. Out: what came since the last poll. A filter holds a bounded number of items; one that nobody empties
is dropped, and its client is told `filter not found`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rpc import views
from rpc.errors import Json, RpcError
from rpc.log_filter import LogFilter, is_in_range
from rpc.news import LogNews, News
from rpc.quantities import to_data

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from parallelpool.events import Departure
    from parallelpool.transaction import Transaction

LIFETIME_S: Final = 300.0
"""Without a poll."""

HELD_ITEMS: Final = 100_000
"""Items that one filter holds."""

HELD_FILTERS: Final = 10_000
"""Filters of all clients together."""


class Filter:
    """What came since the last poll. Subclasses choose what they take."""

    wants_logs = False

    def __init__(self, now: float) -> None:
        self.last_poll = now
        self._items: list[Json] = []

    @property
    def is_full(self) -> bool:
        """Holds more than it may."""
        return len(self._items) > HELD_ITEMS

    def poll(self, now: float) -> list[Json]:
        """Takes out what came."""
        items, self._items, self.last_poll = self._items, [], now
        return items

    def head_added(self, header: Header, /) -> None:
        """News of a block."""

    def logs_added(self, logs: Sequence[LogNews], /) -> None:
        """News of logs."""

    def transaction_departed(self, departure: Departure, /) -> None:
        """Filters know nothing of departures."""

    def transactions_promoted(self, transactions: Sequence[Transaction], /) -> None:
        """News of executable transactions."""

    def _hold(self, items: list[Json]) -> None:
        if not self.is_full:
            self._items += items


class BlockFilter(Filter):
    """Gathers block hashes."""

    def head_added(self, header: Header, /) -> None:
        self._hold([to_data(header.hash)])


class PendingTransactionFilter(Filter):
    """Gathers executable transactions, as hashes or whole."""

    def __init__(self, now: float, *, full: bool) -> None:
        super().__init__(now)
        self._full = full

    def transactions_promoted(self, transactions: Sequence[Transaction], /) -> None:
        self._hold([views.transaction(tx) if self._full else to_data(tx.hash) for tx in transactions])


class NewLogFilter(Filter):
    """Gathers logs that match."""

    wants_logs = True

    def __init__(self, now: float, wanted: LogFilter) -> None:
        super().__init__(now)
        self.wanted = wanted

    def logs_added(self, logs: Sequence[LogNews], /) -> None:
        self._hold(
            [
                news.view
                for news in logs
                if is_in_range(self.wanted, news.number) and self.wanted.matches(news.entry)
            ]
        )


class FilterBook:
    """All filters by id."""

    def __init__(self, news: News, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._news = news
        self._clock = clock
        self._filters: dict[str, Filter] = {}

    def __len__(self) -> int:
        """Filters held now."""
        return len(self._filters)

    @property
    def now(self) -> float:
        """The clock that lifetimes are counted on."""
        return self._clock()

    def install(self, made: Filter) -> str:
        """Keeps a filter and gives its id. Raises RpcError when there are too many."""
        self._drop_stale()
        if len(self._filters) >= HELD_FILTERS:
            raise RpcError(f"too many filters (limit {HELD_FILTERS})")
        filter_id = new_id()
        self._filters[filter_id] = made
        self._news.add(made)
        return filter_id

    def find(self, filter_id: str) -> Filter:
        """Raises RpcError if there is no such filter (any more)."""
        self._drop_stale()
        held = self._filters.get(filter_id)
        if held is None:
            raise RpcError("filter not found")
        return held

    def uninstall(self, filter_id: str) -> bool:
        """Whether there was one."""
        held = self._filters.pop(filter_id, None)
        if held is not None:
            self._news.remove(held)
        return held is not None

    def _drop_stale(self) -> None:
        deadline = self._clock() - LIFETIME_S
        for filter_id, held in tuple(self._filters.items()):
            if held.last_poll < deadline or held.is_full:
                self.uninstall(filter_id)


def new_id() -> str:
    """An unguessable id in geth's form: hex without leading zeros."""
    return hex(secrets.randbits(128))
