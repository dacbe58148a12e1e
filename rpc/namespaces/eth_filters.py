"""
`eth_`: log queries and polled filters.
"""

from __future__ import annotations

from rpc.errors import Json, RpcError
from rpc.filters import BlockFilter, FilterBook, NewLogFilter, PendingTransactionFilter
from rpc.log_filter import LogFilter, check_future, check_size, log_filter
from rpc.log_query import LogQuery
from rpc.method import Method, MethodTable
from rpc.parameters import optional, required
from rpc.quantities import boolean, subscription_id


class FilterMethods:
    """Filters by id, and queries without one."""

    def __init__(self, filters: FilterBook, query: LogQuery) -> None:
        self._filters = filters
        self._query = query

    def table(self) -> MethodTable:
        """Rows of the method table."""
        by_id = required(subscription_id)
        return {
            "eth_getLogs": Method(self.get_logs, required(log_filter)),
            "eth_newFilter": Method(self.new_filter, required(log_filter)),
            "eth_newBlockFilter": Method(self.new_block_filter),
            "eth_newPendingTransactionFilter": Method(self.new_pending_transaction_filter, optional(boolean)),
            "eth_getFilterChanges": Method(self.get_filter_changes, by_id),
            "eth_getFilterLogs": Method(self.get_filter_logs, by_id),
            "eth_uninstallFilter": Method(self.uninstall_filter, by_id),
        }

    async def get_logs(self, wanted: LogFilter) -> Json:
        """Mined logs that match."""
        return await self._query.find(wanted)

    def new_filter(self, wanted: LogFilter) -> Json:
        """Begins to gather new logs that match."""
        check_size(wanted, self._query.query_limit)
        check_future(wanted)
        return self._filters.install(NewLogFilter(self._filters.now, wanted))

    def new_block_filter(self) -> Json:
        """Begins to gather block hashes."""
        return self._filters.install(BlockFilter(self._filters.now))

    def new_pending_transaction_filter(self, full: bool | None) -> Json:
        """Begins to gather executable transactions, by hash or whole."""
        return self._filters.install(PendingTransactionFilter(self._filters.now, full=bool(full)))

    def get_filter_changes(self, filter_id: str) -> Json:
        """What came since the last poll."""
        return self._filters.find(filter_id).poll(self._filters.now)

    async def get_filter_logs(self, filter_id: str) -> Json:
        """All mined logs that a log filter means."""
        held = self._filters.find(filter_id)
        if not isinstance(held, NewLogFilter):
            raise RpcError("filter not found")
        return await self._query.find(held.wanted)

    def uninstall_filter(self, filter_id: str) -> Json:
        """Whether there was such a filter."""
        return self._filters.uninstall(filter_id)
