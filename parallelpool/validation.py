"""
Is this transaction acceptable: first by itself, then against its sender's account.

In: a decoded, recovered transaction and the rules of the head. Out: `None` or the first refusal, in geth's
order. What depends on the other transactions of the pool (limits, prices, delegations) is decided in
`parallelpool.pool`.

Not here, because the engine's decoder refuses them first and in the same words: amounts wider than 256 bits.
Negative amounts cannot be encoded. The base fee is not compared: a transaction below it waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from parallelpool.errors import (
    EmptyAuthorizationList,
    FloorGasAboveCap,
    FloorGasTooLow,
    GasAboveBlockLimit,
    GasAboveTransactionCap,
    InitCodeTooLong,
    InsufficientFunds,
    InsufficientFundsForPending,
    IntrinsicGasTooLow,
    InvalidSender,
    NonceAtMaximum,
    NonceTooLow,
    OversizedTransaction,
    PoolError,
    TipAboveFeeCap,
    TipBelowMinimum,
    TransactionTypeNotSupported,
)
from parallelpool.primitives import BlockHash, Gas, Nonce, Wei
from parallelpool.transaction import SET_CODE_TYPE, PooledTransaction, Rules, Transaction

MAX_NONCE = Nonce(2**64 - 1)
"""No transaction may have it (EIP-2681)."""

AMSTERDAM_FLOOR_CAP = Gas(2**24)
"""Most that intrinsic gas or floor may be from Amsterdam on."""

EMPTY_CODE_HASH = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""keccak256 of nothing."""

FORK_OF_TYPE = {0: None, 1: "Berlin", 2: "London", SET_CODE_TYPE: "Prague"}
"""Types that the pool takes and the forks that bring them; the parallel type comes with London."""


class HeaderView(Protocol):
    """A block header, as far as the pool asks; `_core.Header` is one."""

    @property
    def hash(self) -> bytes: ...
    @property
    def number(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...


class AccountView(Protocol):
    """An account of the state; `_core.Account` is one."""

    @property
    def nonce(self) -> int: ...
    @property
    def balance(self) -> int: ...
    @property
    def code_hash(self) -> bytes: ...


class ChainState(Protocol):
    """The head and its state, as far as the pool asks; `parallelpool.chain` implements it."""

    def head(self) -> HeaderView: ...
    def rules_at(self, number: int, timestamp: int, /) -> Rules: ...
    def next_base_fee(self, number: int | None = None, /) -> int | None: ...
    def accounts(self, addresses: Sequence[bytes], /) -> Sequence[AccountView]:
        """Accounts at the head, all of one state; absent ones read as zeros and the hash of no code."""

    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """(block number, index in the block) of a transaction on the canonical chain."""

    def transaction_locations(self, hashes: Sequence[bytes], /) -> Sequence[tuple[int, int] | None]:
        """The same for many."""

    def accounts_changed_since(self, number: int, block_hash: bytes, /) -> Sequence[bytes] | None:
        """Accounts that differ from what they were after that block; `None` if only a look at all would tell."""


class SenderState(NamedTuple):
    """What the pool needs of an account at the head."""

    nonce: Nonce
    balance: Wei
    has_code: bool
    """True also for a delegated account (EIP-7702)."""

    @classmethod
    def of(cls, account: AccountView) -> "SenderState":
        """Copies an account's facts."""
        return cls(Nonce(account.nonce), Wei(account.balance), account.code_hash != EMPTY_CODE_HASH)


@dataclass(frozen=True, slots=True)
class HeadRules:
    """What the head allows: a snapshot, so that one admission sees one head."""

    number: int
    hash: BlockHash
    gas_limit: Gas
    next_base_fee: Wei | None
    """Base fee of the block to come; `None` before London."""
    max_init_code_size: int | None
    max_transaction_gas: Gas | None
    """EIP-7825, where it holds."""
    is_prague: bool
    is_amsterdam: bool
    forks: frozenset[str]
    """Active ones of those in `FORK_OF_TYPE`."""
    rules: Rules

    @classmethod
    def of(cls, chain: ChainState) -> "HeadRules":
        """Reads the head. geth judges by the rules of the head itself, not of the block to come."""
        header = chain.head()
        rules = chain.rules_at(header.number, header.timestamp)
        next_base_fee = chain.next_base_fee()
        max_transaction_gas = rules.max_transaction_gas
        return cls(
            number=header.number,
            hash=BlockHash(header.hash),
            gas_limit=Gas(header.gas_limit),
            next_base_fee=None if next_base_fee is None else Wei(next_base_fee),
            max_init_code_size=rules.max_init_code_size,
            max_transaction_gas=None if max_transaction_gas is None else Gas(max_transaction_gas),
            is_prague=rules.is_active("Prague"),
            is_amsterdam=rules.is_active("Amsterdam"),
            forks=frozenset(fork for fork in FORK_OF_TYPE.values() if fork and rules.is_active(fork)),
            rules=rules,
        )


def is_pool_type(tx: Transaction) -> bool:
    """Whether the pool takes transactions of this type at all; blob transactions it does not."""
    return tx.is_parallel or tx.type in FORK_OF_TYPE


def check_alone(tx: Transaction, head: HeadRules, *, min_tip: Wei, max_size: int) -> PoolError | None:
    """
    The first rule that `tx` breaks by itself on this head, in geth's order.

    `min_tip` is held against the tip cap, not against what the producer would earn.

    Source: geth core/txpool/validation.go, ValidateTransaction.
    """
    gas_limit, tip = tx.gas_limit, tx.max_priority_fee_per_gas
    return (
        _check_type(tx, head, max_size)
        or _check_creation(tx, head)
        or _check_gas_limit(Gas(gas_limit), head)
        or (TipAboveFeeCap() if tx.max_fee_per_gas < tip else None)
        or _check_sender(tx)
        or _check_charges(tx, Gas(gas_limit), head)
        or (TipBelowMinimum(Wei(tip), min_tip) if tip < min_tip else None)
        or (EmptyAuthorizationList() if tx.type == SET_CODE_TYPE and not tx.authorization_list else None)
    )


def _check_type(tx: Transaction, head: HeadRules, max_size: int) -> PoolError | None:
    tx_type = tx.type
    if tx.is_parallel:
        fork: str | None = "London"
    elif tx_type in FORK_OF_TYPE:
        fork = FORK_OF_TYPE[tx_type]
    else:
        return TransactionTypeNotSupported(tx_type)
    if (size := tx.size) > max_size:
        return OversizedTransaction(size, max_size)
    if fork is not None and fork not in head.forks:
        # geth asks for Berlin first, whatever the type.
        return TransactionTypeNotSupported(tx_type, fork if "Berlin" in head.forks else "Berlin")
    return None


def _check_creation(tx: Transaction, head: HeadRules) -> PoolError | None:
    limit = head.max_init_code_size
    if limit is None or tx.to is not None:
        return None
    size = len(tx.data)
    return InitCodeTooLong(size, limit) if size > limit else None


def _check_gas_limit(gas_limit: Gas, head: HeadRules) -> PoolError | None:
    if head.max_transaction_gas is not None and gas_limit > head.max_transaction_gas:
        return GasAboveTransactionCap(head.max_transaction_gas, gas_limit)
    return GasAboveBlockLimit() if gas_limit > head.gas_limit else None


def _check_sender(tx: Transaction) -> PoolError | None:
    if (cause := tx.sender_error) is not None:
        return InvalidSender(cause)
    return NonceAtMaximum() if tx.nonce == MAX_NONCE else None


def _check_charges(tx: Transaction, gas_limit: Gas, head: HeadRules) -> PoolError | None:
    intrinsic, floor = head.rules.charges(tx)
    if gas_limit < intrinsic:
        return IntrinsicGasTooLow(gas_limit, Gas(intrinsic))
    if head.is_prague and gas_limit < floor:
        return FloorGasTooLow(gas_limit, Gas(floor))
    if head.is_amsterdam and max(intrinsic, floor) > AMSTERDAM_FLOOR_CAP:
        return FloorGasAboveCap(Gas(intrinsic), Gas(floor))
    return None


def check_account(
    pooled: PooledTransaction, state: SenderState, *, pending_cost: int, replaced_cost: int | None
) -> PoolError | None:
    """
    Whether the sender may still use the nonce and can pay.

    `pending_cost` (wei) is the sum over the sender's pending transactions, queued ones do not count;
    `replaced_cost` is that of the pending transaction with the same nonce, if there is one.

    Source: geth core/txpool/validation.go, ValidateTransactionWithState.
    """
    nonce, balance, _ = state
    cost = pooled.cost
    if nonce > pooled.nonce:
        return NonceTooLow(nonce, pooled.nonce)
    if balance < cost:
        return InsufficientFunds(balance, cost)
    is_bump = replaced_cost is not None
    added = Wei(cost - replaced_cost) if replaced_cost is not None else cost
    if balance < pending_cost + added:
        return InsufficientFundsForPending(balance, added, Wei(pending_cost), is_bump)
    return None
