"""
Names for the bytes and integers that mean different things.

A NewType costs nothing at run time and proves nothing: lengths and ranges are checked where values come in
(the engine's decoder, the RPC's quantities, the configuration).
"""

from typing import NewType

Address = NewType("Address", bytes)
"""20 bytes."""

TxHash = NewType("TxHash", bytes)
"""32 bytes: keccak256 of the canonical encoding."""

BlockHash = NewType("BlockHash", bytes)
"""32 bytes: keccak256 of the header's RLP."""

Wei = NewType("Wei", int)
"""10^-18 ether; a 256 bit amount."""

Gas = NewType("Gas", int)
"""64 bit."""

Nonce = NewType("Nonce", int)
"""Transactions that an account has sent before; 64 bit."""

Slots = NewType("Slots", int)
"""Pool space in units of 32 KiB, rounded up; geth's `txSlotSize`."""
