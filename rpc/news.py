"""
The node's events as clients of filters and subscriptions see them.

In: head changes, promoted and departed transactions. Out: calls to listeners, in order, each block read and
rendered once for all of them. After a reorg the logs of the blocks that left are told again as removed, as far as
they had been told. Listeners must not wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from parallelpool.chain import CoreError
from parallelpool.events import HeadChanged, TransactionDropped, TransactionsPromoted
from rpc import views
from rpc.errors import Json

if TYPE_CHECKING:
    from parallelpool.chain import Header, Log
    from parallelpool.events import Departure, EventBus
    from parallelpool.transaction import Transaction
    from rpc.backend import Chain
    from rpc.block_cache import BlockCache

log = structlog.get_logger("parallelpool.rpc")

EVENTS_WAITING: Final = 65_536
"""Events that may wait while blocks are read."""

REMEMBERED_BLOCKS: Final = 128
"""Blocks whose logs can be told as removed."""

MAX_GAP: Final = 1_024
"""Blocks that are made up for after lost events."""


@dataclass(frozen=True, slots=True)
class LogNews:
    """A log of a new block, or of one that left the chain."""

    entry: Log
    number: int
    view: dict[str, Json]


class Listener(Protocol):
    """One filter or subscription."""

    @property
    def wants_logs(self) -> bool:
        """Whether blocks must be read for it."""

    def head_added(self, header: Header, /) -> None: ...
    def logs_added(self, logs: Sequence[LogNews], /) -> None:
        """Logs of one block; views with `removed` set are of a block that left the chain."""

    def transactions_promoted(self, transactions: Sequence[Transaction], /) -> None: ...
    def transaction_departed(self, departure: Departure, /) -> None: ...


class News:
    """Reads events and tells listeners. `run` is the one task that does so."""

    def __init__(self, chain: Chain, events: EventBus, blocks: BlockCache) -> None:
        self._chain = chain
        self._events = events
        self._blocks = blocks
        self._listeners: dict[int, Listener] = {}
        self._told_logs: OrderedDict[bytes, list[LogNews]] = OrderedDict()
        self._last = chain.head()

    def add(self, listener: Listener) -> None:
        """Tells `listener` from now on."""
        self._listeners[id(listener)] = listener

    def remove(self, listener: Listener) -> None:
        """Tells it no longer; one that is not there is no error."""
        self._listeners.pop(id(listener), None)

    async def run(self) -> None:
        """Tells news until cancelled."""
        kinds = (HeadChanged, TransactionsPromoted, TransactionDropped)
        with self._events.subscribe(*kinds, capacity=EVENTS_WAITING) as feed:
            async for event in feed:
                if isinstance(event, HeadChanged | TransactionsPromoted | TransactionDropped):
                    await self.tell(event)

    async def tell(self, event: HeadChanged | TransactionsPromoted | TransactionDropped) -> None:
        """Tells one piece of news to all listeners."""
        if isinstance(event, HeadChanged):
            await self._tell_heads(event)
        elif isinstance(event, TransactionDropped):
            for listener in tuple(self._listeners.values()):
                listener.transaction_departed(event.departure)
        else:
            for listener in tuple(self._listeners.values()):
                listener.transactions_promoted(event.transactions)

    async def _tell_heads(self, event: HeadChanged) -> None:
        for header in reversed(event.removed):
            self._tell_removed(header)
        added = (*self._missed(event), *event.added)
        for header in added:
            for listener in tuple(self._listeners.values()):
                listener.head_added(header)
            await self._tell_logs(header)
        if added:
            self._last = added[-1]

    def _missed(self, event: HeadChanged) -> list[Header]:
        """Headers between the last one told and the event's first, had the feed lost some."""
        if event.removed or not event.added:
            return []
        first, last = self._last.number + 1, event.added[0].number
        numbers = range(max(first, last - MAX_GAP), last)
        return [header for number in numbers if (header := self._chain.header_by_number(number)) is not None]

    async def _tell_logs(self, header: Header) -> None:
        if not any(listener.wants_logs for listener in self._listeners.values()):
            return
        try:
            logs = await self._read_logs(header)
        except CoreError as error:
            log.error("logs of new block unavailable", number=header.number, error=str(error))
            return
        self._told_logs[header.hash] = logs
        if len(self._told_logs) > REMEMBERED_BLOCKS:
            self._told_logs.popitem(last=False)
        self._tell(logs)

    def _tell_removed(self, header: Header) -> None:
        told = self._told_logs.pop(header.hash, [])
        self._tell([LogNews(news.entry, news.number, {**news.view, "removed": True}) for news in told])

    def _tell(self, logs: list[LogNews]) -> None:
        if not logs:
            return
        for listener in tuple(self._listeners.values()):
            if listener.wants_logs:
                listener.logs_added(logs)

    async def _read_logs(self, header: Header) -> list[LogNews]:
        mined = await self._blocks.by_header(header)
        if mined is None:
            return []
        logs: list[LogNews] = []
        for index, (tx, receipt) in enumerate(zip(mined.block.transactions, mined.receipts, strict=True)):
            place = views.Place.of(header, index)
            for entry in receipt.logs:
                logs.append(LogNews(entry, header.number, views.log(entry, place, tx.hash, len(logs))))
        return logs
