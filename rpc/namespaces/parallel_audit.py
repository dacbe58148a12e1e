"""
`parallel_verifyBatch`, `parallel_getBatchById`, `parallel_getBatchByTransaction`: batches held against their promise.

In: signed transactions, or the name of a batch that was offered. Out: every conflict, whether all can be paid for, and
whether any order gives something else; or what the batch held. Anybody may ask; what a question may cost is bounded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelpool.producer import UnknownBatch
from rpc.backend import Backend
from rpc.errors import STALE_HEAD, InvalidParams, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.parallel_batches import CONFLICT_MODEL
from rpc.parameters import Fields, list_of, required
from rpc.quantities import Unfit, address, data, hash32, text, to_data, to_quantity, uint64

if TYPE_CHECKING:
    from parallelpool.batching import BatchVerification, OfferedBatch

MAX_MEMBERS: Final = 1_024
MAX_ORDERS: Final = 16
DEFAULT_ORDERS: Final = 4

WAITING: Final = 8
"""Verifications that may wait for their turn; each runs alone, so that they never keep batches from being made."""

ENGINE_BUSY: Final = "too many verifications are waiting"


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What to hold against the promise of a parallel batch."""

    transactions: tuple[bytes, ...]
    """Signed bytes."""
    parent_hash: bytes | None
    fee_recipient: bytes | None
    orders: int
    seed: int


def verify_request(value: Json) -> VerifyRequest:
    """Raises Unfit."""
    fields = Fields(value, "VerifyRequest")
    transactions = fields.need("transactions", list_of(data, "[]hexutil.Bytes"))
    if len(transactions) > MAX_MEMBERS:
        raise Unfit(f"want at most {MAX_MEMBERS} transactions, got {len(transactions)}")
    model = fields.take("conflictModel", text)
    if model not in (None, CONFLICT_MODEL):
        raise Unfit(f"unknown conflict model {model!r}, want {CONFLICT_MODEL}")
    orders = fields.take("orders", uint64)
    if orders is not None and not 1 <= orders <= MAX_ORDERS:
        raise Unfit(f"orders must be from 1 to {MAX_ORDERS}, got {orders}")
    request = VerifyRequest(
        transactions=tuple(transactions),
        parent_hash=fields.take("parentHash", hash32),
        fee_recipient=fields.take("feeRecipient", address),
        orders=DEFAULT_ORDERS if orders is None else orders,
        seed=fields.take("seed", uint64) or 0,
    )
    fields.refuse_others()
    return request


class AuditMethods:
    """Second looks at batches."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._turn = asyncio.Lock()
        self._waiting = 0

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "parallel_verifyBatch": Method(self.verify_batch, required(verify_request)),
            "parallel_getBatchById": Method(self.get_batch_by_id, required(hash32)),
            "parallel_getBatchByTransaction": Method(self.get_batch_by_transaction, required(hash32)),
        }

    async def verify_batch(self, request: VerifyRequest) -> Json:
        """What holds and what does not, on the state of the head."""
        self._check_parent(request)
        if self._waiting >= WAITING:
            raise RpcError(ENGINE_BUSY)
        self._waiting += 1
        try:
            members = [await self._backend.ingress.decode(raw) for raw in request.transactions]
            if len({member.hash for member in members}) < len(members):
                raise InvalidParams("invalid argument 0: a transaction is there twice")
            async with self._turn:
                self._check_parent(request)
                found = await self._backend.batches.verify(
                    members, beneficiary=request.fee_recipient, orders=request.orders, seed=request.seed
                )
                self._check_parent(request)
        finally:
            self._waiting -= 1
        return _verification(found)

    async def get_batch_by_id(self, batch_id: bytes) -> Json:
        """A batch that was offered lately, by the id that follows from its content."""
        found = self._backend.batches.find(batch_id)
        if found is None:
            raise UnknownBatch(batch_id)
        return await self._offered(found)

    async def get_batch_by_transaction(self, tx_hash: bytes) -> Json:
        """The batch on offer that a pending transaction stands in; `null` if it stands in none."""
        await self._backend.batches.current()
        found = self._backend.batches.containing(tx_hash)
        return None if found is None else await self._offered(found)

    async def _offered(self, found: OfferedBatch) -> Json:
        batch, offer = found.batch, await self._backend.batches.current()
        return {
            "batchId": to_data(batch.batch_id),
            "kind": batch.kind,
            "head": {
                "number": to_quantity(found.parent.number),
                "hash": to_data(found.parent.hash),
            },
            "transactions": [to_data(tx.hash) for tx in found.transactions],
            "gasLimit": to_quantity(batch.gas_limit),
            "predictedGas": to_quantity(batch.predicted_gas),
            "criticalPathGas": to_quantity(batch.critical_path_gas),
            "isOffered": any(offered.batch_id == batch.batch_id for offered in offer.plan.batches),
        }

    def _check_parent(self, request: VerifyRequest) -> None:
        head = self._backend.chain.head()
        if request.parent_hash not in (None, head.hash):
            raise RpcError("stale head", code=STALE_HEAD, data={"head": to_data(head.hash)})


def _verification(found: BatchVerification) -> Json:
    return {
        "valid": found.is_valid,
        "conflictModel": CONFLICT_MODEL,
        "conflicts": [
            {
                "a": to_data(a),
                "b": to_data(b),
                "address": to_data(account),
                "field": field,
                "slot": to_data(slot) if slot is not None else None,
                "kinds": [kind_a, kind_b],
            }
            for a, b, account, field, slot, kind_a, kind_b in found.conflicts
        ],
        "conflictCount": to_quantity(found.conflict_count),
        "shortfalls": [
            {
                "address": to_data(account),
                "balance": to_quantity(there),
                "required": to_quantity(needed),
                "hashes": [to_data(tx_hash) for tx_hash in hashes],
            }
            for account, there, needed, hashes in found.shortfalls
        ],
        "invalid": [{"hash": to_data(tx_hash), "reason": reason} for tx_hash, reason in found.invalid],
        "unknown": [to_data(tx_hash) for tx_hash in found.unknown],
        "orders": to_quantity(found.orders),
        "divergence": _divergence(found),
        "gasUsed": to_quantity(found.gas_used),
        "postStateDigest": to_data(found.post_state_digest),
    }


def _divergence(found: BatchVerification) -> Json:
    if found.divergence is None:
        return None
    order, tx_hash, what = found.divergence
    return {
        "order": [to_quantity(index) for index in order],
        "hash": to_data(tx_hash) if tx_hash is not None else None,
        "what": what,
    }
