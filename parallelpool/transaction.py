"""
Transactions as the pool holds them: the engine's decoded transaction, its facts, and how it came.

Lower layers name the engine's value types through this module. A `PooledTransaction` never changes; where it
stands is known by the containers that hold it and nowhere else.
"""

from dataclasses import dataclass
from typing import Self

from parallelpool._core import Authorization, Header, LogWriter, Rules, Transaction, Written, keccak256
from parallelpool._core import PriceOrder as CorePriceOrder
from parallelpool.primitives import Address, Gas, Nonce, Slots, TxHash, Wei

__all__ = [
    "Authorization",
    "CorePriceOrder",
    "Header",
    "LogWriter",
    "PooledTransaction",
    "Rules",
    "Transaction",
    "Written",
    "keccak256",
    "slots_of",
]

SLOT_SIZE = 32_768
"""Bytes of one slot of pool space; geth's `txSlotSize`."""

SET_CODE_TYPE = 4
"""EIP-7702."""


def slots_of(size: int) -> Slots:
    """Pool space of a transaction whose canonical encoding has `size` bytes; at least one slot."""
    return Slots(max(1, -(-size // SLOT_SIZE)))


def authorities_of(tx: Transaction) -> tuple[Address, ...]:
    """Accounts that the transaction would delegate, each once; signatures that do not recover are ignored."""
    if tx.type != SET_CODE_TYPE:
        return ()
    recovered = (authorization.authority for authorization in tx.authorization_list)
    return tuple(dict.fromkeys(Address(authority) for authority in recovered if authority is not None))


@dataclass(frozen=True, slots=True, eq=False)
class PooledTransaction:
    """
    A transaction in the pool. Compared by identity: the same bytes admitted twice are two of these.

    The facts are copied out of the engine's object, which builds a Python value at every access.
    """

    transaction: Transaction
    hash: TxHash
    sender: Address
    nonce: Nonce
    gas_limit: Gas
    max_fee_per_gas: Wei
    """For types 0 and 1 the gas price."""
    max_priority_fee_per_gas: Wei
    """For types 0 and 1 the gas price."""
    cost: Wei
    """Most that the sender can be charged: gas x fee cap + value."""
    slots: Slots
    authorities: tuple[Address, ...]
    """Accounts that it would delegate (EIP-7702)."""
    is_local: bool
    """Submitted over RPC. Counted, and nothing else: the pool gives it no privilege."""
    arrival: int
    """Rises with every admission; at equal price the lower goes first."""
    received_at: float
    """Unix seconds of the first admission; kept over restarts."""

    @classmethod
    def of(
        cls, tx: Transaction, sender: Address, *, is_local: bool, arrival: int, received_at: float
    ) -> Self:
        """Reads the facts of `tx`, whose sender the caller knows already."""
        return cls(
            tx,
            TxHash(tx.hash),
            sender,
            Nonce(tx.nonce),
            Gas(tx.gas_limit),
            Wei(tx.max_fee_per_gas),
            Wei(tx.max_priority_fee_per_gas),
            Wei(tx.cost),
            slots_of(tx.size),
            authorities_of(tx),
            is_local,
            arrival,
            received_at,
        )
