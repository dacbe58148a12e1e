"""
One subscription: what it is told of, and how its notifications leave.

Nothing is sent before the answer that tells the subscription's id; what comes earlier waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rpc.caller import NotificationSink
from rpc.errors import Json
from rpc.filters import new_id
from rpc.json_text import encode

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from parallelpool.events import Departure
    from parallelpool.transaction import Transaction
    from rpc.news import LogNews


class Subscription:
    """One subscription; subclasses choose what they tell."""

    namespace = "eth"
    wants_logs = False

    def __init__(self, outbox: NotificationSink) -> None:
        self.id = new_id()
        self._outbox = outbox
        self._early: list[bytes] | None = []

    def activate(self) -> None:
        """Sends what waited, and from now on directly."""
        early, self._early = self._early, None
        for message in early or ():
            self._outbox.notify(message)

    def head_added(self, header: Header, /) -> None:
        """News of a block."""

    def logs_added(self, logs: Sequence[LogNews], /) -> None:
        """News of logs."""

    def transactions_promoted(self, transactions: Sequence[Transaction], /) -> None:
        """News of executable transactions."""

    def transaction_departed(self, departure: Departure, /) -> None:
        """News of a transaction that left the pool."""

    def _tell(self, result: Json) -> None:
        message = encode(
            {
                "jsonrpc": "2.0",
                "method": f"{self.namespace}_subscription",
                "params": {"subscription": self.id, "result": result},
            }
        )
        if self._early is None:
            self._outbox.notify(message)
        else:
            self._early.append(message)
