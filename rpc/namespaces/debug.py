"""
`debug_`: blocks, transactions and receipts in their consensus encoding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.backend import Backend
from rpc.block_reference import BlockReference, block_reference, find_header
from rpc.errors import Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_access_lists import access_list
from rpc.parameters import required
from rpc.quantities import hash32, to_data

if TYPE_CHECKING:
    from parallelpool.chain import Header


class DebugMethods:
    """Raw encodings."""

    def __init__(self, backend: Backend) -> None:
        self._chain = backend.chain
        self._pool = backend.pool

    def table(self) -> MethodTable:
        """Rows of the method table."""
        at_block = required(block_reference)
        return {
            "debug_getRawHeader": Method(self.get_raw_header, at_block),
            "debug_getRawBlock": Method(self.get_raw_block, at_block),
            "debug_getRawTransaction": Method(self.get_raw_transaction, required(hash32)),
            "debug_getRawReceipts": Method(self.get_raw_receipts, at_block),
            "debug_getRawBlockAccessList": Method(self.get_raw_block_access_list, at_block),
        }

    def get_raw_header(self, reference: BlockReference) -> Json:
        """RLP of a header; `0x` for a number that no block has."""
        header = self._find(reference)
        if header is None:
            return _nothing("header", reference)
        return to_data(header.raw)

    async def get_raw_block(self, reference: BlockReference) -> Json:
        """RLP of a block; `0x` for a number that no block has."""
        header = self._find(reference)
        block = await self._chain.block_by_hash(header.hash) if header is not None else None
        if block is None:
            return _nothing("block", reference)
        return to_data(block.raw)

    async def get_raw_transaction(self, tx_hash: bytes) -> Json:
        """Encoding of a mined or pooled transaction; `0x` if unknown."""
        location = self._chain.transaction_location(tx_hash)
        if location is not None:
            block = await self._chain.block_by_number(location[0])
            if block is not None and block.transactions[location[1]].hash == tx_hash:
                return to_data(block.transactions[location[1]].raw)
        pooled = self._pool.get(tx_hash)
        return to_data(pooled.raw) if pooled is not None else "0x"

    async def get_raw_receipts(self, reference: BlockReference) -> Json:
        """Encodings of a block's receipts; `null` for a number and none for a hash that no block has, as in geth."""
        header = self._find(reference)
        receipts = await self._chain.receipts(header.number) if header is not None else None
        if receipts is None and reference.block_hash is None and reference.number != "pending":
            return None
        return [to_data(receipt.raw) for receipt in receipts or ()]

    async def get_raw_block_access_list(self, reference: BlockReference) -> Json:
        """RLP of a block's access list."""
        raw, _ = await access_list(self._chain, reference)
        return to_data(raw)

    def _find(self, reference: BlockReference) -> Header | None:
        """The header of a mined block: the pending one has no encoding yet."""
        return find_header(self._chain, reference) if reference.number != "pending" else None


def _nothing(what: str, reference: BlockReference) -> Json:
    """geth's answer where there is no such block. Raises RpcError, which writes a hash as Go's list of bytes."""
    if reference.number == "pending":
        raise RpcError(f"pending {what} is not available")
    if reference.block_hash is None:
        return "0x"
    raise RpcError(f"{what} #[{' '.join(map(str, reference.block_hash))}] not found")
