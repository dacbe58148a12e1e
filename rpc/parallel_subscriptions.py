"""
Subscriptions of `parallel_subscribe`: heads, batches with a filter, contended places, and departures from the pool.

A client that does not keep up is told so once (`resync`), with everything that is on offer then, instead of losing
changes in silence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rpc import views
from rpc.errors import Json
from rpc.namespaces.parallel_batch_request import BatchRequest, batch_request
from rpc.parameters import Fields
from rpc.quantities import MAX_UINT64, Unfit, to_data, to_quantity
from rpc.subscription import Subscription

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from parallelpool.events import Departure
    from rpc.caller import NotificationSink
    from rpc.namespaces.parallel_conflicts import ConflictRequest
    from rpc.offers import View

OF_ONE_CALL: Final = ("parentHash", "timestamp", "after", "ifNoneMatch", "requestId", "waitMs")
"""Fields of the request that mean nothing to a subscription."""


def batch_filter(value: Json) -> BatchRequest:
    """The filter of a subscription: a request without what binds it to one call, and without a limit of its own."""
    fields = Fields(value, "BatchRequest")
    for name in OF_ONE_CALL:
        if name in fields:
            raise Unfit(f'field "{name}" does not apply to a subscription')
    request = batch_request(value)
    return request if "maxBatches" in fields else replace(request, max_batches=MAX_UINT64)


class Heads(Subscription):
    """Tells each new head, in few words."""

    namespace = "parallel"

    def head_added(self, header: Header, /) -> None:
        base_fee = header.base_fee_per_gas
        self._tell(
            {
                "number": to_quantity(header.number),
                "hash": to_data(header.hash),
                "parentHash": to_data(header.parent_hash),
                "stateRoot": to_data(header.state_root),
                "timestamp": to_quantity(header.timestamp),
                "gasUsed": to_quantity(header.gas_used),
                "baseFee": to_quantity(base_fee) if base_fee is not None else None,
            }
        )


class Departures(Subscription):
    """Tells each transaction that left the pool: mined, replaced, evicted, expired, and the rest."""

    namespace = "parallel"

    def transaction_departed(self, departure: Departure, /) -> None:
        self._tell(views.departure(departure))


class OfferedBatches(Subscription):
    """Tells which batches are new on offer and which are no longer."""

    namespace = "parallel"

    def __init__(self, outbox: NotificationSink, request: BatchRequest) -> None:
        super().__init__(outbox)
        self.question = request
        self._told: frozenset[Json] = frozenset()
        self._etag: Json = None
        self._has_lost = False

    def answered(self, offer: View, /) -> None:
        """Tells the difference from what was told last."""
        if offer["etag"] == self._etag:
            return
        if self._outbox.is_behind:
            self._has_lost = True
            return
        batches = offer["batches"]
        assert isinstance(batches, list), "an offer lists its batches"
        now = frozenset(batch["batchId"] for batch in batches)
        told = frozenset() if self._has_lost else self._told
        news: dict[str, Json] = {
            "head": offer["head"],
            "baseFee": offer["baseFee"],
            "sequence": offer["sequence"],
            "epoch": offer["epoch"],
            "added": [batch for batch in batches if batch["batchId"] not in told],
            "invalidated": sorted(str(batch_id) for batch_id in told - now),
        }
        if self._has_lost:
            news["resync"] = True
        self._tell(news)
        self._told, self._etag, self._has_lost = now, offer["etag"], False


class Contention(Subscription):
    """Tells the most contended places whenever they change."""

    namespace = "parallel"

    def __init__(self, outbox: NotificationSink, request: ConflictRequest) -> None:
        super().__init__(outbox)
        self.question = request
        self._told: Json = None

    def answered(self, answer: View, /) -> None:
        """Tells the whole list; a client that is behind gets the next one."""
        if answer["locations"] != self._told and not self._outbox.is_behind:
            self._told = answer["locations"]
            self._tell(answer)
