"""
From batches to an executed block that is not stored yet.

In: transactions in execution order and what the producer chose for the block. Out: the engine's built block,
executed on the worker pool on isolated state, with figures; on request also executed serially and compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from parallelpool.chain import BlockAttributes, BuiltBlock, CoreDivergence
from parallelpool.transaction import Transaction

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
    """Executes candidates in the configured mode."""

    def __init__(self, chain: BlockBuilder, mode: ExecutionMode) -> None:
        self._chain = chain
        self._mode = mode

    async def execute(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        *,
        mode: ExecutionMode | None = None,
    ) -> BuiltBlock:
        """Raises CoreDivergence if a self-check finds that parallel and serial execution differ."""
        return await self._chain.build(attributes, candidates, mode or self._mode)

    async def execute_and_compare(
        self, attributes: BlockAttributes, candidates: Sequence[Transaction]
    ) -> tuple[BuiltBlock, BuiltBlock]:
        """
        The parallel block and the serial one.

        Raises CoreDivergence unless both are the same block: the hash covers the state root, the receipts
        root, the gas and the transactions.
        """
        parallel = await self.execute(attributes, candidates, mode="parallel")
        serial = await self.execute(attributes, candidates, mode="serial")
        if parallel.block.header.hash != serial.block.header.hash:
            raise CoreDivergence(
                f"block {parallel.block.header.number}: state root 0x{parallel.block.header.state_root.hex()} in "
                f"parallel, 0x{serial.block.header.state_root.hex()} serially"
            )
        return parallel, serial


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
