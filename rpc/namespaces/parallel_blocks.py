"""
`parallel_submitBlock`: a block that a sequencer made elsewhere becomes the head.

In: the block's RLP. Out: where it stands. It is checked as any block that is imported: every field of its header,
and everything that its execution must come to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import rlp

from parallelpool.chain import BlockRefused, block_hash
from rpc.backend import Backend
from rpc.errors import STALE_HEAD, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import data, to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.chain import Header

PARENT_HASH: Final = (0, 0)
"""Where a block's RLP has the hash of its parent: first item of the header, which is the block's first."""


class BlockMethods:
    """Blocks from outside."""

    def __init__(self, backend: Backend) -> None:
        self._chain = backend.chain
        self._producer = backend.producer

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "parallel_submitBlock": Method(
                self.submit_block, required(data), is_operator=True, outlives_caller=True
            )
        }

    async def submit_block(self, raw: bytes) -> Json:
        """
        Where the block stands now; to submit it twice is no error, so a lost answer costs nothing.

        Raises RpcError 3001 with the head for a block on another parent, BlockRefused for one that is wrong.
        """
        known = self._chain.header_by_hash(block_hash(raw))
        if known is not None:
            return _placement(known, is_new=False)
        try:
            block = await self._producer.submit_block(raw)
        except BlockRefused as refusal:
            head = self._chain.head()
            if cast("bytes", rlp.peek(raw, PARENT_HASH)) != head.hash:
                raise RpcError("stale head", code=STALE_HEAD, data={"head": to_data(head.hash)}) from refusal
            raise
        return _placement(block.header, is_new=True)


def _placement(header: Header, *, is_new: bool) -> Json:
    return {
        "number": to_quantity(header.number),
        "blockHash": to_data(header.hash),
        "stateRoot": to_data(header.state_root),
        "gasUsed": to_quantity(header.gas_used),
        "status": "imported" if is_new else "known",
    }
