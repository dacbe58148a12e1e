"""
`debug_`: blocks, transactions and receipts in their consensus encoding.
"""

from __future__ import annotations

from rpc.backend import Backend
from rpc.block_reference import BlockReference, block_reference, find_header, require_header
from rpc.errors import Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_access_lists import access_list
from rpc.parameters import required
from rpc.quantities import hash32, to_data


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
        """RLP of a header."""
        return to_data(require_header(self._chain, reference).raw)

    async def get_raw_block(self, reference: BlockReference) -> Json:
        """RLP of a block."""
        header = require_header(self._chain, reference)
        block = await self._chain.block_by_hash(header.hash)
        if block is None:
            raise RpcError("header not found")
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
        """Encodings of a block's receipts; `null` for an unknown block."""
        header = find_header(self._chain, reference)
        receipts = await self._chain.receipts(header.number) if header is not None else None
        return [to_data(receipt.raw) for receipt in receipts] if receipts is not None else None

    async def get_raw_block_access_list(self, reference: BlockReference) -> Json:
        """RLP of a block's access list."""
        raw, _ = await access_list(self._chain, reference)
        return to_data(raw)
