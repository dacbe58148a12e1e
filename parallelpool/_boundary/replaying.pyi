"""Real blocks, executed without a chain."""

from typing import final

from parallelpool._boundary.blocks import ExecutionStatistics
from parallelpool._boundary.transactions import Workers

@final
class ReplayBlock:
    """A block with the part of the state that it touches, read from a fixture document."""

    @staticmethod
    def parse(document: bytes, /) -> ReplayBlock:
        """JSON text. Raises CoreInvalidArgument naming what is missing or wrong."""
    @property
    def number(self) -> int: ...
    @property
    def transactions(self) -> int: ...
    @property
    def gas_used(self) -> int: ...

@final
class ReplayVerdict:
    """One execution of a replay block held against its header."""

    @property
    def elapsed_ns(self) -> int: ...
    @property
    def statistics(self) -> ExecutionStatistics: ...
    @property
    def differences(self) -> tuple[str, ...]:
        """Empty: gas used, bloom and (from Byzantium on) receipts root are the header's."""

def replay(
    workers: Workers, block: ReplayBlock, mode: str, /, *, threads: int = 0, recheck: bool = False
) -> ReplayVerdict:
    """Executes the block in `serial` or `parallel` mode."""

def replay_compare(first: ReplayVerdict, second: ReplayVerdict, /) -> tuple[str, ...]:
    """Differences between two executions over every receipt and every changed account and slot."""
