"""
Objects of the engine as the JSON that geth writes: which fields, in which order, `null` or absent.

In: blocks, transactions, receipts, logs. Out: dictionaries ready for the encoder. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelpool.transaction import keccak256
from rpc.errors import Json
from rpc.quantities import to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.chain import Account, Block, Header, Log, Receipt
    from parallelpool.events import Departure
    from parallelpool.transaction import Transaction

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)

UNSIGNED_CHAIN_ID = (2**64 - 35) // 2
"""What geth reads out of the `v` of a plain transaction that nobody signed: those of simulated blocks."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction was mined."""

    block_hash: bytes
    block_number: int
    block_timestamp: int
    base_fee: int | None
    index: int

    @classmethod
    def of(cls, header: Header, index: int) -> Place:
        """The place `index` in the block of `header`."""
        return cls(header.hash, header.number, header.timestamp, header.base_fee_per_gas, index)


def to_checksum(address: bytes) -> str:
    """An address in mixed case (EIP-55)."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if mark >= "8" else digit for digit, mark in zip(digits, marks[:40], strict=True)
    )


# ------------------------------------------------------------------ transactions


def transaction(tx: Transaction, place: Place | None = None) -> dict[str, Json]:
    """The mined form, or without a place the pending one."""
    has_dynamic_fee = tx.type >= DYNAMIC_FEE
    view: dict[str, Json] = {
        "blockHash": None,
        "blockNumber": None,
        "blockTimestamp": None,
        "from": to_data(tx.sender),
        "gas": to_quantity(tx.gas_limit),
        "gasPrice": to_quantity(_gas_price(tx, place)),
    }
    if has_dynamic_fee:
        view["maxFeePerGas"] = to_quantity(tx.max_fee_per_gas)
        view["maxPriorityFeePerGas"] = to_quantity(tx.max_priority_fee_per_gas)
    if tx.type == BLOB:
        view["maxFeePerBlobGas"] = to_quantity(tx.max_fee_per_blob_gas)
    view["hash"] = to_data(tx.hash)
    view["input"] = to_data(tx.data)
    view["nonce"] = to_quantity(tx.nonce)
    view["to"] = to_data(tx.to) if tx.to is not None else None
    view["transactionIndex"] = None
    view["value"] = to_quantity(tx.value)
    view["type"] = to_quantity(tx.type)
    if tx.type != LEGACY:
        view["accessList"] = access_list(tx.access_list)
    if tx.chain_id is not None:
        view["chainId"] = to_quantity(tx.chain_id)
    elif tx.type == LEGACY and not tx.v:
        view["chainId"] = to_quantity(UNSIGNED_CHAIN_ID)
    if tx.type == BLOB:
        view["blobVersionedHashes"] = [to_data(versioned_hash) for versioned_hash in tx.blob_versioned_hashes]
    if tx.type == SET_CODE:
        view["authorizationList"] = _authorization_list(tx)
    view["v"] = to_quantity(tx.v)
    view["r"] = to_quantity(tx.r)
    view["s"] = to_quantity(tx.s)
    if tx.type != LEGACY:
        view["yParity"] = to_quantity(tx.v)
    if place is not None:
        view["blockHash"] = to_data(place.block_hash)
        view["blockNumber"] = to_quantity(place.block_number)
        view["blockTimestamp"] = to_quantity(place.block_timestamp)
        view["transactionIndex"] = to_quantity(place.index)
    return view


def _gas_price(tx: Transaction, place: Place | None) -> int:
    """What was paid per gas once that is known, else the most that may be."""
    if place is None or place.base_fee is None or tx.type < DYNAMIC_FEE:
        return tx.max_fee_per_gas
    return min(tx.max_fee_per_gas, place.base_fee + tx.max_priority_fee_per_gas)


def access_list(entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Json]:
    """An EIP-2930 list."""
    return [
        {"address": to_data(address), "storageKeys": [to_data(slot) for slot in slots]}
        for address, slots in entries
    ]


def _authorization_list(tx: Transaction) -> list[Json]:
    return [
        {
            "chainId": to_quantity(authorization.chain_id),
            "address": to_data(authorization.address),
            "nonce": to_quantity(authorization.nonce),
            "yParity": to_quantity(authorization.y_parity),
            "r": to_quantity(authorization.r),
            "s": to_quantity(authorization.s),
        }
        for authorization in tx.authorization_list
    ]


# ------------------------------------------------------------------ blocks


def header_fields(header: Header) -> dict[str, Json]:
    """The header part of a block; names ascending, as geth writes its maps."""
    view: dict[str, Json] = {}
    if header.base_fee_per_gas is not None:
        view["baseFeePerGas"] = to_quantity(header.base_fee_per_gas)
    if header.blob_gas_used is not None:
        view["blobGasUsed"] = to_quantity(header.blob_gas_used)
    if header.block_access_list_hash is not None:
        view["blockAccessListHash"] = to_data(header.block_access_list_hash)
    view["difficulty"] = to_quantity(header.difficulty)
    if header.excess_blob_gas is not None:
        view["excessBlobGas"] = to_quantity(header.excess_blob_gas)
    view["extraData"] = to_data(header.extra_data)
    view["gasLimit"] = to_quantity(header.gas_limit)
    view["gasUsed"] = to_quantity(header.gas_used)
    view["hash"] = to_data(header.hash)
    view["logsBloom"] = to_data(header.logs_bloom)
    view["miner"] = to_data(header.beneficiary)
    view["mixHash"] = to_data(header.mix_hash)
    view["nonce"] = to_data(header.nonce)
    view["number"] = to_quantity(header.number)
    if header.parent_beacon_block_root is not None:
        view["parentBeaconBlockRoot"] = to_data(header.parent_beacon_block_root)
    view["parentHash"] = to_data(header.parent_hash)
    view["receiptsRoot"] = to_data(header.receipts_root)
    if header.requests_hash is not None:
        view["requestsHash"] = to_data(header.requests_hash)
    view["sha3Uncles"] = to_data(header.ommers_hash)
    if header.slot_number is not None:
        view["slotNumber"] = to_quantity(header.slot_number)
    view["stateRoot"] = to_data(header.state_root)
    view["timestamp"] = to_quantity(header.timestamp)
    view["transactionsRoot"] = to_data(header.transactions_root)
    if header.withdrawals_root is not None:
        view["withdrawalsRoot"] = to_data(header.withdrawals_root)
    return view


def block(mined: Block, *, full: bool) -> dict[str, Json]:
    """A block with hashes or whole transactions."""
    view = header_fields(mined.header)
    view["size"] = to_quantity(mined.size)
    view["transactions"] = (
        [transaction(tx, Place.of(mined.header, index)) for index, tx in enumerate(mined.transactions)]
        if full
        else [to_data(tx.hash) for tx in mined.transactions]
    )
    view["uncles"] = [to_data(ommer.hash) for ommer in mined.ommers]
    if mined.withdrawals is not None:
        view["withdrawals"] = [
            {
                "index": to_quantity(withdrawal.index),
                "validatorIndex": to_quantity(withdrawal.validator_index),
                "address": to_data(withdrawal.address),
                "amount": to_quantity(withdrawal.amount),
            }
            for withdrawal in mined.withdrawals
        ]
    return dict(sorted(view.items()))


def uncle(header: Header) -> dict[str, Json]:
    """An uncle as a block without a body: its size is that of the header and two empty lists."""
    payload = len(header.raw) + 2
    prefix = 1 if payload < 56 else 1 + (payload.bit_length() + 7) // 8
    view = header_fields(header)
    view["size"] = to_quantity(prefix + payload)
    view["uncles"] = []
    return dict(sorted(view.items()))


def new_head(header: Header) -> dict[str, Json]:
    """The header that `newHeads` sends; fields the fork does not have are `null`, as geth's header writes them."""

    def quantity_or_null(value: int | None) -> Json:
        return to_quantity(value) if value is not None else None

    def data_or_null(value: bytes | None) -> Json:
        return to_data(value) if value is not None else None

    return {
        "parentHash": to_data(header.parent_hash),
        "sha3Uncles": to_data(header.ommers_hash),
        "miner": to_data(header.beneficiary),
        "stateRoot": to_data(header.state_root),
        "transactionsRoot": to_data(header.transactions_root),
        "receiptsRoot": to_data(header.receipts_root),
        "logsBloom": to_data(header.logs_bloom),
        "difficulty": to_quantity(header.difficulty),
        "number": to_quantity(header.number),
        "gasLimit": to_quantity(header.gas_limit),
        "gasUsed": to_quantity(header.gas_used),
        "timestamp": to_quantity(header.timestamp),
        "extraData": to_data(header.extra_data),
        "mixHash": to_data(header.mix_hash),
        "nonce": to_data(header.nonce),
        "baseFeePerGas": quantity_or_null(header.base_fee_per_gas),
        "withdrawalsRoot": data_or_null(header.withdrawals_root),
        "blobGasUsed": quantity_or_null(header.blob_gas_used),
        "excessBlobGas": quantity_or_null(header.excess_blob_gas),
        "parentBeaconBlockRoot": data_or_null(header.parent_beacon_block_root),
        "requestsHash": data_or_null(header.requests_hash),
        "hash": to_data(header.hash),
    }


# ------------------------------------------------------------------ receipts and logs


def log(
    entry: Log, place: Place, tx_hash: bytes, log_index: int, *, removed: bool = False
) -> dict[str, Json]:
    """A log; `log_index` counts within the block."""
    return {
        "address": to_data(entry.address),
        "topics": [to_data(topic) for topic in entry.topics],
        "data": to_data(entry.data),
        "blockNumber": to_quantity(place.block_number),
        "transactionHash": to_data(tx_hash),
        "transactionIndex": to_quantity(place.index),
        "blockHash": to_data(place.block_hash),
        "blockTimestamp": to_quantity(place.block_timestamp),
        "logIndex": to_quantity(log_index),
        "removed": removed,
    }


def receipt(
    outcome: Receipt, tx: Transaction, place: Place, first_log: int, blob_base_fee: int | None
) -> dict[str, Json]:
    """A receipt; `first_log` is the index in the block of its first log, `blob_base_fee` the block's."""
    view: dict[str, Json] = {}
    if tx.type == BLOB and blob_base_fee is not None:
        view["blobGasPrice"] = to_quantity(blob_base_fee)
        view["blobGasUsed"] = to_quantity(outcome.blob_gas_used)
    view["blockHash"] = to_data(place.block_hash)
    view["blockNumber"] = to_quantity(place.block_number)
    view["contractAddress"] = (
        to_data(outcome.contract_address) if outcome.contract_address is not None else None
    )
    view["cumulativeGasUsed"] = to_quantity(outcome.cumulative_gas_used)
    view["effectiveGasPrice"] = to_quantity(outcome.effective_gas_price)
    view["from"] = to_data(tx.sender)
    view["gasUsed"] = to_quantity(outcome.gas_used)
    view["logs"] = [
        log(entry, place, tx.hash, first_log + offset) for offset, entry in enumerate(outcome.logs)
    ]
    view["logsBloom"] = to_data(outcome.logs_bloom)
    if outcome.state_root is not None:
        view["root"] = to_data(outcome.state_root)
    else:
        view["status"] = "0x1" if outcome.success else "0x0"
    view["to"] = to_data(tx.to) if tx.to is not None else None
    view["transactionHash"] = to_data(tx.hash)
    view["transactionIndex"] = to_quantity(place.index)
    view["type"] = to_quantity(tx.type)
    return view


def block_receipts(
    mined: Block, receipts: Sequence[Receipt], blob_base_fee: int | None
) -> list[dict[str, Json]]:
    """All receipts of a block."""
    views: list[dict[str, Json]] = []
    first_log = 0
    for index, (outcome, tx) in enumerate(zip(receipts, mined.transactions, strict=True)):
        views.append(receipt(outcome, tx, Place.of(mined.header, index), first_log, blob_base_fee))
        first_log += len(outcome.logs)
    return views


# ------------------------------------------------------------------ departures


def departure_story(departure: Departure) -> dict[str, Json]:
    """Why and when a transaction left the pool."""
    replaced_by = departure.replaced_by
    return {
        "reason": departure.reason.value,
        "detail": departure.detail or None,
        "replacedBy": to_data(replaced_by) if replaced_by is not None else None,
        "droppedAt": to_quantity(int(departure.departed_at)),
        "from": to_data(departure.sender),
        "nonce": to_quantity(departure.nonce),
    }


def departure(departed: Departure) -> dict[str, Json]:
    """The whole of it; `blockNumber` is of what was mined."""
    number = departed.block_number
    return (
        {"hash": to_data(departed.hash)}
        | departure_story(departed)
        | {"blockNumber": to_quantity(number) if number is not None else None}
    )


# ------------------------------------------------------------------ state


def proof(
    address: bytes,
    account: Account,
    storage_root: bytes,
    account_proof: Sequence[bytes],
    slots: Sequence[tuple[str, bytes, Sequence[bytes]]],
) -> dict[str, Json]:
    """
    An EIP-1186 proof; `slots` are (key as the caller wrote it, value, proof).

    As in geth both hashes are zero where there is no account.
    """
    no_hash = None if account.exists else to_data(bytes(32))
    return {
        "address": to_data(address),
        "accountProof": [to_data(node) for node in account_proof],
        "balance": to_quantity(account.balance),
        "codeHash": no_hash or to_data(account.code_hash),
        "nonce": to_quantity(account.nonce),
        "storageHash": no_hash or to_data(storage_root),
        "storageProof": [
            {
                "key": key,
                "value": to_quantity(int.from_bytes(value, "big")),
                "proof": [to_data(node) for node in nodes],
            }
            for key, value, nodes in slots
        ],
    }
