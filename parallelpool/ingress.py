"""
The way in: raw bytes to recovered transactions, many at a time.

One engine call decodes a list and recovers all senders on all workers. Who collects the lists is
`parallelpool.admission`; what comes over HTTP one by one is collected and recovered by the engine itself (`Intake`).
"""

from collections.abc import Callable, Sequence

from parallelpool._core import (
    DecodeRejection,
    IntakeNews,
    Submissions,
    Transaction,
    Workers,
    decode_transactions,
)
from parallelpool._core import Intake as CoreIntake
from parallelpool.distribution import Distribution
from parallelpool.engine import Lane
from parallelpool.errors import DecodeError

__all__ = ["DecodeRejection", "Ingress", "Intake", "IntakeNews", "Submissions", "Workers"]


class Ingress:
    """Decodes and recovers."""

    def __init__(
        self, workers: Workers, lane: Lane, *, chain_id: int, parallel_tx_type: Callable[[], int | None]
    ) -> None:
        """`parallel_tx_type` is asked for each call, since the type begins with a fork."""
        self._workers = workers
        self._lane = lane
        self._chain_id = chain_id
        self._parallel_tx_type = parallel_tx_type
        self.recovered_at_once = Distribution(tuple(2**step for step in range(13)))
        """Transactions of one engine call."""

    async def decode(self, raw: bytes, /) -> Transaction:
        """
        One transaction.

        Raises DecodeError with geth's text. A signature that does not recover is not refused here: the
        transaction says so itself, and admission refuses it in its turn.
        """
        (decoded,) = await self.decode_all([raw])
        if isinstance(decoded, DecodeRejection):
            raise DecodeError(decoded.message, decoded.kind)
        return decoded

    async def decode_all(self, raw: Sequence[bytes], /) -> list[Transaction | DecodeRejection]:
        """A list at once, failures as values."""
        self.recovered_at_once.observe(len(raw))
        return await self._lane.run(
            decode_transactions, self._workers, list(raw), self._chain_id, self._parallel_tx_type()
        )

    def listen(self, listeners: Sequence[int], /, *, idle_s: float) -> "Intake":
        """
        Connections on which transactions are submitted, see `rpc.http_intake`.

        `listeners` are descriptors of sockets that listen and do not block; they are given up. `idle_s`: how long a
        connection stays open without a request.
        """
        core = CoreIntake(self._workers, listeners, chain_id=self._chain_id, idle_s=idle_s)
        return Intake(core, self._parallel_tx_type, self.recovered_at_once)


class Intake:
    """The engine's `Intake`, which decodes as the chain's head wants it."""

    def __init__(
        self, core: CoreIntake, parallel_tx_type: Callable[[], int | None], recovered_at_once: Distribution
    ) -> None:
        self._parallel_tx_type = parallel_tx_type
        self._recovered_at_once = recovered_at_once
        self._core = core
        self.fileno = core.fileno
        self.judge = core.judge
        self.answer = core.answer
        self.hang_up = core.hang_up
        self.close_soon = core.close_soon
        self.stop = core.stop

    def take(self) -> IntakeNews:
        """What has come. Raises CoreInternalError if nothing will come any more, which is a bug."""
        news = self._core.take(self._parallel_tx_type())
        for count in news.recovered_at_once:
            self._recovered_at_once.observe(count)
        return news
