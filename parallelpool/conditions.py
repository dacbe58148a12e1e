"""
Why a pooled transaction is not executed yet, as conditions with numbers.

Derived from account, pool and head at the moment of the question, never stored: a condition that no longer holds
cannot be reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from parallelpool.primitives import Nonce, Wei

Figures: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NonceGap:
    """A lower nonce of the sender is missing."""

    next_nonce: Nonce
    """The one that must come first."""
    nonce: Nonce

    name: ClassVar = "nonceGap"

    def figures(self) -> Figures:
        """The numbers by their names."""
        return {"nextNonce": self.next_nonce, "nonce": self.nonce}

    def __str__(self) -> str:
        return f"nonce gap: next nonce {self.next_nonce}, tx nonce {self.nonce}"


@dataclass(frozen=True, slots=True)
class FundsMissing:
    """The sender cannot pay for this transaction on top of his lower nonces."""

    balance: Wei
    required: Wei
    """Cost of the transaction and of all of the sender's pooled transactions with lower nonces."""

    name: ClassVar = "insufficientFunds"

    @property
    def missing(self) -> Wei:
        """What the account lacks."""
        return Wei(self.required - self.balance)

    def figures(self) -> Figures:
        """The numbers by their names."""
        return {"balance": self.balance, "required": self.required, "missing": self.missing}

    def __str__(self) -> str:
        return f"insufficient funds: balance {self.balance}, required {self.required}, missing {self.missing}"


@dataclass(frozen=True, slots=True)
class FeeCapTooLow:
    """The fee cap is below the base fee of the block to come."""

    max_fee_per_gas: Wei
    base_fee: Wei

    name: ClassVar = "feeCapBelowBaseFee"

    def figures(self) -> Figures:
        """The numbers by their names."""
        return {"maxFeePerGas": self.max_fee_per_gas, "baseFee": self.base_fee}

    def __str__(self) -> str:
        return f"fee cap below base fee: max fee per gas {self.max_fee_per_gas}, base fee {self.base_fee}"


@dataclass(frozen=True, slots=True)
class SenderLimit:
    """
    The gap cannot be filled yet: the sender has as many executable transactions as a delegated account may have.

    Such an account has code, or is about to get it by a pooled transaction (EIP-7702).
    """

    in_flight: int
    limit: int

    name: ClassVar = "senderLimit"

    def figures(self) -> Figures:
        """The numbers by their names."""
        return {"inFlight": self.in_flight, "limit": self.limit}

    def __str__(self) -> str:
        return f"sender limit: {self.in_flight} in flight, a delegated account may have {self.limit}"


Condition: TypeAlias = NonceGap | FundsMissing | FeeCapTooLow | SenderLimit
