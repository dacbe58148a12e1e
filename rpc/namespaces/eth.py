"""
`eth_`: the parts of the namespace joined, and what is too small for a part of its own.
"""

from __future__ import annotations

from rpc.backend import Backend
from rpc.block_cache import BlockCache
from rpc.errors import Json
from rpc.filters import FilterBook
from rpc.log_query import LogQuery
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_access_lists import AccessListMethods
from rpc.namespaces.eth_blocks import BlockMethods
from rpc.namespaces.eth_calls import CallMethods
from rpc.namespaces.eth_fees import FeeMethods
from rpc.namespaces.eth_fill import FillMethods
from rpc.namespaces.eth_filters import FilterMethods
from rpc.namespaces.eth_simulate import SimulateMethods
from rpc.namespaces.eth_state import StateMethods
from rpc.namespaces.eth_submit import SubmitMethods
from rpc.quantities import to_data, to_quantity
from rpc.settings import CallSettings


class EthMethods:
    """The namespace."""

    def __init__(
        self, backend: Backend, blocks: BlockCache, filters: FilterBook, settings: CallSettings
    ) -> None:
        self._chain = backend.chain
        self.fees = FeeMethods(backend, blocks, settings)
        self.calls = CallMethods(backend, settings, self.fees.suggest_tip)
        self._parts = (
            StateMethods(backend),
            BlockMethods(backend, blocks),
            AccessListMethods(backend),
            self.calls,
            SimulateMethods(backend, settings),
            self.fees,
            FillMethods(backend, self.calls, self.fees),
            SubmitMethods(backend, blocks, settings),
            FilterMethods(filters, LogQuery(backend.chain, blocks, settings)),
        )

    def table(self) -> MethodTable:
        """Rows of the method table."""
        rows: dict[str, Method] = {
            "eth_chainId": Method(self.chain_id, is_hot=True),
            "eth_blockNumber": Method(self.block_number, is_hot=True),
            "eth_syncing": Method(self.syncing),
            "eth_accounts": Method(self.accounts),
            "eth_capabilities": Method(self.capabilities),
        }
        for part in self._parts:
            rows.update(part.table())
        return rows

    def capabilities(self) -> Json:
        """Since which block each kind of data is there: nothing is ever pruned here."""
        head = self._chain.head()
        answer: dict[str, Json] = {"head": {"number": to_quantity(head.number), "hash": to_data(head.hash)}}
        for kind in ("state", "tx", "logs", "receipts", "blocks", "stateproofs"):
            answer[kind] = {"disabled": False, "oldestBlock": "0x0"}
        return answer

    def chain_id(self) -> Json:
        """EIP-155 chain id."""
        return to_quantity(self._chain.chain_id)

    def block_number(self) -> Json:
        """The head's."""
        return to_quantity(self._chain.head().number)

    def syncing(self) -> Json:
        """Our own chain has nothing to catch up with."""
        return False

    def accounts(self) -> Json:
        """The node holds no keys."""
        return []
