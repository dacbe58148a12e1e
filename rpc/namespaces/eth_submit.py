"""
`eth_`: the way into the pool.

In: the hex of a signed transaction. Out: its hash, once the pool has it and it is durable. The order of checks is
geth's: hex, decoding, fee cap, replay protection, pool.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from parallelpool.events import HeadChanged
from rpc.backend import Backend
from rpc.block_cache import BlockCache
from rpc.errors import SYNC_TIMEOUT, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_blocks import receipt_view
from rpc.parameters import optional, required
from rpc.quantities import data, json_uint64, to_data
from rpc.settings import CallSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelpool.ingress import DecodeRejection
    from parallelpool.transaction import Transaction

WEI_PER_ETHER: Final = 10**18

HEADS_WAITING: Final = 16
"""Heads that may wait for a synchronous submission; it looks at the chain, so a lost one costs nothing."""


class SubmitMethods:
    """Submission of signed transactions."""

    def __init__(self, backend: Backend, blocks: BlockCache, settings: CallSettings) -> None:
        self._backend = backend
        self._blocks = blocks
        self._settings = settings

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "eth_sendRawTransaction": Method(
                self.send_raw_transaction,
                required(data),
                is_hot=True,
                is_pipelined=True,
                take_all=self.send_decoded,
                show=hash_of,
            ),
            "eth_sendRawTransactionSync": Method(
                self.send_raw_transaction_sync, required(data) + optional(json_uint64)
            ),
        }

    def send_raw_transaction(self, raw: bytes) -> asyncio.Future[Transaction]:
        """The transaction, once it is pooled and durable. The caller is told its hash."""
        return self._backend.ingress.take(raw, self._objection)

    async def send_decoded(
        self, decoded: Sequence[Transaction | DecodeRejection]
    ) -> Sequence[Exception | None]:
        """Why each is not pooled and durable, if it is not."""
        return await self._backend.ingress.take_all(decoded, self._objection)

    async def send_raw_transaction_sync(self, raw: bytes, timeout_ms: int | None) -> Json:
        """The receipt, if the transaction is mined in time (EIP-7966)."""
        limit_s = self._timeout_s(timeout_ms)
        with self._backend.events.subscribe(HeadChanged, capacity=HEADS_WAITING) as heads:
            tx_hash = (await self.send_raw_transaction(raw)).hash
            try:
                async with asyncio.timeout(limit_s):
                    if (receipt := await self._receipt(tx_hash)) is not None:
                        return receipt
                    async for _ in heads:
                        if (receipt := await self._receipt(tx_hash)) is not None:
                            return receipt
            except TimeoutError:
                raise RpcError(
                    "The transaction was added to the transaction pool but wasn't processed in "
                    f"{go_duration(limit_s)}",
                    code=SYNC_TIMEOUT,
                    data=to_data(tx_hash),
                ) from None
        raise RpcError("chain subscription closed")

    def _objection(self, transaction: Transaction) -> RpcError | None:
        """What the RPC has against a transaction, before the pool is asked."""
        too_dear = fee_objection(transaction, self._settings.tx_fee_cap_ether)
        if too_dear is not None:
            return too_dear
        if transaction.chain_id is None and not self._settings.allow_unprotected_txs:
            return RpcError("only replay-protected (EIP-155) transactions allowed over RPC")
        return None

    async def _receipt(self, tx_hash: bytes) -> Json:
        location = self._backend.chain.transaction_location(tx_hash)
        if location is None:
            return None
        mined = await self._blocks.by_number(location[0])
        if mined is None or mined.block.transactions[location[1]].hash != tx_hash:
            return None
        return receipt_view(mined, location[1])

    def _timeout_s(self, timeout_ms: int | None) -> float:
        if not timeout_ms:
            return self._settings.sync_default_timeout_s
        return min(timeout_ms / 1_000, self._settings.sync_max_timeout_s)


def hash_of(transaction: Transaction) -> str:
    """What the sender is told."""
    return to_data(transaction.hash)


def fee_objection(transaction: Transaction, cap_ether: float) -> RpcError | None:
    """The refusal if gas limit times fee cap is above the cap; 0 is no cap, the value does not count."""
    fee_ether = transaction.gas_limit * transaction.max_fee_per_gas / WEI_PER_ETHER
    if cap_ether and fee_ether > cap_ether:
        return RpcError(f"tx fee ({fee_ether:.2f} ether) exceeds the configured cap ({cap_ether:.2f} ether)")
    return None


def go_duration(seconds: float) -> str:
    """A duration as Go writes it: `20s`, `1m0s`, `1.5s`, `250ms`."""
    if seconds < 1:
        return f"{seconds * 1_000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
