"""
From batches to an executed block that is not stored yet.

In: transactions in execution order and what the producer chose for the block. Out: the engine's built block,
executed on the worker pool on isolated state, with figures; on request also executed serially and compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import orjson
import structlog

from parallelpool.chain import BlockAttributes, BuiltBlock, CoreDivergence
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


class BlockBuilder(Protocol):
    """The part of the chain that executes candidates."""

    async def build(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction], mode: str, /
    ) -> BuiltBlock: ...


class Executor:
    """
    Executes candidates in the configured mode, and holds a sample of parallel blocks against serial execution.

    A difference is a bug of ours: the parallel block is dropped, the serial one takes its place, all later blocks
    are executed serially, and a reproducer is written. The daemon goes on, and says so in its health.
    """

    def __init__(
        self, chain: BlockBuilder, mode: ExecutionMode, *, selfcheck: int = 0, reproducers: Path | None = None
    ) -> None:
        """One parallel block in `selfcheck` is checked (0: none). Reproducers go to the folder `reproducers`."""
        self._chain = chain
        self._mode = mode
        self._selfcheck = selfcheck
        self._reproducers = reproducers
        self._parallel_blocks = 0
        self._divergence: str | None = None

    @property
    def divergence(self) -> str | None:
        """What a self-check found; `None` as long as parallel and serial execution agree."""
        return self._divergence

    async def execute(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        *,
        mode: ExecutionMode | None = None,
    ) -> BuiltBlock:
        """The block, by parallel execution if mode and self-checks allow."""
        wanted = mode or self._mode
        if self._divergence is not None:
            wanted = "serial"
        built = await self._chain.build(attributes, candidates, wanted)
        if wanted == "serial" or not built.statistics.parallel:
            return built
        self._parallel_blocks += 1
        if not self._selfcheck or self._parallel_blocks % self._selfcheck:
            return built
        serial = await self._chain.build(attributes, candidates, "serial")
        if (difference := _difference(built, serial)) is None:
            return built
        self._divergence = difference
        log.critical("parallel execution differs from serial; serial from now on", difference=difference)
        self._write_reproducer(serial, candidates)
        return serial

    async def execute_and_compare(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction]
    ) -> tuple[BuiltBlock, BuiltBlock]:
        """
        The parallel block and the serial one.

        Raises CoreDivergence unless both are the same block: the hash covers the state root, the receipts
        root, the gas and the transactions.
        """
        parallel = await self._chain.build(attributes, candidates, "parallel")
        serial = await self._chain.build(attributes, candidates, "serial")
        if (difference := _difference(parallel, serial)) is not None:
            self._divergence = difference
            self._write_reproducer(serial, candidates)
            raise CoreDivergence(difference)
        return parallel, serial

    def _write_reproducer(self, serial: BuiltBlock, candidates: Sequence[Transaction]) -> None:
        """The serial block and all that was offered, on top of the parent that the block names."""
        if self._reproducers is None:
            return
        path = self._reproducers / f"divergence-{serial.block.header.number}.json"
        document = {
            "difference": self._divergence,
            "parentHash": "0x" + serial.block.header.parent_hash.hex(),
            "serialBlock": "0x" + serial.block.raw.hex(),
            "candidates": ["0x" + tx.raw.hex() for tx in candidates],
        }
        try:
            path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        except OSError as error:
            log.error("reproducer could not be written", path=str(path), error=str(error))
        else:
            log.critical("reproducer written", path=str(path))


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
