"""
The errors that callers tell apart.

    ParallelPoolError
    ├── ConfigurationError      bad flags, file or environment: all problems at once, exit code 2
    ├── StartFailure            the daemon cannot start or go on: exit code 1
    ├── JournalError            the pool's journal cannot be opened or written
    ├── DecodeError             bytes that are no transaction: an answer, not a fault
    └── PoolError               a transaction was refused: an answer, not a fault
        ├── AlreadyKnown, TransactionTypeNotSupported, OversizedTransaction, InitCodeTooLong,
        │   GasAboveTransactionCap, GasAboveBlockLimit, TipAboveFeeCap, InvalidSender, NonceAtMaximum,
        │   IntrinsicGasTooLow, FloorGasTooLow, FloorGasAboveCap, TipBelowMinimum,
        │   EmptyAuthorizationList                                                    without state
        ├── NonceTooLow, InsufficientFunds (InsufficientFundsForPending), GappedDelegatedNonce,
        │   DelegatedLimitReached, AuthorityReserved                                  against the account
        └── Underpriced, ReplacementUnderpriced, PoolFull, FutureReplacesPending, NotDurable
                                                                                      against the pool

The engine has a tree of its own, `CoreError` in `parallelpool._core`. A bug is an AssertionError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from parallelpool.primitives import Gas, Nonce, TxHash, Wei


class ParallelPoolError(Exception):
    """Base of all errors that this package raises on purpose."""


def _one_line(problem: str) -> str:
    """Problems quote what came from outside: line breaks and control characters are shown, not sent on."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in problem)


class ConfigurationError(ParallelPoolError):
    """The settings cannot be used. `problems` holds one sentence each, in the order in which they were found."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(_one_line(problem) for problem in problems)
        super().__init__("\n".join(self.problems))


class StartFailure(ParallelPoolError):
    """Something outside keeps the daemon from running: a taken port, a locked data directory."""


class DecodeError(ParallelPoolError):
    """Bytes that are no transaction; `kind` is the engine's stable class of the failure."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class JournalError(ParallelPoolError):
    """The journal of the pool cannot be opened, read or written; the message says what and why."""


class PoolError(ParallelPoolError):
    """
    A transaction was refused. Subclasses hold the offending values and build their text from them.

    The text is geth's, letter for letter: wallets match on it.
    """

    message: ClassVar[str]
    """geth's words for this class of refusal; the text begins with them."""

    def __str__(self) -> str:
        return self.message


# ------------------------------------------------------------------ without state


class AlreadyKnown(PoolError):
    """The same transaction is pooled."""

    message = "already known"


@dataclass(eq=False)
class TransactionTypeNotSupported(PoolError):
    """The type byte is none of the pool's, or its fork is not active."""

    message = "transaction type not supported"
    tx_type: int
    fork: str | None = None
    """The fork that brings the type, where only it is missing."""

    def __str__(self) -> str:
        if self.fork is None:
            return f"{self.message}: tx type {self.tx_type} not supported by this pool"
        return f"{self.message}: type {self.tx_type} rejected, pool not yet in {self.fork}"


@dataclass(eq=False)
class OversizedTransaction(PoolError):
    """The canonical encoding is longer than the pool takes."""

    message = "oversized data"
    size: int
    limit: int

    def __str__(self) -> str:
        return f"{self.message}: transaction size {self.size}, limit {self.limit}"


@dataclass(eq=False)
class InitCodeTooLong(PoolError):
    """EIP-3860."""

    message = "max initcode size exceeded"
    size: int
    limit: int

    def __str__(self) -> str:
        return f"{self.message}: code size {self.size} limit {self.limit}"


@dataclass(eq=False)
class GasAboveTransactionCap(PoolError):
    """EIP-7825."""

    message = "transaction gas limit too high"
    cap: Gas
    gas_limit: Gas

    def __str__(self) -> str:
        return f"{self.message} (cap: {self.cap}, tx: {self.gas_limit})"


class GasAboveBlockLimit(PoolError):
    """More gas than a whole block has."""

    message = "exceeds block gas limit"


class TipAboveFeeCap(PoolError):
    """The tip alone is more than the fee cap."""

    message = "max priority fee per gas higher than max fee per gas"


@dataclass(eq=False)
class InvalidSender(PoolError):
    """The signature gives no sender on this chain."""

    message = "invalid sender"
    cause: str

    def __str__(self) -> str:
        return f"{self.message}: {self.cause}"


class NonceAtMaximum(PoolError):
    """EIP-2681: 2^64-1 is no nonce."""

    message = "nonce has max value"


@dataclass(eq=False)
class IntrinsicGasTooLow(PoolError):
    """The gas limit does not pay for what the transaction costs before it runs."""

    message = "intrinsic gas too low"
    gas_limit: Gas
    required: Gas

    def __str__(self) -> str:
        return f"{self.message}: gas {self.gas_limit}, minimum needed {self.required}"


@dataclass(eq=False)
class FloorGasTooLow(PoolError):
    """EIP-7623: the gas limit is below the floor of the calldata."""

    message = "insufficient gas for floor data gas cost"
    gas_limit: Gas
    required: Gas

    def __str__(self) -> str:
        return f"{self.message}: gas {self.gas_limit}, minimum needed {self.required}"


@dataclass(eq=False)
class FloorGasAboveCap(PoolError):
    """Amsterdam: intrinsic gas or floor are above what one transaction may use."""

    message = "insufficient gas for floor data gas cost"
    intrinsic: Gas
    floor: Gas

    def __str__(self) -> str:
        return f"{self.message}: intrinsic cost {self.intrinsic}, floor: {self.floor}"


@dataclass(eq=False)
class TipBelowMinimum(PoolError):
    """The tip cap (for types 0 and 1 the gas price) is below the pool's minimum. The base fee plays no part."""

    message = "transaction gas price below minimum"
    tip_cap: Wei
    minimum: Wei

    def __str__(self) -> str:
        return f"{self.message}: gas tip cap {self.tip_cap}, minimum needed {self.minimum}"


class EmptyAuthorizationList(PoolError):
    """EIP-7702: a set-code transaction without authorizations."""

    message = "set code tx must have at least one authorization tuple"


# ------------------------------------------------------------------ against the account


@dataclass(eq=False)
class NonceTooLow(PoolError):
    """The account has used this nonce."""

    message = "nonce too low"
    next_nonce: Nonce
    nonce: Nonce

    def __str__(self) -> str:
        return f"{self.message}: next nonce {self.next_nonce}, tx nonce {self.nonce}"


@dataclass(eq=False)
class InsufficientFunds(PoolError):
    """The account cannot pay for the transaction alone."""

    message = "insufficient funds for gas * price + value"
    balance: Wei
    cost: Wei

    @property
    def overshot(self) -> Wei:
        """What is missing."""
        return Wei(self.cost - self.balance)

    def __str__(self) -> str:
        return f"{self.message}: balance {self.balance}, tx cost {self.cost}, overshot {self.overshot}"


@dataclass(eq=False)
class InsufficientFundsForPending(InsufficientFunds):
    """The account cannot pay for the transaction on top of what it has pending."""

    pending_cost: Wei
    """Cost of all pending transactions of the account."""
    is_bump: bool
    """`cost` is the difference to the transaction that is replaced."""

    @property
    def overshot(self) -> Wei:
        """What is missing."""
        return Wei(self.pending_cost + self.cost - self.balance)

    def __str__(self) -> str:
        kind = "bumped" if self.is_bump else "cost"
        return (
            f"{self.message}: balance {self.balance}, queued cost {self.pending_cost}, "
            f"tx {kind} {self.cost}, overshot {self.overshot}"
        )


class GappedDelegatedNonce(PoolError):
    """An account with code, or one whose delegation is pooled, must use its next nonce."""

    message = "gapped-nonce tx from delegated accounts"


class DelegatedLimitReached(PoolError):
    """An account with code, or one whose delegation is pooled, may have one transaction pooled."""

    message = "in-flight transaction limit reached for delegated accounts"


class AuthorityReserved(PoolError):
    """An account that the transaction would delegate has more than one transaction pooled."""

    message = "authority already reserved"


# ------------------------------------------------------------------ against the pool


class Underpriced(PoolError):
    """The pool is full, and nothing in it pays less."""

    message = "transaction underpriced"


@dataclass(eq=False)
class ReplacementUnderpriced(PoolError):
    """The nonce is taken, and the price bump is not met."""

    message = "replacement transaction underpriced"
    replaces: TxHash


class PoolFull(PoolError):
    """No room could be made, or the sender has as many queued transactions as one may have."""

    message = "txpool is full"


class FutureReplacesPending(PoolError):
    """The pool is full, and a transaction behind a nonce gap would push an executable one out."""

    message = "future transaction tries to replace pending"


@dataclass(eq=False)
class NotDurable(PoolError):
    """The journal could not be written, so the transaction was taken out again."""

    message = "transaction could not be made durable"
    cause: str

    def __str__(self) -> str:
        return f"{self.message}: {self.cause}"
