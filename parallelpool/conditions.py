"""
Why a pooled transaction is not executed yet, as conditions with numbers.

Derived from account, pool and head at the moment of the question, never stored: a condition that no longer holds
cannot be reported.
"""

from dataclasses import dataclass
from typing import TypeAlias

from parallelpool.primitives import Nonce, Wei


@dataclass(frozen=True, slots=True)
class NonceGap:
    """A lower nonce of the sender is missing."""

    next_nonce: Nonce
    """The one that must come first."""
    nonce: Nonce

    def __str__(self) -> str:
        return f"nonce gap: next nonce {self.next_nonce}, tx nonce {self.nonce}"


@dataclass(frozen=True, slots=True)
class FundsMissing:
    """The sender cannot pay for this transaction on top of his lower nonces."""

    balance: Wei
    required: Wei
    """Cost of the transaction and of all of the sender's pooled transactions with lower nonces."""

    def __str__(self) -> str:
        missing = self.required - self.balance
        return f"insufficient funds: balance {self.balance}, required {self.required}, missing {missing}"


@dataclass(frozen=True, slots=True)
class FeeCapTooLow:
    """The fee cap is below the base fee of the block to come."""

    max_fee_per_gas: Wei
    base_fee: Wei

    def __str__(self) -> str:
        return f"fee cap below base fee: max fee per gas {self.max_fee_per_gas}, base fee {self.base_fee}"


Condition: TypeAlias = NonceGap | FundsMissing | FeeCapTooLow
