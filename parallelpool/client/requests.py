"""
What is asked of the daemon, in Python's words and in those of JSON-RPC.

Numbers become quantities, bytes become data; addresses and hashes may also be given as hex text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Octets: TypeAlias = bytes | str
"""Bytes, or `0x` and hex."""

NAMES: Final[Mapping[str, str]] = {
    "parent_hash": "parentHash",
    "base_fee": "baseFee",
    "timestamp": "timestamp",
    "fee_recipient": "feeRecipient",
    "max_gas": "maxGas",
    "max_bytes": "maxBytes",
    "max_batches": "maxBatches",
    "max_transactions": "maxTxs",
    "batch_size": "batchSize",
    "min_batch_size": "minBatchSize",
    "min_tip": "minTip",
    "strategy": "strategy",
    "after": "after",
    "consumer_id": "consumerId",
    "request_id": "requestId",
    "if_none_match": "ifNoneMatch",
    "wait_ms": "waitMs",
}
"""Fields of `BatchRequest` that go over as they are, by the schema's name."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """
    The request of `parallel_getBatches`, as docs/rpc.md explains it; what is `None` or empty is left to the daemon.

    Gas and wei are numbers, hashes and addresses `bytes` or hex text.
    """

    parent_hash: Octets | None = None
    base_fee: int | None = None
    timestamp: int | None = None
    fee_recipient: Octets | None = None
    max_gas: int | None = None
    max_bytes: int | None = None
    max_batches: int | None = None
    max_transactions: int | None = None
    batch_size: int | None = None
    min_batch_size: int | None = None
    min_tip: int | None = None
    strategy: str | None = None
    kinds: tuple[Literal["parallel", "sequential"], ...] = ()
    senders: tuple[Octets, ...] = ()
    exclude_addresses: tuple[Octets, ...] = ()
    exclude_locations: tuple[tuple[Octets, tuple[Octets, ...]], ...] = ()
    """(account, slots) each."""
    after: Octets | None = None
    form: Literal["hashes", "raw", "objects"] = "hashes"
    extras: tuple[Literal["accessList", "deps", "groups", "predictions"], ...] = ()
    consumer_id: str | None = None
    request_id: Octets | None = None
    if_none_match: Octets | None = None
    wait_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As the schema has it."""
        view: dict[str, Any] = {
            theirs: encoded(value)
            for ours, theirs in NAMES.items()
            if (value := getattr(self, ours)) is not None
        }
        if self.kinds:
            view["kinds"] = list(self.kinds)
        if self.senders:
            view["senders"] = encoded(self.senders)
        if self.exclude_addresses:
            view["excludeAddresses"] = encoded(self.exclude_addresses)
        if self.exclude_locations:
            view["excludeLocations"] = [
                {"address": encoded(account), "storageKeys": encoded(slots)}
                for account, slots in self.exclude_locations
            ]
        return view | {"include": [self.form, *self.extras]}


def encoded(value: Any) -> Any:
    """Numbers as quantities and bytes as data, at any depth; everything else unchanged."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return hex(value)
        case bytes() | bytearray():
            return "0x" + value.hex()
        case Mapping():
            return {key: encoded(each) for key, each in value.items()}
        case Sequence():
            return [encoded(each) for each in value]
        case _:
            return value
