"""The embedded chain."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, final

from parallelpool._boundary.batches import AccessSet
from parallelpool._boundary.blocks import (
    Block,
    BlockAttributes,
    BuiltBlock,
    ExecutionStatistics,
    Header,
    Log,
    Receipt,
)
from parallelpool._boundary.predictions import PredictionStatistics
from parallelpool._boundary.replaying import ReplayBlock
from parallelpool._boundary.simulation import CallOutcome, CallRequest, SimulatedBlock, _StateOverride
from parallelpool._boundary.tracing import Cancellation, _TracerRow
from parallelpool._boundary.transactions import Rules, Transaction, Workers

_AccountAccesses: TypeAlias = tuple[
    bytes,
    tuple[tuple[bytes, tuple[tuple[int, bytes], ...]], ...],
    tuple[bytes, ...],
    tuple[tuple[int, int], ...],
    tuple[tuple[int, int], ...],
    tuple[tuple[int, bytes], ...],
]
"""
(address, changed slots, read slots, balances, nonces, codes). What changed is (index, value afterwards) each:
index 0 is before the transactions, 1 the first of them.
"""

_SeriesRow: TypeAlias = tuple[
    dict[str, int | bytes] | None,
    bytes | None,
    Sequence[tuple[int, int, bytes, int]] | None,
    Sequence[_StateOverride],
    Sequence[CallRequest],
]
"""
A block of a series: (block overrides, beacon root, withdrawals, state overrides, messages). A withdrawal is (index,
validator index, address, gwei).
"""

_TraceOrder: TypeAlias = tuple[_TracerRow, int, int, Cancellation]
"""(tracer, most milliseconds of a transaction, most bytes of text, who may call it off)."""

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
    def block_access_list(self, number: int, /) -> tuple[bytes, tuple[_AccountAccesses, ...]] | None:
        """
        (encoding, accounts) of a canonical block's access list, by executing the block again.

        Raises StateUnavailable where the parent's state is not kept.
        """
    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """(block number, index in the block) of a mined transaction."""
    def transaction_locations(self, hashes: Sequence[bytes], /) -> list[tuple[int, int] | None]:
        """The same for many, all as of one head."""
    def accounts_changed_since(self, number: int, block_hash: bytes, /) -> list[bytes] | None:
        """
        Accounts whose nonce, balance or code changed after a block, each once.

        `None` where the block is not canonical or more than 64 blocks back: look at all accounts then.
        """
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
    def next_gas_limit(self, wanted: int, timestamp: int, /) -> int:
        """The gas limit nearest to the wanted one that a block on the head with this timestamp may have."""
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
    def simulate(
        self,
        blocks: Sequence[_SeriesRow],
        number: int,
        validate: bool,
        tells_moves: bool,
        gas_cap: int,
        timeout_ms: int,
        /,
    ) -> tuple[tuple[int, str] | None, list[SimulatedBlock]]:
        """
        Simulates blocks, each on the one before, the first on the block at `number`. (refusal as code and words, blocks).

        `validate` checks nonces and fees as for transactions; `tells_moves` tells moves of ether as logs. Gas and time are
        for all of it. Raises CoreInvalidArgument for overrides that contradict each other, StateUnavailable.
        """
    # -- traces
    def trace_transaction(
        self, number: int, index: int, order: _TraceOrder, /
    ) -> tuple[str | None, list[bytes]]:
        """
        Runs a mined transaction again and has a tracer tell of it: (geth's words for why not, JSON text in pieces).

        Raises StateUnavailable, CoreAborted once it is called off.
        """
    def trace_block(self, number: int, order: _TraceOrder, /) -> tuple[str | None, list[bytes]]:
        """The same for all transactions of a canonical block."""
    def trace_raw_block(self, raw: bytes, order: _TraceOrder, /) -> tuple[str | None, list[bytes]]:
        """The same for an RLP block on a canonical parent; it is not checked otherwise."""
    def trace_call(
        self, request: CallRequest, number: int, index: int | None, gas_cap: int, order: _TraceOrder, /
    ) -> tuple[str | None, list[bytes]]:
        """The same for a message on block `number`, with `index` on the state before that transaction of it."""
    # -- making blocks
    def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        threads: int = 0,
        check_transfers: int = 0,
    ) -> BuiltBlock:
        """
        Executes candidates in order on the head; `mode` is `serial`, `parallel` or `auto`. Stores nothing.

        Of transfers applied without an EVM one in `check_transfers` is executed by the EVM too (0: none); a
        difference raises CoreDivergence.
        """
    def commit(self, built: BuiltBlock, /) -> None:
        """Stores a built block durably as the new head. Raises BlockRefused if the head moved meanwhile."""
    def import_block(
        self, raw: bytes, mode: str, /, *, threads: int = 0
    ) -> tuple[Block, ExecutionStatistics]:
        """Checks, executes and stores an RLP block on the head. Raises BlockRefused and stores nothing."""
    def reproducer(self, built: BuiltBlock, candidates: Sequence[Transaction], difference: str, /) -> bytes:
        """
        A document from which `built` can be built from its candidates again, anywhere: see `ReplayBlock.parse`.

        Raises CoreInvalidArgument if the head is no longer the block's parent.
        """
    def replay_block(self, number: int, /) -> ReplayBlock | None:
        """A stored block with the part of its parent's state that it asks for. Raises CoreInvalidArgument for 0."""
    def revert_to(self, number: int, /) -> None:
        """Takes blocks above `number` off the chain."""
    # -- hints
    def known_accesses(self, transactions: Sequence[Transaction], /) -> tuple[list[AccessSet], list[int]]:
        """What is known of each transaction on the head without running any, and the places of those that a run may find more of."""
    def predict_accesses(
        self, transactions: Sequence[Transaction], patience_ms: int, /
    ) -> tuple[list[AccessSet], list[int]]:
        """
        The same after running those alone on the head, the first first, within the bounds, by idle workers; no run begins after `patience_ms`.

        What is found is kept until a head changes something that the run read, and its run is used when a block with the transaction is made or imported.
        """
    def set_prediction_bounds(
        self,
        *,
        gas: int | None = None,
        time_ms: int | None = None,
        runs: int | None = None,
        sender_gas: int | None = None,
        locations: int | None = None,
    ) -> None:
        """
        How much is done ahead of need; `None` is the default. Forgets what is held.

        `gas` and `time_ms` bound one run, `runs` those of one transaction on one head, `sender_gas` the gas of all runs for one sender on one head, `locations` what is held in all.
        """
    def predicted(self) -> list[bytes]:
        """Hashes of the transactions that something is held of, in no order."""
    def forget_predictions(self, hashes: Sequence[bytes], /) -> None:
        """Forgets what is held of transactions that have left the pool."""
    def learn_from(self, number: int, gas: int, patience_ms: int, /) -> int:
        """
        Learns what the calls of a stored block access, and returns of how many; 0 where there is no such block.

        Runs ahead of need that landed in the newest block are learned from as they are; others run alone on the parent's state with at most `gas` in all, none of them after `patience_ms`. Raises StateUnavailable.
        """
    def save_templates(self, path: Path, /) -> None:
        """Writes what runs have taught about calls, in place of what the file held. Raises StorageFailure."""
    def load_templates(self, path: Path, /) -> int:
        """Adds what a file holds and returns how much; 0 without a file. Raises StorageFailure, and CoreInvalidArgument for another file."""
    def prediction_statistics(self) -> PredictionStatistics: ...
    def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> AccessSet:
        """The access set of a message that nobody signed, by a run of at most `gas_limit`; its hash is 32 zero bytes."""

def dev_genesis() -> bytes:
    """The genesis document of the embedded dev chain (geth's JSON form)."""

def block_hash(raw: bytes, /) -> bytes:
    """Hash of an RLP block: keccak of its header. Raises CoreInvalidArgument."""

def split_blocks(data: bytes, /) -> list[bytes]:
    """Splits a stream of RLP blocks. Raises CoreInvalidArgument with the offset of what is not one."""
