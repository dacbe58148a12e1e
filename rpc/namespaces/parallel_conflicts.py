"""
`parallel_getConflicts` and `parallel_getDependencies`: where pending transactions meet, and who waits for whom.

In: what the batch builder holds. Out: the most contended places, and for single transactions those before them with a
reason each. Both are predictions, as the batches are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rpc.backend import Backend
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.parameters import Fields, list_of, one_of, optional, required
from rpc.quantities import Unfit, hash32, to_data, to_quantity, uint64

if TYPE_CHECKING:
    from parallelpool.batching import Dependency, HotSpot

DEFAULT_PLACES: Final = 16
MAX_PLACES: Final = 1_024
DEFAULT_EDGES: Final = 16
MAX_EDGES: Final = 256
"""Reasons for one transaction."""
MAX_HASHES: Final = 256
"""Transactions of one request."""


@dataclass(frozen=True, slots=True)
class ConflictRequest:
    """How many places, and whether whole accounts or single fields and slots."""

    limit: int
    by: Literal["address", "slot"]


@dataclass(frozen=True, slots=True)
class DependencyRequest:
    """Whose predecessors, and how many of each."""

    hashes: tuple[bytes, ...]
    limit: int


def conflict_request(value: Json) -> ConflictRequest:
    """Raises Unfit."""
    fields = Fields(value, "ConflictRequest")
    limit = _at_most(fields.take("limit", uint64), DEFAULT_PLACES, MAX_PLACES)
    by = fields.take("by", one_of("address", "slot"))
    fields.refuse_others()
    return ConflictRequest(limit, "address" if by == "address" else "slot")


def dependency_request(value: Json) -> DependencyRequest:
    """Raises Unfit."""
    fields = Fields(value, "DependencyRequest")
    hashes = fields.need("hashes", list_of(hash32, "[]common.Hash"))
    if len(hashes) > MAX_HASHES:
        raise Unfit(f"want at most {MAX_HASHES} hashes, got {len(hashes)}")
    limit = _at_most(fields.take("limit", uint64), DEFAULT_EDGES, MAX_EDGES)
    fields.refuse_others()
    return DependencyRequest(tuple(hashes), limit)


class ConflictMethods:
    """Contention as the builder sees it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "parallel_getConflicts": Method(self.get_conflicts, optional(conflict_request)),
            "parallel_getDependencies": Method(self.get_dependencies, required(dependency_request)),
        }

    async def get_conflicts(self, request: ConflictRequest | None) -> Json:
        """The places where most transactions must keep an order."""
        return await conflicts_view(self._backend, request or conflict_request({}))

    async def get_dependencies(self, request: DependencyRequest) -> Json:
        """For each transaction, better paid ones that it must follow; `null` for what cannot be executed now."""
        views: list[Json] = []
        for tx_hash in request.hashes:
            edges = await self._backend.batches.dependencies(tx_hash, request.limit)
            after = None if edges is None else [_edge(edge) for edge in edges]
            views.append({"hash": to_data(tx_hash), "after": after})
        return views


async def conflicts_view(backend: Backend, request: ConflictRequest) -> dict[str, Json]:
    """The answer of `parallel_getConflicts`."""
    head, sequence = backend.chain.head(), backend.pool.sequence
    spots = await backend.batches.hottest(request.limit, by=request.by)
    return {
        "head": {"number": to_quantity(head.number), "hash": to_data(head.hash)},
        "sequence": to_quantity(sequence),
        "locations": [_spot(spot) for spot in spots],
    }


def _spot(spot: HotSpot) -> Json:
    return {
        "address": to_data(spot.address),
        "field": spot.field,
        "slot": to_data(spot.slot) if spot.slot is not None else None,
        "readers": to_quantity(spot.readers),
        "changers": to_quantity(spot.changers),
        "writers": to_quantity(spot.writers),
        "queue": to_quantity(spot.queue),
        "waitingGas": to_quantity(spot.waiting_gas),
    }


def _edge(edge: Dependency) -> Json:
    return {
        "hash": to_data(edge.hash),
        "address": to_data(edge.address),
        "field": edge.field,
        "slot": to_data(edge.slot) if edge.slot is not None else None,
        "kinds": [edge.kind_there, edge.kind_here],
    }


def _at_most(value: int | None, default: int, most: int) -> int:
    limit = default if value is None else value
    if not 1 <= limit <= most:
        raise Unfit(f"limit must be from 1 to {most}, got {limit}")
    return limit
