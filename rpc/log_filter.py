"""
Which logs a client means: geth's `FilterCriteria`.

In: the JSON of a filter. Out: a `LogFilter` that matches single logs, and the range of blocks that it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rpc.block_reference import BlockNumber, block_number
from rpc.errors import InvalidParams, Json, RpcError
from rpc.parameters import Fields
from rpc.quantities import MAX_UINT64, Unfit, WrongType, hash32, json_kind, variable_text

if TYPE_CHECKING:
    from parallelpool.chain import Log
    from rpc.backend import Chain

MAX_TOPICS: Final = 4

UNBOUNDED: Final = MAX_UINT64
"""The bound `latest`; no block has this number."""

MAX_ALTERNATIVES: Final = 1_000
"""Topics at one position, whatever the node's limit on queries is."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What to look for, and where."""

    block_hash: bytes | None
    first: BlockNumber | None
    last: BlockNumber | None
    addresses: tuple[bytes, ...]
    """Any if empty."""
    topics: tuple[tuple[bytes, ...], ...]
    """Alternatives per position; any if empty."""

    def matches(self, entry: Log) -> bool:
        """Whether one log is meant, its block left aside."""
        if self.addresses and entry.address not in self.addresses:
            return False
        if len(self.topics) > len(entry.topics):
            return False
        return all(
            not alternatives or topic in alternatives
            for alternatives, topic in zip(self.topics, entry.topics, strict=False)
        )


def log_filter(value: Json) -> LogFilter:
    """geth's `FilterCriteria`. Raises Unfit in its words."""
    fields = Fields(value, "filters.input")
    block_hash = fields.take("blockHash", hash32)
    first = fields.take("fromBlock", block_number)
    last = fields.take("toBlock", block_number)
    if block_hash is not None and (first is not None or last is not None):
        raise Unfit("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
    return LogFilter(
        block_hash=block_hash,
        first=first,
        last=last,
        addresses=fields.take("address", _addresses) or (),
        topics=fields.take("topics", _topics) or (),
    )


def _addresses(value: Json) -> tuple[bytes, ...]:
    if isinstance(value, str):
        return (_sized(value, 20, "invalid address: ", "address"),)
    if not isinstance(value, list):
        raise Unfit("invalid addresses in query")
    addresses: list[bytes] = []
    for position, item in enumerate(value):
        if not isinstance(item, str):
            raise Unfit(f"non-string address at index {position}")
        addresses.append(_sized(item, 20, f"invalid address at index {position}: ", "address"))
    return tuple(addresses)


def _topics(value: Json) -> tuple[tuple[bytes, ...], ...]:
    if not isinstance(value, list):
        raise WrongType(json_kind(value), "[]interface {}")
    if len(value) > MAX_TOPICS:
        raise Unfit("exceed max topics")
    return tuple(_alternatives(item) for item in value)


def _alternatives(value: Json) -> tuple[bytes, ...]:
    """The topics of one position; empty for any, which `null` among alternatives means too."""
    match value:
        case None:
            return ()
        case str():
            return (_sized(value, 32, "", "topic"),)
        case list():
            if len(value) > MAX_ALTERNATIVES:
                raise Unfit("exceed max topics")
            found: list[bytes] = []
            for item in value:
                if item is None:
                    return ()
                if not isinstance(item, str):
                    raise Unfit("invalid topic(s)")
                found.append(_sized(item, 32, "", "topic"))
            return tuple(found)
        case _:
            raise Unfit("invalid topic(s)")


def _sized(text: str, size: int, before: str, name: str) -> bytes:
    try:
        decoded = variable_text(text)
    except Unfit as problem:
        raise Unfit(f"{before}{problem}") from problem
    if len(decoded) != size:
        raise Unfit(
            f"{before}hex has invalid length {len(decoded)} after decoding; expected {size} for {name}"
        )
    return decoded


# ------------------------------------------------------------------ against a chain


def check_size(wanted: LogFilter, limit: int) -> None:
    """Raises RpcError in geth's words for more addresses or alternatives than one query may have."""
    if limit and (
        len(wanted.addresses) > limit or any(len(alternatives) > limit for alternatives in wanted.topics)
    ):
        raise RpcError("exceed max addresses or topics per search position")


def resolve_range(wanted: LogFilter, chain: Chain, range_limit: int) -> tuple[int, int]:
    """First and last block to search. Raises RpcError in geth's words."""
    if wanted.block_hash is not None:
        header = chain.header_by_hash(wanted.block_hash)
        if header is None:
            raise RpcError("unknown block")
        return header.number, header.number
    head = chain.head().number
    bounds: Sequence[BlockNumber] = (
        wanted.first if wanted.first is not None else "latest",
        wanted.last if wanted.last is not None else "latest",
    )
    if "pending" in bounds:
        raise InvalidParams("pending logs are not supported")
    first, last = (_resolve(bound, head) for bound in bounds)
    if first > last or (last == UNBOUNDED and head < first < UNBOUNDED):
        raise InvalidParams("invalid block range params")
    if head < last < UNBOUNDED:
        raise InvalidParams("block range extends beyond current head block")
    first, last = min(first, head), min(last, head)
    if range_limit and last - first > range_limit:
        raise InvalidParams(f"exceed maximum block range {range_limit}")
    return first, last


def _resolve(bound: BlockNumber, head: int) -> int:
    if isinstance(bound, int):
        return bound
    match bound:
        case "earliest":
            return 0
        case "latest":
            return UNBOUNDED  # to geth not the head's number, but whatever will be the head
        case _:
            return head


def check_future(wanted: LogFilter) -> None:
    """
    Raises RpcError for a range that a filter or a subscription, which see new logs only, cannot have.

    Source: geth eth/filters/filter_system.go, SubscribeLogs.
    """
    first = wanted.first if wanted.first is not None else "latest"
    last = wanted.last if wanted.last is not None else "latest"
    if "pending" in (first, last):
        raise InvalidParams("pending logs are not supported")
    first_number = 0 if first == "earliest" else first
    if isinstance(first_number, int):
        if last == "latest" or (isinstance(last, int) and last >= first_number):
            return
    elif first_number == "latest" and last == "latest":
        return
    raise InvalidParams("invalid block range params")


def is_in_range(wanted: LogFilter, number: int) -> bool:
    """Whether a new block is one that the filter asks for."""
    return (not isinstance(wanted.first, int) or wanted.first <= number) and (
        not isinstance(wanted.last, int) or number <= wanted.last
    )
