"""
`parallel_status`: figures of pool and batches, or where one transaction or one sender stands and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rpc import views
from rpc.backend import Backend
from rpc.errors import Json
from rpc.parameters import Fields
from rpc.quantities import Unfit, address, hash32, to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.transaction import Transaction
    from rpc.backend import Offer

DEPARTURES_SHOWN: Final = 64
"""Of one sender, the newest."""


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """About one transaction, or one sender."""

    tx_hash: bytes | None
    address: bytes | None


def status_request(value: Json) -> StatusRequest:
    """`{hash}` or `{address}`. Raises Unfit."""
    fields = Fields(value, "StatusRequest")
    request = StatusRequest(fields.take("hash", hash32), fields.take("address", address))
    fields.refuse_others()
    if request.tx_hash is not None and request.address is not None:
        raise Unfit('want one of "hash" and "address"')
    return request


class Status:
    """Answers of `parallel_status`."""

    def __init__(self, backend: Backend) -> None:
        self._chain = backend.chain
        self._pool = backend.pool
        self._ingress = backend.ingress
        self._batches = backend.batches
        self._producer = backend.producer

    async def status(self, request: StatusRequest | None) -> Json:
        """The figures, or the story of one transaction or sender."""
        if request is not None and request.tx_hash is not None:
            return await self._of_transaction(request.tx_hash)
        if request is not None and request.address is not None:
            return await self._of_sender(request.address)
        return await self._figures()

    async def _figures(self) -> Json:
        await self._batches.current()
        pending, queued = self._pool.stats()
        figures, produced = self._batches.figures(), self._producer.statistics()
        return {
            "pending": to_quantity(pending),
            "queued": to_quantity(queued),
            "parallelizable": to_quantity(figures.parallelizable),
            "batches": to_quantity(figures.batches),
            "batchSize": to_quantity(figures.batch_size),
            "totalProcessed": to_quantity(produced.total_processed),
            "successfullyBatched": to_quantity(produced.successfully_batched),
        }

    async def _of_transaction(self, tx_hash: bytes) -> Json:
        view: dict[str, Json] = {"hash": to_data(tx_hash)}
        location = self._chain.transaction_location(tx_hash)
        if location is not None:
            number, index = location
            return view | {
                "status": "mined",
                "blockNumber": to_quantity(number),
                "transactionIndex": to_quantity(index),
            }
        # What is told of a departure must hold after a crash too.
        await self._ingress.synced()
        tx, placement = self._pool.get(tx_hash), self._pool.placement(tx_hash)
        if tx is None or placement is None:
            return view | self._departure(tx_hash)
        place, reason = placement
        view |= {
            "status": place,
            "reason": reason,
            "conditions": self._conditions(tx_hash),
            "from": to_data(tx.sender),
            "nonce": to_quantity(tx.nonce),
        }
        view["tag"] = tx.tag
        if place == "pending":
            view |= _batch_of(await self._batches.current(), tx)
            # That it is no candidate follows from what it waits for.
            view["reason"] = reason if reason is not None else view["reason"]
        return view

    def _departure(self, tx_hash: bytes) -> dict[str, Json]:
        """How a transaction left the pool, if it ever was there."""
        departure = self._pool.drop_record(tx_hash)
        if departure is None:
            return {"status": "unknown", "reason": "neither in the pool nor on the chain"}
        return {"status": "dropped"} | views.departure_story(departure)

    async def _of_sender(self, sender: bytes) -> Json:
        await self._ingress.synced()
        pending, queued = self._pool.content_from(sender)
        departed = self._pool.departures_of(sender)[-DEPARTURES_SHOWN:]
        return {
            "address": to_data(sender),
            "nonce": to_quantity(self._pool.nonce(sender)),
            "pending": [self._line(tx) for tx in pending],
            "queued": [self._line(tx) for tx in queued],
            "departed": [views.departure(each) for each in departed],
        }

    def _line(self, tx: Transaction) -> Json:
        placement = self._pool.placement(tx.hash)
        return {
            "hash": to_data(tx.hash),
            "nonce": to_quantity(tx.nonce),
            "tag": tx.tag,
            "reason": placement[1] if placement is not None else None,
            "conditions": self._conditions(tx.hash),
        }

    def _conditions(self, tx_hash: bytes) -> list[Json]:
        """What the transaction waits for, by name, with numbers."""
        return [
            {
                "name": condition.name,
                **{name: to_quantity(number) for name, number in condition.figures().items()},
            }
            for condition in self._pool.why_queued(tx_hash)
        ]


def _batch_of(offer: Offer, tx: Transaction) -> dict[str, Json]:
    """The batch that a pending transaction stands in, and what its place in it rests on."""
    for index, batch in enumerate(offer.plan.batches):
        for member in batch.members:
            if offer.candidates[member].hash == tx.hash:
                access_set = offer.access_sets[member]
                return {
                    "batchId": to_data(batch.batch_id),
                    "batchIndex": to_quantity(index),
                    "batchKind": batch.kind,
                    "prediction": {
                        "source": access_set.source,
                        "known": access_set.is_known,
                        "gasUsed": to_quantity(access_set.gas_used),
                    },
                }
    return {"batchId": None, "reason": "not among the candidates of the next block"}
