"""
Searches mined logs: a filter in, JSON views out, ascending by block and index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc import views
from rpc.errors import InvalidParams, Json
from rpc.log_filter import LogFilter, check_size, resolve_range

if TYPE_CHECKING:
    from rpc.backend import Chain
    from rpc.block_cache import BlockCache
    from rpc.settings import CallSettings


class LogQuery:
    """Answers `eth_getLogs` and `eth_getFilterLogs`."""

    def __init__(self, chain: Chain, blocks: BlockCache, settings: CallSettings) -> None:
        self._chain = chain
        self._blocks = blocks
        self.query_limit = settings.log_query_limit
        self._range_limit = settings.block_range_limit
        self._result_limit = settings.log_result_limit

    async def find(self, wanted: LogFilter) -> list[Json]:
        """All matching logs. Raises RpcError in geth's words for a query that cannot be answered."""
        check_size(wanted, self.query_limit)
        first, last = resolve_range(wanted, self._chain, self._range_limit)
        topics = [alternatives or None for alternatives in wanted.topics]
        entries = await self._chain.logs(first, last, wanted.addresses, topics, self._result_limit)
        if len(entries) > self._result_limit:
            raise InvalidParams(f"query exceeds the limit of {self._result_limit} logs")
        found: list[Json] = []
        for number, tx_index, log_index, entry in entries:
            mined = await self._blocks.by_number(number)
            if mined is None:
                continue
            place = views.Place.of(mined.block.header, tx_index)
            tx_hash = mined.block.transactions[tx_index].hash
            found.append(views.log(entry, place, tx_hash, log_index))
        return found
