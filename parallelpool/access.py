"""
Access sets of pending transactions: what each is expected to read and write.

In: pooled transactions and the head. Out: one `AccessSet` each, from static knowledge of plain transfers or
from a run of the transaction alone on the head state. A set is a hint: execution validates every read, so a
wrong set costs time, never state.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from parallelpool._core import AccessSet
from parallelpool.chain import CallRequest, Header
from parallelpool.transaction import Transaction

__all__ = ["AccessBook", "AccessSet", "AccessStatistics"]

PRE_EXECUTION_GAS = 5_000_000
"""Gas above which a pre-execution gives up and the accesses stay unknown."""

RUN = 128
"""Transactions handed to the engine at once; between runs other hint work may go first."""


class AccessSource(Protocol):
    """The part of the chain that finds access sets."""

    def head(self) -> Header: ...
    async def pre_execute(
        self, transactions: Sequence[Transaction], gas_limit: int, /
    ) -> list[AccessSet]: ...
    async def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> AccessSet: ...


@dataclass(frozen=True, slots=True)
class AccessStatistics:
    """Counters since the start."""

    held: int
    """Access sets in memory."""
    made: int
    """Pre-executions, repetitions on new heads included."""


@dataclass(frozen=True, slots=True)
class _Entry:
    access_set: AccessSet
    head: bytes


class AccessBook:
    """
    Remembers access sets by transaction hash, each with the head it was found on.

    Holds sets of pooled transactions only: `keep_only` drops the rest. A set found on an older head is found
    anew when it is asked for, since what the transaction reads may have changed.
    """

    def __init__(self, source: AccessSource, *, gas_limit: int = PRE_EXECUTION_GAS) -> None:
        self._source = source
        self._gas_limit = gas_limit
        self._entries: dict[bytes, _Entry] = {}
        self._made = 0

    async def of(self, transactions: Sequence[Transaction]) -> list[AccessSet]:
        """One access set per transaction, on the head as it is when the call begins."""
        head = self._source.head().hash
        found = {
            tx.hash: self._entries[tx.hash].access_set
            for tx in transactions
            if self._is_current(tx.hash, head)
        }
        missing = [tx for tx in transactions if tx.hash not in found]
        for start in range(0, len(missing), RUN):
            run = missing[start : start + RUN]
            for tx, access_set in zip(run, await self._source.pre_execute(run, self._gas_limit), strict=True):
                found[tx.hash] = access_set
                self._entries[tx.hash] = _Entry(access_set, head)
            self._made += len(run)
        return [found[tx.hash] for tx in transactions]

    async def of_message(self, subject: Transaction | CallRequest) -> AccessSet:
        """The access set of one transaction, pooled or not, or of a message that nobody signed."""
        if isinstance(subject, CallRequest):
            return await self._source.pre_execute_call(subject, self._gas_limit)
        if self._is_current(subject.hash, self._source.head().hash):
            return self._entries[subject.hash].access_set
        return (await self._source.pre_execute([subject], self._gas_limit))[0]

    def keep_only(self, pooled: Container[bytes]) -> None:
        """Forgets all sets but those of `pooled` hashes."""
        self._entries = {tx_hash: entry for tx_hash, entry in self._entries.items() if tx_hash in pooled}

    def statistics(self) -> AccessStatistics:
        """Figures for people and metrics."""
        return AccessStatistics(held=len(self._entries), made=self._made)

    def _is_current(self, tx_hash: bytes, head: bytes) -> bool:
        entry = self._entries.get(tx_hash)
        return entry is not None and entry.head == head
