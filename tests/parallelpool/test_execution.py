"""The production self-check: a parallel block that differs from the serial one is found and never stored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from parallelpool.chain import BlockAttributes, BuiltBlock, CoreDivergence
from parallelpool.execution import Executor
from parallelpool.transaction import Transaction
from tests.node_rig import node, raw_transfer, send


@dataclass
class FaultyChain:
    """Builds real blocks, but in parallel mode leaves the last candidate out: the injected fault."""

    real: Any
    modes: list[str] = field(default_factory=list)

    async def build(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction], mode: str, /
    ) -> BuiltBlock:
        """As the chain's own."""
        self.modes.append(mode)
        given = candidates[:-1] if mode == "parallel" else candidates
        built: BuiltBlock = await self.real.build(attributes, given, mode)
        return built


async def test_a_difference_is_found_dropped_and_ends_parallel_execution(tmp_path: Path) -> None:
    """
    The serial block comes out, a reproducer is written, and later blocks are serial.
    """
    async with node("manual") as started:
        candidates = [await send(started, raw_transfer(sender, 0)) for sender in range(3)]
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", selfcheck=1, reproducers=tmp_path)
        attributes = started.producer.attributes(started.chain.head())

        built = await executor.execute(attributes, candidates)
        again = await executor.execute(attributes, candidates)

        assert len(built.block.transactions) == len(again.block.transactions) == 3
        assert chain.modes == ["parallel", "serial", "serial"]
        assert executor.divergence is not None
        written = json.loads((tmp_path / "divergence-1.json").read_text())
        assert written["candidates"] == ["0x" + tx.raw.hex() for tx in candidates]


async def test_one_block_in_so_many_is_checked() -> None:
    """
    Equal blocks are what the chain gives; only the sample costs a second execution.
    """
    async with node("manual") as started:
        candidates = [await send(started, raw_transfer(0, 0))]
        chain = FaultyChain(started.chain)
        executor = Executor(chain, "parallel", selfcheck=3)
        attributes = started.producer.attributes(started.chain.head())
        faultless = Executor(started.chain, "parallel", selfcheck=3)
        for _ in range(4):
            await executor.execute(attributes, candidates)
            await faultless.execute(attributes, candidates)

        assert chain.modes == ["parallel", "parallel", "parallel", "serial", "serial"]
        assert faultless.divergence is None


async def test_a_comparison_that_fails_raises_and_stores_nothing() -> None:
    """
    `parallel_executeBatches` with `compare` refuses instead of choosing.
    """
    async with node("manual") as started:
        candidates = [await send(started, raw_transfer(sender, 0)) for sender in range(2)]
        executor = Executor(FaultyChain(started.chain), "parallel")
        with pytest.raises(CoreDivergence, match="block 1: state root"):
            await executor.execute_and_compare(started.producer.attributes(started.chain.head()), candidates)

        assert started.chain.head().number == 0
