"""
The batches on offer, and where they conflict, as subscribers see them.

In: changes of head and pool. Out: to each listener, the answer to its own question. Changes that come close
together are told once, equal questions are answered once, and without a listener nothing is planned at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeAlias

import structlog

from parallelpool.events import HeadChanged, TransactionDropped, TransactionsPromoted
from rpc.backend import Backend
from rpc.errors import as_rpc_error
from rpc.namespaces.parallel_conflicts import ConflictRequest, conflicts_view
from rpc.offers import COALESCE_S, Offers, View

if TYPE_CHECKING:
    from rpc.namespaces.parallel_batch_request import BatchRequest

log = structlog.get_logger("parallelpool.rpc")


Question: TypeAlias = "BatchRequest | ConflictRequest"


class BatchListener(Protocol):
    """One subscription."""

    @property
    def question(self) -> Question:
        """What it wants to know."""

    def answered(self, answer: View, /) -> None:
        """The answer as it is now. Must not wait."""


class BatchNews:
    """Looks at the offer when something changed. `run` is the one task that does so."""

    def __init__(self, backend: Backend, offers: Offers) -> None:
        self._backend = backend
        self._offers = offers
        self._listeners: dict[int, BatchListener] = {}
        self._changed = asyncio.Event()

    def add(self, listener: BatchListener) -> None:
        """Tells `listener` the present answer soon, and every later one."""
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
        with self._backend.events.subscribe(*kinds, capacity=1) as feed:
            async for _ in feed:
                self._changed.set()

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(COALESCE_S)
            self._changed.clear()
            answers: dict[Question, View | None] = {}
            for listener in tuple(self._listeners.values()):
                question = listener.question
                if question not in answers:
                    answers[question] = await self._answer(question)
                answer = answers[question]
                if answer is not None:
                    listener.answered(answer)

    async def _answer(self, question: Question) -> View | None:
        """`None` where there is none, which the next change repairs."""
        try:
            if isinstance(question, ConflictRequest):
                return await conflicts_view(self._backend, question)
            return await self._offers.look(question)
        except Exception as error:
            if as_rpc_error(error) is None:
                raise
            log.warning("no batches for subscribers", error=str(error))
            return None
