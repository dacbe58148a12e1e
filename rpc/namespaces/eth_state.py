"""
`eth_`: reads of accounts, code, storage and proofs.

The block parameter may be left out and then means the head. A pending read sees the state of the head; only the
pending nonce knows the pool.
"""

from __future__ import annotations

from rpc.backend import Backend
from rpc.block_reference import BlockReference, block_reference, state_number
from rpc.errors import CLIENT_LIMIT_EXCEEDED, InvalidParams, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.parameters import list_of, map_of, optional, required
from rpc.quantities import address, hash32, text, text_list, to_data, to_quantity
from rpc.views import proof

MAX_SLOTS = 1_024
"""Slots of one `eth_getStorageValues` and keys of one `eth_getProof`."""


class StateMethods:
    """Reads of the state at a block."""

    def __init__(self, backend: Backend) -> None:
        self._chain = backend.chain
        self._pool = backend.pool

    def table(self) -> MethodTable:
        """Rows of the method table."""
        one_account = required(address) + optional(block_reference)
        return {
            "eth_getBalance": Method(self.get_balance, one_account),
            "eth_getCode": Method(self.get_code, one_account),
            "eth_getTransactionCount": Method(self.get_transaction_count, one_account, is_hot=True),
            "eth_getStorageAt": Method(
                self.get_storage_at, required(address, text) + optional(block_reference)
            ),
            "eth_getStorageValues": Method(
                self.get_storage_values,
                required(
                    map_of(address, list_of(hash32, "[]common.Hash"), "map[common.Address][]common.Hash")
                )
                + optional(block_reference),
            ),
            "eth_getProof": Method(self.get_proof, required(address, text_list) + optional(block_reference)),
        }

    async def get_balance(self, account: bytes, block: BlockReference | None) -> Json:
        """Wei."""
        found = await self._chain.account(account, state_number(self._chain, block))
        return to_quantity(found.balance)

    async def get_code(self, account: bytes, block: BlockReference | None) -> Json:
        """Code, or the delegation of an account that has one."""
        return to_data(await self._chain.code(account, state_number(self._chain, block)))

    async def get_transaction_count(self, account: bytes, block: BlockReference | None) -> Json:
        """The next nonce; at `pending` after the sender's pending transactions."""
        if block is not None and block.number == "pending":
            return to_quantity(self._pool.nonce(account))
        found = await self._chain.account(account, state_number(self._chain, block))
        return to_quantity(found.nonce)

    async def get_storage_at(self, account: bytes, key: str, block: BlockReference | None) -> Json:
        """One slot, 32 bytes."""
        number = state_number(self._chain, block)
        slot, _ = read_storage_key(key)
        return to_data(await self._chain.storage(account, slot, number))

    async def get_storage_values(
        self, wanted: list[tuple[bytes, list[bytes]]], block: BlockReference | None
    ) -> Json:
        """Many slots of many accounts."""
        asked = sum(len(slots) for _, slots in wanted)
        if asked > MAX_SLOTS:
            raise RpcError(f"too many slots (max {MAX_SLOTS})", code=CLIENT_LIMIT_EXCEEDED)
        if not asked:
            raise InvalidParams("empty request")
        number = state_number(self._chain, block)
        values: dict[str, Json] = {}
        for account, slots in wanted:
            values[to_data(account)] = [
                to_data(await self._chain.storage(account, slot, number)) for slot in slots
            ]
        return values

    async def get_proof(self, account: bytes, keys: list[str], block: BlockReference | None) -> Json:
        """Merkle proofs of an account and of slots (EIP-1186)."""
        if len(keys) > MAX_SLOTS:
            raise InvalidParams(f"too many storage keys requested (max {MAX_SLOTS}, got {len(keys)})")
        slots = [read_storage_key(key) for key in keys]
        number = state_number(self._chain, block)
        found, storage_root, account_proof, storage_proof = await self._chain.proof(
            account, [slot for slot, _ in slots], number
        )
        shown = [
            (name, value, nodes) for (_, name), (_, value, nodes) in zip(slots, storage_proof, strict=True)
        ]
        return proof(account, found, storage_root, account_proof, shown)


def read_storage_key(key: str) -> tuple[bytes, str]:
    """
    (slot, the key as geth writes it back): any hex of up to 32 bytes, the prefix optional.

    Raises InvalidParams in geth's words.
    """
    digits = key[2:] if key[:2] in ("0x", "0X") else key
    if len(digits) % 2:
        digits = "0" + digits
    if len(digits) > 64:
        raise InvalidParams(f'storage key too long (want at most 32 bytes): "{key}"')
    try:
        slot = bytes.fromhex(digits)
    except ValueError:
        slot = b""
    if 2 * len(slot) != len(digits):
        raise InvalidParams(f'invalid hex in storage key: "{key}"')
    padded = slot.rjust(32, b"\0")
    shown = to_data(padded) if len(slot) == 32 else to_quantity(int.from_bytes(slot, "big"))
    return padded, shown
