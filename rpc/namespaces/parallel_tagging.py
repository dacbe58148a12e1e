"""
`parallel_tagTransaction`: makes an unsigned transaction ready to sign, with the sender's tag in front of its data.

Only the chain's parallel type is tagged: there the tag is no calldata. In front of the data of any other type it would
shift the selector on every node, so those come back untagged, with an access list where the type has one. What was
done stands under `tagging`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rpc.backend import Backend
from rpc.call_object import CallObject, call_object, check_call, check_type, to_request
from rpc.errors import InvalidParams, Json, RpcError
from rpc.parameters import Fields, Parameter, one_of, optional
from rpc.quantities import Unfit, boolean, to_data, to_quantity
from rpc.views import ACCESS_LIST, BLOB, DYNAMIC_FEE, LEGACY, access_list

if TYPE_CHECKING:
    from parallelpool.chain import CallRequest
    from rpc.namespaces.eth_calls import CallMethods
    from rpc.namespaces.eth_fees import FeeMethods

TAGS: Final = {"PARALLEL": b"PARALLEL", "SEQUENTIAL": b"SEQUENTIAL"}

FILLED_FIELDS: Final = {
    "nonce": "nonce",
    "gas_price": "gasPrice",
    "max_priority_fee_per_gas": "maxPriorityFeePerGas",
    "max_fee_per_gas": "maxFeePerGas",
    "gas": "gas",
    "access_list": "accessList",
}
"""What is filled in where the caller left it open."""

tag_word = one_of(*TAGS)


@dataclass(frozen=True, slots=True)
class TagRequest:
    """What to tag and how."""

    call: CallObject
    tag: str | None


def tag_request(value: Json) -> TagRequest:
    """Either the transaction itself, or `{tx, tag}` or `{tx, parallel}`. Raises Unfit."""
    if not isinstance(value, dict) or "tx" not in value:
        return TagRequest(call_object(value), None)
    fields = Fields(value, "TagRequest")
    call = fields.need("tx", call_object)
    tag = fields.take("tag", tag_word)
    parallel = fields.take("parallel", boolean)
    fields.refuse_others()
    if (tag is None) == (parallel is None):
        raise Unfit('want one of "tag" and "parallel"')
    return TagRequest(call, tag or ("PARALLEL" if parallel else "SEQUENTIAL"))


TAG_SIGNATURE: Final = (Parameter(tag_request), *optional(tag_word))


class Tagger:
    """Fills in what the caller left open and puts the tag in front."""

    def __init__(self, backend: Backend, calls: CallMethods, fees: FeeMethods) -> None:
        self._chain = backend.chain
        self._pool = backend.pool
        self._calls = calls
        self._fees = fees

    async def tag_transaction(self, request: TagRequest, word: str | None) -> Json:
        """The unsigned transaction, and under `tagging` what was done to it."""
        tag = _one_tag(request.tag, word)
        call = request.call
        check_call(call, self._chain.chain_id)
        check_type(call, self._chain.parallel_tx_type)
        parallel_type = self._chain.parallel_tx_type
        tx_type = (
            call.type if call.type is not None else DYNAMIC_FEE if parallel_type is None else parallel_type
        )
        is_tagged = tx_type == parallel_type
        data = _tagged(call.payload, TAGS[tag]) if is_tagged else call.payload
        call = replace(call, type=tx_type, data=None, input=data)
        filled = await self._fill(call, tx_type)
        return {
            **_unsigned(filled, self._chain.chain_id),
            "tagging": {
                "tag": tag,
                "tagged": is_tagged,
                "filled": [
                    name
                    for field, name in FILLED_FIELDS.items()
                    if getattr(call, field) is None and getattr(filled, field) is not None
                ],
                "reason": None if is_tagged else _why_untagged(parallel_type),
            },
        }

    async def _fill(self, call: CallObject, tx_type: int) -> CallObject:
        if call.nonce is None:
            if call.sender is None:
                raise InvalidParams('"from" or "nonce" is required')
            call = replace(call, nonce=self._pool.nonce(call.sender))
        call = await self._with_fees(call, tx_type)
        if call.access_list is None and tx_type != LEGACY:
            call = replace(call, access_list=await self._touched(call))
        if call.gas is None:
            call = replace(call, gas=await self._gas(call))
        return call

    async def _with_fees(self, call: CallObject, tx_type: int) -> CallObject:
        """A wallet's defaults: the suggested tip, and twice the base fee above it."""
        base_fee = self._chain.next_base_fee() or 0
        if tx_type in (LEGACY, ACCESS_LIST):
            if call.max_fee_per_gas is not None or call.max_priority_fee_per_gas is not None:
                raise RpcError(f"type {to_quantity(tx_type)} has a gasPrice instead of maxFeePerGas")
            if call.gas_price is not None:
                return call
            return replace(call, gas_price=await self._fees.suggest_tip() + base_fee)
        if call.gas_price is not None:
            raise RpcError(f"type {to_quantity(tx_type)} has maxFeePerGas instead of a gasPrice")
        tip = call.max_priority_fee_per_gas
        if tip is None:
            tip = await self._fees.suggest_tip()
            if call.max_fee_per_gas is not None:
                tip = min(tip, call.max_fee_per_gas)
        fee = call.max_fee_per_gas if call.max_fee_per_gas is not None else tip + 2 * base_fee
        if fee < tip:
            raise RpcError(f"maxFeePerGas ({fee}) < maxPriorityFeePerGas ({tip})")
        return replace(call, max_fee_per_gas=fee, max_priority_fee_per_gas=tip)

    async def _touched(self, call: CallObject) -> list[tuple[bytes, list[bytes]]]:
        """What the message touches on the head; nothing where it fails."""
        outcome = await self._chain.create_access_list(
            self._simulation(call), None, self._calls.gas_cap, self._calls.timeout_ms
        )
        if outcome.message_error is not None or not outcome.success:
            return []
        return [(account, list(slots)) for account, slots in outcome.access_list]

    async def _gas(self, call: CallObject) -> int:
        return await self._calls.estimate(self._simulation(call), None)

    def _simulation(self, call: CallObject) -> CallRequest:
        """The message without its fees, so that a sender who can pay for the transaction need not pay for the cap."""
        free = replace(call, nonce=None, gas_price=None, max_fee_per_gas=None, max_priority_fee_per_gas=None)
        return to_request(free, parallel_tx_type=self._chain.parallel_tx_type)


def _one_tag(inner: str | None, outer: str | None) -> str:
    if inner is not None and outer is not None and inner != outer:
        raise InvalidParams("two different tags")
    tag = inner or outer
    if tag is None:
        raise InvalidParams("missing value for required argument 1")
    return tag


def _tagged(data: bytes, tag: bytes) -> bytes:
    """`data` with exactly this tag in front; another tag there is replaced."""
    for known in TAGS.values():
        if data.startswith(known):
            return tag + data[len(known) :]
    return tag + data


def _why_untagged(parallel_type: int | None) -> str:
    if parallel_type is None:
        return "this chain has no parallel transaction type"
    return (
        f"only type {to_quantity(parallel_type)} carries a tag; in other types it would change the calldata"
    )


def _unsigned(call: CallObject, chain_id: int) -> dict[str, Json]:
    """The fields to sign, in the names of `eth_signTransaction`."""
    tx_type = call.type or LEGACY
    view: dict[str, Json] = {
        "type": to_quantity(tx_type),
        "chainId": to_quantity(chain_id),
        "nonce": to_quantity(call.nonce or 0),
    }
    if tx_type in (LEGACY, ACCESS_LIST):
        view["gasPrice"] = to_quantity(call.gas_price or 0)
    else:
        view["maxPriorityFeePerGas"] = to_quantity(call.max_priority_fee_per_gas or 0)
        view["maxFeePerGas"] = to_quantity(call.max_fee_per_gas or 0)
    view["gas"] = to_quantity(call.gas or 0)
    view["to"] = to_data(call.to) if call.to is not None else None
    view["value"] = to_quantity(call.value or 0)
    view["data"] = to_data(call.payload)
    if tx_type != LEGACY:
        view["accessList"] = access_list(call.access_list or [])
    if tx_type == BLOB:
        view["maxFeePerBlobGas"] = to_quantity(call.max_fee_per_blob_gas or 0)
        view["blobVersionedHashes"] = [to_data(versioned) for versioned in call.blob_versioned_hashes or ()]
    if call.authorization_list is not None:
        view["authorizationList"] = [
            {
                "chainId": to_quantity(authorized_chain),
                "address": to_data(account),
                "nonce": to_quantity(nonce),
                "yParity": to_quantity(parity),
                "r": to_quantity(r),
                "s": to_quantity(s),
            }
            for authorized_chain, account, nonce, parity, r, s in call.authorization_list
        ]
    return view
