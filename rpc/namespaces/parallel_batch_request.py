"""
The request of `parallel_getBatches`, which is also the filter of `parallel_subscribe("batches")`.

In: one object of the published schema. Out: what to offer, and in which form. Fields of the schema that this version
does not serve are refused by name, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelpool.batching import Selection, Strategy
from rpc.errors import INVALID_PARAMS, STALE_HEAD, Json, RpcError
from rpc.parameters import Fields, list_of, one_of
from rpc.quantities import Unfit, address, big, hash32, text, to_data, uint64

if TYPE_CHECKING:
    from rpc.backend import Chain

DEFAULT_MAX_BATCHES: Final = 16

MAX_WAIT_MS: Final = 30_000
"""Longest long poll."""

MAX_CONSUMER_ID: Final = 64
"""Characters."""

FORMS: Final = ("hashes", "raw", "objects")
EXTRAS: Final = ("accessList", "deps", "groups", "predictions")
STRATEGIES: Final[Mapping[str, Strategy]] = {
    "tip": "tip",
    "width": "width",
    "latency": "latency",
    "fifo": "fifo",
}
KINDS: Final = ("parallel", "sequential")


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a caller wants to be offered."""

    selection: Selection
    parent_hash: bytes | None
    timestamp: int | None
    """Of the block that the caller builds: later than the head's, or the request is refused."""
    max_batches: int
    kinds: frozenset[str]
    after: bytes | None
    form: str
    extras: frozenset[str]
    if_none_match: bytes | None
    consumer_id: str
    request_id: bytes | None
    """The same request under the same id, asked again, gets the same answer."""
    wait_s: float

    @property
    def has_budget(self) -> bool:
        """Whether the caller says how much it can take."""
        selection = self.selection
        return not selection.max_gas is selection.max_bytes is selection.max_transactions is None


def batch_request(value: Json) -> BatchRequest:
    """Raises Unfit for a field that is unknown, wrong, or not served by this version."""
    fields = Fields(value, "BatchRequest")
    if fields.take("leaseMs", uint64):
        raise Unfit("leases are not supported by this version: leave leaseMs out or 0x0")
    include = fields.take("include", list_of(one_of(*FORMS, *EXTRAS), "[]string")) or []
    forms = [word for word in include if word in FORMS]
    if len(forms) > 1:
        raise Unfit(f"include has more than one of {', '.join(FORMS)}")
    # There are no blob transactions in the pool, so none pays too little; and without leases nothing is hidden.
    fields.take("blobBaseFee", big)
    fields.take("exclusive", one_of("tx", "state"))
    request = BatchRequest(
        selection=_selection(fields),
        parent_hash=fields.take("parentHash", hash32),
        timestamp=fields.take("timestamp", uint64),
        max_batches=_or_default(fields.take("maxBatches", uint64), DEFAULT_MAX_BATCHES),
        kinds=frozenset(fields.take("kinds", list_of(one_of(*KINDS), "[]string")) or KINDS),
        after=fields.take("after", hash32),
        form=forms[0] if forms else "hashes",
        extras=frozenset(include) & frozenset(EXTRAS),
        if_none_match=fields.take("ifNoneMatch", hash32),
        consumer_id=fields.take("consumerId", _consumer_id) or "",
        request_id=fields.take("requestId", hash32),
        wait_s=_or_default(fields.take("waitMs", _wait_ms), 0) / 1_000,
    )
    fields.refuse_others()
    return request


def _selection(fields: Fields) -> Selection:
    locations = fields.take("excludeLocations", list_of(_location, "[]Location")) or []
    return Selection(
        strategy=STRATEGIES[fields.take("strategy", one_of(*STRATEGIES)) or "tip"],
        beneficiary=fields.take("feeRecipient", address),
        base_fee=fields.take("baseFee", _fee),
        max_gas=fields.take("maxGas", uint64),
        max_blob_gas=fields.take("maxBlobGas", uint64),
        max_bytes=fields.take("maxBytes", uint64),
        max_transactions=fields.take("maxTxs", uint64),
        min_tip=fields.take("minTip", _fee),
        batch_size=fields.take("batchSize", batch_size),
        min_batch_size=fields.take("minBatchSize", uint64),
        senders=frozenset(fields.take("senders", list_of(address, "[]common.Address")) or ()),
        exclude_addresses=frozenset(
            fields.take("excludeAddresses", list_of(address, "[]common.Address")) or ()
        ),
        exclude_locations=frozenset(pair for pairs in locations for pair in pairs),
    )


def check_binding(request: BatchRequest, chain: Chain) -> None:
    """Raises RpcError if the caller builds on another block than the head, or in its past."""
    head = chain.head()
    if request.parent_hash is not None and request.parent_hash != head.hash:
        raise RpcError("stale head", code=STALE_HEAD, data={"head": to_data(head.hash)})
    if request.timestamp is not None and request.timestamp <= head.timestamp:
        raise RpcError(
            f"timestamp {request.timestamp} is not after the head's, {head.timestamp}", code=INVALID_PARAMS
        )


def _fee(value: Json) -> int:
    """Wei per gas. Raises Unfit above the 128 bits that the planner counts in; ether as a whole has fewer."""
    fee = big(value)
    if fee.bit_length() > 128:
        raise Unfit("a fee must fit into 128 bits")
    return fee


def batch_size(value: Json) -> int:
    """A quantity within the bounds of a batch."""
    size = uint64(value)
    if not 64 <= size <= 256:
        raise Unfit(f"batch size must be from 64 to 256, got {size}")
    return size


def _wait_ms(value: Json) -> int:
    wait = uint64(value)
    if wait > MAX_WAIT_MS:
        raise Unfit(f"waitMs must be at most {MAX_WAIT_MS}, got {wait}")
    return wait


def _consumer_id(value: Json) -> str:
    name = text(value)
    if len(name) > MAX_CONSUMER_ID:
        raise Unfit(f"consumerId must have at most {MAX_CONSUMER_ID} characters, got {len(name)}")
    return name


def _location(value: Json) -> list[tuple[bytes, bytes]]:
    fields = Fields(value, "Location")
    account = fields.need("address", address)
    slots = fields.need("storageKeys", list_of(hash32, "[]common.Hash"))
    fields.refuse_others()
    return [(account, slot) for slot in slots]


def _or_default(value: int | None, default: int) -> int:
    return value if value is not None else default
