"""Which accounts blocks changed, as the real chain tells the pool, and the pool on it."""

from parallelpool.node import Node
from tests.invariants import assert_pool
from tests.node_rig import accounts, node, raw_transfer, send

FRESH = bytes(range(200, 220))


def address(index: int) -> bytes:
    """Of one of the ten accounts."""
    return bytes.fromhex(accounts()[index].address[2:])


def changed(started: Node, number: int) -> set[bytes] | None:
    """What the chain says about all blocks after `number`."""
    header = started.chain.header_by_number(number)
    assert header is not None
    told = started.chain.accounts_changed_since(number, header.hash)
    assert told is None or len(told) == len(set(told))
    return None if told is None else set(told)


async def test_senders_recipients_and_the_beneficiary_are_told() -> None:
    """Two blocks: one account in the first, two in the second; who did nothing is not told."""
    async with node() as started:
        beneficiary = started.config.miner.etherbase
        await send(started, raw_transfer(0, 0, to=FRESH))
        await started.producer.seal()
        await send(started, raw_transfer(1, 0))
        await send(started, raw_transfer(2, 0))
        await started.producer.seal()
        both, second, none = changed(started, 0), changed(started, 1), changed(started, 2)
        assert_pool(started.pool)

        assert second is not None
        assert both is not None
        assert {address(1), address(2)} <= second
        assert not second & {address(0), FRESH, address(3)}
        assert both >= second | {address(0), FRESH, beneficiary}
        assert none == set()


async def test_other_blocks_and_old_ones_are_not_answered() -> None:
    """A hash that is not canonical, a number above the head, and more than 64 blocks back."""
    async with node() as started:
        genesis = started.chain.head().hash
        for _ in range(65):
            await started.producer.seal()
        chain = started.chain

        assert chain.accounts_changed_since(0, genesis) is None
        assert changed(started, 1) is not None
        assert chain.accounts_changed_since(1, genesis) is None
        assert chain.accounts_changed_since(66, genesis) is None


async def test_many_locations_are_those_of_each() -> None:
    """Mined and unknown hashes in one question."""
    async with node() as started:
        mined = [await send(started, raw_transfer(sender, 0)) for sender in range(3)]
        await started.producer.seal()
        hashes = [*(tx.hash for tx in mined), bytes(32)]
        found = started.chain.transaction_locations(hashes)

        assert found == [started.chain.transaction_location(tx_hash) for tx_hash in hashes]
        assert found[3] is None
        assert sorted(place for place in found if place is not None) == [(1, 0), (1, 1), (1, 2)]
