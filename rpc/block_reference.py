"""
The block parameter: tags, numbers and hashes in, a header or the block whose state is meant out.

On our own chain a block is final when it is stored, so `safe` and `finalized` are the head. `pending` is the
state of the head: what the pool would add to it is seen in nonces (`eth_getTransactionCount`) only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from rpc.errors import Json, RpcError
from rpc.parameters import Fields
from rpc.quantities import (
    MAX_INT64,
    Unfit,
    WrongType,
    block_number_text,
    boolean,
    fixed_text,
    hash32,
    json_kind,
)

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from rpc.backend import Chain

Tag: TypeAlias = Literal["earliest", "latest", "pending", "safe", "finalized"]
TAGS: Final = frozenset(get_args(Tag))

BlockNumber: TypeAlias = "int | Tag"


@dataclass(frozen=True, slots=True)
class BlockReference:
    """A block by number, tag or hash; exactly one of them."""

    number: BlockNumber | None = None
    block_hash: bytes | None = None


LATEST: Final = BlockReference("latest")


# ------------------------------------------------------------------ in


def block_number(value: Json) -> BlockNumber:
    """A tag or a hex number (geth's `rpc.BlockNumber`)."""
    if not isinstance(value, str):
        raise Unfit("hex string without 0x prefix")
    return _tag_or_number(value, "block number larger than int64")


def block_reference(value: Json) -> BlockReference:
    """A tag, a hex number, a hash, or an object with one of them (geth's `rpc.BlockNumberOrHash`)."""
    if isinstance(value, dict):
        return _reference_object(value)
    if not isinstance(value, str):
        raise WrongType(json_kind(value), "string")
    if len(value) == 66:
        return BlockReference(block_hash=fixed_text(value, 32, "Hash"))
    return BlockReference(_tag_or_number(value, "blocknumber too high"))


def _reference_object(value: dict[str, Json]) -> BlockReference:
    try:
        fields = Fields(value, "rpc.erased")
        number = fields.take("blockNumber", block_number)
        block_hash = fields.take("blockHash", hash32)
        fields.take("requireCanonical", boolean)
    except Unfit as problem:
        # geth tries the object, then a string, and reports what the string said.
        raise WrongType("object", "string") from problem
    if number is None and block_hash is None:
        raise Unfit("must specify either BlockHash or BlockNumber")
    if number is not None and block_hash is not None:
        raise Unfit("cannot specify both BlockHash and BlockNumber, choose one or the other")
    return BlockReference(number, block_hash)


def _tag_or_number(text: str, too_big: str) -> BlockNumber:
    match text:
        case "earliest" | "latest" | "pending" | "safe" | "finalized":
            return text
        case _:
            number = block_number_text(text)
    if number > MAX_INT64:
        raise Unfit(too_big)
    return number


# ------------------------------------------------------------------ against a chain


def find_header(chain: Chain, reference: BlockReference) -> Header | None:
    """The canonical header that is meant, `pending` being the head; `None` if there is no such block."""
    if reference.block_hash is not None:
        return chain.header_by_hash(reference.block_hash)
    return header_by_number(chain, _number_of(reference))


def header_by_number(chain: Chain, number: BlockNumber) -> Header | None:
    """The same for a number or a tag."""
    if isinstance(number, int):
        return chain.header_by_number(number)
    return chain.header_by_number(0) if number == "earliest" else chain.head()


def require_header(chain: Chain, reference: BlockReference) -> Header:
    """The header of the block whose state is meant. Raises RpcError in geth's words."""
    header = find_header(chain, reference)
    if header is None:
        raise RpcError("header not found" if reference.block_hash is None else "header for hash not found")
    return header


def state_number(chain: Chain, reference: BlockReference | None) -> int | None:
    """
    The number to read state at, `None` for the head's state whatever the head becomes.

    Raises RpcError in geth's words if there is no such block.
    """
    if reference is None or reference.number in ("latest", "pending", "safe", "finalized"):
        return None
    return require_header(chain, reference).number


def _number_of(reference: BlockReference) -> BlockNumber:
    assert reference.number is not None, "a block is named by number or by hash"
    return reference.number
