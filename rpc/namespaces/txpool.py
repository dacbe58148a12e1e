"""
`txpool_`: the pool's content as geth shows it.

Addresses are checksummed keys, nonces decimal keys, and keys are sorted as text, as Go writes its maps. Large
pools are rendered in slices, so that other requests go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rpc import views
from rpc.backend import Backend
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import address, to_quantity
from rpc.views import to_checksum

if TYPE_CHECKING:
    from parallelpool.transaction import Transaction

SLICE: Final = 512
"""Transactions rendered before others get a turn."""


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

    async def content(self) -> Json:
        """All transactions, whole."""
        return await self._by_sender(views.transaction)

    async def inspect(self) -> Json:
        """All transactions, one line each."""
        return await self._by_sender(summary)

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

    async def _by_sender(self, show: Callable[[Transaction], Json]) -> Json:
        pending, queued = self._pool.content()
        return {"pending": await _shown(pending, show), "queued": await _shown(queued, show)}


async def _shown(
    by_sender: Mapping[bytes, Sequence[Transaction]], show: Callable[[Transaction], Json]
) -> dict[str, Json]:
    shown: dict[str, Json] = {}
    since_pause = 0
    for name, transactions in sorted((to_checksum(sender), held) for sender, held in by_sender.items()):
        shown[name] = _by_nonce(transactions, show)
        since_pause += len(transactions)
        if since_pause >= SLICE:
            since_pause = 0
            await asyncio.sleep(0)
    return shown


def _by_nonce(transactions: Sequence[Transaction], show: Callable[[Transaction], Json]) -> dict[str, Json]:
    return {nonce: show(tx) for nonce, tx in sorted((str(tx.nonce), tx) for tx in transactions)}


def summary(tx: Transaction) -> str:
    """The line of `txpool_inspect`."""
    target = to_checksum(tx.to) if tx.to is not None else "contract creation"
    return f"{target}: {tx.value} wei + {tx.gas_limit} gas \u00d7 {tx.max_fee_per_gas} wei"
