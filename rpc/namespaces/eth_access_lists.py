"""
`eth_`: what a block touched and left behind (EIP-7928), as the execution API specification shapes it.

Lists are not stored: the engine executes the block again, so a list costs what the block cost, and can be had
for blocks of every fork as long as the state of their parent is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelpool.chain import StateUnavailable
from rpc.backend import Backend
from rpc.block_reference import BlockNumber, BlockReference, block_number, block_reference, find_header
from rpc.errors import BLOCK_NOT_FOUND, PRUNED_HISTORY, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import hash32, to_data, to_quantity

if TYPE_CHECKING:
    from rpc.backend import AccountAccesses, BlockAccessList, Chain


class AccessListMethods:
    """Block access lists by number, tag or hash."""

    def __init__(self, backend: Backend) -> None:
        self._chain = backend.chain

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "eth_getBlockAccessList": Method(self.get_block_access_list, required(block_reference)),
            "eth_getBlockAccessListByBlockNumber": Method(self.by_number, required(block_number)),
            "eth_getBlockAccessListByBlockHash": Method(self.by_hash, required(hash32)),
        }

    async def get_block_access_list(self, block: BlockReference) -> Json:
        """The list of a block."""
        _, accounts = await access_list(self._chain, block)
        return [account_view(account) for account in accounts]

    async def by_number(self, number: BlockNumber) -> Json:
        """The same by number or tag."""
        return await self.get_block_access_list(BlockReference(number=number))

    async def by_hash(self, block_hash: bytes) -> Json:
        """The same by hash."""
        return await self.get_block_access_list(BlockReference(block_hash=block_hash))


async def access_list(chain: Chain, block: BlockReference) -> BlockAccessList:
    """The encoding and the accounts of a mined block's list. Raises RpcError if it cannot be had."""
    header = find_header(chain, block) if block.number != "pending" else None
    try:
        found = await chain.block_access_list(header.number) if header is not None else None
    except StateUnavailable as error:
        raise RpcError("pruned history unavailable", code=PRUNED_HISTORY) from error
    if found is None:
        raise RpcError("block not found", code=BLOCK_NOT_FOUND)
    return found


def account_view(account: AccountAccesses) -> dict[str, Json]:
    """One account of a list."""
    address, slots, reads, balances, nonces, codes = account
    return {
        "address": to_data(address),
        "storageChanges": [
            {
                "key": to_data(slot),
                "changes": [
                    {"index": to_quantity(index), "value": to_data(value)} for index, value in changes
                ],
            }
            for slot, changes in slots
        ],
        "storageReads": [to_data(slot) for slot in reads],
        "balanceChanges": [
            {"index": to_quantity(index), "value": to_quantity(value)} for index, value in balances
        ],
        "nonceChanges": [
            {"index": to_quantity(index), "value": to_quantity(value)} for index, value in nonces
        ],
        "codeChanges": [{"index": to_quantity(index), "code": to_data(code)} for index, code in codes],
    }
