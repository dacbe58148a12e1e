"""
The way in: raw bytes to recovered transactions, many at a time.

One engine call decodes a list and recovers all senders on all workers. Who collects the lists is
`parallelpool.admission`.
"""

from collections.abc import Callable, Sequence

from parallelpool._core import DecodeRejection, Transaction, Workers, decode_transactions
from parallelpool.distribution import Distribution
from parallelpool.engine import Lane
from parallelpool.errors import DecodeError


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
