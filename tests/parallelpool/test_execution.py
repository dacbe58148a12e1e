"""The production self-check: a parallel block that differs from the serial one is found and never stored."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config import NodeConfig
from config.schema import ExecutionConfig
from parallelpool import explain, replay
from parallelpool.chain import (
    Block,
    BlockAttributes,
    BlockRefused,
    BuiltBlock,
    CoreDivergence,
    CoreInvalidArgument,
    EmbeddedChain,
    ExecutionStatistics,
    Header,
)
from parallelpool.execution import Executor, SelfCheck
from parallelpool.node import Node
from parallelpool.replay import ReplayOptions
from parallelpool.transaction import Transaction
from tests.node_rig import node, raw_transfer, send


@dataclass
class FaultyChain:
    """Builds real blocks, but in parallel mode leaves the last candidate out: the injected fault."""

    real: Any
    modes: list[str] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)

    async def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
    ) -> BuiltBlock:
        """As the chain's own."""
        self.modes.append(mode)
        self.checks.append(check_transfers)
        given = candidates[:-1] if mode == "parallel" else candidates
        built: BuiltBlock = await self.real.build(attributes, given, mode)
        return built

    async def build_and_commit(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
        is_wanted: Callable[[BuiltBlock], bool],
    ) -> tuple[BuiltBlock, bool]:
        """As `build`, then as the chain's own."""
        built = await self.build(attributes, candidates, mode, check_transfers=check_transfers)
        if is_wanted(built):
            await self.real.commit(built)
            return built, True
        return built, False

    async def commit(self, built: BuiltBlock, /) -> Header:
        """The chain's own."""
        header: Header = await self.real.commit(built)
        return header

    async def reproducer(
        self, built: BuiltBlock, candidates: Sequence[Transaction], difference: str, /
    ) -> bytes:
        """The chain's own."""
        document: bytes = await self.real.reproducer(built, candidates, difference)
        return document

    async def import_block(self, raw: bytes, mode: str, /) -> tuple[Block, ExecutionStatistics]:
        """The chain's own, but parallel execution refuses every block."""
        self.modes.append(mode)
        if mode == "parallel":
            raise BlockRefused("block 1 refused: invalid merkle root")
        imported: tuple[Block, ExecutionStatistics] = await self.real.import_block(raw, mode)
        return imported


@dataclass
class WrongTransfer(FaultyChain):
    """Its parallel executor finds a transfer that the EVM does otherwise."""

    async def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
    ) -> BuiltBlock:
        """Raises as the engine does."""
        if mode == "parallel":
            raise CoreDivergence("transaction 1: balance")
        return await super().build(attributes, candidates, mode)


async def transfers(started: Node, count: int) -> list[Transaction]:
    """Pooled transfers of so many senders."""
    return [await send(started, raw_transfer(sender, 0)) for sender in range(count)]


async def test_a_difference_is_found_dropped_and_ends_parallel_execution(tmp_path: Path) -> None:
    """
    The serial block comes out, a reproducer is written, and later blocks are serial.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 3)
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", SelfCheck(blocks=1, reproducers=tmp_path))
        attributes = started.producer.attributes(started.chain.head())

        built = await executor.execute(attributes, candidates)
        again = await executor.execute(attributes, candidates)

        assert len(built.block.transactions) == len(again.block.transactions) == 3
        assert chain.modes == ["parallel", "serial", "serial"]
        assert executor.divergence is not None
        written = json.loads((tmp_path / "divergence-1.json").read_text())
        assert written["candidates"] == ["0x" + tx.raw.hex() for tx in candidates]
        assert written["difference"] == executor.divergence


async def test_a_transfer_that_differs_from_the_evm_ends_parallel_execution(tmp_path: Path) -> None:
    """
    The engine finds that by itself, by the sample that it is asked for; the serial block takes its place.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 2)
        executor = Executor(WrongTransfer(started.chain), "parallel", SelfCheck(reproducers=tmp_path))
        attributes = started.producer.attributes(started.chain.head())

        built = await executor.execute(attributes, candidates)

        assert len(built.block.transactions) == 2
        assert not built.statistics.parallel
        assert executor.divergence is not None
        assert "transaction 1: balance" in executor.divergence
        assert json.loads((tmp_path / "divergence-1.json").read_text())["difference"] == executor.divergence


async def test_a_block_is_not_stored_before_a_check_that_is_due() -> None:
    """
    Where parallel execution errs, the serial block is what the chain gets.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 3)
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", SelfCheck(blocks=1))

        built, is_stored = await executor.seal(
            started.producer.attributes(started.chain.head()), candidates, allow_empty=False
        )

        assert is_stored
        assert chain.modes == ["parallel", "serial"]
        assert executor.divergence is not None
        assert len(built.block.transactions) == 3
        assert started.chain.head().hash == built.block.header.hash


async def test_a_transfer_that_differs_is_stored_as_the_evm_does_it() -> None:
    """
    A block that would be built and stored in one turn is stored serially if the engine finds a difference.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 2)
        executor = Executor(WrongTransfer(started.chain), "parallel", SelfCheck())

        built, is_stored = await executor.seal(
            started.producer.attributes(started.chain.head()), candidates, allow_empty=False
        )

        assert is_stored
        assert executor.divergence is not None
        assert started.chain.head().hash == built.block.header.hash
        assert executor.figures().blocks == 1


@pytest.mark.parametrize("due", [0, 1])
async def test_an_empty_block_is_stored_only_where_it_may_be(due: int) -> None:
    """
    With a check that is due and without one: nothing to include leaves the head where it is, unless it is asked for.
    """
    async with node("manual") as started:
        executor = Executor(started.chain, "parallel", SelfCheck(blocks=due))

        refused = await executor.seal(
            started.producer.attributes(started.chain.head()), [], allow_empty=False
        )
        assert not refused[1]
        assert started.chain.head().number == 0

        built, is_stored = await executor.seal(
            started.producer.attributes(started.chain.head()), [], allow_empty=True
        )
        assert is_stored
        assert started.chain.head().hash == built.block.header.hash


async def test_one_block_in_so_many_is_checked() -> None:
    """
    Equal blocks are what the chain gives; only the sample costs a second execution.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 1)
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", SelfCheck(blocks=3, transfers=7))
        attributes = started.producer.attributes(started.chain.head())
        faultless = Executor(started.chain, "parallel", SelfCheck(blocks=3))
        for _ in range(4):
            await executor.execute(attributes, candidates)
            await faultless.execute(attributes, candidates)

        assert chain.modes == ["parallel", "parallel", "parallel", "serial", "serial"]
        assert chain.checks == [7, 7, 7, 0, 0]
        assert faultless.divergence is None
        assert (faultless.figures().parallel_blocks, faultless.figures().checked_blocks) == (4, 1)


async def test_a_comparison_that_fails_raises_and_stores_nothing() -> None:
    """
    `parallel_executeBatches` with `compare` refuses instead of choosing.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 2)
        attributes = started.producer.attributes(started.chain.head())
        with pytest.raises(CoreDivergence, match="block 1: state root"):
            await Executor(FaultyChain(started.chain), "parallel", SelfCheck()).execute_and_compare(
                attributes, candidates
            )
        wrong = Executor(WrongTransfer(started.chain), "parallel", SelfCheck())
        with pytest.raises(CoreDivergence, match="transaction 1: balance"):
            await wrong.execute_and_compare(attributes, candidates)

        assert wrong.divergence is not None
        assert started.chain.head().number == 0


async def test_figures_are_the_sums_of_the_blocks_handed_out() -> None:
    """
    Serial twins of a comparison are not counted: they make no block.
    """
    async with node("manual") as started:
        candidates = await transfers(started, 4)
        attributes = started.producer.attributes(started.chain.head())
        executor = Executor(started.chain, "parallel", SelfCheck(blocks=1))
        one = (await executor.execute(attributes, candidates)).statistics
        two = (await executor.execute(attributes, candidates[:1], mode="serial")).statistics
        three = (await executor.execute_and_compare(attributes, candidates))[0].statistics

        figures = executor.figures()
        assert (figures.blocks, figures.parallel_blocks, figures.checked_blocks) == (3, 2, 1)
        assert figures.executions == 9 == sum(each.executions for each in (one, two, three))
        for name in ("conflicts", "wasted_gas", "transfers", "reused", "cpu_ns", "elapsed_ns"):
            assert getattr(figures, name) == sum(getattr(each, name) for each in (one, two, three)), name
        assert figures.cpu_ns > 0


async def test_a_reproducer_that_cannot_be_made_does_not_stop_the_block(tmp_path: Path) -> None:
    """
    The block is what counts; the failure is logged.
    """

    class Forgetful(FaultyChain):
        async def reproducer(self, *_: object) -> bytes:
            raise CoreInvalidArgument("gone")

    async with node("manual") as started:
        candidates = await transfers(started, 2)
        attributes = started.producer.attributes(started.chain.head())
        for chain, folder in (
            (Forgetful(started.chain), tmp_path),
            (FaultyChain(started.chain), tmp_path / "absent"),
        ):
            executor = Executor(chain, "parallel", SelfCheck(blocks=1, reproducers=folder))
            built = await executor.execute(attributes, candidates)

            assert len(built.block.transactions) == 2
            assert executor.divergence is not None

    assert files_in(tmp_path) == []


async def test_no_block_from_outside_is_refused_before_serial_execution_refuses_it(tmp_path: Path) -> None:
    """
    A good block that parallel execution alone refuses is stored, its bytes are kept, and the rest is serial.
    """
    async with node("manual") as elsewhere:
        await transfers(elsewhere, 2)
        await elsewhere.producer.seal()
        made = await elsewhere.chain.block_by_number(1)
    assert made is not None
    async with node("manual") as started:
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", SelfCheck(reproducers=tmp_path))
        with pytest.raises(BlockRefused):
            await executor.import_block(made.raw.replace(made.header.state_root, bytes(32)))
        assert files_in(tmp_path) == []

        block = await executor.import_block(made.raw)

        assert block.header.hash == made.header.hash == started.chain.head().hash
        assert chain.modes == ["parallel", "serial"] * 2
        assert executor.divergence is not None
        assert (tmp_path / "divergence-1.rlp").read_bytes() == made.raw
        earlier = Executor(chain, "parallel", SelfCheck(reproducers=tmp_path)).divergence
        assert earlier is not None
        assert "divergence-1.rlp was written by an earlier run" in earlier


def files_in(folder: Path) -> list[str]:
    """Names of what lies in a folder."""
    return [path.name for path in folder.iterdir()]


async def ask(started: Node, path: str) -> tuple[int, str]:
    """Status and body of a page of the metrics server."""
    assert started.metrics is not None
    async with aiohttp.ClientSession() as session, session.get(started.metrics.url + path) as answer:
        return answer.status, await answer.text()


async def test_the_daemon_survives_a_difference_says_so_and_stays_serial_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Health, metric and reproducer tell of it; replay and explain read the reproducer; moving it away ends it.
    """
    real = EmbeddedChain.build

    async def faulty(
        chain: EmbeddedChain,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
    ) -> BuiltBlock:
        given = candidates[:-1] if mode == "parallel" else candidates
        return await real(chain, attributes, given, mode, check_transfers=check_transfers)

    always = ExecutionConfig(mode="parallel", selfcheck=1)
    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedChain, "build", faulty)
        async with node("manual", datadir=tmp_path, execution=always) as started:
            await transfers(started, 3)
            before = await ask(started, "/metrics")
            header = await started.producer.seal()
            block = await started.chain.block_by_number(header.number)
            after, health = await ask(started, "/metrics"), await ask(started, "/healthz")

    assert block is not None
    assert len(block.transactions) == 3
    assert "parallelpool_execution_diverged 0.0" in before[1]
    assert "parallelpool_execution_diverged 1.0" in after[1]
    assert "parallelpool_execution_parallel_blocks_total 0.0" in after[1]
    assert health[0] == 503
    assert "block 1: state root" in health[1]

    reproducer = tmp_path / "divergence-1.json"
    assert replay.main(ReplayOptions([reproducer], mode="both", threads=2)) == 0
    capsys.readouterr()
    options = explain.ExplainOptions([str(reproducer)], threads=2, as_json=True)
    assert explain.main(NodeConfig(), options) == 0
    (explained,) = json.loads(capsys.readouterr().out)
    assert (explained["block"], explained["transactions"], explained["ok"]) == (1, 3, True)

    async with node("manual", datadir=tmp_path, execution=always) as restarted:
        await started_again(restarted, parallel=0)
        status, health_text = await ask(restarted, "/healthz")
        assert status == 503
        assert "divergence-1.json was written by an earlier run" in health_text

    reproducer.rename(tmp_path / "looked-at.json")
    async with node("manual", datadir=tmp_path, execution=always) as cured:
        await started_again(cured, parallel=1)
        assert (await ask(cured, "/healthz"))[0] == 200


async def started_again(started: Node, *, parallel: int) -> None:
    """Seals one more block of each sender's next transaction; so many blocks of this run are parallel."""
    for sender in range(3):
        nonce = started.chain.head().number
        await send(started, raw_transfer(sender, nonce))
    await started.producer.seal()
    _, page = await ask(started, "/metrics")

    assert f"parallelpool_execution_parallel_blocks_total {parallel}.0" in page
    assert "parallelpool_execution_blocks_total 1.0" in page
