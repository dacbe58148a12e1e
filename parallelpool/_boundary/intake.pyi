"""Connections on which transactions are submitted over HTTP."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.transactions import DecodeRejection, Transaction, Workers

@final
class Submissions:
    """Requests that wait for their answers, in the order in which they came."""

    def __len__(self) -> int: ...
    @property
    def decoded(self) -> list[Transaction | DecodeRejection]:
        """What became of the bytes of each."""
    @property
    def peers(self) -> list[str]:
        """The address of each one's client."""

@final
class IntakeNews:
    """What has come since it was asked last."""

    @property
    def submissions(self) -> Submissions: ...
    @property
    def recovered_at_once(self) -> list[int]:
        """Transactions of each call of the workers."""
    @property
    def heads(self) -> list[tuple[int, bytes]]:
        """(connection, head) to be judged: the bytes before the empty line that ends it."""
    @property
    def handed_over(self) -> list[tuple[int, bytes]]:
        """(file descriptor, what was read and not answered); the taker owns both now."""
    @property
    def is_over(self) -> bool:
        """After `close_soon`: no connection is left, and nothing will come any more."""

@final
class Intake:
    """
    The connections of some listening sockets, on two threads of their own.

    A connection on which anything comes but one whole request that is a plain `eth_sendRawTransaction` is handed
    over. It has at most one request under way, and nothing more is read meanwhile.
    """

    def __new__(
        cls, workers: Workers, listeners: Sequence[int], /, *, chain_id: int, idle_s: float
    ) -> Intake:
        """
        Serves what connects to `listeners`: descriptors of non-blocking sockets that listen. They are given up.

        `idle_s`: how long a connection without a request stays open.
        """
    def fileno(self) -> int:
        """Becomes readable when there is something to take."""
    def take(self, parallel_tx_type: int | None, /) -> IntakeNews:
        """
        What has come, a few hundred submissions at most, decoded for a chain whose head has this parallel type.

        Raises CoreInternalError if a thread has failed: nothing is served any more then.
        """
    def judge(self, connection: int, head: bytes, length: int | None, /) -> None:
        """Whether a head is plain, for all that begin so: the length of the body, or `None`."""
    def answer(
        self, submissions: Submissions, errors: Sequence[bytes | None], /, *, before: bytes, after: bytes
    ) -> None:
        """
        Answers each with the hash of its transaction, or with an error object of JSON-RPC.

        `before` and `after` are the head of the answers, up to the length of the body and from there on.
        """
    def hang_up(self, submissions: Submissions, /) -> None:
        """Closes their connections without an answer."""
    def close_soon(self) -> None:
        """Takes no more connections and requests; each connection closes when it is answered."""
    def stop(self) -> None:
        """Closes everything and waits for the threads."""
