"""The pool in step with heads and time: settling, reorgs, lost news, the journal's upkeep."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from unittest import mock

import pytest

from parallelpool.admission import Admission
from parallelpool.events import EventBus, HeadChanged
from parallelpool.maintain import Maintenance
from parallelpool.transaction import Header, Transaction
from tests.deadline import until
from tests.factories import ETHER, FakeChain, FakeHeader, Key, legacy, limits
from tests.invariants import assert_pool
from tests.parallelpool.test_admission import EngineDecoder

A, B = Key(1), Key(2)


@dataclass
class FakeBlock:
    """A block's transactions."""

    transactions: Sequence[Transaction]


class ChainWithBlocks(FakeChain):
    """A chain whose blocks can be asked for by hash."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: dict[bytes, FakeBlock] = {}

    async def block_by_hash(self, block_hash: bytes, /) -> FakeBlock | None:
        """As set."""
        await asyncio.sleep(0)
        return self.blocks.get(block_hash)

    def block(self, number: int, branch: bytes, *transactions: Transaction) -> Header:
        """A block of a branch, and its header."""
        block_hash = number.to_bytes(31, "big") + branch
        self.blocks[block_hash] = FakeBlock(transactions)
        return cast(Header, FakeHeader(number, block_hash, bytes(32), number, self.gas_limit))  # read as one


@dataclass
class Rig:
    """Everything around the loop that is tested."""

    chain: ChainWithBlocks
    events: EventBus
    admission: Admission
    maintenance: Maintenance
    now: list[float]

    def pending(self, key: Key) -> list[int]:
        """Executable nonces."""
        return [tx.nonce for tx in self.admission.pool.pending_of(key.address)]


def make_rig(datadir: Path | None = None) -> Rig:
    """A pool of two funded accounts."""
    chain, events, now = ChainWithBlocks(), EventBus(), [0.0]
    chain.fund(A, B, balance=100 * ETHER)
    admission = Admission(limits(), chain, events, EngineDecoder(), datadir)
    maintenance = Maintenance(chain, admission, events, rejournal_s=3_600.0, clock=lambda: now[0])
    return Rig(chain, events, admission, maintenance, now)


@pytest.fixture
def rig() -> Rig:
    """Without a journal."""
    return make_rig()


def reorg(rig: Rig, old: Sequence[Transaction], new: Sequence[Transaction], depth: int = 0) -> HeadChanged:
    """The chain leaves a block with `old` for one with `new`; accounts stand as after `new`."""
    removed = rig.chain.block(rig.chain.number, b"a", *old)
    for tx in old:
        rig.chain.state[tx.sender].nonce = 0
        rig.chain.mined.pop(tx.hash, None)
    rig.chain.mine(*new)
    added = rig.chain.block(rig.chain.number + depth, b"b", *new)
    return HeadChanged(added=(added,), removed=(removed,))


async def test_settling_moves_the_pool_once(rig: Rig) -> None:
    """The producer's call drops what was mined; the news of the same head then find nothing to do."""
    rig.admission.pool.add([legacy(A, 0), legacy(A, 1)])
    rig.chain.mine(legacy(A, 0))
    rig.maintenance.settle()
    after = rig.pending(A)
    reads = rig.chain.account_reads
    rig.maintenance.settle()

    assert after == [1]
    assert rig.chain.account_reads == reads
    assert rig.admission.pool.head.number == 1


async def test_news_of_a_head_move_the_pool(rig: Rig) -> None:
    """Published heads are followed without anybody asking."""
    rig.admission.pool.add([legacy(A, 0), legacy(A, 1)])
    running = asyncio.create_task(rig.maintenance.run())
    await until(lambda: rig.events.readers == 1)
    rig.chain.mine(legacy(A, 0))
    rig.events.publish(HeadChanged(added=(rig.chain.block(1, b"a", legacy(A, 0)),), removed=()))
    await until(lambda: rig.pending(A) == [1])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert rig.events.readers == 0


async def test_a_reorg_takes_back_what_the_new_branch_lacks(rig: Rig) -> None:
    """Discarded minus included return through normal admission and count as valid."""
    rig.chain.mine(legacy(A, 0), legacy(B, 0))
    rig.maintenance.settle()
    await rig.maintenance.move(reorg(rig, [legacy(A, 0), legacy(B, 0)], [legacy(B, 0)]))
    assert_pool(rig.admission.pool)

    assert (rig.pending(A), rig.pending(B)) == ([0], [])
    assert rig.admission.pool.statistics().meters.valid == 1


async def test_the_newest_abandoned_block_returns_first(rig: Rig) -> None:
    """As in geth: which of two that exclude each other returns hangs on it."""
    older, newer = [rig.chain.block(number, b"a", legacy(A, number - 1)) for number in (1, 2)]
    rig.chain.number = 2
    added = rig.chain.block(2, b"b")
    taken: list[Sequence[Transaction]] = []
    with mock.patch.object(rig.admission.pool, "resetting", lambda given: map(taken.append, [given])):
        await rig.maintenance.move(HeadChanged(added=(added,), removed=(older, newer)))

    assert taken == [[legacy(A, 1), legacy(A, 0)]]


async def test_a_reorg_puts_returning_ones_in_front_of_what_waits(rig: Rig) -> None:
    """What was executable behind a mined transaction is so again behind the returned one."""
    rig.admission.pool.add([legacy(A, 0), legacy(A, 1)])
    rig.chain.mine(legacy(A, 0))
    rig.maintenance.settle()
    await rig.maintenance.move(reorg(rig, [legacy(A, 0)], []))
    assert_pool(rig.admission.pool)

    assert rig.pending(A) == [0, 1]


async def test_a_chain_cut_back_takes_nothing_back(rig: Rig) -> None:
    """As geth's setHead: followers wait, the discarded are gone."""
    rig.admission.pool.add([legacy(A, 0), legacy(A, 1)])
    rig.chain.mine(legacy(A, 0))
    rig.maintenance.settle()
    change = reorg(rig, [legacy(A, 0)], [])
    await rig.maintenance.move(HeadChanged(added=(), removed=change.removed))
    assert_pool(rig.admission.pool)

    assert rig.pending(A) == []
    assert rig.admission.pool.stats() == (0, 1)


async def test_a_deep_reorg_takes_nothing_back(rig: Rig) -> None:
    """Beyond 64 blocks the state is followed and the discarded stay gone."""
    rig.chain.mine(legacy(A, 0))
    rig.maintenance.settle()
    await rig.maintenance.move(reorg(rig, [legacy(A, 0)], [], depth=64))

    assert rig.pending(A) == []
    assert rig.admission.pool.head.number == rig.chain.number


async def test_a_missing_block_costs_its_own_transactions_only(rig: Rig) -> None:
    """A block of the old branch that cannot be read is passed over, the head is followed."""
    rig.chain.mine(legacy(A, 0))
    rig.maintenance.settle()
    change = reorg(rig, [legacy(A, 0)], [legacy(B, 0)])
    rig.chain.blocks.pop(change.removed[0].hash)
    await rig.maintenance.move(change)

    assert rig.pending(A) == []
    assert rig.admission.pool.head.number == rig.chain.number


def names(folder: Path) -> set[str]:
    """Files of a folder."""
    return {file.name for file in folder.iterdir()}


async def test_an_old_journal_is_rewritten(tmp_path: Path) -> None:
    """After `rejournal` seconds the files are new ones, though nothing grew."""
    rig = make_rig(tmp_path)
    async with rig.admission.serving():
        before = names(tmp_path)
        await rig.maintenance.keep_journal()
        soon = names(tmp_path)
        rig.now[0] = 3_600.0
        await rig.maintenance.keep_journal()
        later = names(tmp_path)

    assert soon == before
    assert not later & before
