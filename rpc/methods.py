"""
The table of all methods: every name that the RPC answers to is put together here, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.method import Method, MethodTable
from rpc.namespaces.debug import DebugMethods
from rpc.namespaces.debug_tracing import TracingMethods
from rpc.namespaces.dev import DevMethods
from rpc.namespaces.eth import EthMethods
from rpc.namespaces.net import NetMethods
from rpc.namespaces.parallel import ParallelMethods
from rpc.namespaces.txpool import TxpoolMethods
from rpc.namespaces.web3 import Web3Methods

if TYPE_CHECKING:
    from rpc.backend import Backend
    from rpc.block_cache import BlockCache
    from rpc.filters import FilterBook
    from rpc.offers import Offers
    from rpc.settings import RpcSettings


def method_table(
    backend: Backend, blocks: BlockCache, filters: FilterBook, offers: Offers, settings: RpcSettings
) -> MethodTable:
    """Method name -> row, of all namespaces."""
    eth = EthMethods(backend, blocks, filters, settings.calls)
    web3 = Web3Methods(settings.client_version)
    rows: dict[str, Method] = {}
    for namespace in (
        eth,
        NetMethods(backend, settings.network_id),
        web3,
        TxpoolMethods(backend),
        DebugMethods(backend),
        TracingMethods(backend, settings.calls),
        ParallelMethods(backend, eth, offers),
        DevMethods(backend),
    ):
        rows.update(namespace.table())
    web3.offer(frozenset(name.partition("_")[0] for name in rows))
    return rows
