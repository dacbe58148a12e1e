"""
`eth_`: fee suggestions from what recent blocks paid, and fee history.

In: blocks and receipts of the chain. Out: wei per gas. The tip suggestion is geth's oracle: the lowest tips of the
newest blocks, a percentile of them, the same answer until the head changes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from rpc.backend import Backend
from rpc.block_cache import BlockCache, MinedBlock
from rpc.block_reference import BlockNumber, block_number
from rpc.errors import Json, RpcError
from rpc.method import Method, MethodTable
from rpc.parameters import Parameter, required
from rpc.quantities import hex_or_decimal, number_list, to_quantity
from rpc.settings import CallSettings

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from parallelpool.transaction import Transaction

SAMPLED_TIPS: Final = 3
"""Lowest tips taken from each block."""

MAX_HISTORY: Final = 1_024
"""Blocks of one fee history."""

MAX_PERCENTILES: Final = 100

GAS_PER_BLOB: Final = 131_072

INVALID_PERCENTILE: Final = "invalid reward percentile"


class FeeMethods:
    """Fee figures for wallets."""

    def __init__(self, backend: Backend, blocks: BlockCache, settings: CallSettings) -> None:
        self._chain = backend.chain
        self._blocks = blocks
        self._settings = settings
        self._samples: OrderedDict[bytes, list[int]] = OrderedDict()
        self._suggestion: tuple[bytes, int] = (b"", settings.initial_tip)
        self._suggesting = asyncio.Lock()

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "eth_gasPrice": Method(self.gas_price),
            "eth_maxPriorityFeePerGas": Method(self.max_priority_fee_per_gas),
            "eth_baseFee": Method(self.base_fee),
            "eth_blobBaseFee": Method(self.blob_base_fee),
            "eth_feeHistory": Method(
                self.fee_history, (*required(hex_or_decimal, block_number), Parameter(number_list))
            ),
        }

    async def gas_price(self) -> Json:
        """Tip and base fee together, for wallets that know one price only."""
        return to_quantity(await self.suggest_tip() + (self._chain.head().base_fee_per_gas or 0))

    async def max_priority_fee_per_gas(self) -> Json:
        """The suggested tip."""
        return to_quantity(await self.suggest_tip())

    def base_fee(self) -> Json:
        """The next block's."""
        base_fee = self._chain.next_base_fee()
        return to_quantity(base_fee) if base_fee is not None else None

    def blob_base_fee(self) -> Json:
        """The next block's."""
        blob_base_fee = self._chain.blob_base_fee(following=True)
        return to_quantity(blob_base_fee) if blob_base_fee is not None else None

    # -- the tip oracle

    async def suggest_tip(self) -> int:
        """Wei per gas. Source: geth eth/gasprice/gasprice.go, SuggestTipCap."""
        async with self._suggesting:
            head = self._chain.head()
            known_head, last = self._suggestion
            if known_head == head.hash:
                return last
            tips = sorted(await self._sample(head, last))
            suggestion = tips[(len(tips) - 1) * self._settings.sample_percentile // 100] if tips else last
            suggestion = min(suggestion, self._settings.max_suggested_tip)
            self._suggestion = (head.hash, suggestion)
            return suggestion

    async def _sample(self, head: Header, last: int) -> list[int]:
        """Tips of the newest blocks; a block that says nothing counts as the last suggestion, and one more is read."""
        results: list[int] = []
        wanted = min(self._settings.sample_blocks, head.number)
        number, read = head.number, 0
        while read < wanted and number > 0:
            tips = await self._tips_of(number) or [last]
            number, read = number - 1, read + 1
            if (
                len(tips) == 1
                and len(results) + 1 + wanted - read < 2 * self._settings.sample_blocks
                and number > 0
            ):
                wanted = min(wanted + 1, head.number)
            results += tips
        return results

    async def _tips_of(self, number: int) -> list[int]:
        """The lowest tips of a block that say something, ascending."""
        header = self._chain.header_by_number(number)
        if header is None:
            return []
        known = self._samples.get(header.hash)
        if known is None:
            known = await self._read_tips(header)
            self._samples[header.hash] = known
            while len(self._samples) > 4 * self._settings.sample_blocks:
                self._samples.popitem(last=False)
        return known

    async def _read_tips(self, header: Header) -> list[int]:
        block = await self._chain.block_by_hash(header.hash)
        if block is None:
            return []
        tips = sorted(
            tip
            for tx in block.transactions
            if tx.sender != header.beneficiary
            and (tip := effective_tip(tx, header.base_fee_per_gas)) >= self._settings.ignored_tip
        )
        return tips[:SAMPLED_TIPS]

    # -- fee history

    async def fee_history(self, count: int, newest: BlockNumber, percentiles: list[float]) -> Json:
        """Base fees, fullness and paid tips of `count` blocks up to `newest`."""
        if count < 1:
            return {"oldestBlock": "0x0", "gasUsedRatio": None}
        _check_percentiles(percentiles)
        last = self._last_block(newest)
        count = min(count, MAX_HISTORY, last + 1)
        headers = [self._chain.header_by_number(number) for number in range(last + 1 - count, last + 1)]
        found = [header for header in headers if header is not None]
        if not found:
            return {"oldestBlock": "0x0", "gasUsedRatio": None}
        answer: dict[str, Json] = {"oldestBlock": to_quantity(found[0].number)}
        if percentiles:
            answer["reward"] = [await self._rewards(header, percentiles) for header in found]
        answer["baseFeePerGas"] = [to_quantity(header.base_fee_per_gas or 0) for header in found] + [
            to_quantity(self._chain.next_base_fee(found[-1].number) or 0)
        ]
        answer["gasUsedRatio"] = [_ratio(header.gas_used, header.gas_limit) for header in found]
        answer["baseFeePerBlobGas"] = [to_quantity(self._blob_fee(header)) for header in found] + [
            to_quantity(self._chain.blob_base_fee(found[-1].number, following=True) or 0)
        ]
        answer["blobGasUsedRatio"] = [self._blob_ratio(header) for header in found]
        return answer

    def _last_block(self, newest: BlockNumber) -> int:
        head = self._chain.head().number
        if newest == "earliest":
            return 0
        if not isinstance(newest, int):
            return head
        if newest > head:
            raise RpcError(f"request beyond head block: requested {newest}, head {head}")
        return newest

    def _blob_fee(self, header: Header) -> int:
        if header.excess_blob_gas is None:
            return 0
        return self._chain.blob_base_fee(header.number) or 0

    def _blob_ratio(self, header: Header) -> float:
        schedule = self._chain.rules_at(header.number, header.timestamp).blob_schedule
        if schedule is None or not header.blob_gas_used or not schedule[1]:
            return 0
        return _ratio(header.blob_gas_used, schedule[1] * GAS_PER_BLOB)

    async def _rewards(self, header: Header, percentiles: list[float]) -> list[Json]:
        mined = await self._blocks.by_header(header)
        if mined is None:
            raise RpcError("header not found")
        return [to_quantity(tip) for tip in rewards(mined, percentiles)]


def _ratio(part: int, whole: int) -> float:
    """A fraction that is written as Go writes it: a whole number without a point."""
    return part // whole if part % whole == 0 else part / whole


def rewards(mined: MinedBlock, percentiles: list[float]) -> list[int]:
    """
    The tip at each percentile of the block's gas, cheapest gas first; zeros for an empty block.

    Source: geth eth/gasprice/feehistory.go, processBlock.
    """
    block = mined.block
    if not block.transactions:
        return [0] * len(percentiles)
    paid = sorted(
        (effective_tip(tx, block.header.base_fee_per_gas), receipt.gas_used)
        for tx, receipt in zip(block.transactions, mined.receipts, strict=True)
    )
    found: list[int] = []
    position, gas = 0, paid[0][1]
    for percentile in percentiles:
        threshold = int(block.header.gas_used * percentile / 100)
        while gas < threshold and position < len(paid) - 1:
            position += 1
            gas += paid[position][1]
        found.append(paid[position][0])
    return found


def effective_tip(tx: Transaction, base_fee: int | None) -> int:
    """What the producer gets per gas."""
    if base_fee is None:
        return tx.max_priority_fee_per_gas
    return min(tx.max_priority_fee_per_gas, tx.max_fee_per_gas - base_fee)


def _check_percentiles(percentiles: list[float]) -> None:
    """Raises RpcError in geth's words unless there are few, within 0..100, ascending."""
    if len(percentiles) > MAX_PERCENTILES:
        raise RpcError(f"{INVALID_PERCENTILE}: over the query limit {MAX_PERCENTILES}")
    for position, percentile in enumerate(percentiles):
        if not 0 <= percentile <= 100:
            raise RpcError(f"{INVALID_PERCENTILE}: {percentile:f}")
        if position and percentile <= (before := percentiles[position - 1]):
            raise RpcError(f"{INVALID_PERCENTILE}: #{position - 1}:{before:f} >= #{position}:{percentile:f}")
