"""Work ahead of need: which transactions, in which order, and how much of the CPUs."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from parallelpool.access import PATIENCE_S, QUEUE, RUN, SWEEP, AccessBook, AccessSet, CpuShare
from parallelpool.chain import CallRequest, PredictionStatistics
from parallelpool.engine import EngineBusy
from parallelpool.events import EventBus, TransactionsPromoted
from parallelpool.transaction import Transaction
from tests.deadline import until


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@dataclass
class FixedEngine:
    """Knows nothing by itself, and of everything once it has run it."""

    clock: Clock = field(default_factory=Clock)
    run_s: float = 0.0
    """Time of one run, on one CPU."""
    runs: list[list[int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    """How many were looked at, each time."""
    held: set[bytes] = field(default_factory=set)
    busy_ns: int = 0
    busy: int = 0
    """Calls that are refused before one is taken."""

    async def known_accesses(
        self, transactions: Sequence[Transaction], /
    ) -> tuple[list[AccessSet], list[int]]:
        """Names; unsettled is what has not run."""
        if self.busy:
            self.busy -= 1
            raise EngineBusy("full")
        self.asked.append(len(transactions))
        unsettled = [place for place, tx in enumerate(transactions) if tx.hash not in self.held]
        return [_named("known", tx) for tx in transactions], unsettled

    async def predict_accesses(
        self, transactions: Sequence[Transaction], patience_ms: int, /
    ) -> tuple[list[AccessSet], list[int]]:
        """Runs all of them."""
        self.runs.append([tx.nonce for tx in transactions])
        self.held |= {tx.hash for tx in transactions}
        self.busy_ns += int(len(transactions) * self.run_s * 1e9)
        self.clock.now += len(transactions) * self.run_s
        return [_named("run", tx) for tx in transactions], []

    async def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> AccessSet:
        """A set that has the gas limit."""
        return cast("AccessSet", SimpleNamespace(source="run", gas_used=gas_limit))

    def predicted(self) -> list[bytes]:
        """What has run."""
        return list(self.held)

    def forget_predictions(self, hashes: Sequence[bytes], /) -> None:
        """Drops them."""
        self.held -= set(hashes)

    def prediction_statistics(self) -> PredictionStatistics:
        """Time and what is held."""
        return cast("PredictionStatistics", SimpleNamespace(busy_ns=self.busy_ns, held=len(self.held)))

    def next_base_fee(self, number: int | None = None, /) -> int | None:
        """One that the pool below looks for."""
        return 7


@dataclass
class FixedPool:
    """Transactions in the order of their worth."""

    best: list[Transaction]

    def pending_best(self, base_fee: int | None, /) -> Iterator[Transaction]:
        """All of them."""
        assert base_fee == 7
        return iter(self.best)


def _named(how: str, tx: Transaction) -> AccessSet:
    """A set that says where it comes from in place of a source, and of which transaction."""
    return cast("AccessSet", SimpleNamespace(source=how, gas_used=tx.nonce))


def named(found: Sequence[AccessSet]) -> list[tuple[str, int]]:
    """What those sets say."""
    return [(one.source, one.gas_used) for one in found]


def transactions(count: int) -> list[Transaction]:
    """Transactions whose nonces say their rank."""
    rows = [SimpleNamespace(nonce=nonce, hash=nonce.to_bytes(32, "big")) for nonce in range(count)]
    return cast("list[Transaction]", rows)


def book(engine: FixedEngine, share: float = 0.5, cpus: int = 1) -> AccessBook:
    """A book on the engine's clock."""
    return AccessBook(engine, share=share, cpus=cpus, clock=engine.clock)


async def look_ahead(engine: FixedEngine, pool: FixedPool, runs: int) -> None:
    """Lets the book look until it has made so many calls of the engine."""
    events = EventBus()
    running = asyncio.create_task(book(engine).run(events, pool))
    try:
        await asyncio.sleep(0)
        events.publish(TransactionsPromoted(()))
        await until(lambda: len(engine.runs) == runs, timeout_s=60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_best_run_first_and_no_more_than_the_queue_holds() -> None:
    """
    In the pool's order, some at a time; what is beyond the queue is not even looked at.
    """
    engine = FixedEngine()
    await look_ahead(engine, FixedPool(transactions(QUEUE + 500)), QUEUE // RUN)

    assert [nonce for run in engine.runs for nonce in run] == list(range(QUEUE))
    assert max(map(len, engine.runs)) == RUN
    assert set(engine.asked) == {QUEUE}


async def test_what_is_settled_does_not_run_again() -> None:
    """
    Only the gaps do.
    """
    engine, pooled = FixedEngine(), transactions(10)
    engine.held = {tx.hash for tx in pooled if tx.nonce % 3}
    await look_ahead(engine, FixedPool(pooled), 1)

    assert engine.runs == [[0, 3, 6, 9]]


async def test_a_full_lane_is_waited_out() -> None:
    """
    The next news finds room again.
    """
    engine = FixedEngine(busy=1)
    await look_ahead(engine, FixedPool(transactions(3)), 1)

    assert engine.runs == [[0, 1, 2]]


def test_work_gets_its_share_of_the_cpus_and_a_burst() -> None:
    """
    Over any time at most the share of it, the burst and one piece of work.
    """
    clock = Clock()
    share, busy_s, piece_s = CpuShare(0.25, cpus=4, clock=clock), 0.0, 0.3
    while clock.now < 1_000:
        wait_s = share.wait_s()
        if wait_s > 0:
            clock.now += wait_s
            continue
        busy_s += piece_s
        share.pay(busy_s)
        allowed = 0.25 * 4 * clock.now + CpuShare.BURST_S * 4 + piece_s
        assert busy_s <= allowed + 1e-6
    assert busy_s >= 0.99 * 0.25 * 4 * 1_000


def test_time_that_was_not_used_is_not_saved_up() -> None:
    """
    A quiet night is no reason for a busy morning.
    """
    clock = Clock()
    share = CpuShare(0.5, cpus=2, clock=clock)
    clock.now = 100_000.0
    share.wait_s()
    share.pay(CpuShare.BURST_S * 2 + 1)

    assert 0.9 < share.wait_s() < 1.1


async def test_who_asks_gets_runs_for_a_while_and_then_what_is_known() -> None:
    """
    The first in the order asked, until patience ends.
    """
    engine = FixedEngine(run_s=PATIENCE_S / RUN)
    found = await book(engine, share=1.0, cpus=64).of(transactions(3 * RUN))

    assert named(found) == [("run", nonce) for nonce in range(RUN)] + [
        ("known", nonce) for nonce in range(RUN, 3 * RUN)
    ]


async def test_who_asks_is_bound_by_the_share_too() -> None:
    """
    Without CPU time left nothing runs, and that is counted.
    """
    engine = FixedEngine(run_s=1.0)
    asked = book(engine, share=0.01)
    await asked.of(transactions(1))
    found = await asked.of(transactions(2))

    assert named(found) == [("known", 0), ("known", 1)]
    assert asked.statistics().postponed == 1


async def test_a_message_runs_at_once_with_its_own_cap() -> None:
    """
    It is nobody's transaction, so there is nothing to keep.
    """
    asked = AccessBook(FixedEngine(), gas_limit=77)

    assert named([await asked.of_message(CallRequest(sender=bytes(20)))]) == [("run", 77)]


async def test_what_left_the_pool_is_swept_out_when_enough_has_come() -> None:
    """
    The sweep costs a look at everything, so it waits until it is worth it.
    """
    engine = FixedEngine()
    asked, pooled = book(engine), transactions(3 * SWEEP)
    keep = {tx.hash for tx in pooled[:10]}
    engine.held = {tx.hash for tx in pooled[: SWEEP - 1]}
    asked.keep_only(keep)
    assert len(engine.held) == SWEEP - 1
    engine.held = {tx.hash for tx in pooled[:SWEEP]}
    asked.keep_only(keep)
    assert engine.held == keep
    engine.held = {tx.hash for tx in pooled[: SWEEP + 9]}
    asked.keep_only(keep)
    assert len(engine.held) == SWEEP + 9
