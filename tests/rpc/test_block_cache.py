"""Blocks are read once, held within bounds, and never served from another chain."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rpc import block_cache
from rpc.block_cache import BlockCache
from rpc.quantities import to_data
from tests.rpc.client import Client
from tests.rpc.fakes import FakeBlock, FakeLog, FakeNode, FakeReceipt, FakeTransaction, word


@pytest.fixture
def cache(node: FakeNode) -> BlockCache:
    """Over an empty chain."""
    return BlockCache(node.backend.chain)


async def test_a_block_is_read_once(node: FakeNode, cache: BlockCache) -> None:
    """For all who ask at the same time, and for those who ask later."""
    node.chain.append([FakeTransaction()])

    found = await asyncio.gather(*(cache.by_number(1) for _ in range(5)))
    again = await cache.by_number(1)

    assert node.chain.reads == 1
    assert all(mined is again for mined in found)
    assert await cache.by_number(9) is None


async def test_log_positions_count_through_the_block(node: FakeNode, cache: BlockCache) -> None:
    """Each receipt knows where its first log stands."""
    receipts = [FakeReceipt(logs=(FakeLog(),) * count) for count in (2, 0, 3)]
    node.chain.append([FakeTransaction(hash=word(index)) for index in range(3)], receipts)

    mined = await cache.by_number(1)

    assert mined is not None
    assert mined.first_logs == (0, 2, 2)


@pytest.mark.parametrize(("blocks", "transactions", "held"), [(2, 1_000, 2), (100, 3, 3), (100, 0, 1)])
async def test_the_cache_is_bounded(
    node: FakeNode,
    cache: BlockCache,
    monkeypatch: pytest.MonkeyPatch,
    blocks: int,
    transactions: int,
    held: int,
) -> None:
    """By blocks and by transactions; the newest used stay, the last one in any case."""
    monkeypatch.setattr(block_cache, "HELD_BLOCKS", blocks)
    monkeypatch.setattr(block_cache, "HELD_TRANSACTIONS", transactions)
    for _ in range(5):
        node.chain.append([FakeTransaction()])
    for number in range(1, 6):
        await cache.by_number(number)
    reads = node.chain.reads
    for number in range(6 - held, 6):
        await cache.by_number(number)

    assert node.chain.reads == reads
    await cache.by_number(5 - held)
    assert node.chain.reads == reads + 1


async def test_a_failed_read_is_tried_again(node: FakeNode, cache: BlockCache) -> None:
    """The failure reaches its caller and nobody else."""
    node.chain.append([FakeTransaction()])
    good = node.chain.block_by_hash

    async def fail(_block_hash: bytes, /) -> FakeBlock | None:
        raise OSError

    node.chain.block_by_hash = fail  # type: ignore[method-assign]  # for one call
    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        await cache.by_number(1)
    node.chain.block_by_hash = good  # type: ignore[method-assign]  # the real one again

    assert await cache.by_number(1) is not None


def reorganize(node: FakeNode, *transactions: FakeTransaction) -> Callable[..., Any]:
    """A read during which the head is replaced by a block with other transactions."""
    good = node.chain.block_by_hash

    async def read(block_hash: bytes, /) -> FakeBlock | None:
        found = await good(block_hash)
        node.chain.block_by_hash = good  # type: ignore[method-assign]  # only the first time
        node.chain.pop()
        node.chain.append(transactions, salt=1)
        return found

    return read


async def test_a_block_that_left_the_chain_while_it_was_read_is_not_served(
    node: FakeNode, cache: BlockCache
) -> None:
    """Its receipts would be those of the block that took its number."""
    header = node.chain.append([FakeTransaction(hash=word(1))])
    node.chain.block_by_hash = reorganize(node, FakeTransaction(hash=word(2)))  # type: ignore[method-assign]

    assert await cache.by_header(header) is None


async def test_a_transaction_that_moved_while_it_was_looked_up_is_not_mixed_up(node: FakeNode) -> None:
    """Whatever stands in its old place is another one."""
    node.chain.append([FakeTransaction(hash=word(1))])
    location = node.chain.transaction_location

    def look(tx_hash: bytes, /) -> tuple[int, int] | None:
        found = location(tx_hash)
        node.chain.pop()
        node.chain.append([FakeTransaction(hash=word(2))], salt=1)
        return found

    node.chain.transaction_location = look  # type: ignore[method-assign]  # a reorg between two steps

    assert await Client(node).ask("eth_getTransactionReceipt", to_data(word(1))) is None
