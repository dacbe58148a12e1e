"""From the pool to sealed blocks: sealing modes, batches, execution, and what stays behind."""

import json
from pathlib import Path
from typing import NoReturn, cast

import pytest

from parallelpool.batching import Batches, Selection
from parallelpool.chain import CoreInvalidArgument
from parallelpool.producer import Producer, SealingPolicy, UnknownBatch
from tests.node_rig import GWEI, accounts, node, raw_transfer, send, wait_until
from tests.rpc.dev_node import dev_node


async def test_manual_mode_seals_only_when_told() -> None:
    """
    Transactions wait; a sealed block takes them all and moves the pool.
    """
    async with node("manual") as started:
        sent = [await send(started, raw_transfer(sender, 0)) for sender in range(3)]
        assert started.chain.head().number == 0
        assert started.pool.stats() == (3, 0)

        header = await started.producer.seal()

        assert header.number == started.chain.head().number == 1
        assert started.pool.stats() == (0, 0)
        assert {started.chain.transaction_location(tx.hash) for tx in sent} == {(1, 0), (1, 1), (1, 2)}


async def test_manual_mode_seals_an_empty_block_on_request() -> None:
    """
    As anvil's and geth's developers expect of `mine`.
    """
    async with node("manual") as started:
        header = await started.producer.seal()

    assert (header.number, header.gas_used) == (1, 0)


async def test_instant_mode_seals_each_transaction() -> None:
    """
    A block follows each transaction without being asked for, and no empty one comes after it.
    """
    async with node("instant") as started:
        for nonce in range(3):
            await send(started, raw_transfer(0, nonce))
            await wait_until(lambda: started.pool.stats() == (0, 0))

        assert 1 <= started.chain.head().number <= 3
        assert (await started.chain.account(bytes.fromhex(accounts()[0].address[2:]))).nonce == 3


async def test_batch_mode_seals_after_a_while_without_a_full_batch() -> None:
    """
    The first transaction waits half a second at most.
    """
    async with node("batch") as started:
        await send(started, raw_transfer(0, 0))
        await send(started, raw_transfer(1, 0))
        await wait_until(lambda: started.chain.head().number == 1)

        assert started.pool.stats() == (0, 0)


async def test_a_transaction_that_cannot_pay_the_base_fee_waits_and_blocks_nobody() -> None:
    """
    It stays pending; the producer does not spin on it, and others are sealed.
    """
    async with node("instant") as started:
        waiting = await send(started, raw_transfer(0, 0, tip=1, cap=2))
        await send(started, raw_transfer(1, 0))
        await wait_until(lambda: started.chain.head().number == 1)

        assert waiting.hash in started.pool
        assert started.chain.head().number == 1


class NoPlans:
    """Stands in for the batches where none may be planned."""

    batch_size = 64

    async def current(self) -> NoReturn:
        """Nobody may ask."""
        raise AssertionError("planned")


async def test_a_transaction_alone_is_sealed_without_a_plan() -> None:
    """
    There is nothing to arrange, nor in an empty block; two transactions are planned.
    """
    async with node("manual") as started:
        producer = Producer(
            started.chain,
            cast(Batches, NoPlans()),
            started.executor,
            started.events,
            SealingPolicy("manual", 0.0),
            executable=lambda: started.pool.stats()[0],
            best=started.pool.pending_best,
            settle=lambda _: started.pool.reset(),
        )
        parked = await send(started, raw_transfer(1, 0, tip=1, cap=2))
        alone = await send(started, raw_transfer(0, 0))

        await producer.seal()
        empty = await producer.seal()

        assert started.chain.transaction_location(alone.hash) == (1, 0)
        assert (empty.number, empty.gas_used) == (2, 0)
        assert parked.hash in started.pool
        figures = producer.statistics()
        assert (figures.blocks, figures.total_processed, figures.successfully_batched) == (2, 1, 0)
        for nonce in (1, 2):
            await send(started, raw_transfer(0, nonce))
        with pytest.raises(AssertionError, match="planned"):
            await producer.seal()


async def test_batches_are_executed_by_id_and_the_rest_waits() -> None:
    """
    Two levels: the first nonces of all senders, then the second ones.
    """
    async with node("manual") as started:
        for nonce in range(2):
            for sender in range(4):
                await send(started, raw_transfer(sender, nonce))
        offer = await started.batches.current()
        first, second = offer.batches
        assert [tx.nonce for tx in first.transactions] == [0] * 4
        assert first.batchId == first.batch_id

        execution = await started.producer.execute_batches([first.batch_id], dry_run=False, compare=True)

        assert len(execution.hashes) == 4
        assert execution.state_root == execution.serial_state_root == started.chain.head().state_root
        assert started.pool.stats() == (4, 0)
        with pytest.raises(UnknownBatch):
            await started.producer.execute_batches([second.batch_id], dry_run=False, compare=False)


async def test_a_dry_run_changes_nothing() -> None:
    """
    Figures come back, the head and the pool stay.
    """
    async with node("manual") as started:
        await send(started, raw_transfer(0, 0))
        execution = await started.producer.execute_batches(None, dry_run=True, compare=False)

        assert execution.block_hash is None
        assert len(execution.hashes) == 1
        assert (started.chain.head().number, started.pool.stats()) == (0, (1, 0))


async def test_figures_follow_the_pool_without_being_asked_for() -> None:
    """
    Planning runs by itself: the metrics page shows batches that nobody has pulled.
    """
    async with node("manual") as started:
        for sender in range(5):
            await send(started, raw_transfer(sender, 0))
        await wait_until(lambda: started.batches.figures().parallelizable == 5)

        await started.producer.seal()
        await wait_until(lambda: started.batches.figures().batches == 0)


async def test_a_selection_bounds_the_candidates() -> None:
    """
    Budgets, senders, least tip and excluded accounts; what stays back is said.
    """
    async with node("manual") as started:
        target = bytes.fromhex("77" * 20)
        for sender in range(4):
            await send(started, raw_transfer(sender, 0, tip=(sender + 1) * GWEI // 10))
        await send(started, raw_transfer(4, 0, to=target))
        senders = frozenset({bytes.fromhex(accounts()[1].address[2:])})

        by_gas = await started.batches.current(Selection(max_gas=42_000))
        by_count = await started.batches.current(Selection(max_transactions=3))
        by_tip = await started.batches.current(Selection(min_tip=3 * GWEI // 10))
        by_sender = await started.batches.current(Selection(senders=senders))
        without = await started.batches.current(Selection(exclude_addresses=frozenset({target})))

        assert (len(by_gas.candidates), by_gas.withheld) == (2, True)
        assert by_count.candidates[0].sender == bytes.fromhex(accounts()[4].address[2:])
        assert (len(by_count.candidates), by_count.withheld) == (3, True)
        assert (len(by_tip.candidates), by_tip.withheld) == (3, True)
        assert [tx.sender for tx in by_sender.candidates] == list(senders)
        assert (len(without.candidates), without.withheld) == (4, True)


async def test_a_verdict_names_what_a_transaction_would_conflict_with() -> None:
    """
    A second transaction of the same account is not compared with its own; an observer of nobody is parallel.
    """
    async with node("manual") as started:
        pending = await send(started, raw_transfer(0, 0))
        other = await started.ingress.decode(raw_transfer(1, 0))
        verdict = await started.batches.verdict(other)

        assert verdict.is_parallelizable
        assert verdict.compared_with == 1
        own = await started.batches.verdict(pending)
        assert own.compared_with == 0


async def test_the_batch_size_has_its_bounds() -> None:
    """
    64 to 256, as the flag.
    """
    async with node("manual") as started:
        started.batches.set_batch_size(256)
        for refused in (0, 63, 257):
            with pytest.raises(ValueError, match="from 64 to 256"):
                started.batches.set_batch_size(refused)

        assert started.batches.batch_size == 256


async def test_the_pool_and_the_chain_are_there_after_an_orderly_restart(tmp_path: Path) -> None:
    """
    A sealed transaction is history, a pending one is pending again.
    """
    async with node("manual", datadir=tmp_path) as started:
        sealed = await send(started, raw_transfer(0, 0))
        await started.producer.seal()
        waiting = await send(started, raw_transfer(0, 1))

    async with node("manual", datadir=tmp_path) as started:
        assert started.chain.head().number == 1
        assert started.chain.transaction_location(sealed.hash) == (1, 0)
        assert waiting.hash in started.pool
        await started.producer.seal()
        assert started.chain.transaction_location(waiting.hash) == (2, 0)


async def test_attributes_that_break_a_rule_are_refused_by_name() -> None:
    """
    The engine checks what the producer chooses.
    """
    async with node("manual") as started:
        head = started.chain.head()
        attributes = started.producer.attributes(head)
        assert attributes is not None
        with pytest.raises(CoreInvalidArgument, match="mode must be serial, parallel or auto"):
            await started.chain.build(attributes, [], "sideways")


async def test_the_first_block_of_london_has_twice_the_gas_limit(tmp_path: Path) -> None:
    """
    Sealing and looking ahead cross the fork; before and after it the gas limit moves by a 1024th at most.
    """
    before_london = (
        "homesteadBlock eip150Block eip155Block eip158Block byzantiumBlock constantinopleBlock "
        "petersburgBlock istanbulBlock berlinBlock"
    )
    genesis = tmp_path / "genesis.json"
    forks = dict.fromkeys(before_london.split(), 0) | {"londonBlock": 2}
    balance = {accounts()[0].address: {"balance": hex(10**20)}}
    document = {"config": {"chainId": 31337, **forks}, "gasLimit": hex(30_720_000), "alloc": balance}
    genesis.write_text(json.dumps(document | {"difficulty": "0x1", "timestamp": "0x1", "extraData": "0x"}))
    async with dev_node(genesis) as dev:
        limits = [(await dev.ask("dev_mine"), dev.chain.head().gas_limit)[1] for _ in range(3)]

        assert limits[0] - 30_720_000 == 29_999
        assert abs(limits[1] - 2 * limits[0]) < 2 * limits[0] // 1024
        assert dev.chain.head().base_fee_per_gas == 10**9 - 10**9 // 8
