"""
The newest blocks with their receipts, as receipt and log lookups need them.

A wallet that polls for a receipt asks for one transaction of a block; reading the whole block each time would
cost its size. Blocks are held by hash, so a replaced block is never served under its number.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelpool.chain import Block, Header, Receipt
    from rpc.backend import Chain

HELD_BLOCKS = 64
HELD_TRANSACTIONS = 50_000
"""Bounds of the cache; whichever is reached first."""


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A canonical block, its receipts, and what follows from them."""

    block: Block
    receipts: tuple[Receipt, ...]
    first_logs: tuple[int, ...]
    """Index in the block of the first log of each transaction."""
    blob_base_fee: int | None

    @classmethod
    def of(cls, block: Block, receipts: tuple[Receipt, ...], blob_base_fee: int | None) -> MinedBlock:
        """Counts the logs."""
        counts = accumulate((len(receipt.logs) for receipt in receipts), initial=0)
        return cls(block, receipts, tuple(counts)[:-1], blob_base_fee)


class BlockCache:
    """Reads canonical blocks once for all who ask at the same time, and keeps the newest used."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._held: OrderedDict[bytes, MinedBlock] = OrderedDict()
        self._reading: dict[bytes, asyncio.Future[None]] = {}
        self._transactions = 0

    async def by_number(self, number: int) -> MinedBlock | None:
        """A canonical block; `None` if there is none."""
        header = self._chain.header_by_number(number)
        return await self.by_header(header) if header is not None else None

    async def by_header(self, header: Header) -> MinedBlock | None:
        """The block of a canonical header; `None` if it is canonical no longer."""
        while (reading := self._reading.get(header.hash)) is not None:
            await asyncio.shield(reading)
        held = self._held.get(header.hash)
        if held is not None:
            self._held.move_to_end(header.hash)
            return held
        done = self._reading[header.hash] = asyncio.get_running_loop().create_future()
        try:
            mined = await self._load(header)
            if mined is not None:
                self._keep(mined)
            return mined
        finally:
            del self._reading[header.hash]
            done.set_result(None)

    async def _load(self, header: Header) -> MinedBlock | None:
        block = await self._chain.block_by_hash(header.hash)
        receipts = await self._chain.receipts(header.number)
        still_canonical = self._chain.header_by_number(header.number)
        if (
            block is None
            or receipts is None
            or still_canonical is None
            or still_canonical.hash != header.hash
        ):
            return None
        blob_base_fee = (
            self._chain.blob_base_fee(header.number) if header.excess_blob_gas is not None else None
        )
        return MinedBlock.of(block, receipts, blob_base_fee)

    def _keep(self, mined: MinedBlock) -> None:
        """Adds a block and drops the least used beyond the bounds."""
        self._held[mined.block.header.hash] = mined
        self._transactions += len(mined.block.transactions)
        while len(self._held) > 1 and (
            len(self._held) > HELD_BLOCKS or self._transactions > HELD_TRANSACTIONS
        ):
            _, dropped = self._held.popitem(last=False)
            self._transactions -= len(dropped.block.transactions)
