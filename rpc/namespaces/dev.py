"""
`dev_` and `evm_`: the hand on the sealing of our own chain. Operators only.
"""

from __future__ import annotations

from rpc.backend import Backend
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.quantities import to_data, to_quantity


class DevMethods:
    """Sealing on demand."""

    def __init__(self, backend: Backend) -> None:
        self._producer = backend.producer

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            "dev_mine": Method(self.mine, is_operator=True, outlives_caller=True),
            "evm_mine": Method(self.evm_mine, is_operator=True, outlives_caller=True),
        }

    async def mine(self) -> Json:
        """Seals one block now, an empty one if nothing is executable."""
        header = await self._producer.seal()
        return {"number": to_quantity(header.number), "hash": to_data(header.hash)}

    async def evm_mine(self) -> Json:
        """The same under the name that testing tools know, with their answer."""
        await self._producer.seal()
        return "0x0"
