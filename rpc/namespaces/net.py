"""
`net_`: the network that this node is on. It has no peers of its own.
"""

from __future__ import annotations

from rpc.backend import Backend
from rpc.errors import Json
from rpc.method import Method, MethodTable


class NetMethods:
    """Facts about the network."""

    def __init__(self, backend: Backend, network_id: int | None) -> None:
        self._network_id = network_id or backend.chain.chain_id

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "net_version": Method(self.version, is_hot=True),
            "net_listening": Method(self.listening),
            "net_peerCount": Method(self.peer_count),
        }

    def version(self) -> Json:
        """The network id, decimal."""
        return str(self._network_id)

    def listening(self) -> Json:
        """As geth answers."""
        return True

    def peer_count(self) -> Json:
        """There is no p2p network here."""
        return "0x0"
