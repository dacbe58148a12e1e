"""
The native engine: the one door between Python and Rust.

Across it go `bytes` of checked length (hashes 32, addresses 20, slots 32), `int`, `str`, tuples and frozen
objects. Lists come in and out whole: the failure of one item is a value in the result, an exception
means that the call as a whole did nothing. Work above a tenth of a millisecond releases the GIL.

Amounts are wei, gas is gas, times are seconds since 1970 unless the name says otherwise.
"""

from collections.abc import Sequence
from typing import Final, final

__all__ = [
    "AccessSet",
    "Account",
    "Authorization",
    "Batch",
    "BatchPlan",
    "Block",
    "BlockAttributes",
    "BlockRefused",
    "BuiltBlock",
    "CallOutcome",
    "CallRequest",
    "Chain",
    "CoreAborted",
    "CoreDivergence",
    "CoreError",
    "CoreInternalError",
    "CoreInvalidArgument",
    "DecodeRejection",
    "ExecutionStatistics",
    "GenesisError",
    "Header",
    "LeftOut",
    "Log",
    "Ommer",
    "Receipt",
    "ReplayBlock",
    "ReplayVerdict",
    "Rules",
    "StateUnavailable",
    "StorageFailure",
    "StoreRefused",
    "Transaction",
    "Withdrawal",
    "Workers",
    "__version__",
    "_panic",
    "_spin",
    "block_hash",
    "decode_transactions",
    "dev_genesis",
    "error_kinds",
    "find_conflicts",
    "keccak256",
    "plan_batches",
    "replay",
    "replay_compare",
    "split_blocks",
]

__version__: Final[str]
"""Version of the native module; equal to `parallelpool.__version__` or the import fails."""

# ------------------------------------------------------------------ errors

class CoreError(Exception):
    """Base of all engine errors. `kind` is one of `error_kinds()`."""

    kind: str

class GenesisError(CoreError):
    """The genesis document cannot be used; the message lists every problem."""

class StorageFailure(CoreError):
    """The store could not be opened, read or written."""

class StoreRefused(CoreError):
    """The data directory is locked, of another schema, or of another genesis."""

class StateUnavailable(CoreError):
    """A state could not be read, or is not kept."""

class BlockRefused(CoreError):
    """A block was refused. The message is `block N refused: reason`."""

class CoreInvalidArgument(CoreError):
    """An argument makes no sense."""

class CoreAborted(CoreError):
    """The work was cancelled or ran past its deadline: `execution aborted (timeout = 5s)`."""

class CoreDivergence(CoreError):
    """Parallel and serial execution disagreed. Always a bug; nothing was committed."""

class CoreInternalError(CoreError):
    """A panic in the engine, caught at the boundary. Always a bug; the engine stays usable."""

def error_kinds() -> tuple[str, ...]:
    """Names of all error kinds, `internal` (a caught panic) last."""

# ------------------------------------------------------------------ transactions

def keccak256(data: bytes, /) -> bytes:
    """Keccak-256, 32 bytes."""

@final
class Workers:
    """The engine's threads. Make one per process and hand it to everything."""

    def __new__(cls, threads: int = 0, /) -> Workers:
        """`threads` workers, the calling thread included; 0 means one per CPU."""
    @property
    def threads(self) -> int: ...

@final
class Authorization:
    """One EIP-7702 authorization tuple."""

    @property
    def chain_id(self) -> int: ...
    @property
    def address(self) -> bytes: ...
    @property
    def nonce(self) -> int: ...
    @property
    def y_parity(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...
    @property
    def authority(self) -> bytes | None:
        """The recovered signer; `None` where the signature does not recover."""

@final
class Transaction:
    """A decoded transaction. Immutable, hashable by its hash, shared with the engine without a copy."""

    @property
    def hash(self) -> bytes: ...
    @property
    def signing_hash(self) -> bytes: ...
    @property
    def sender(self) -> bytes:
        """20 bytes, recovered from the signature; empty exactly if `sender_error` is set."""
    @property
    def sender_error(self) -> str | None:
        """Why no sender could be recovered, in geth's words without the `invalid sender: ` in front."""
    @property
    def type(self) -> int: ...
    @property
    def is_parallel(self) -> bool:
        """Whether the type byte is the chain's parallel type."""
    @property
    def tag(self) -> str | None:
        """`"PARALLEL"`, `"SEQUENTIAL"` or `None`: what `data` begins with. A hint."""
    @property
    def chain_id(self) -> int | None:
        """`None` for a legacy transaction without replay protection."""
    @property
    def nonce(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def max_fee_per_gas(self) -> int:
        """For types 0 and 1 the gas price."""
    @property
    def max_priority_fee_per_gas(self) -> int:
        """For types 0 and 1 the gas price."""
    @property
    def max_fee_per_blob_gas(self) -> int: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def value(self) -> int: ...
    @property
    def data(self) -> bytes:
        """The whole data field, a tag included."""
    @property
    def evm_input(self) -> bytes:
        """What the EVM sees: `data`, for the parallel type without its one leading tag."""
    @property
    def access_list(self) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]: ...
    @property
    def blob_versioned_hashes(self) -> tuple[bytes, ...]: ...
    @property
    def authorization_list(self) -> tuple[Authorization, ...]: ...
    @property
    def v(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...
    @property
    def raw(self) -> bytes:
        """Canonical encoding, without a blob sidecar."""
    @property
    def network_raw(self) -> bytes:
        """Network form: `raw` wrapped with the blob sidecar, where one came along; else `raw`."""
    @property
    def sidecar_version(self) -> int | None:
        """0 (EIP-4844) or 1 (EIP-7594); `None` without a sidecar."""
    @property
    def size(self) -> int:
        """Length of `raw`."""
    @property
    def cost(self) -> int:
        """Most that the sender can be charged: gas x fee cap + value + blob gas x blob fee cap."""
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class DecodeRejection:
    """Bytes that are no transaction."""

    @property
    def kind(self) -> str:
        """Stable class of the failure."""
    @property
    def message(self) -> str:
        """geth's text."""

def decode_transactions(
    workers: Workers,
    raw: Sequence[bytes],
    chain_id: int,
    parallel_tx_type: int | None,
    /,
) -> list[Transaction | DecodeRejection]:
    """Decodes and recovers each item on all workers. A blob transaction may carry its sidecar."""

@final
class Rules:
    """The rules of one block."""

    @staticmethod
    def of_network(network: str, /, *, chain_id: int = 1, parallel_tx_type: int | None = None) -> Rules:
        """The rules at the genesis of a network of the public tests: `"Frontier"` ... `"Amsterdam"`, `"BPO1"`, ...

        Raises CoreInvalidArgument on an unknown name.
        """
    @property
    def fork(self) -> str:
        """Name as in Ethereum's documents: `"Osaka"`."""
    @property
    def chain_id(self) -> int: ...
    @property
    def parallel_tx_type(self) -> int | None: ...
    @property
    def max_init_code_size(self) -> int | None: ...
    @property
    def max_transaction_gas(self) -> int | None:
        """EIP-7825 cap, where it holds."""
    @property
    def blob_schedule(self) -> tuple[int, int, int] | None:
        """(target, max, base fee update fraction) from Cancun on."""
    def is_active(self, fork: str, /) -> bool:
        """Whether `fork` (`"Berlin"`, `"London"`, ...) is active. Raises on an unknown name."""
    def charges(self, transaction: Transaction, /) -> tuple[int, int]:
        """(intrinsic gas, calldata floor), both counted on the whole data; the floor is 0 where none holds."""
    def sender(self, transaction: Transaction, /) -> bytes | None:
        """The sender by the signature rules of this fork; `None` where they refuse the signature.

        Forks before Spurious Dragon know no replay protection, and Frontier accepts a high s.
        """
    def static_error(self, transaction: Transaction, /) -> tuple[str, str] | None:
        """(class, geth's text) of the first rule that the transaction breaks on its own, without state."""

# ------------------------------------------------------------------ blocks

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
    def elapsed_ns(self) -> int: ...

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

# ------------------------------------------------------------------ chain

@final
class Account:
    """Nonce, balance and code hash; an absent account reads as zeros and the hash of no code."""

    @property
    def nonce(self) -> int: ...
    @property
    def balance(self) -> int: ...
    @property
    def code_hash(self) -> bytes: ...
    @property
    def exists(self) -> bool: ...

@final
class CallRequest:
    """A message to simulate. Omitted fields take geth's defaults for `eth_call`."""

    def __new__(
        cls,
        *,
        sender: bytes | None = None,
        to: bytes | None = None,
        data: bytes = ...,
        value: int | None = None,
        gas: int | None = None,
        gas_price: int | None = None,
        max_fee_per_gas: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        max_fee_per_blob_gas: int | None = None,
        nonce: int | None = None,
        access_list: Sequence[tuple[bytes, Sequence[bytes]]] | None = None,
        blob_versioned_hashes: Sequence[bytes] = ...,
        authorization_list: Sequence[tuple[int, bytes, int, int, int, int]] = ...,
        tx_type: int | None = None,
        state_overrides: Sequence[
            tuple[
                bytes,
                int | None,
                int | None,
                bytes | None,
                Sequence[tuple[bytes, bytes]] | None,
                Sequence[tuple[bytes, bytes]] | None,
            ]
        ] = ...,
        block_overrides: dict[str, int | bytes] | None = None,
    ) -> CallRequest:
        """
        `authorization_list`: (chain id, address, nonce, parity, r, s) each.

        `state_overrides`: (address, nonce, balance, code, state, state difference) each; `state` replaces all
        slots, the difference patches some. `block_overrides`: `number`, `time`, `gas_limit`, `fee_recipient`,
        `prev_randao`, `base_fee`, `blob_base_fee`, `difficulty`.
        """

@final
class CallOutcome:
    """What a simulated message did."""

    @property
    def success(self) -> bool: ...
    @property
    def reverted(self) -> bool:
        """Ended by REVERT; `output` is its data."""
    @property
    def output(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def error(self) -> str | None:
        """geth's words for a failure: `out of gas`, `execution reverted`, `invalid opcode: INVALID`."""
    @property
    def message_error(self) -> str | None:
        """The message could not be applied at all (funds, nonce, fee, intrinsic gas): geth's words."""
    @property
    def access_list(self) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
        """Touched accounts and slots; only filled by `create_access_list`."""

@final
class Chain:
    """
    The embedded chain: blocks, state, receipts, and their making.

    Thread-safe: one writer at a time, readers see the last whole block.
    """

    @staticmethod
    def open(
        genesis: bytes,
        datadir: str | None,
        workers: Workers,
        /,
        *,
        durability: str = "fsync",
    ) -> Chain:
        """
        Opens or creates the chain below `datadir`; `None` keeps it in memory.

        Raises GenesisError, StoreRefused, StorageFailure.
        """
    def close(self) -> None:
        """Releases the store and its lock. Later calls raise StorageFailure."""
    @property
    def chain_id(self) -> int: ...
    @property
    def genesis_hash(self) -> bytes: ...
    @property
    def parallel_tx_type(self) -> int | None:
        """The type byte from the genesis, whether or not London is active yet."""
    def rules_at(self, number: int, timestamp: int, /) -> Rules: ...
    def fork_schedule(self) -> tuple[tuple[str, str, int], ...]:
        """(fork, `"block"` or `"time"`, activation) in ascending order."""
    # -- blocks
    def head(self) -> Header: ...
    def header_by_number(self, number: int, /) -> Header | None: ...
    def header_by_hash(self, block_hash: bytes, /) -> Header | None: ...
    def block_by_number(self, number: int, /) -> Block | None: ...
    def block_by_hash(self, block_hash: bytes, /) -> Block | None: ...
    def receipts(self, number: int, /) -> tuple[Receipt, ...] | None:
        """Receipts of a canonical block in transaction order."""
    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """(block number, index in the block) of a mined transaction."""
    def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        limit: int,
        /,
    ) -> list[tuple[int, int, int, Log]]:
        """
        (block number, transaction index, log index in the block, log), ascending, at most `limit + 1`.

        An empty `addresses` matches any; a topic position `None` or empty matches any.
        """
    def next_base_fee(self, number: int | None = None, /) -> int | None:
        """Base fee of the block after `number` (default: after the head)."""
    def blob_base_fee(self, number: int | None = None, /, *, following: bool = False) -> int | None:
        """Wei per blob gas of block `number` (default: head), or of the one following it."""
    # -- state
    def account(self, address: bytes, number: int | None = None, /) -> Account: ...
    def accounts(self, addresses: Sequence[bytes], /) -> list[Account]:
        """Accounts at the head, all of one state."""
    def code(self, address: bytes, number: int | None = None, /) -> bytes: ...
    def storage(self, address: bytes, slot: bytes, number: int | None = None, /) -> bytes:
        """32 bytes."""
    def proof(
        self, address: bytes, slots: Sequence[bytes], number: int | None = None, /
    ) -> tuple[Account, bytes, tuple[bytes, ...], tuple[tuple[bytes, bytes, tuple[bytes, ...]], ...]]:
        """(account, storage root, account proof, (slot, value, proof) each): EIP-1186."""
    # -- simulation
    def call(self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /) -> CallOutcome:
        """Runs the message on the state after block `number` (`None`: as the next block, on the head)."""
    def estimate_gas(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> tuple[int, CallOutcome]:
        """(gas, outcome at that gas); 0 gas where even the cap does not suffice, the outcome says why."""
    def create_access_list(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> CallOutcome: ...
    # -- making blocks
    def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        threads: int = 0,
    ) -> BuiltBlock:
        """Executes candidates in order on the head; `mode` is `serial`, `parallel` or `auto`. Stores nothing."""
    def commit(self, built: BuiltBlock, /) -> None:
        """Stores a built block durably as the new head. Raises BlockRefused if the head moved meanwhile."""
    def import_block(
        self, raw: bytes, mode: str, /, *, threads: int = 0
    ) -> tuple[Block, ExecutionStatistics]:
        """Checks, executes and stores an RLP block on the head. Raises BlockRefused and stores nothing."""
    def revert_to(self, number: int, /) -> None:
        """Takes blocks above `number` off the chain."""
    # -- hints
    def pre_execute(self, transactions: Sequence[Transaction], gas_limit: int, /) -> list[AccessSet]:
        """
        Runs each transaction alone on the head state and records what it read and wrote.

        A run above `gas_limit` or one that cannot start gives an access set of source `unknown`.
        """
    def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> AccessSet:
        """The same for a message that nobody signed; its hash is 32 zero bytes."""

def dev_genesis() -> bytes:
    """The genesis document of the embedded dev chain (geth's JSON form)."""

def block_hash(raw: bytes, /) -> bytes:
    """Hash of an RLP block: keccak of its header. Raises CoreInvalidArgument."""

def split_blocks(data: bytes, /) -> list[bytes]:
    """Splits a stream of RLP blocks. Raises CoreInvalidArgument with the offset of what is not one."""

# ------------------------------------------------------------------ access sets and batches

@final
class AccessSet:
    """
    What a transaction is expected to read and write: a hint.

    Execution decides; a wrong set costs time, never state.
    """

    @property
    def hash(self) -> bytes:
        """The transaction."""
    @property
    def source(self) -> str:
        """`transfer`, `trace`, or `unknown`."""
    @property
    def gas_used(self) -> int:
        """Gas of the predicted run; the gas limit where unknown."""
    @property
    def succeeded(self) -> bool | None: ...
    @property
    def is_known(self) -> bool: ...
    @property
    def accesses(self) -> tuple[tuple[bytes, str, bytes | None, str], ...]:
        """(address, field, slot, kind): field is `nonce`, `balance`, `code` or `storage`, kind `read`, `write`, `credit` or `debit`."""
    @property
    def debits(self) -> tuple[tuple[bytes, int], ...]:
        """(address, wei that must be there): escrow."""

@final
class Batch:
    """Transactions that may run in any order or at once (parallel), or must run one by one (sequential)."""

    @property
    def batch_id(self) -> bytes:
        """keccak256(rlp([version, chainId, parentHash, kind, [txHash...]]))."""
    @property
    def kind(self) -> str:
        """`parallel` or `sequential`."""
    @property
    def members(self) -> tuple[int, ...]:
        """Indices into the candidates."""
    @property
    def after(self) -> tuple[int, ...]:
        """Indices of batches of this plan that must be committed before."""
    @property
    def gas_limit(self) -> int: ...
    @property
    def predicted_gas(self) -> int: ...
    @property
    def critical_path_gas(self) -> int: ...

@final
class BatchPlan:
    """A list of candidates arranged into batches."""

    @property
    def batches(self) -> tuple[Batch, ...]: ...
    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Connected components, indices into the candidates."""
    @property
    def dependencies(self) -> tuple[tuple[int, ...], ...]:
        """For each candidate, earlier ones that it depends on."""

def plan_batches(
    chain: Chain,
    parent_hash: bytes,
    beneficiary: bytes,
    transactions: Sequence[Transaction],
    access_sets: Sequence[AccessSet],
    /,
    *,
    batch_size: int,
    min_batch_size: int = 2,
) -> BatchPlan:
    """
    Arranges candidates (in execution order) into batches by the conflict model `commutative-balance-v1`.

    `parent_hash` enters the batch ids; whoever observes the balance of `beneficiary` observes every fee. Reads the debited accounts' balances at the head for escrow. A tag SEQUENTIAL or an unknown access set makes
    a transaction sequential; a tag PARALLEL or an access list alone proves nothing.
    """

def find_conflicts(
    first: Sequence[AccessSet], second: AccessSet, /
) -> list[tuple[bytes, bytes, str, bytes | None, str, str]]:
    """(hash of one of `first`, address, field, slot, kind there, kind in `second`) for each conflict of `second`."""

# ------------------------------------------------------------------ replay

@final
class ReplayBlock:
    """A block with the part of the state that it touches, read from a fixture document."""

    @staticmethod
    def parse(document: bytes, /) -> ReplayBlock:
        """JSON text. Raises CoreInvalidArgument naming what is missing or wrong."""
    @property
    def number(self) -> int: ...
    @property
    def transactions(self) -> int: ...
    @property
    def gas_used(self) -> int: ...

@final
class ReplayVerdict:
    """One execution of a replay block held against its header."""

    @property
    def elapsed_ns(self) -> int: ...
    @property
    def statistics(self) -> ExecutionStatistics: ...
    @property
    def differences(self) -> tuple[str, ...]:
        """Empty: gas used, bloom and (from Byzantium on) receipts root are the header's."""

def replay(
    workers: Workers, block: ReplayBlock, mode: str, /, *, threads: int = 0, recheck: bool = False
) -> ReplayVerdict:
    """Executes the block in `serial` or `parallel` mode."""

def replay_compare(first: ReplayVerdict, second: ReplayVerdict, /) -> tuple[str, ...]:
    """Differences between two executions over every receipt and every changed account and slot."""

def _panic(message: str, /) -> None:
    """Panics inside the engine (test of the boundary)."""

def _spin(workers: Workers, milliseconds: int, /) -> None:
    """Keeps the engine busy through the ordinary seam (test that Python goes on meanwhile)."""
