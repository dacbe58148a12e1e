"""
The batches on offer as subscribers see them.

In: changes of head and pool. Out: to each listener, the offer that its own filter gives. Changes that come close
together are told once, equal filters are planned once, and without a listener nothing is planned at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from parallelpool.events import HeadChanged, TransactionDropped, TransactionsPromoted
from rpc.errors import as_rpc_error
from rpc.offers import COALESCE_S, Offers, View

if TYPE_CHECKING:
    from parallelpool.events import EventBus
    from rpc.namespaces.parallel_batch_request import BatchRequest

log = structlog.get_logger("parallelpool.rpc")


class BatchListener(Protocol):
    """One subscription."""

    @property
    def request(self) -> BatchRequest:
        """What it wants to be offered."""

    def offered(self, offer: View, /) -> None:
        """The offer as it is now. Must not wait."""


class BatchNews:
    """Looks at the offer when something changed. `run` is the one task that does so."""

    def __init__(self, events: EventBus, offers: Offers) -> None:
        self._events = events
        self._offers = offers
        self._listeners: dict[int, BatchListener] = {}
        self._changed = asyncio.Event()

    def add(self, listener: BatchListener) -> None:
        """Tells `listener` the present offer soon, and every later one."""
        self._listeners[id(listener)] = listener
        self._changed.set()

    def remove(self, listener: BatchListener) -> None:
        """Tells it no longer; one that is not there is no error."""
        self._listeners.pop(id(listener), None)

    async def run(self) -> None:
        """Tells news until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._tell())

    async def _follow(self) -> None:
        kinds = (HeadChanged, TransactionsPromoted, TransactionDropped)
        with self._events.subscribe(*kinds, capacity=1) as feed:
            async for _ in feed:
                self._changed.set()

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(COALESCE_S)
            self._changed.clear()
            offers: dict[BatchRequest, View | None] = {}
            for listener in tuple(self._listeners.values()):
                if listener.request not in offers:
                    offers[listener.request] = await self._look(listener.request)
                offer = offers[listener.request]
                if offer is not None:
                    listener.offered(offer)

    async def _look(self, request: BatchRequest) -> View | None:
        """The offer; `None` where none could be made, which the next change repairs."""
        try:
            return await self._offers.look(request)
        except Exception as error:
            if as_rpc_error(error) is None:
                raise
            log.warning("no batches for subscribers", error=str(error))
            return None
