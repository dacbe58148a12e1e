"""
`txpool_`: the pool's content as geth shows it.

Addresses are checksummed keys, nonces decimal keys, and keys are sorted as text, as Go writes its maps. Large
pools are rendered in slices and streamed: what was pooled at the moment of the question, while others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from heapq import merge
from typing import TYPE_CHECKING, Final

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

GROUPED_AT_ONCE: Final = 5_000
NAMED_AT_ONCE: Final = 1_000
"""Transactions and senders put in order before others get a turn: some milliseconds of either."""


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

    def content_from(self, sender: bytes) -> Json:
        """The transactions of one sender."""
        pending, queued = self._pool.content_from(sender)
        return {
            "pending": _by_nonce(pending, views.transaction),
            "queued": _by_nonce(queued, views.transaction),
        }

    def status(self) -> Json:
        """How many there are."""
        pending, queued = self._pool.stats()
        return {"pending": to_quantity(pending), "queued": to_quantity(queued)}

    async def _by_sender(self, show: Callable[[Transaction], Json]) -> AsyncIterator[bytes]:
        pending, queued = self._pool.snapshot()
        yield b'{"pending":{'
        async for piece in _shown(pending, show):
            yield piece
        yield b'},"queued":{'
        async for piece in _shown(queued, show):
            yield piece
        yield b"}}"


async def _shown(
    pooled: Sequence[PooledTransaction], show: Callable[[Transaction], Json]
) -> AsyncIterator[bytes]:
    """The members of an object by sender, some hundred transactions a piece, with a pause behind each."""
    by_sender = await _grouped(pooled)
    entries: list[bytes] = []
    separator = b""
    async for name, sender in _by_name(by_sender):
        entries.append(b'%b"%b":{' % (separator, name.encode()))
        separator = b""
        for nonce, each in sorted((str(each.nonce), each.transaction) for each in by_sender[sender]):
            entries.append(b'%b"%b":%b' % (separator, nonce.encode(), encode(show(each))))
            separator = b","
            if len(entries) >= SLICE:
                yield b"".join(entries)
                entries.clear()
                await asyncio.sleep(0)
        entries.append(b"}")
        separator = b","
    yield b"".join(entries)


async def _grouped(pooled: Sequence[PooledTransaction]) -> dict[bytes, list[PooledTransaction]]:
    by_sender: dict[bytes, list[PooledTransaction]] = {}
    for start in range(0, len(pooled), GROUPED_AT_ONCE):
        for each in pooled[start : start + GROUPED_AT_ONCE]:
            by_sender.setdefault(each.sender, []).append(each)
        await asyncio.sleep(0)
    return by_sender


async def _by_name(senders: Collection[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """(checksummed, address) in the order of the text: short lists are sorted one by one, then merged."""
    addresses = list(senders)
    runs: list[list[tuple[str, bytes]]] = []
    for start in range(0, len(addresses), NAMED_AT_ONCE):
        runs.append(sorted((to_checksum(each), each) for each in addresses[start : start + NAMED_AT_ONCE]))
        await asyncio.sleep(0)
    for named in merge(*runs):
        yield named


def _by_nonce(transactions: Sequence[Transaction], show: Callable[[Transaction], Json]) -> dict[str, Json]:
    return {nonce: show(tx) for nonce, tx in sorted((str(tx.nonce), tx) for tx in transactions)}


def summary(tx: Transaction) -> str:
    """The line of `txpool_inspect`."""
    target = to_checksum(tx.to) if tx.to is not None else "contract creation"
    return f"{target}: {tx.value} wei + {tx.gas_limit} gas \u00d7 {tx.max_fee_per_gas} wei"
