"""
`eth_fillTransaction`: the unsigned transaction that a call object amounts to, with what the caller left open.

In: a call object. Out: geth's encoding and its JSON, both with zeros where the signature will be. The type is the
one that geth would choose: plain where there is a gas price, else the least that has the fees of London.

Source: geth internal/ethapi, FillTransaction and TransactionArgs.setDefaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import rlp

from parallelpool.transaction import keccak256
from rpc import views
from rpc.backend import Backend
from rpc.call_object import CallObject, call_object, check_call, to_request
from rpc.errors import Json, RpcError
from rpc.fee_defaults import with_default_fees
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_calls import CallMethods
from rpc.namespaces.eth_fees import FeeMethods
from rpc.parameters import required
from rpc.quantities import to_data, to_quantity
from rpc.views import DYNAMIC_FEE, LEGACY, SET_CODE

if TYPE_CHECKING:
    from rpc.call_object import Authorization

RlpItem: TypeAlias = "bytes | int | list[RlpItem]"

NO_SIGNATURE: list[RlpItem] = [0, 0, 0]


class FillMethods:
    """Completes a transaction for a wallet to sign."""

    def __init__(self, backend: Backend, calls: CallMethods, fees: FeeMethods) -> None:
        self._chain = backend.chain
        self._pool = backend.pool
        self._calls = calls
        self._fees = fees

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {"eth_fillTransaction": Method(self.fill_transaction, required(call_object))}

    async def fill_transaction(self, call: CallObject) -> Json:
        """`raw` and `tx`. Raises RpcError in geth's words for what cannot become a transaction."""
        head = self._chain.head()
        blob_base_fee = self._chain.blob_base_fee(head.number)
        call = await with_default_fees(call, head.base_fee_per_gas, blob_base_fee, self._fees.suggest_tip)
        nonce = call.nonce if call.nonce is not None else self._pool.nonce(call.sender or bytes(20))
        _check_body(call)
        gas = call.gas if call.gas is not None else await self._estimate(call, head.number)
        if call.chain_id is not None:
            check_call(call, self._chain.chain_id)
        return Unsigned(call, self._chain.chain_id, nonce, gas).view()

    async def _estimate(self, call: CallObject, number: int) -> int:
        request = to_request(call, parallel_tx_type=None)
        return await self._calls.estimate(request, number)


def _check_body(call: CallObject) -> None:
    """Raises RpcError for a body that no transaction of this pool can have."""
    if call.data is not None and call.input is not None and call.data != call.input:
        raise RpcError(
            'both "data" and "input" are set and not equal. Please use "input" to pass transaction call data'
        )
    if call.blob_versioned_hashes == []:
        raise RpcError("need at least 1 blob for a blob transaction")
    if call.blob_versioned_hashes is not None or call.has_blobs:
        raise RpcError("blob transactions are not supported")
    if call.to is None:
        if not call.payload:
            raise RpcError("contract creation without any data provided")
        if call.authorization_list is not None:
            raise RpcError('authorizationList provided for contract creation, but "to" field is missing')


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction without its signature; its fees are complete."""

    call: CallObject
    chain_id: int
    nonce: int
    gas: int

    @property
    def type(self) -> int:
        """As geth chooses it; a call object's own `type` counts for nothing there."""
        if self.call.gas_price is not None:
            return LEGACY
        return DYNAMIC_FEE if self.call.authorization_list is None else SET_CODE

    @property
    def raw(self) -> bytes:
        """The encoding."""
        call = self.call
        body: list[RlpItem] = [self.gas, call.to or b"", call.value or 0, call.payload]
        if self.type == LEGACY:
            return _encode([self.nonce, call.gas_price or 0, *body, *NO_SIGNATURE])
        fees: list[RlpItem] = [call.max_priority_fee_per_gas or 0, call.max_fee_per_gas or 0]
        entries: list[RlpItem] = [[account, list(slots)] for account, slots in call.access_list or ()]
        fields: list[RlpItem] = [self.chain_id, self.nonce, *fees, *body, entries]
        if self.type == SET_CODE:
            fields.append([list(authorization) for authorization in call.authorization_list or ()])
        return bytes([self.type]) + _encode([*fields, *NO_SIGNATURE])

    def view(self) -> dict[str, Json]:
        """geth's `SignTransactionResult`, its transaction in the order of `txJSON`."""
        call, is_legacy, raw = self.call, self.type == LEGACY, self.raw
        shown: dict[str, Json] = {"type": to_quantity(self.type)}
        if not is_legacy:
            shown["chainId"] = to_quantity(self.chain_id)
        shown |= {
            "nonce": to_quantity(self.nonce),
            "to": to_data(call.to) if call.to is not None else None,
            "gas": to_quantity(self.gas),
            "gasPrice": _price(call.gas_price),
            "maxPriorityFeePerGas": None if is_legacy else _price(call.max_priority_fee_per_gas),
            "maxFeePerGas": None if is_legacy else _price(call.max_fee_per_gas),
            "value": to_quantity(call.value or 0),
            "input": to_data(call.payload),
        }
        if not is_legacy:
            shown["accessList"] = views.access_list(call.access_list or [])
        if call.authorization_list and not is_legacy:
            shown["authorizationList"] = [_authorization(each) for each in call.authorization_list]
        shown |= dict.fromkeys("vrs", "0x0")
        if not is_legacy:
            shown["yParity"] = "0x0"
        shown["hash"] = to_data(keccak256(raw))
        return {"raw": to_data(raw), "tx": shown}


def _price(wei: int | None) -> str | None:
    return to_quantity(wei) if wei is not None else None


def _authorization(authorization: Authorization) -> dict[str, Json]:
    chain_id, account, nonce, parity, r, s = authorization
    return {
        "chainId": to_quantity(chain_id),
        "address": to_data(account),
        "nonce": to_quantity(nonce),
        "yParity": to_quantity(parity),
        "r": to_quantity(r),
        "s": to_quantity(s),
    }


def _encode(fields: list[RlpItem]) -> bytes:
    encoded: bytes = rlp.encode(fields)
    return encoded
