"""
`txpool_`: the pool's content as geth shows it.

Addresses are checksummed keys, nonces decimal keys, and keys are sorted as text, as Go writes its maps. Large
pools are rendered in slices and streamed: what was pooled at the moment of the question, while others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import lru_cache
from heapq import merge
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from rpc import views
from rpc.backend import Backend
from rpc.errors import Json
from rpc.json_text import encode
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import address, to_quantity
from rpc.streamed import Streamed
from rpc.views import to_checksum

if TYPE_CHECKING:
    from parallelpool.transaction import PooledTransaction, Transaction

SLICE: Final = 256
"""Transactions rendered before others get a turn."""

SORTED_AT_ONCE: Final = 500
"""Transactions put in order before others get a turn: some milliseconds."""

T = TypeVar("T")

Named: TypeAlias = "tuple[str, str, Transaction]"
"""(checksummed sender, decimal nonce, transaction): no two have the same sender and nonce."""


class TxpoolMethods:
    """Pending and queued transactions."""

    def __init__(self, backend: Backend) -> None:
        self._pool = backend.pool

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "txpool_content": Method(self.content),
            "txpool_contentFrom": Method(self.content_from, required(address)),
            "txpool_inspect": Method(self.inspect),
            "txpool_status": Method(self.status),
        }

    async def content(self) -> Streamed:
        """All transactions, whole."""
        return Streamed(self._by_sender(views.transaction))

    async def inspect(self) -> Streamed:
        """All transactions, one line each."""
        return Streamed(self._by_sender(summary))

    def content_from(self, sender: bytes) -> Json | Streamed:
        """The transactions of one sender."""
        pending, queued = self._pool.content_from(sender)
        if len(pending) + len(queued) > SLICE:
            return Streamed(_both(_nonces(pending), _nonces(queued)))
        return {"pending": _by_nonce(pending), "queued": _by_nonce(queued)}

    def status(self) -> Json:
        """How many there are."""
        pending, queued = self._pool.stats()
        return {"pending": to_quantity(pending), "queued": to_quantity(queued)}

    async def _by_sender(self, show: Callable[[Transaction], Json]) -> AsyncIterator[bytes]:
        pending, queued = self._pool.snapshot()
        async for piece in _both(_senders(pending, show), _senders(queued, show)):
            yield piece


async def _both(pending: AsyncIterator[bytes], queued: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b'{"pending":{'
    async for piece in pending:
        yield piece
    yield b'},"queued":{'
    async for piece in queued:
        yield piece
    yield b"}}"


async def _senders(
    pooled: Sequence[PooledTransaction], show: Callable[[Transaction], Json]
) -> AsyncIterator[bytes]:
    """The members of an object by sender, some hundred transactions a piece, with a pause behind each."""
    name_of = lru_cache(SORTED_AT_ONCE)(to_checksum)
    entries: list[bytes] = []
    before = ""
    async for name, nonce, tx in _in_order(
        pooled, lambda each: (name_of(each.sender), str(each.nonce), each.transaction)
    ):
        if name == before:
            entries.append(b',"%b":%b' % (nonce.encode(), encode(show(tx))))
        else:
            end = b"}," if before else b""
            entries.append(b'%b"%b":{"%b":%b' % (end, name.encode(), nonce.encode(), encode(show(tx))))
            before = name
        if len(entries) >= SLICE:
            yield b"".join(entries)
            entries.clear()
            await asyncio.sleep(0)
    if before:
        entries.append(b"}")
    yield b"".join(entries)


async def _nonces(transactions: Sequence[Transaction]) -> AsyncIterator[bytes]:
    """The members of the object of one sender, in the same way."""
    entries: list[bytes] = []
    separator = b""
    async for _, nonce, tx in _in_order(transactions, lambda tx: ("", str(tx.nonce), tx)):
        entries.append(b'%b"%b":%b' % (separator, nonce.encode(), encode(views.transaction(tx))))
        separator = b","
        if len(entries) >= SLICE:
            yield b"".join(entries)
            entries.clear()
            await asyncio.sleep(0)
    yield b"".join(entries)


async def _in_order(items: Sequence[T], name: Callable[[T], Named]) -> AsyncIterator[Named]:
    """
    By name, as text: short lists are sorted one by one, then merged.

    What was given is let go, since a hundred thousand at once would be a pause too.
    """
    runs: list[list[Named]] = []
    for start in range(0, len(items), SORTED_AT_ONCE):
        runs.append(sorted(map(name, items[start : start + SORTED_AT_ONCE]), key=_words, reverse=True))
        await asyncio.sleep(0)
    for named in merge(*map(_drained, runs), key=_words):
        yield named


def _words(named: Named) -> tuple[str, str]:
    return named[:2]


def _drained(run: list[Named]) -> Iterator[Named]:
    while run:
        yield run.pop()


def _by_nonce(transactions: Sequence[Transaction]) -> dict[str, Json]:
    return {nonce: views.transaction(tx) for nonce, tx in sorted((str(tx.nonce), tx) for tx in transactions)}


def summary(tx: Transaction) -> str:
    """The line of `txpool_inspect`."""
    target = to_checksum(tx.to) if tx.to is not None else "contract creation"
    return f"{target}: {tx.value} wei + {tx.gas_limit} gas \u00d7 {tx.max_fee_per_gas} wei"
