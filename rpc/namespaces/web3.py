"""
`web3_` and `rpc_`: who answers, what it offers, and a hash.
"""

from __future__ import annotations

from parallelpool.transaction import keccak256
from rpc.caller import Caller
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.parameters import required
from rpc.quantities import data, to_data


class Web3Methods:
    """Facts about the software."""

    def __init__(self, client_version: str) -> None:
        self._client_version = client_version
        self._namespaces: frozenset[str] = frozenset()

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "web3_clientVersion": Method(self.client_version),
            "web3_sha3": Method(self.sha3, required(data)),
            "rpc_modules": Method(self.modules, wants_caller=True),
        }

    def offer(self, namespaces: frozenset[str]) -> None:
        """Says which namespaces have methods, once the whole table stands."""
        self._namespaces = namespaces

    def client_version(self) -> Json:
        """`name/version/platform/language`, as tools expect it of geth."""
        return self._client_version

    def sha3(self, octets: bytes) -> Json:
        """Keccak-256."""
        return to_data(keccak256(octets))

    def modules(self, caller: Caller) -> Json:
        """What this caller may ask for."""
        offered = {
            name
            for name in self._namespaces
            if caller.modules is None or name in caller.modules or name == "rpc"
        }
        return dict.fromkeys(sorted(offered), "1.0")
