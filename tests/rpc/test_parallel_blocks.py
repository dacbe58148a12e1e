"""`parallel_submitBlock` on the real engine: two daemons of one chain, where one builds for the other."""

from collections.abc import AsyncIterator

import pytest

from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.parallel_rig import send, transfers


@pytest.fixture
async def builder() -> AsyncIterator[Dev]:
    """Another daemon on the same genesis."""
    async with dev_node() as node:
        yield node


async def built(builder: Dev, *raw: bytes) -> str:
    """A block with these transactions, made by the other daemon; its RLP."""
    await send(builder, *raw)
    made = await builder.ask("dev_mine")
    block: str = await builder.ask("debug_getRawBlock", made["number"])
    return block


async def test_a_block_made_elsewhere_becomes_the_head(dev: Dev, builder: Dev) -> None:
    """What it mined leaves the pool; what it did not know stays, and goes into the next block."""
    hashes = await send(dev, *transfers(4))
    block = await built(builder, *transfers(3))

    placement = await dev.ask("parallel_submitBlock", block)

    head = await dev.ask("eth_getBlockByNumber", "latest", False)
    assert placement == {
        "number": "0x1",
        "blockHash": head["hash"],
        "stateRoot": head["stateRoot"],
        "gasUsed": hex(3 * 21_000),
        "status": "imported",
    }
    assert head["hash"] == (await builder.ask("eth_getBlockByNumber", "latest", False))["hash"]
    assert sorted(head["transactions"]) == sorted(hashes[:3])
    assert await dev.ask("txpool_status") == {"pending": "0x1", "queued": "0x0"}
    await dev.ask("dev_mine")
    assert (await dev.ask("eth_getBlockByNumber", "latest", False))["transactions"] == hashes[3:]


async def test_a_block_may_be_submitted_again(dev: Dev, builder: Dev) -> None:
    """Whoever lost the answer asks once more and is told that it is known."""
    block = await built(builder, *transfers(1))
    first = await dev.ask("parallel_submitBlock", block)

    assert await dev.ask("parallel_submitBlock", block) == {**first, "status": "known"}


async def test_a_block_on_another_parent_is_stale(dev: Dev, builder: Dev) -> None:
    """The builder learns the head that it has to build on; nothing is stored."""
    block = await built(builder, *transfers(1))
    await dev.ask("dev_mine")
    head = (await dev.ask("eth_getBlockByNumber", "latest", False))["hash"]

    assert await dev.fail("parallel_submitBlock", block) == (3001, "stale head", {"head": head})
    assert await dev.ask("eth_blockNumber") == "0x1"


async def test_a_block_that_lies_is_refused_with_the_reason(dev: Dev, builder: Dev) -> None:
    """Its state root is what its execution comes to, or it is no block of this chain."""
    header = await builder.ask("eth_getBlockByNumber", "latest", False)
    block = await built(builder, *transfers(1))
    true_root = (await builder.ask("eth_getBlockByNumber", "latest", False))["stateRoot"]

    code, message, data = await dev.fail(
        "parallel_submitBlock", block.replace(true_root[2:], header["stateRoot"][2:])
    )

    assert (code, data) == (-32000, None)
    assert message.startswith("block 1 refused: invalid merkle root")
    assert await dev.ask("eth_blockNumber") == "0x0"


@pytest.mark.parametrize("junk", ["0x", "0xc0", "0x80", "0xf9ffff00"])
async def test_what_is_no_block_is_refused(dev: Dev, junk: str) -> None:
    """Without a word about a stale head."""
    code, _, data = await dev.fail("parallel_submitBlock", junk)

    assert (code, data) == (-32000, None)
