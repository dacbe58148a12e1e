"""
The way in: raw bytes to recovered transactions, many at a time.

Concurrent callers share one engine call: what arrives while a call is running goes out together in the next,
so that recovery keeps all workers busy without making a single caller wait for a timer.
"""

import asyncio
from collections.abc import Callable, Sequence

from parallelpool._core import DecodeRejection, Transaction, Workers, decode_transactions
from parallelpool.distribution import Distribution
from parallelpool.engine import Lane
from parallelpool.errors import DecodeError

MAX_RUN = 512
"""Transactions of one engine call."""

MAX_WAITING = 16_384
"""Transactions that may wait; more callers wait for room, which slows the senders and nothing else."""


class Ingress:
    """Decodes and recovers. `run` serves callers until it is cancelled."""

    def __init__(
        self, workers: Workers, lane: Lane, *, chain_id: int, parallel_tx_type: Callable[[], int | None]
    ) -> None:
        """`parallel_tx_type` is asked for each run, since the type begins with a fork."""
        self._workers = workers
        self._lane = lane
        self._chain_id = chain_id
        self._parallel_tx_type = parallel_tx_type
        self.recovered_at_once = Distribution(tuple(2**step for step in range(13)))
        """Transactions of one engine call."""
        self._waiting: asyncio.Queue[tuple[bytes, asyncio.Future[Transaction]]] = asyncio.Queue(MAX_WAITING)

    async def decode(self, raw: bytes, /) -> Transaction:
        """
        One transaction.

        Raises DecodeError with geth's text. A signature that does not recover is not refused here: the
        transaction says so itself, and admission refuses it in its turn.
        """
        future: asyncio.Future[Transaction] = asyncio.get_running_loop().create_future()
        await self._waiting.put((raw, future))
        return await future

    async def decode_all(self, raw: Sequence[bytes], /) -> list[Transaction | DecodeRejection]:
        """A list at once, failures as values."""
        self.recovered_at_once.observe(len(raw))
        return await self._lane.run(
            decode_transactions, self._workers, list(raw), self._chain_id, self._parallel_tx_type()
        )

    async def run(self) -> None:
        """Serves `decode` until cancelled; callers that still wait then are cancelled too."""
        served: list[tuple[bytes, asyncio.Future[Transaction]]] = []
        try:
            while True:
                served = [await self._waiting.get()]
                while len(served) < MAX_RUN and not self._waiting.empty():
                    served.append(self._waiting.get_nowait())
                await self._serve(served)
        finally:
            while not self._waiting.empty():
                served.append(self._waiting.get_nowait())
            for _, future in served:
                future.cancel()

    async def _serve(self, served: Sequence[tuple[bytes, asyncio.Future[Transaction]]]) -> None:
        results = await self.decode_all([raw for raw, _ in served])
        for (_, future), result in zip(served, results, strict=True):
            if future.done():
                continue
            if isinstance(result, DecodeRejection):
                future.set_exception(DecodeError(result.message, result.kind))
            else:
                future.set_result(result)
