"""
What the daemon answers, as frozen values: quantities are `int`, data is `bytes`, times are milliseconds.

Every reader raises `StrangeAnswer` for an answer without what it is promised to have; fields that are not known here
are ignored, as the schema says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from parallelpool.client.connection import StrangeAnswer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """A block that the daemon calls its head."""

    number: int
    hash: bytes
    state_root: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the place of a transaction in its batch rests on."""

    source: str
    known: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions that may run in any order or at once (`parallel`), or must run one by one (`sequential`)."""

    batch_id: bytes
    index: int
    kind: str
    transactions: tuple[Any, ...]
    """Hashes or signed bytes; objects as JSON-RPC has them where the request asked for `objects`."""
    gas_limit: int
    predicted_gas: int
    critical_path_gas: int
    tip_sum: int
    size: int
    """Bytes."""
    after: tuple[int, ...]
    """Indices of batches that must be committed before."""
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...] | None
    """(account, slots) each, where asked for."""
    predictions: tuple[Prediction, ...] | None
    """One per transaction, where asked for."""

    @property
    def batchId(self) -> bytes:  # noqa: N802 - the original interface's name
        """The same as `batch_id`."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class Offer:
    """The answer of `parallel_getBatches`."""

    etag: bytes
    not_modified: bool
    head: Head
    base_fee: int | None
    chain_id: int
    sequence: int
    epoch: bytes
    conflict_model: str
    filtered: bool
    """More exists, and the request kept it back."""
    batches: tuple[Batch, ...]
    groups: tuple[tuple[int, ...], ...] | None
    """Connected components of the flattened list of transactions, where asked for."""
    deps: tuple[tuple[int, ...], ...] | None
    """For each transaction of the flattened list, earlier ones that it depends on, where asked for."""
    next: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """News of a subscription to batches."""

    head: Head
    base_fee: int | None
    sequence: int
    epoch: bytes
    added: tuple[Batch, ...]
    invalidated: tuple[bytes, ...]
    resync: bool
    """Changes were lost: `added` is all that is on offer."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What executing batches did."""

    block_hash: bytes | None
    """`None` if nothing was stored."""
    hashes: tuple[bytes, ...]
    left_out: tuple[tuple[bytes, str], ...]
    gas_used: int
    state_root: bytes
    parallel_ms: float
    serial_ms: float | None
    conflicts: int
    executions: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a submitted block stands."""

    number: int
    block_hash: bytes
    state_root: bytes
    gas_used: int
    is_new: bool
    """Not so: it was on the chain already."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a transaction could run beside all others that are pending."""

    parallelizable: bool
    tag: str | None
    prediction: Mapping[str, Any]
    reasons: tuple[str, ...]
    conflicts: int
    compared_with: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why two transactions must keep an order."""

    first: bytes
    second: bytes
    address: bytes
    field: str
    slot: bytes | None
    kinds: tuple[str, ...]
    """Of access: in the first, in the second."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How transactions stand against the promise of a parallel batch."""

    valid: bool
    conflicts: tuple[Conflict, ...]
    conflict_count: int
    shortfalls: tuple[tuple[bytes, int, int, tuple[bytes, ...]], ...]
    """(address, wei there, wei that may be needed, by whom) each."""
    invalid: tuple[tuple[bytes, str], ...]
    unknown: tuple[bytes, ...]
    orders: int
    divergence: Mapping[str, Any] | None
    gas_used: int
    post_state_digest: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where pending transactions must keep an order."""

    address: bytes
    field: str | None
    slot: bytes | None
    readers: int
    changers: int
    writers: int
    queue: int
    waiting_gas: int


@dataclass(frozen=True, slots=True)
class PastBatch:
    """A batch that was offered lately."""

    batch_id: bytes
    kind: str
    head_number: int
    head_hash: bytes
    transactions: tuple[bytes, ...]
    gas_limit: int
    is_offered: bool


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """Figures of the batches on offer and of what was produced."""

    batch_size: int
    batches: int
    parallel_batches: int
    parallelizable: int
    sequential: int
    unknown: int
    largest_batch: int
    blocks: int
    total_processed: int
    successfully_batched: int
    last_execution: Execution | None


# ------------------------------------------------------------------ readers


def read(answer: Any, reader: Callable[[Any], T]) -> T:
    """The answer as a value. Raises StrangeAnswer."""
    try:
        return reader(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise StrangeAnswer(f"the answer lacks what it must have: {problem!r}") from problem


def number(value: Any) -> int:
    """A quantity."""
    return int(value, 16)


def octets(value: Any) -> bytes:
    """Data."""
    return bytes.fromhex(value.removeprefix("0x"))


def maybe(reader: Callable[[Any], T], value: Any) -> T | None:
    """The value read, unless it is absent."""
    return None if value is None else reader(value)


def hashes(values: Any) -> tuple[bytes, ...]:
    """A list of data."""
    return tuple(octets(value) for value in values)


def head(view: Any) -> Head:
    """A head."""
    return Head(
        number(view["number"]), octets(view["hash"]), octets(view["stateRoot"]), number(view["timestamp"])
    )


def batch(view: Any) -> Batch:
    """A batch."""
    return Batch(
        batch_id=octets(view["batchId"]),
        index=number(view["index"]),
        kind=str(view["kind"]),
        transactions=tuple(octets(each) if isinstance(each, str) else each for each in view["transactions"]),
        gas_limit=number(view["gasLimit"]),
        predicted_gas=number(view["predictedGas"]),
        critical_path_gas=number(view["criticalPathGas"]),
        tip_sum=number(view["tipSum"]),
        size=number(view["bytes"]),
        after=_numbers(view["after"]),
        access_list=maybe(_access_list, view.get("accessList")),
        predictions=maybe(_predictions, view.get("predictions")),
    )


def offer(view: Any) -> Offer:
    """The answer of `parallel_getBatches`."""
    return Offer(
        etag=octets(view["etag"]),
        not_modified=bool(view["notModified"]),
        head=head(view["head"]),
        base_fee=maybe(number, view["baseFee"]),
        chain_id=number(view["chainId"]),
        sequence=number(view["sequence"]),
        epoch=octets(view["epoch"]),
        conflict_model=str(view["conflictModel"]),
        filtered=bool(view["filtered"]),
        batches=tuple(batch(each) for each in view["batches"]),
        groups=maybe(_lists, view.get("groups")),
        deps=maybe(_lists, view.get("deps")),
        next=maybe(octets, view["next"]),
    )


def change(view: Any) -> Change:
    """A notification of the subscription `batches`."""
    return Change(
        head=head(view["head"]),
        base_fee=maybe(number, view["baseFee"]),
        sequence=number(view["sequence"]),
        epoch=octets(view["epoch"]),
        added=tuple(batch(each) for each in view["added"]),
        invalidated=hashes(view["invalidated"]),
        resync=bool(view.get("resync", False)),
    )


def execution(view: Any) -> Execution:
    """The answer of `parallel_executeBatches`."""
    return Execution(
        block_hash=maybe(octets, view["blockHash"]),
        hashes=hashes(view["hashes"]),
        left_out=tuple((octets(each["hash"]), str(each["reason"])) for each in view["leftOut"]),
        gas_used=number(view["gasUsed"]),
        state_root=octets(view["stateRoot"]),
        parallel_ms=float(view["parallelMs"]),
        serial_ms=maybe(float, view.get("serialMs")),
        conflicts=number(view["conflicts"]),
        executions=number(view["executions"]),
    )


def placement(view: Any) -> Placement:
    """The answer of `parallel_submitBlock`."""
    return Placement(
        number=number(view["number"]),
        block_hash=octets(view["blockHash"]),
        state_root=octets(view["stateRoot"]),
        gas_used=number(view["gasUsed"]),
        is_new=view["status"] == "imported",
    )


def verdict(view: Any) -> Verdict:
    """The answer of `parallel_isParallelizable`."""
    return Verdict(
        parallelizable=bool(view["parallelizable"]),
        tag=view["tag"],
        prediction=dict(view["prediction"]),
        reasons=tuple(str(reason["message"]) for reason in view["reasons"]),
        conflicts=number(view["conflicts"]),
        compared_with=number(view["comparedWith"]),
    )


def verification(view: Any) -> Verification:
    """The answer of `parallel_verifyBatch`."""
    return Verification(
        valid=bool(view["valid"]),
        conflicts=tuple(_conflict(octets(each["a"]), octets(each["b"]), each) for each in view["conflicts"]),
        conflict_count=number(view["conflictCount"]),
        shortfalls=tuple(
            (
                octets(each["address"]),
                number(each["balance"]),
                number(each["required"]),
                hashes(each["hashes"]),
            )
            for each in view["shortfalls"]
        ),
        invalid=tuple((octets(each["hash"]), str(each["reason"])) for each in view["invalid"]),
        unknown=hashes(view["unknown"]),
        orders=number(view["orders"]),
        divergence=maybe(dict, view["divergence"]),
        gas_used=number(view["gasUsed"]),
        post_state_digest=octets(view["postStateDigest"]),
    )


def places(view: Any) -> tuple[Place, ...]:
    """The answer of `parallel_getConflicts`."""
    return tuple(
        Place(
            address=octets(each["address"]),
            field=each["field"],
            slot=maybe(octets, each["slot"]),
            readers=number(each["readers"]),
            changers=number(each["changers"]),
            writers=number(each["writers"]),
            queue=number(each["queue"]),
            waiting_gas=number(each["waitingGas"]),
        )
        for each in view["locations"]
    )


def dependencies(view: Any) -> dict[bytes, tuple[Conflict, ...] | None]:
    """The answer of `parallel_getDependencies`: by transaction, whom it must follow and why."""
    return {
        octets(each["hash"]): None if each["after"] is None else _edges(octets(each["hash"]), each["after"])
        for each in view
    }


def past_batch(view: Any) -> PastBatch:
    """The answer of `parallel_getBatchById`."""
    return PastBatch(
        batch_id=octets(view["batchId"]),
        kind=str(view["kind"]),
        head_number=number(view["head"]["number"]),
        head_hash=octets(view["head"]["hash"]),
        transactions=hashes(view["transactions"]),
        gas_limit=number(view["gasLimit"]),
        is_offered=bool(view["isOffered"]),
    )


def batch_statistics(view: Any) -> BatchStatistics:
    """The answer of `parallel_batchStatistics`."""
    return BatchStatistics(
        batch_size=number(view["batchSize"]),
        batches=number(view["batches"]),
        parallel_batches=number(view["parallelBatches"]),
        parallelizable=number(view["parallelizable"]),
        sequential=number(view["sequential"]),
        unknown=number(view["unknown"]),
        largest_batch=number(view["largestBatch"]),
        blocks=number(view["blocks"]),
        total_processed=number(view["totalProcessed"]),
        successfully_batched=number(view["successfullyBatched"]),
        last_execution=maybe(execution, view["lastExecution"]),
    )


def _conflict(first: bytes, second: bytes, view: Any) -> Conflict:
    return Conflict(
        first=first,
        second=second,
        address=octets(view["address"]),
        field=str(view["field"]),
        slot=maybe(octets, view["slot"]),
        kinds=tuple(str(kind) for kind in view["kinds"]),
    )


def _edges(tx_hash: bytes, after: Any) -> tuple[Conflict, ...]:
    return tuple(_conflict(octets(edge["hash"]), tx_hash, edge) for edge in after)


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(number(value) for value in values)


def _lists(values: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(_numbers(each) for each in values)


def _access_list(values: Any) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    return tuple((octets(entry["address"]), hashes(entry["storageKeys"])) for entry in values)


def _predictions(values: Any) -> tuple[Prediction, ...]:
    return tuple(Prediction(str(each["source"]), bool(each["known"]), bool(each["stale"])) for each in values)
