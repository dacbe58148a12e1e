"""
From batches to an executed block that is not stored yet.

In: transactions in execution order and what the producer chose for the block. Out: the engine's built block,
executed on the worker pool on isolated state, with figures; on request also executed serially and compared.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import structlog

from parallelpool.chain import (
    Block,
    BlockAttributes,
    BlockRefused,
    BuiltBlock,
    CoreDivergence,
    CoreError,
    ExecutionStatistics,
    Header,
)
from parallelpool.transaction import Transaction

log = structlog.get_logger("parallelpool.execution")

ExecutionMode: TypeAlias = Literal["serial", "parallel", "auto"]


@dataclass(frozen=True, slots=True)
class Execution:
    """What running batches did."""

    block_hash: bytes | None
    """`None` for a dry run, or where nothing was executable."""
    hashes: tuple[bytes, ...]
    """Executed transactions in block order."""
    left_out: tuple[tuple[bytes, str], ...]
    """(hash, geth's reason) of those that could not be executed."""
    gas_used: int
    state_root: bytes
    """Of the block that was executed, stored or not."""
    serial_state_root: bytes | None
    """Of the same block executed serially, where a comparison was asked for; equal, or the call fails."""
    parallel_ns: int
    serial_ns: int | None
    """Only where a comparison was asked for."""
    conflicts: int
    executions: int


@dataclass(slots=True)
class ExecutionFigures:
    """Sums since the start over the blocks that were made, second executions for comparison left out."""

    blocks: int = 0
    parallel_blocks: int = 0
    """Those of them that were executed speculatively."""
    executions: int = 0
    """Runs of the EVM."""
    conflicts: int = 0
    """Executions thrown away."""
    wasted_gas: int = 0
    """Gas of those."""
    transfers: int = 0
    """Plain transfers applied without an EVM."""
    reused: int = 0
    """Transactions that a record of an earlier run was applied for."""
    cpu_ns: int = 0
    elapsed_ns: int = 0
    checked_blocks: int = 0
    """Parallel blocks that were executed serially too."""
    checked_transfers: int = 0
    """Transfers that the EVM executed too."""

    def add(self, statistics: ExecutionStatistics) -> None:
        """Counts a block."""
        self.blocks += 1
        self.parallel_blocks += statistics.parallel
        self.executions += statistics.executions
        self.conflicts += statistics.conflicts
        self.wasted_gas += statistics.wasted_gas
        self.transfers += statistics.transfers
        self.reused += statistics.reused
        self.cpu_ns += statistics.cpu_ns
        self.elapsed_ns += statistics.elapsed_ns
        self.checked_transfers += statistics.checked_transfers


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How much of parallel execution is done twice and compared, and where a difference is written down."""

    blocks: int = 0
    """One parallel block in so many; 0: none."""
    transfers: int = 0
    """One transfer without an EVM in so many; 0: none."""
    reproducers: Path | None = None
    """Folder; `None`: nothing is written."""


class BlockBuilder(Protocol):
    """The part of the chain that executes candidates."""

    async def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
    ) -> BuiltBlock: ...

    async def build_and_commit(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
        is_wanted: Callable[[BuiltBlock], bool],
    ) -> tuple[BuiltBlock, bool]: ...

    async def commit(self, built: BuiltBlock, /) -> Header: ...

    async def reproducer(
        self, built: BuiltBlock, candidates: Sequence[Transaction], difference: str, /
    ) -> bytes: ...

    async def import_block(self, raw: bytes, mode: str, /) -> tuple[Block, ExecutionStatistics]: ...


class Executor:
    """
    Executes candidates in the configured mode, and holds a sample of parallel execution against serial.

    A difference is a bug of ours: the parallel block is dropped, the serial one takes its place, all later blocks
    are executed serially, and a reproducer is written. The daemon goes on, and says so in its health. As long as a
    reproducer lies in its folder it stays so after a restart: somebody has to look at it.
    """

    def __init__(self, chain: BlockBuilder, mode: ExecutionMode, selfcheck: SelfCheck) -> None:
        self._chain = chain
        self._mode = mode
        self._selfcheck = selfcheck
        self._figures = ExecutionFigures()
        self._divergence = _earlier_divergence(selfcheck.reproducers)
        if self._divergence is not None:
            log.critical("serial execution only", reason=self._divergence)

    @property
    def divergence(self) -> str | None:
        """What a self-check found, now or before a restart; `None` as long as both executions agree."""
        return self._divergence

    def figures(self) -> ExecutionFigures:
        """Sums since the start; a copy."""
        return replace(self._figures)

    async def execute(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        *,
        mode: ExecutionMode | None = None,
    ) -> BuiltBlock:
        """The block, by parallel execution if mode and self-checks allow."""
        built = await self._execute(attributes, candidates, mode or self._mode)
        self._figures.add(built.statistics)
        return built

    async def seal(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction], *, allow_empty: bool
    ) -> tuple[BuiltBlock, bool]:
        """
        As `execute`, and stores the block unless it is empty and must not be; whether it did.

        A block that no self-check waits for is stored in the same turn of the engine.
        """

        def is_wanted(built: BuiltBlock) -> bool:
            return allow_empty or bool(built.block.transactions)

        if self._is_due():
            built, is_stored = await self.execute(attributes, candidates), False
        else:
            built, is_stored = await self._execute_and_store(attributes, candidates, is_wanted)
            self._figures.add(built.statistics)
        if not is_stored and is_wanted(built):
            await self._chain.commit(built)
            is_stored = True
        return built, is_stored

    async def _execute_and_store(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        is_wanted: Callable[[BuiltBlock], bool],
    ) -> tuple[BuiltBlock, bool]:
        mode = "serial" if self._divergence is not None else self._mode
        transfers = 0 if mode == "serial" else self._selfcheck.transfers
        try:
            return await self._chain.build_and_commit(
                attributes, candidates, mode, check_transfers=transfers, is_wanted=is_wanted
            )
        except CoreDivergence as error:
            serial = await self._chain.build(attributes, candidates, "serial")
            await self._diverged(str(error), serial, candidates)
            return serial, False

    async def execute_and_compare(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction]
    ) -> tuple[BuiltBlock, BuiltBlock]:
        """
        The parallel block and the serial one.

        Raises CoreDivergence unless both are the same block: the hash covers the state root, the receipts
        root, the gas and the transactions.
        """
        serial = await self._chain.build(attributes, candidates, "serial")
        try:
            parallel = await self._parallel(attributes, candidates, "parallel")
            difference = _difference(parallel, serial)
        except CoreDivergence as error:
            await self._diverged(str(error), serial, candidates)
            raise
        if difference is not None:
            await self._diverged(difference, serial, candidates)
            raise CoreDivergence(difference)
        self._figures.add(parallel.statistics)
        return parallel, serial

    async def import_block(self, raw: bytes, /) -> Block:
        """
        Checks, executes and stores a block that was made elsewhere, on the head. Raises BlockRefused.

        Its header says what must come out, so a refusal by parallel execution may be our own fault: no block is
        refused before serial execution has refused it too.
        """
        mode = "serial" if self._divergence is not None else self._mode
        try:
            block, statistics = await self._chain.import_block(raw, mode)
        except (BlockRefused, CoreDivergence) as refusal:
            if mode == "serial":
                raise
            block, statistics = await self._chain.import_block(raw, "serial")
            await self._import_diverged(str(refusal), block)
        self._figures.add(statistics)
        return block

    async def _execute(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction], mode: ExecutionMode
    ) -> BuiltBlock:
        if mode == "serial" or self._divergence is not None:
            return await self._chain.build(attributes, candidates, "serial")
        try:
            built = await self._parallel(attributes, candidates, mode)
        except CoreDivergence as error:
            serial = await self._chain.build(attributes, candidates, "serial")
            await self._diverged(str(error), serial, candidates)
            return serial
        if not built.statistics.parallel or not self._is_due():
            return built
        serial = await self._chain.build(attributes, candidates, "serial")
        self._figures.checked_blocks += 1
        if (difference := _difference(built, serial)) is None:
            return built
        await self._diverged(difference, serial, candidates)
        return serial

    async def _parallel(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction], mode: ExecutionMode
    ) -> BuiltBlock:
        """Raises CoreDivergence for a transfer that differs from the EVM's."""
        transfers = self._selfcheck.transfers
        return await self._chain.build(attributes, candidates, mode, check_transfers=transfers)

    def _is_due(self) -> bool:
        """Whether the parallel block that was just made is one of the sample."""
        one_in = self._selfcheck.blocks
        return one_in > 0 and (self._figures.parallel_blocks + 1) % one_in == 0

    async def _diverged(self, difference: str, serial: BuiltBlock, candidates: Sequence[Transaction]) -> None:
        """Ends parallel execution and keeps what is needed to find out why."""
        self._end_parallel_execution(difference)
        try:
            document = await self._chain.reproducer(serial, candidates, difference)
        except CoreError as error:
            log.error("reproducer could not be made", error=str(error))
        else:
            await self._keep(f"divergence-{serial.block.header.number}.json", document)

    async def _import_diverged(self, difference: str, block: Block) -> None:
        """The same for a block that came from outside: its own bytes show the difference on its parent."""
        self._end_parallel_execution(difference)
        await self._keep(f"divergence-{block.header.number}.rlp", block.raw)

    def _end_parallel_execution(self, difference: str) -> None:
        self._divergence = difference
        log.critical("parallel execution differs from serial; serial from now on", difference=difference)

    async def _keep(self, name: str, document: bytes) -> None:
        folder = self._selfcheck.reproducers
        if folder is None:
            return
        try:
            await asyncio.to_thread((folder / name).write_bytes, document)
        except OSError as error:
            log.error("reproducer could not be written", path=str(folder / name), error=str(error))
        else:
            log.critical("reproducer written", path=str(folder / name))


def _earlier_divergence(folder: Path | None) -> str | None:
    """What a reproducer in the folder says: the newest where there are several."""
    found = (
        sorted(folder.glob("divergence-*.*"), key=lambda path: (len(path.stem), path.stem)) if folder else []
    )
    if not found:
        return None
    return f"{found[-1].name} was written by an earlier run; move it away to execute in parallel again"


def _difference(parallel: BuiltBlock, serial: BuiltBlock) -> str | None:
    one, other = parallel.block.header, serial.block.header
    if one.hash == other.hash:
        return None
    return (
        f"block {one.number}: state root 0x{one.state_root.hex()} in parallel, "
        f"0x{other.state_root.hex()} serially; block hashes 0x{one.hash.hex()}, 0x{other.hash.hex()}"
    )


def summary(built: BuiltBlock, *, stored: bool, serial: BuiltBlock | None = None) -> Execution:
    """The figures of a built block, beside those of its serial twin."""
    return Execution(
        block_hash=built.block.header.hash if stored else None,
        hashes=tuple(tx.hash for tx in built.block.transactions),
        left_out=tuple((left.hash, left.message) for left in built.left_out),
        gas_used=built.block.header.gas_used,
        state_root=built.block.header.state_root,
        serial_state_root=serial.block.header.state_root if serial else None,
        parallel_ns=built.statistics.elapsed_ns,
        serial_ns=serial.statistics.elapsed_ns if serial else None,
        conflicts=built.statistics.conflicts,
        executions=built.statistics.executions,
    )
