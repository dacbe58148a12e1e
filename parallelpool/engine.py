"""
The way from the event loop to the engine: named lanes of threads, never the loop's default ones.

A lane is bounded in threads and in waiting calls. Engine calls release the GIL, so a lane's thread only
waits; the engine's own workers do the work.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class EngineBusy(Exception):
    """A lane has as many waiting calls as it takes; the caller should come back later."""


class Lane:
    """Some threads for one kind of engine call."""

    def __init__(self, name: str, *, threads: int, limit: int) -> None:
        """`limit` bounds the calls that run or wait."""
        self.name = name
        self._limit = limit
        self._open = 0
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"parallelpool-{name}")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Runs `call` on a thread of this lane.

        Raises EngineBusy when the lane is full, and whatever `call` raises. Cancelling the waiter does not
        stop a call that has begun.
        """
        if self._open >= self._limit:
            raise EngineBusy(f"too many {self.name} calls in flight")
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: call(*args, **kwargs)
            )
        finally:
            self._open -= 1

    def close(self) -> None:
        """Waits for running calls; those that wait are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class Lanes:
    """The daemon's lanes. One writer: blocks are made and stored in order."""

    def __init__(self) -> None:
        self.ingress = Lane("ingress", threads=1, limit=1_024)
        """Decoding and sender recovery; one call at a time uses all workers."""
        self.writer = Lane("writer", threads=1, limit=64)
        """Building, importing and storing blocks."""
        self.planning = Lane("planning", threads=1, limit=64)
        """Batch building: a block waits for it, so it stands behind nothing else."""
        self.hints = Lane("hints", threads=2, limit=64)
        """Access sets: what is known of them, and runs ahead of need."""
        self.lessons = Lane("lessons", threads=1, limit=64)
        """What blocks teach about calls; nobody waits for it."""
        self.queries = Lane("queries", threads=4, limit=1_024)
        """Calls, estimates, logs, proofs and history."""
        self.traces = Lane("traces", threads=2, limit=32)
        """Traces: long, and large in memory; nothing else stands behind them."""

    def close(self) -> None:
        """Closes all lanes, the writer last."""
        for lane in (
            self.traces,
            self.queries,
            self.lessons,
            self.hints,
            self.planning,
            self.ingress,
            self.writer,
        ):
            lane.close()
