"""
`eth_`: blocks, transactions and receipts by number, hash and index.

What is not there is `null`; an unknown raw transaction is `"0x"`, as in geth.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rpc import views
from rpc.backend import Backend
from rpc.block_cache import BlockCache, MinedBlock
from rpc.block_reference import (
    BlockNumber,
    BlockReference,
    block_number,
    block_reference,
    find_header,
    header_by_number,
)
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import boolean, hash32, index, to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.chain import Block

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
"""Root of a trie without entries."""


class BlockMethods:
    """Lookups of what was mined, and of what waits in the pool."""

    def __init__(self, backend: Backend, blocks: BlockCache) -> None:
        self._chain = backend.chain
        self._pool = backend.pool
        self._blocks = blocks

    def table(self) -> MethodTable:
        """Rows of the method table."""
        by_number, by_hash = required(block_number), required(hash32)
        number_and_index, hash_and_index = required(block_number, index), required(hash32, index)
        return {
            "eth_getBlockByNumber": Method(self.get_block_by_number, required(block_number, boolean)),
            "eth_getBlockByHash": Method(self.get_block_by_hash, required(hash32, boolean)),
            "eth_getHeaderByNumber": Method(self.get_header_by_number, by_number),
            "eth_getHeaderByHash": Method(self.get_header_by_hash, by_hash),
            "eth_getBlockTransactionCountByNumber": Method(self.count_by_number, by_number),
            "eth_getBlockTransactionCountByHash": Method(self.count_by_hash, by_hash),
            "eth_getUncleCountByBlockNumber": Method(self.uncle_count_by_number, by_number),
            "eth_getUncleCountByBlockHash": Method(self.uncle_count_by_hash, by_hash),
            "eth_getUncleByBlockNumberAndIndex": Method(self.uncle_by_number, number_and_index),
            "eth_getUncleByBlockHashAndIndex": Method(self.uncle_by_hash, hash_and_index),
            "eth_getTransactionByHash": Method(self.get_transaction_by_hash, by_hash),
            "eth_getTransactionByBlockNumberAndIndex": Method(self.transaction_by_number, number_and_index),
            "eth_getTransactionByBlockHashAndIndex": Method(self.transaction_by_hash, hash_and_index),
            "eth_getRawTransactionByHash": Method(self.get_raw_transaction, by_hash),
            "eth_getRawTransactionByBlockNumberAndIndex": Method(self.raw_by_number, number_and_index),
            "eth_getRawTransactionByBlockHashAndIndex": Method(self.raw_by_hash, hash_and_index),
            "eth_getTransactionReceipt": Method(self.get_transaction_receipt, by_hash, is_hot=True),
            "eth_getBlockReceipts": Method(self.get_block_receipts, required(block_reference)),
        }

    # -- blocks

    async def get_block_by_number(self, number: BlockNumber, full: bool) -> Json:
        """A block, with hashes or whole transactions."""
        if number == "pending":
            return self._pending_block()
        return _block(await self._by_number(number), full=full)

    async def get_block_by_hash(self, block_hash: bytes, full: bool) -> Json:
        """The same by hash."""
        return _block(await self._chain.block_by_hash(block_hash), full=full)

    def get_header_by_number(self, number: BlockNumber) -> Json:
        """A block's header fields; the pending block has none, as in geth."""
        header = header_by_number(self._chain, number) if number != "pending" else None
        return views.header_fields(header) if header is not None else None

    def get_header_by_hash(self, block_hash: bytes) -> Json:
        """The same by hash."""
        header = self._chain.header_by_hash(block_hash)
        return views.header_fields(header) if header is not None else None

    async def count_by_number(self, number: BlockNumber) -> Json:
        """How many transactions a block has; the pending one is known without any."""
        return "0x0" if number == "pending" else _count(await self._by_number(number))

    async def count_by_hash(self, block_hash: bytes) -> Json:
        """The same by hash."""
        return _count(await self._chain.block_by_hash(block_hash))

    async def _by_number(self, number: BlockNumber) -> Block | None:
        header = header_by_number(self._chain, number)
        return await self._chain.block_by_hash(header.hash) if header is not None else None

    def _pending_block(self) -> Json:
        """
        The next block as far as it is certain: on the head, with the next base fee, and without transactions.

        Which transactions it will have is decided when it is sealed.
        """
        head = self._chain.head()
        view = views.header_fields(head)
        base_fee = self._chain.next_base_fee()
        view |= {
            "number": to_quantity(head.number + 1),
            "parentHash": to_data(head.hash),
            "timestamp": to_quantity(max(int(time.time()), head.timestamp + 1)),
            "gasUsed": "0x0",
            "logsBloom": to_data(bytes(256)),
            "receiptsRoot": EMPTY_ROOT,
            "transactionsRoot": EMPTY_ROOT,
            "hash": None,
            "miner": None,
            "nonce": None,
            "size": to_quantity(len(head.raw)),
            "transactions": [],
            "uncles": [],
        }
        if base_fee is not None:
            view["baseFeePerGas"] = to_quantity(base_fee)
        if head.blob_gas_used is not None:
            view["blobGasUsed"] = "0x0"
        if head.withdrawals_root is not None:
            view |= {"withdrawals": [], "withdrawalsRoot": EMPTY_ROOT}
        return dict(sorted(view.items()))

    # -- uncles

    async def uncle_count_by_number(self, number: BlockNumber) -> Json:
        """How many uncles a block has."""
        return _uncle_count(await self._by_number(number))

    async def uncle_count_by_hash(self, block_hash: bytes) -> Json:
        """The same by hash."""
        return _uncle_count(await self._chain.block_by_hash(block_hash))

    async def uncle_by_number(self, number: BlockNumber, position: int) -> Json:
        """One uncle as a block without a body."""
        return _uncle(await self._by_number(number), position)

    async def uncle_by_hash(self, block_hash: bytes, position: int) -> Json:
        """The same by hash."""
        return _uncle(await self._chain.block_by_hash(block_hash), position)

    # -- transactions

    async def get_transaction_by_hash(self, tx_hash: bytes) -> Json:
        """A mined or pooled transaction."""
        found = await self._mined(tx_hash)
        if found is not None:
            return _transaction(found[0].block, found[1])
        pooled = self._pool.get(tx_hash)
        return views.transaction(pooled) if pooled is not None else None

    async def transaction_by_number(self, number: BlockNumber, position: int) -> Json:
        """A mined transaction by its place."""
        return _transaction(await self._by_number(number), position) if number != "pending" else None

    async def transaction_by_hash(self, block_hash: bytes, position: int) -> Json:
        """The same by block hash."""
        return _transaction(await self._chain.block_by_hash(block_hash), position)

    async def get_raw_transaction(self, tx_hash: bytes) -> Json:
        """The encoding of a mined or pooled transaction; `0x` if unknown."""
        found = await self._mined(tx_hash)
        if found is not None:
            return to_data(found[0].block.transactions[found[1]].raw)
        pooled = self._pool.get(tx_hash)
        return to_data(pooled.raw) if pooled is not None else "0x"

    async def raw_by_number(self, number: BlockNumber, position: int) -> Json:
        """The encoding of a mined transaction by its place; `0x` if unknown."""
        return _raw_transaction(await self._by_number(number), position) if number != "pending" else "0x"

    async def raw_by_hash(self, block_hash: bytes, position: int) -> Json:
        """The same by block hash."""
        return _raw_transaction(await self._chain.block_by_hash(block_hash), position)

    # -- receipts

    async def get_transaction_receipt(self, tx_hash: bytes) -> Json:
        """The receipt of a mined transaction; `null` while it is pooled or unknown."""
        found = await self._mined(tx_hash)
        return receipt_view(*found) if found is not None else None

    async def get_block_receipts(self, block: BlockReference) -> Json:
        """All receipts of a block; none for the pending one, `null` for an unknown one."""
        if block.number == "pending":
            return []
        header = find_header(self._chain, block)
        mined = await self._blocks.by_header(header) if header is not None else None
        if mined is None:
            return None
        return list(views.block_receipts(mined.block, mined.receipts, mined.blob_base_fee))

    async def _mined(self, tx_hash: bytes) -> tuple[MinedBlock, int] | None:
        location = self._chain.transaction_location(tx_hash)
        if location is None:
            return None
        number, position = location
        mined = await self._blocks.by_number(number)
        if mined is None or position >= len(mined.block.transactions):
            return None
        # The chain may have moved between the index and the block.
        return (mined, position) if mined.block.transactions[position].hash == tx_hash else None


def receipt_view(mined: MinedBlock, position: int) -> dict[str, Json]:
    """The receipt of one transaction of a block."""
    return views.receipt(
        mined.receipts[position],
        mined.block.transactions[position],
        views.Place.of(mined.block.header, position),
        mined.first_logs[position],
        mined.blob_base_fee,
    )


def _block(mined: Block | None, *, full: bool) -> Json:
    return views.block(mined, full=full) if mined is not None else None


def _count(mined: Block | None) -> Json:
    return to_quantity(len(mined.transactions)) if mined is not None else None


def _uncle_count(mined: Block | None) -> Json:
    return to_quantity(len(mined.ommers)) if mined is not None else None


def _uncle(mined: Block | None, position: int) -> Json:
    if mined is None or position >= len(mined.ommers):
        return None
    return views.uncle(mined.ommers[position].header)


def _transaction(mined: Block | None, position: int) -> Json:
    if mined is None or position >= len(mined.transactions):
        return None
    return views.transaction(mined.transactions[position], views.Place.of(mined.header, position))


def _raw_transaction(mined: Block | None, position: int) -> Json:
    if mined is None or position >= len(mined.transactions):
        return "0x"
    return to_data(mined.transactions[position].raw)
