"""
Access sets of pending transactions: what each is expected to read and write.

In: pooled transactions and the head. Out: one `AccessSet` each, from the best source there is now. The engine keeps
what it has found until a head changes it, and runs transactions ahead of need within its bounds; how much of the
CPUs that may take, and in which order, is decided here. A set is a hint: execution validates every read, so a wrong
set costs time, never state.
"""

import asyncio
import os
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import structlog

from parallelpool._core import AccessSet
from parallelpool.chain import CallRequest, PredictionStatistics
from parallelpool.engine import EngineBusy
from parallelpool.events import EventBus, HeadChanged, TransactionsPromoted
from parallelpool.transaction import Transaction

log = structlog.get_logger("parallelpool.access")

__all__ = [
    "AccessBook",
    "AccessSet",
    "AccessStatistics",
    "CpuShare",
]

PRE_EXECUTION_GAS: Final = 5_000_000
"""Gas above which a run ahead of need gives up and the accesses stay unknown."""

QUEUE: Final = 4_096
"""Pending transactions that are looked at ahead of need, best tips first."""

RUN: Final = 64
"""Transactions handed to the engine at once; between runs other hint work may go first."""

RUN_PATIENCE_MS: Final = 20
"""After which no more transactions of a run begin."""

PATIENCE_S: Final = 0.5
"""How long somebody who asks for access sets waits for runs; the rest has what is known without them."""

LOOK_S: Final = 0.1
"""Shortest time between two looks ahead."""

AHEAD_SHARE: Final = 0.03
"""Part of the time that work has of which nobody waits for the result: looking ahead, keeping the offer up to date."""

LONGEST_REST_S: Final = 1.0
"""After which looking ahead goes on, however long it took: what it finds is of use until the next block only."""

SWEEP: Final = 1_024
"""Predictions by which the engine's book grows before those of departed transactions are swept out."""


def rest_after(took_s: float, least_s: float, longest_s: float) -> float:
    """
    Seconds for which work that nobody waits for rests after it took `took_s`: from `least_s` to `longest_s`.

    While many transactions come there is always something new to look at, so the work would go on without end and
    take the time of those who bring them.
    """
    return min(max(least_s, took_s * (1 / AHEAD_SHARE - 1)), longest_s)


class AccessSource(Protocol):
    """The part of the chain that finds access sets."""

    async def known_accesses(
        self, transactions: Sequence[Transaction], /
    ) -> tuple[list[AccessSet], list[int]]: ...
    async def predict_accesses(
        self, transactions: Sequence[Transaction], patience_ms: int, /
    ) -> tuple[list[AccessSet], list[int]]: ...
    async def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> AccessSet: ...
    def predicted(self) -> list[bytes]: ...
    def forget_predictions(self, hashes: Sequence[bytes], /) -> None: ...
    def prediction_statistics(self) -> PredictionStatistics: ...
    def next_base_fee(self, number: int | None = None, /) -> int | None: ...


class BestFirst(Protocol):
    """The part of the pool that says what is worth most."""

    def pending_best(self, base_fee: int | None, /) -> Iterator[Transaction]: ...


@dataclass(frozen=True, slots=True)
class AccessStatistics:
    """Figures of what is done ahead of need."""

    engine: PredictionStatistics
    share: float
    """Greatest part of all CPUs."""
    postponed: int
    """Times that runs had to wait because their share was used up."""


class CpuShare:
    """
    A part of the CPUs' time: it accrues with the clock, and work that was done is paid from it.

    Work may begin while anything is left, so the sum over any time is at most the share of it, `BURST_S` of all
    CPUs, and one run.
    """

    BURST_S: Final = 0.5

    def __init__(self, share: float, *, cpus: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`share` of `cpus` CPUs, above 0 and at most 1."""
        self._rate = share * cpus
        self._most = self.BURST_S * cpus
        self._left = self._most
        self._clock = clock
        self._accrued_at = clock()
        self._paid_s = 0.0

    def wait_s(self) -> float:
        """Seconds until work may begin; 0: now."""
        now = self._clock()
        self._left = min(self._left + (now - self._accrued_at) * self._rate, self._most)
        self._accrued_at = now
        return 0.0 if self._left > 0 else -self._left / self._rate + 0.001

    def pay(self, busy_s: float) -> None:
        """Pays for work: `busy_s` is the sum since the start, what was paid before included."""
        self._left -= busy_s - self._paid_s
        self._paid_s = busy_s


class AccessBook:
    """Asks the engine for access sets, ahead of need and when somebody waits. Touched from the event loop."""

    def __init__(
        self,
        source: AccessSource,
        *,
        gas_limit: int = PRE_EXECUTION_GAS,
        share: float = 0.5,
        cpus: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`gas_limit` bounds runs of messages; those of transactions have the engine's bounds."""
        self._source = source
        self._gas_limit = gas_limit
        self._share = share
        self.budget = CpuShare(share, cpus=cpus or os.cpu_count() or 1, clock=clock)
        """Of everything that is done ahead of need."""
        self._clock = clock
        self._postponed = 0
        self._swept_at = 0

    async def of(self, transactions: Sequence[Transaction]) -> list[AccessSet]:
        """
        One access set per transaction, on the head as it is when the call begins.

        Those that are worth a run get one, the first first, for at most `PATIENCE_S` and within the CPU share.
        """
        found, unsettled = await self._source.known_accesses(transactions)
        end = self._clock() + PATIENCE_S
        for start in range(0, len(unsettled), RUN):
            if self.budget.wait_s() > 0:
                self._postponed += 1
                break
            if self._clock() >= end:
                break
            places = unsettled[start : start + RUN]
            access_sets, _ = await self._run([transactions[place] for place in places])
            for place, access_set in zip(places, access_sets, strict=True):
                found[place] = access_set
        return found

    async def of_message(self, subject: Transaction | CallRequest) -> AccessSet:
        """The access set of one transaction, pooled or not, or of a message that nobody signed."""
        if isinstance(subject, CallRequest):
            return await self._source.pre_execute_call(subject, self._gas_limit)
        return (await self.of([subject]))[0]

    async def run(self, events: EventBus, pool: BestFirst) -> None:
        """Runs pending transactions ahead of need until cancelled, best tips first, within the CPU share."""
        with events.subscribe(TransactionsPromoted, HeadChanged, capacity=1) as feed:
            while True:
                began = self._clock()
                try:
                    await self._look_ahead(pool)
                except EngineBusy:
                    log.debug("no room for work ahead of need")
                took_s = self._clock() - began
                await feed.next()
                await asyncio.sleep(rest_after(took_s, LOOK_S, LONGEST_REST_S))
                feed.drain()

    def keep_only(self, pooled: Container[bytes]) -> None:
        """Forgets all but what is known of `pooled` hashes; looks only when enough has come to be worth it."""
        held = self._source.prediction_statistics().held
        if held < self._swept_at + SWEEP:
            self._swept_at = min(self._swept_at, held)
            return
        hashes = self._source.predicted()
        gone = [tx_hash for tx_hash in hashes if tx_hash not in pooled]
        self._source.forget_predictions(gone)
        self._swept_at = len(hashes) - len(gone)

    def statistics(self) -> AccessStatistics:
        """Figures for people and metrics."""
        return AccessStatistics(self._source.prediction_statistics(), self._share, self._postponed)

    async def _look_ahead(self, pool: BestFirst) -> None:
        best = list(islice(pool.pending_best(self._source.next_base_fee()), QUEUE))
        _, unsettled = await self._source.known_accesses(best)
        for start in range(0, len(unsettled), RUN):
            while (wait_s := self.budget.wait_s()) > 0:
                self._postponed += 1
                await asyncio.sleep(wait_s)
            await self._run([best[place] for place in unsettled[start : start + RUN]])

    async def _run(self, transactions: Sequence[Transaction]) -> tuple[list[AccessSet], list[int]]:
        """Runs some and pays for them."""
        try:
            return await self._source.predict_accesses(transactions, RUN_PATIENCE_MS)
        finally:
            self.budget.pay(self._source.prediction_statistics().busy_ns / 1e9)
