"""The daemon's builder follows the pool; what it knows can be asked for."""

import random

import rlp
from eth_utils.crypto import keccak

from config.schema import ExecutionConfig
from parallelpool.batching import Selection
from parallelpool.node import Node
from tests.node_rig import GWEI, accounts, node, raw_transfer, send


def executable(started: Node) -> list[bytes]:
    """What the pool would give a block producer, best first."""
    base_fee = started.chain.next_base_fee()
    return [tx.hash for tx in started.pool.pending_best(base_fee)]


async def test_offers_follow_the_pool_through_all_its_changes() -> None:
    """
    Admissions, replacements, gaps, removals and blocks: each offer holds exactly what the pool says, in its order.
    """
    rng = random.Random(6)
    async with node("manual") as started:
        nonces = [0] * 10
        for step in range(120):
            sender = rng.randrange(10)
            match rng.randrange(8):
                case 0 if nonces[sender]:
                    # More than the price bump that a replacement needs.
                    tip = GWEI * (2 + step)
                    nonce = rng.randrange(nonces[sender])
                    if nonce >= await account_nonce(started, sender):
                        await send(started, raw_transfer(sender, nonce, tip=tip, cap=tip * 10))
                case 1:
                    for tx_hash in executable(started)[-1:]:
                        started.pool.remove(tx_hash)
                        nonces = [started.pool.nonce(key(index)) for index in range(10)]
                case 2 if step % 5 == 0:
                    await started.producer.seal()
                    nonces = [started.pool.nonce(key(index)) for index in range(10)]
                case _:
                    tip = GWEI + rng.randrange(1_000)
                    await send(started, raw_transfer(sender, nonces[sender], tip=tip))
                    nonces[sender] = started.pool.nonce(key(sender))
            offer = await started.batches.current()
            assert [tx.hash for tx in offer.candidates] == executable(started), f"step {step}"
            assert all(access_set.is_known for access_set in offer.access_sets)


def key(index: int) -> bytes:
    """Address of one of the ten accounts."""
    return bytes.fromhex(accounts()[index].address[2:])


async def account_nonce(started: Node, index: int) -> int:
    """The account's nonce at the head."""
    return (await started.chain.account(key(index))).nonce


async def test_what_others_hold_stays_back_with_later_nonces() -> None:
    """
    An excluded transaction takes its sender's later ones along, and the offer says that more exists.
    """
    async with node("manual") as started:
        first = await send(started, raw_transfer(0, 0))
        await send(started, raw_transfer(0, 1))
        other = await send(started, raw_transfer(1, 0))

        offer = await started.batches.current(Selection(exclude_transactions=frozenset((first.hash,))))

        assert [tx.hash for tx in offer.candidates] == [other.hash]
        assert offer.withheld


async def test_a_batch_is_found_by_its_id_after_the_pool_went_on() -> None:
    """
    And the batch of a transaction by its hash, as long as it is on offer.
    """
    async with node("manual") as started:
        sent = [await send(started, raw_transfer(sender, 0)) for sender in range(3)]
        (batch,) = (await started.batches.current()).batches
        home = started.batches.containing(sent[1].hash)
        assert home is not None
        assert home.batch.batch_id == batch.batch_id

        await started.producer.seal()
        await started.batches.current()

        found = started.batches.find(batch.batch_id)
        assert found is not None
        assert {tx.hash for tx in found.transactions} == {tx.hash for tx in sent}
        assert started.batches.containing(sent[1].hash) is None
        assert started.batches.find(bytes(32)) is None


async def test_dependencies_name_the_reason() -> None:
    """
    A later nonce follows the earlier one over the sender's nonce; a sender's own nonces are no hot spot.
    """
    async with node("manual") as started:
        first = await send(started, raw_transfer(0, 0))
        second = await send(started, raw_transfer(0, 1))
        alone = await send(started, raw_transfer(1, 0))

        (edge,) = await started.batches.dependencies(second.hash, 10) or ()

        assert (edge.hash, edge.address, edge.field) == (first.hash, key(0), "nonce")
        assert await started.batches.dependencies(alone.hash, 10) == ()
        assert await started.batches.dependencies(bytes(32), 10) is None
        assert await started.batches.hottest(10, by="slot") == ()


async def test_verification_tells_an_antichain_from_a_chain() -> None:
    """
    Three senders may run in any order; two nonces of one sender may not, and the conflict is named.
    """
    async with node("manual") as started:
        batch = [await started.ingress.decode(raw_transfer(sender, 0)) for sender in range(3)]
        later = await started.ingress.decode(raw_transfer(0, 1))

        good = await started.batches.verify(batch, orders=6)
        bad = await started.batches.verify([*batch, later])

        assert (good.is_valid, good.orders, good.conflicts, good.divergence) == (True, 6, (), None)
        assert good.gas_used == 3 * 21_000
        assert not bad.is_valid
        ((a, b, address, field, slot, kind_a, kind_b),) = bad.conflicts
        assert (a, b, address, field, slot) == (batch[0].hash, later.hash, key(0), "nonce", None)
        assert (kind_a, kind_b) == ("write", "write")
        assert bad.divergence is not None
        assert bad.divergence[2] == "validity"


async def seal_transfers(started: Node, senders: int, nonces: int) -> int:
    """Seals a block of that many senders' transfers; returns the batch size of the next plan."""
    for sender in range(senders):
        first = await account_nonce(started, sender)
        for nonce in range(first, first + nonces):
            await send(started, raw_transfer(sender, nonce))
    header = await started.producer.seal()
    assert header.gas_used == senders * nonces * 21_000
    await started.batches.current()
    return started.batches.figures().batch_size


async def test_an_adaptive_batch_size_follows_what_execution_observed() -> None:
    """
    It grows after a calm block, stays after one that few senders' chains rule, and goes on from what is set.
    """
    parallel = ExecutionConfig(mode="parallel")
    async with node("manual", adaptive=True, execution=parallel) as started:
        assert started.batches.batch_size == 64
        assert await seal_transfers(started, 10, 8) == 80
        assert await seal_transfers(started, 2, 40) == 80
        assert await seal_transfers(started, 10, 2) == 80, "too few to tell"
        assert await seal_transfers(started, 10, 8) == 96

        started.batches.set_batch_size(250)
        assert await seal_transfers(started, 10, 8) == 256, "the most that a batch may have"


async def test_a_batch_size_stays_where_nothing_can_be_learned() -> None:
    """
    Without the setting, and where blocks are executed serially, which throws nothing away.
    """
    async with node("manual", execution=ExecutionConfig(mode="parallel")) as started:
        assert await seal_transfers(started, 10, 8) == 64
    async with node("manual", adaptive=True, execution=ExecutionConfig(mode="serial")) as started:
        assert await seal_transfers(started, 10, 8) == 64


async def test_batch_ids_can_be_computed_by_anybody() -> None:
    """
    They are the Keccak hash of the RLP list that docs/batching.md names, by another implementation of both.
    """
    async with node("manual") as started:
        for sender in range(5):
            await send(started, raw_transfer(sender, 0))
            await send(started, raw_transfer(sender, 1))
        offer = await started.batches.current()

    assert [len(batch.transactions) for batch in offer.batches] == [5, 5]
    for batch in offer.batches:
        hashes = [tx.hash for tx in batch.transactions]
        content = [1, 31337, offer.parent.hash, batch.kind.encode(), hashes]
        assert batch.batch_id == batch.batchId == keccak(rlp.encode(content))
