"""Real blocks, executed without a chain, and taken apart."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.blocks import ExecutionStatistics
from parallelpool._boundary.transactions import Workers

@final
class ReplayBlock:
    """A block with the part of the state that it touches."""

    @staticmethod
    def parse(document: bytes, /) -> ReplayBlock:
        """
        JSON text: a node's block (`{block, preState, blockHashes}`) or what `Chain.reproducer` wrote.

        Raises CoreInvalidArgument naming what is missing or wrong.
        """
    @property
    def number(self) -> int: ...
    @property
    def transactions(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def fork(self) -> str:
        """Whose rules hold, as the chain's fork schedule calls it."""
    @property
    def beneficiary(self) -> bytes: ...
    @property
    def senders(self) -> tuple[bytes, ...]: ...
    @property
    def hashes(self) -> tuple[bytes, ...]: ...

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
    workers: Workers,
    block: ReplayBlock,
    mode: str,
    /,
    *,
    threads: int = 0,
    recheck: bool = False,
    dependencies: Sequence[Sequence[int]] = ...,
) -> ReplayVerdict:
    """Executes the block in `serial` or `parallel` mode; `dependencies` as in `ModelAnalysis` are hints."""

def replay_compare(first: ReplayVerdict, second: ReplayVerdict, /) -> tuple[str, ...]:
    """Differences between two executions over every receipt and every changed account and slot."""

@final
class Parallelism:
    """How well a block's work can be spread, by one kind of weight (gas, or nanoseconds)."""

    @property
    def total(self) -> int:
        """Weight of all transactions."""
    @property
    def critical_weight(self) -> int:
        """Weight of the heaviest chain: the block takes as long, however many workers there are."""
    @property
    def critical_path(self) -> tuple[tuple[int, tuple[bytes, str, bytes | None] | None], ...]:
        """That chain: (transaction, (address, field, slot) by which it depends on the one before)."""
    @property
    def available(self) -> float:
        """`total / critical_weight`."""
    @property
    def limits(self) -> tuple[tuple[int, float, float], ...]:
        """(workers, no schedule gains more, a list schedule in block order gains) for 2, 8 and 32."""

@final
class ModelAnalysis:
    """A block under one model of conflict."""

    @property
    def name(self) -> str:
        """`plain`, `commutative-balances` or `predicted-nonces`; the last is the executor's."""
    @property
    def independent(self) -> int:
        """Transactions without an earlier dependency."""
    @property
    def dependencies(self) -> tuple[tuple[int, ...], ...]:
        """For each transaction all earlier ones it depends on, ascending."""
    @property
    def longest_chain(self) -> tuple[tuple[int, tuple[bytes, str, bytes | None] | None], ...]:
        """The chain of most transactions, as in `Parallelism.critical_path`."""
    @property
    def by_gas(self) -> Parallelism: ...
    @property
    def by_time(self) -> Parallelism: ...
    @property
    def contended(self) -> tuple[tuple[tuple[bytes, str, bytes | None], int, int, int, int], ...]:
        """
        (location, readers, writers, dependencies caused, gas of the transactions that depend by it).

        Most gas first; locations that cause no dependency are not listed.
        """

@final
class Analysis:
    """A block, taken apart by an execution in order."""

    @property
    def costs(self) -> list[tuple[int, int]]:
        """(gas, nanoseconds) of each transaction."""
    @property
    def models(self) -> tuple[ModelAnalysis, ...]:
        """From the strictest to the most permissive."""

def analyse(block: ReplayBlock, /) -> Analysis:
    """Raises CoreInvalidArgument for a block that is invalid."""
