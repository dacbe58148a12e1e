"""
The call object of `eth_call` and its kin, with state and block overrides.

In: geth's `TransactionArgs`, `StateOverride` and `BlockOverrides` as JSON. Out: the engine's `CallRequest`. geth
ignores `type`; here `type` equal to the chain's parallel type means that `data` may begin with a tag, which is
charged for and not seen by the EVM, as in the transaction it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from parallelpool.chain import CallRequest, StateOverrideRow
from rpc.errors import Json, RpcError
from rpc.parameters import Fields, list_of, map_of
from rpc.quantities import Unfit, address, big, data, hash32, json_uint64, uint64, wide
from rpc.views import BLOB, LEGACY, SET_CODE, to_checksum

AccessListEntry: TypeAlias = tuple[bytes, list[bytes]]
Authorization: TypeAlias = tuple[int, bytes, int, int, int, int]
"""(chain id, address, nonce, parity, r, s)."""
Slots: TypeAlias = "list[tuple[bytes, bytes]]"


NO_TYPE: Final = -1
"""In place of a type that cannot be read."""


@dataclass(frozen=True, slots=True)
class CallObject:
    """A message as the caller described it; `None` is what the caller left open."""

    sender: bytes | None = None
    to: bytes | None = None
    gas: int | None = None
    gas_price: int | None = None
    max_fee_per_gas: int | None = None
    max_priority_fee_per_gas: int | None = None
    value: int | None = None
    nonce: int | None = None
    data: bytes | None = None
    input: bytes | None = None
    access_list: list[AccessListEntry] | None = None
    chain_id: int | None = None
    max_fee_per_blob_gas: int | None = None
    blob_versioned_hashes: list[bytes] | None = None
    authorization_list: list[Authorization] | None = None
    type: int | None = None
    has_blobs: bool = False
    """Whether whole blobs came along, which nobody here reads."""

    @property
    def payload(self) -> bytes:
        """`input`, or else `data`."""
        return self.input if self.input is not None else self.data or b""

    @property
    def offers_fees(self) -> bool:
        """Whether the caller said anything about what gas may cost."""
        fees = (
            self.gas_price,
            self.max_fee_per_gas,
            self.max_priority_fee_per_gas,
            self.max_fee_per_blob_gas,
        )
        return any(fee is not None for fee in fees)


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """What a call sees in place of an account's state."""

    nonce: int | None
    balance: int | None
    code: bytes | None
    state: Slots | None
    state_diff: Slots | None
    move_precompile_to: bytes | None = None
    """Where the precompile of this address answers instead."""


StateOverride: TypeAlias = "list[tuple[bytes, AccountOverride]]"
BlockOverride: TypeAlias = "dict[str, int | bytes]"


# ------------------------------------------------------------------ in


def call_object(value: Json) -> CallObject:
    """geth's `TransactionArgs`; fields it does not know are ignored."""
    fields = Fields(value, "ethapi.TransactionArgs")
    return CallObject(
        sender=fields.take("from", address),
        to=fields.take("to", address),
        gas=fields.take("gas", uint64),
        gas_price=fields.take("gasPrice", big),
        max_fee_per_gas=fields.take("maxFeePerGas", big),
        max_priority_fee_per_gas=fields.take("maxPriorityFeePerGas", big),
        value=fields.take("value", big),
        nonce=fields.take("nonce", uint64),
        data=fields.take("data", data),
        input=fields.take("input", data),
        access_list=fields.take("accessList", list_of(_access_list_entry, "types.AccessList")),
        chain_id=fields.take("chainId", big),
        max_fee_per_blob_gas=fields.take("maxFeePerBlobGas", big),
        blob_versioned_hashes=fields.take("blobVersionedHashes", list_of(hash32, "[]common.Hash")),
        authorization_list=fields.take(
            "authorizationList", list_of(_authorization, "[]types.SetCodeAuthorization")
        ),
        type=fields.take("type", _type),
        has_blobs=bool(fields.take("blobs", _present)),
    )


def _type(value: Json) -> int:
    """A quantity; or a JSON number, which web3.py sends as it was given. Else NO_TYPE: geth would not even look."""
    try:
        return json_uint64(value) if isinstance(value, int) else uint64(value)
    except Unfit:
        return NO_TYPE


def _access_list_entry(value: Json) -> AccessListEntry:
    fields = Fields(value, "types.AccessTuple")
    return fields.need("address", address), fields.need("storageKeys", list_of(hash32, "[]common.Hash"))


def _authorization(value: Json) -> Authorization:
    fields = Fields(value, "types.SetCodeAuthorization")
    return (
        fields.need("chainId", wide),
        fields.need("address", address),
        fields.need("nonce", uint64),
        fields.need("yParity", uint64) & 0xFF,  # Go cuts it to a byte
        fields.need("r", wide),
        fields.need("s", wide),
    )


def state_override(value: Json) -> StateOverride:
    """geth's `StateOverride`: account -> what to see in its place."""
    return map_of(address, _account_override, "override.StateOverride")(value)


def _account_override(value: Json) -> AccountOverride:
    fields = Fields(value, "override.OverrideAccount")
    slots = map_of(hash32, hash32, "map[common.Hash]common.Hash")
    return AccountOverride(
        nonce=fields.take("nonce", uint64),
        balance=fields.take("balance", big),
        code=fields.take("code", data),
        state=fields.take("state", slots),
        state_diff=fields.take("stateDiff", slots),
        move_precompile_to=fields.take("movePrecompileToAddress", address),
    )


def block_override(value: Json) -> BlockOverride:
    """geth's `BlockOverrides` for one message, under the engine's names."""
    fields = Fields(value, "override.BlockOverrides")
    for field in ("beaconRoot", "withdrawals"):
        if fields.take(field, _present):
            raise RpcError(f'block override "{field}" is not supported for this RPC method')
    return block_fields(fields)


def block_fields(fields: Fields) -> BlockOverride:
    """The fields of an environment, which have no names of their own in JSON. Raises RpcError for what is too wide."""
    found: dict[str, int | bytes | None] = {
        "number": fields.take("Number", big),
        "difficulty": fields.take("Difficulty", big),
        "time": fields.take("Time", uint64),
        "gas_limit": fields.take("GasLimit", uint64),
        "fee_recipient": fields.take("FeeRecipient", address),
        "prev_randao": fields.take("PrevRandao", hash32),
        "base_fee": fields.take("BaseFeePerGas", big),
        "blob_base_fee": fields.take("BlobBaseFee", big),
    }
    for name, bits in (("number", 64), ("base_fee", 64), ("blob_base_fee", 128)):
        given = found[name]
        if isinstance(given, int) and given.bit_length() > bits:
            raise RpcError(f'block override "{name}" above {bits} bits is not supported')
    return {name: given for name, given in found.items() if given is not None}


def _present(_value: Json) -> bool:
    return True


# ------------------------------------------------------------------ out


def contradiction(call: CallObject, chain_id: int) -> str | None:
    """
    geth's words for a message that contradicts itself or the chain, if it does.

    Source: geth internal/ethapi/transaction_args.go, CallDefaults.
    """
    has_dynamic_fee = call.max_fee_per_gas is not None or call.max_priority_fee_per_gas is not None
    if call.gas_price is not None and has_dynamic_fee:
        return "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"
    if call.to is None and call.blob_versioned_hashes is not None:
        return "blob transaction of type create"
    if call.to is None and call.authorization_list is not None:
        return "EIP-7702 transaction cannot be used to create contract"
    if call.chain_id is not None and call.chain_id != chain_id:
        return f"chainId does not match node's (have={call.chain_id}, want={chain_id})"
    return None


def check_call(call: CallObject, chain_id: int) -> None:
    """Raises RpcError for a message that contradicts itself or the chain."""
    if (words := contradiction(call, chain_id)) is not None:
        raise RpcError(words)


def check_type(call: CallObject, parallel_tx_type: int | None) -> None:
    """Raises RpcError for a type that the chain does not have, where the type matters."""
    if call.type is not None and not LEGACY <= call.type <= SET_CODE and call.type != parallel_tx_type:
        raise RpcError("transaction type not supported")


def to_request(
    call: CallObject,
    *,
    parallel_tx_type: int | None,
    state: StateOverride | None = None,
    block: BlockOverride | None = None,
    words: str | None = None,
) -> CallRequest:
    """The engine's form; `words` are its contradiction. Raises RpcError for overrides that contradict themselves."""
    return CallRequest(
        sender=call.sender,
        to=call.to,
        data=call.payload,
        value=call.value or 0,
        gas=call.gas,
        gas_price=call.gas_price,
        max_fee_per_gas=call.max_fee_per_gas,
        max_priority_fee_per_gas=call.max_priority_fee_per_gas,
        max_fee_per_blob_gas=call.max_fee_per_blob_gas,
        nonce=call.nonce,
        access_list=call.access_list,
        blob_versioned_hashes=call.blob_versioned_hashes or (),
        authorization_list=call.authorization_list or (),
        tx_type=_insisted_type(call, parallel_tx_type),
        contradiction=words,
        state_overrides=engine_overrides(state or ()),
        block_overrides=block or None,
    )


def _insisted_type(call: CallObject, parallel_tx_type: int | None) -> int | None:
    """The type that the other fields do not tell: ours, and that of a list which is there and empty."""
    if call.type is not None and call.type == parallel_tx_type:
        return parallel_tx_type
    if call.authorization_list == []:
        return SET_CODE
    return BLOB if call.blob_versioned_hashes == [] else None


def engine_overrides(state: Sequence[tuple[bytes, AccountOverride]]) -> list[StateOverrideRow]:
    """The engine's rows. Raises RpcError for overrides that contradict themselves."""
    overrides: list[StateOverrideRow] = []
    for account, seen in state:
        if seen.state is not None and seen.state_diff is not None:
            raise RpcError(f"account {to_checksum(account)} has both 'state' and 'stateDiff'")
        overrides.append(
            (
                account,
                seen.nonce,
                seen.balance,
                seen.code,
                seen.state,
                seen.state_diff,
                seen.move_precompile_to,
            )
        )
    return overrides
