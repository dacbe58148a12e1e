"""
The answer of `parallel_getBatches`: an offer as JSON.

In: a plan over candidates, and what the caller asked for. Out: batches with ids that follow from their content, and an
etag that changes when anything in the answer does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from parallelpool.transaction import keccak256
from rpc import views
from rpc.errors import UNKNOWN_BATCH, Json, RpcError
from rpc.json_text import encode
from rpc.namespaces.eth_fees import effective_tip
from rpc.quantities import to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.access import AccessSet
    from parallelpool.batching import Batch
    from parallelpool.transaction import Transaction
    from rpc.backend import Offer
    from rpc.namespaces.parallel_batch_request import BatchRequest

CONFLICT_MODEL: Final = "commutative-balance-v1"

EPOCH: Final = secrets.token_bytes(8)
"""Random per start of the daemon: `sequence` is comparable within it only."""


def offer_view(
    offer: Offer, request: BatchRequest, *, chain_id: int, base_fee: int | None
) -> dict[str, Json]:
    """The answer. Raises RpcError if `after` names a batch that is not on offer."""
    fee = request.selection.base_fee if request.selection.base_fee is not None else base_fee
    chosen, more = _choose(offer, request)
    etag = _etag(offer, request, chosen)
    parent = offer.parent
    answer: dict[str, Json] = {
        "etag": to_data(etag),
        "notModified": etag == request.if_none_match,
        "head": {
            "number": to_quantity(parent.number),
            "hash": to_data(parent.hash),
            "stateRoot": to_data(parent.state_root),
            "timestamp": to_quantity(parent.timestamp),
        },
        "baseFee": to_quantity(fee) if fee is not None else None,
        "chainId": to_quantity(chain_id),
        "sequence": to_quantity(offer.sequence),
        "epoch": to_data(EPOCH),
        "conflictModel": CONFLICT_MODEL,
        "filtered": offer.withheld,
        "lease": None,
        "batches": [],
        "next": to_data(chosen[-1][1].batch_id) if more and chosen else None,
    }
    if answer["notModified"]:
        return answer
    answer["batches"] = [_batch_view(offer, request, index, batch, fee) for index, batch in chosen]
    position = {member: place for place, member in enumerate(_members(chosen))}
    if "groups" in request.extras:
        answer["groups"] = list(_mapped(offer.plan.groups, position))
    if "deps" in request.extras:
        dependencies = [offer.plan.dependencies[member] for member in position]
        answer["deps"] = [_positions(earlier, position) for earlier in dependencies]
    return answer


def _choose(offer: Offer, request: BatchRequest) -> tuple[list[tuple[int, Batch]], bool]:
    """(index in the plan, batch) of what the caller gets, and whether there is more."""
    batches = list(enumerate(offer.plan.batches))
    if request.after is not None:
        taken = [index for index, batch in batches if batch.batch_id == request.after]
        if not taken:
            raise RpcError(f"unknown batch {to_data(request.after)}", code=UNKNOWN_BATCH)
        batches = batches[taken[0] + 1 :]
    wanted = [(index, batch) for index, batch in batches if batch.kind in request.kinds]
    return wanted[: request.max_batches], len(wanted) > request.max_batches


def _etag(offer: Offer, request: BatchRequest, chosen: Sequence[tuple[int, Batch]]) -> bytes:
    """Changes with the head, with what is asked for, and with the batches."""
    form = encode([request.form, sorted(request.extras), str(request.selection.base_fee)])
    return keccak256(offer.parent.hash + form + b"".join(batch.batch_id for _, batch in chosen))


def _batch_view(
    offer: Offer, request: BatchRequest, index: int, batch: Batch, base_fee: int | None
) -> dict[str, Json]:
    members = [(offer.candidates[member], offer.access_sets[member]) for member in batch.members]
    view: dict[str, Json] = {
        "batchId": to_data(batch.batch_id),
        "index": to_quantity(index),
        "kind": batch.kind,
        "transactions": [_transaction(tx, request.form) for tx, _ in members],
        "gasLimit": to_quantity(batch.gas_limit),
        "predictedGas": to_quantity(batch.predicted_gas),
        "criticalPathGas": to_quantity(batch.critical_path_gas),
        "tipSum": to_quantity(
            sum(max(0, effective_tip(tx, base_fee)) * access_set.gas_used for tx, access_set in members)
        ),
        "bytes": to_quantity(sum(tx.size for tx, _ in members)),
        "after": [to_quantity(earlier) for earlier in batch.after],
    }
    if "accessList" in request.extras:
        view["accessList"] = touched_slots(access_set for _, access_set in members)
    if "predictions" in request.extras:
        view["predictions"] = [
            {"source": access_set.source, "known": access_set.is_known, "stale": False}
            for _, access_set in members
        ]
    return view


def _transaction(tx: Transaction, form: str) -> Json:
    match form:
        case "raw":
            return to_data(tx.raw)
        case "objects":
            return views.transaction(tx)
        case _:
            return to_data(tx.hash)


def touched_slots(access_sets: Iterator[AccessSet]) -> list[Json]:
    """Accounts and slots of access sets as an EIP-2930 list, ascending."""
    slots: dict[bytes, set[bytes]] = {}
    for access_set in access_sets:
        for account, _, slot, _ in access_set.accesses:
            held = slots.setdefault(account, set())
            if slot is not None:
                held.add(slot)
    return views.access_list([(account, sorted(held)) for account, held in sorted(slots.items())])


def _members(chosen: Sequence[tuple[int, Batch]]) -> list[int]:
    """Candidates of the chosen batches in the order in which they are listed."""
    return [member for _, batch in chosen for member in batch.members]


def _mapped(groups: Sequence[Sequence[int]], position: dict[int, int]) -> Iterator[list[Json]]:
    for group in groups:
        listed = _positions(group, position)
        if listed:
            yield listed


def _positions(members: Sequence[int], position: dict[int, int]) -> list[Json]:
    return [
        to_quantity(place) for place in sorted(position[member] for member in members if member in position)
    ]
