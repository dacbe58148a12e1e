"""
Fees that a caller left open, filled in as geth fills them in before it looks for an access list.

In: a call object and the header that it is asked at. Out: the object with one whole fee mechanism, or geth's
refusal of a combination that no transaction can have.

Source: geth internal/ethapi/transaction_args.go, setFeeDefaults.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from rpc.call_object import CallObject
from rpc.errors import RpcError

SuggestTip = Callable[[], Awaitable[int]]
"""Wei per gas, from what recent blocks paid."""


async def with_default_fees(
    call: CallObject, base_fee: int | None, blob_base_fee: int | None, suggest_tip: SuggestTip
) -> CallObject:
    """
    The call with its fees complete; wei per gas, `None` for a block before London or Cancun.

    Raises RpcError in geth's words.
    """
    if call.max_fee_per_blob_gas == 0:
        raise RpcError("maxFeePerBlobGas, if specified, must be non-zero")
    if (
        blob_base_fee is not None
        and call.blob_versioned_hashes is not None
        and call.max_fee_per_blob_gas is None
    ):
        call = replace(call, max_fee_per_blob_gas=2 * blob_base_fee)
    if call.gas_price is not None:
        _check_gas_price(call, is_london=base_fee is not None)
        return call
    if call.max_fee_per_gas is not None and call.max_priority_fee_per_gas is not None:
        if call.max_fee_per_gas == 0:
            raise RpcError("maxFeePerGas must be non-zero")
        _check_order(call.max_fee_per_gas, call.max_priority_fee_per_gas)
        return call
    if base_fee is not None:
        return await _with_london_fees(call, base_fee, suggest_tip)
    if call.max_fee_per_gas is not None or call.max_priority_fee_per_gas is not None:
        raise RpcError("maxFeePerGas and maxPriorityFeePerGas are not valid before London is active")
    return replace(call, gas_price=await suggest_tip())


async def _with_london_fees(call: CallObject, base_fee: int, suggest_tip: SuggestTip) -> CallObject:
    """Twice the base fee of slack, so that the transaction outlives a rise."""
    tip = call.max_priority_fee_per_gas
    if tip is None:
        tip = await suggest_tip()
    cap = call.max_fee_per_gas if call.max_fee_per_gas is not None else tip + 2 * base_fee
    _check_order(cap, tip)
    return replace(call, max_fee_per_gas=cap, max_priority_fee_per_gas=tip)


def _check_gas_price(call: CallObject, *, is_london: bool) -> None:
    if call.max_fee_per_gas is not None or call.max_priority_fee_per_gas is not None:
        raise RpcError("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    if call.authorization_list is not None:
        raise RpcError("both gasPrice and authorizationList specified")
    if call.gas_price == 0 and is_london:
        raise RpcError("gasPrice must be non-zero after london fork")


def _check_order(cap: int, tip: int) -> None:
    if cap < tip:
        raise RpcError(f"maxFeePerGas ({hex(cap)}) < maxPriorityFeePerGas ({hex(tip)})")
