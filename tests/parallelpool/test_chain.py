"""The chain as the daemon asks it: blocks made here are answered from memory, and as they are stored."""

from typing import Any

from parallelpool.chain import Receipt
from tests.node_rig import GWEI, accounts, node, raw_transfer, send

LOGGING = "60006000a000"
"""Init code that writes an empty log."""

REVERTING = "60006000fd"
"""Init code that gives up."""


def creation(sender: int, code: str) -> bytes:
    """A signed creation by one of the ten accounts."""
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": 31337,
        "nonce": 0,
        "value": 0,
        "data": "0x" + code,
        "gas": 100_000,
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
    }
    return bytes(accounts()[sender].sign_transaction(transaction).raw_transaction)


def everything(receipt: Receipt) -> tuple[object, ...]:
    """All that a receipt says."""
    logs = tuple((log.address, log.topics, log.data) for log in receipt.logs)
    return (
        receipt.type,
        receipt.success,
        receipt.state_root,
        receipt.cumulative_gas_used,
        receipt.gas_used,
        logs,
        receipt.logs_bloom,
        receipt.contract_address,
        receipt.effective_gas_price,
        receipt.blob_gas_used,
        receipt.raw,
    )


async def test_a_block_made_here_is_answered_as_it_is_stored() -> None:
    """
    Block and receipts that are held are those that the store gives: logs, creations and failures too.
    """
    async with node("manual") as started:
        for raw in (raw_transfer(0, 0), creation(1, LOGGING), creation(2, REVERTING)):
            await send(started, raw)
        header = await started.producer.seal()
        chain = started.chain

        held, stored = await chain.block_by_hash(header.hash), chain.core.block_by_hash(header.hash)
        receipts, kept = await chain.receipts(1), chain.core.receipts(1)

        assert held is not None
        assert stored is not None
        assert (held.raw, held.header.raw) == (stored.raw, stored.header.raw)
        assert [tx.raw for tx in held.transactions] == [tx.raw for tx in stored.transactions]
        assert [tx.sender for tx in held.transactions] == [tx.sender for tx in stored.transactions]
        assert receipts is not None
        assert kept is not None
        assert [everything(receipt) for receipt in receipts] == [everything(receipt) for receipt in kept]
        assert sorted(len(receipt.logs) for receipt in receipts) == [0, 0, 1]
        assert [receipt.success for receipt in receipts].count(False) == 1


async def test_only_the_newest_blocks_are_held_and_older_ones_come_from_the_store() -> None:
    """
    What is held is the same object each time; an older block is read anew and is the same block.
    """
    async with node("manual") as started:
        hashes = [(await started.producer.seal()).hash for _ in range(6)]
        chain = started.chain

        for number, is_held in ((6, True), (3, True), (2, False), (1, False)):
            once, again = await chain.receipts(number), await chain.receipts(number)
            block, same = [await chain.block_by_hash(hashes[number - 1]) for _ in range(2)]
            assert once == again == ()
            assert (block is same) is is_held
            assert block is not None
            assert block.header.number == number


async def test_a_block_that_was_taken_off_is_answered_no_more() -> None:
    """
    What is held of it is of no use then: neither its hash nor its number finds it.
    """
    async with node("manual") as started:
        await send(started, raw_transfer(0, 0))
        header = await started.producer.seal()
        assert await started.chain.block_by_hash(header.hash) is not None

        started.chain.core.revert_to(0)

        assert await started.chain.block_by_hash(header.hash) is None
        assert await started.chain.receipts(1) is None


async def test_a_block_makes_its_transactions_once() -> None:
    """
    Who looks up each transaction of a block does not pay for all of them each time.
    """
    async with node("manual") as started:
        await send(started, raw_transfer(0, 0))
        await started.producer.seal()
        block = await started.chain.block_by_number(1)

        assert block is not None
        assert block.transactions is block.transactions
        assert len(block.transactions) == 1
