"""Blocks, receipts, and what their making takes and gives."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.transactions import Transaction

@final
class Withdrawal:
    @property
    def index(self) -> int: ...
    @property
    def validator_index(self) -> int: ...
    @property
    def address(self) -> bytes: ...
    @property
    def amount(self) -> int:
        """Gwei."""

@final
class Ommer:
    """The header of an uncle, named by its hash."""

    @property
    def hash(self) -> bytes: ...
    @property
    def header(self) -> Header: ...

@final
class Header:
    """A block header and its hash. Fields that the fork does not have are `None`."""

    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def ommers_hash(self) -> bytes: ...
    @property
    def beneficiary(self) -> bytes: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def transactions_root(self) -> bytes: ...
    @property
    def receipts_root(self) -> bytes: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def difficulty(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def extra_data(self) -> bytes: ...
    @property
    def mix_hash(self) -> bytes: ...
    @property
    def nonce(self) -> bytes:
        """8 bytes."""
    @property
    def base_fee_per_gas(self) -> int | None: ...
    @property
    def withdrawals_root(self) -> bytes | None: ...
    @property
    def blob_gas_used(self) -> int | None: ...
    @property
    def excess_blob_gas(self) -> int | None: ...
    @property
    def parent_beacon_block_root(self) -> bytes | None: ...
    @property
    def requests_hash(self) -> bytes | None: ...
    @property
    def block_access_list_hash(self) -> bytes | None: ...
    @property
    def slot_number(self) -> int | None: ...
    @property
    def raw(self) -> bytes:
        """RLP."""

@final
class Block:
    """A sealed block."""

    @property
    def header(self) -> Header: ...
    @property
    def transactions(self) -> tuple[Transaction, ...]: ...
    @property
    def ommers(self) -> tuple[Ommer, ...]: ...
    @property
    def withdrawals(self) -> tuple[Withdrawal, ...] | None: ...
    @property
    def size(self) -> int:
        """Bytes of the block's RLP."""
    @property
    def raw(self) -> bytes:
        """RLP of the whole block."""

@final
class Log:
    @property
    def address(self) -> bytes: ...
    @property
    def topics(self) -> tuple[bytes, ...]: ...
    @property
    def data(self) -> bytes: ...

@final
class Receipt:
    """What a transaction left behind. Position and hashes come from its block."""

    @property
    def type(self) -> int: ...
    @property
    def success(self) -> bool: ...
    @property
    def state_root(self) -> bytes | None:
        """Before Byzantium, in place of a status."""
    @property
    def cumulative_gas_used(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def logs(self) -> tuple[Log, ...]: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def contract_address(self) -> bytes | None: ...
    @property
    def effective_gas_price(self) -> int: ...
    @property
    def blob_gas_used(self) -> int: ...
    @property
    def raw(self) -> bytes:
        """Consensus encoding, type byte first."""

@final
class ExecutionStatistics:
    """Figures of one execution; not part of its result."""

    @property
    def parallel(self) -> bool: ...
    @property
    def threads(self) -> int: ...
    @property
    def active_workers(self) -> int: ...
    @property
    def executions(self) -> int: ...
    @property
    def conflicts(self) -> int: ...
    @property
    def executions_per_transaction(self) -> bytes:
        """One byte per transaction."""
    @property
    def wasted_gas(self) -> int: ...
    @property
    def aborts(self) -> tuple[tuple[int, int | None, tuple[bytes, str, bytes | None] | None], ...]:
        """
        (transaction, the writer it had missed, (address, field, slot)) for each execution thrown away.

        In block order, at most 1,024. The writer is `None` where what it had seen was itself thrown away.
        """
    @property
    def transfers(self) -> int:
        """Plain transfers applied without an EVM."""
    @property
    def checked_transfers(self) -> int:
        """Those of them that the EVM executed too, and agreed."""
    @property
    def reused(self) -> int:
        """Transactions that a record of an earlier run was applied for."""
    @property
    def busy_ns(self) -> tuple[int, ...]:
        """For each worker, time otherwise than waiting for work."""
    @property
    def cpu_ns(self) -> int:
        """CPU time of all threads that took part."""
    @property
    def elapsed_ns(self) -> int:
        """Wall time."""

@final
class BlockAttributes:
    """What the producer chooses for the next block; the rest follows from parent and rules."""

    def __new__(
        cls,
        *,
        timestamp: int,
        beneficiary: bytes,
        prev_randao: bytes,
        gas_limit: int,
        extra_data: bytes = ...,
        parent_beacon_block_root: bytes | None = None,
        withdrawals: Sequence[tuple[int, int, bytes, int]] | None = None,
    ) -> BlockAttributes:
        """`withdrawals`: (index, validator index, address, gwei) each; `None` is none."""

@final
class LeftOut:
    """A candidate that is not in the built block."""

    @property
    def hash(self) -> bytes: ...
    @property
    def kind(self) -> str:
        """`nonce_too_low`, `nonce_too_high`, `insufficient_funds`, `fee_cap_too_low`, `block_full`, or `invalid`."""
    @property
    def message(self) -> str:
        """geth's text."""

@final
class BuiltBlock:
    """A block that was executed and is not stored yet."""

    @property
    def block(self) -> Block: ...
    @property
    def receipts(self) -> tuple[Receipt, ...]: ...
    @property
    def left_out(self) -> tuple[LeftOut, ...]: ...
    @property
    def statistics(self) -> ExecutionStatistics: ...
