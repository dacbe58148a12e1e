"""
The embedded chain as the rest of the daemon sees it: a chain source.

Point reads answer at once; what the engine may work on longer is awaited and runs on a lane. A new head is
published as `HeadChanged` after it is durable. The pool, the batches and the executor ask this and nothing
else, so another chain source can take its place.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from parallelpool._core import AccessSet as _AccessSet
from parallelpool._core import (
    Account,
    Block,
    BlockAttributes,
    BlockRefused,
    BuiltBlock,
    CallOutcome,
    CallRequest,
    Cancellation,
    CoreAborted,
    CoreDivergence,
    CoreError,
    CoreInternalError,
    CoreInvalidArgument,
    ExecutionStatistics,
    GenesisError,
    Header,
    LeftOut,
    Log,
    Ommer,
    PredictionStatistics,
    Receipt,
    Rules,
    SimulatedBlock,
    SimulatedCall,
    StateUnavailable,
    StorageFailure,
    StoreRefused,
    Transaction,
    Withdrawal,
    Workers,
    block_hash,
    dev_genesis,
    split_blocks,
)
from parallelpool._core import Chain as CoreChain
from parallelpool.engine import Lanes
from parallelpool.events import EventBus, HeadChanged

__all__ = [
    "Account",
    "AccountAccesses",
    "AccountProof",
    "Block",
    "BlockAccessList",
    "BlockAttributes",
    "BlockRefused",
    "BuiltBlock",
    "CallOutcome",
    "CallRequest",
    "Cancellation",
    "CoreAborted",
    "CoreChain",
    "CoreDivergence",
    "CoreError",
    "CoreInternalError",
    "CoreInvalidArgument",
    "EmbeddedChain",
    "ExecutionStatistics",
    "GenesisError",
    "Header",
    "LeftOut",
    "Log",
    "Ommer",
    "PredictionStatistics",
    "Receipt",
    "Rules",
    "SeriesRow",
    "SimulatedBlock",
    "SimulatedCall",
    "StateOverrideRow",
    "StateUnavailable",
    "StorageFailure",
    "StoreRefused",
    "TraceOrder",
    "TracerRow",
    "Withdrawal",
    "Workers",
    "block_hash",
    "dev_genesis",
    "split_blocks",
]

AccountProof: TypeAlias = tuple[
    Account, bytes, tuple[bytes, ...], tuple[tuple[bytes, bytes, tuple[bytes, ...]], ...]
]
"""(account, storage root, account proof, (slot, value, proof) each)."""

StateOverrideRow: TypeAlias = tuple[
    bytes,
    int | None,
    int | None,
    bytes | None,
    Sequence[tuple[bytes, bytes]] | None,
    Sequence[tuple[bytes, bytes]] | None,
    bytes | None,
]
"""(address, nonce, balance, code, state, state difference, where its precompile answers instead)."""

SeriesRow: TypeAlias = tuple[
    dict[str, int | bytes] | None,
    bytes | None,
    Sequence[tuple[int, int, bytes, int]] | None,
    Sequence[StateOverrideRow],
    Sequence[CallRequest],
]
"""
A simulated block: (block overrides, beacon root, withdrawals, state overrides, messages); a withdrawal is (index,
validator index, address, gwei).
"""

TracerRow: TypeAlias = "tuple[str, list[str], int, list[tuple[str, TracerRow]]]"
"""
One of geth's tracers, `structLogger` being the default: (name, options that are on, most bytes of steps, members of
a `muxTracer` under their names).
"""

TraceOrder: TypeAlias = tuple[TracerRow, int, int, Cancellation]
"""(tracer, most milliseconds of a transaction, most bytes of text, who may call it off)."""

AccountAccesses: TypeAlias = tuple[
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

BlockAccessList: TypeAlias = tuple[bytes, tuple[AccountAccesses, ...]]
"""(encoding, accounts in ascending order)."""

HELD_BLOCKS: Final = 4
"""Newest blocks made here that are held with their receipts: who waits for one asks for it at once."""


class EmbeddedChain:
    """Head, history and making of blocks over the engine's own store."""

    def __init__(self, core: CoreChain, lanes: Lanes, events: EventBus) -> None:
        self.core = core
        """The engine's chain, for the modules that hand it on to other engine calls."""
        self._lanes = lanes
        self._events = events
        self._made: OrderedDict[int, tuple[Block, tuple[Receipt, ...]]] = OrderedDict()

    # -- facts

    @property
    def chain_id(self) -> int:
        """EIP-155 chain id."""
        return self.core.chain_id

    @property
    def genesis_hash(self) -> bytes:
        """Hash of block 0."""
        return self.core.genesis_hash

    @property
    def parallel_tx_type(self) -> int | None:
        """Type byte of the chain's parallel transactions; `None`: off."""
        return self.core.parallel_tx_type

    def rules_at(self, number: int, timestamp: int, /) -> Rules:
        """The rules of a block."""
        return self.core.rules_at(number, timestamp)

    def fork_schedule(self) -> tuple[tuple[str, str, int], ...]:
        """(fork, `"block"` or `"time"`, activation), ascending."""
        return self.core.fork_schedule()

    # -- headers and indexes

    def head(self) -> Header:
        """The newest durable block."""
        return self.core.head()

    def header_by_number(self, number: int, /) -> Header | None:
        """A canonical header."""
        return self.core.header_by_number(number)

    def header_by_hash(self, block_hash: bytes, /) -> Header | None:
        """A canonical header."""
        return self.core.header_by_hash(block_hash)

    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """(block number, index in the block)."""
        return self.core.transaction_location(tx_hash)

    def transaction_locations(self, hashes: Sequence[bytes], /) -> list[tuple[int, int] | None]:
        """The same for many, all as of one head."""
        return self.core.transaction_locations(hashes)

    def accounts_changed_since(self, number: int, block_hash: bytes, /) -> list[bytes] | None:
        """
        Accounts whose nonce, balance or code changed after a block, each once.

        `None` where the block is not canonical or more than 64 blocks back.
        """
        return self.core.accounts_changed_since(number, block_hash)

    def next_base_fee(self, number: int | None = None, /) -> int | None:
        """Wei per gas of the block after `number` (default: after the head)."""
        return self.core.next_base_fee(number)

    def next_gas_limit(self, wanted: int, timestamp: int, /) -> int:
        """The gas limit nearest to the wanted one that a block on the head with this timestamp may have."""
        return self.core.next_gas_limit(wanted, timestamp)

    def blob_base_fee(self, number: int | None = None, /, *, following: bool = False) -> int | None:
        """Wei per blob gas of block `number` (default: head), or of the one following it."""
        return self.core.blob_base_fee(number, following=following)

    def accounts(self, addresses: Sequence[bytes], /) -> list[Account]:
        """Accounts at the head, all of one state. From the engine's memory as a rule: cheap enough to call directly."""
        return self.core.accounts(addresses)

    # -- bodies and history

    async def block_by_number(self, number: int, /) -> Block | None:
        """A canonical block."""
        return await self._lanes.queries.run(self.core.block_by_number, number)

    async def block_by_hash(self, block_hash: bytes, /) -> Block | None:
        """A canonical block."""
        made = next((made for made in self._made.values() if made[0].header.hash == block_hash), None)
        if made is not None and self._is_canonical(made[0].header):
            return made[0]
        return await self._lanes.queries.run(self.core.block_by_hash, block_hash)

    async def receipts(self, number: int, /) -> tuple[Receipt, ...] | None:
        """Receipts of a canonical block."""
        made = self._made.get(number)
        if made is not None and self._is_canonical(made[0].header):
            return made[1]
        return await self._lanes.queries.run(self.core.receipts, number)

    def _is_canonical(self, header: Header) -> bool:
        there = self.core.header_by_number(header.number)
        return there is not None and there.hash == header.hash

    async def block_access_list(self, number: int, /) -> BlockAccessList | None:
        """What a canonical block touched and left, by executing it again. Raises StateUnavailable."""
        return await self._lanes.queries.run(self.core.block_access_list, number)

    async def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        limit: int,
        /,
    ) -> list[tuple[int, int, int, Log]]:
        """(block number, transaction index, log index, log), ascending, at most `limit + 1`."""
        return await self._lanes.queries.run(self.core.logs, first, last, addresses, topics, limit)

    # -- state

    async def account(self, address: bytes, number: int | None = None, /) -> Account:
        """Raises StateUnavailable."""
        return await self._lanes.queries.run(self.core.account, address, number)

    async def code(self, address: bytes, number: int | None = None, /) -> bytes:
        """Raises StateUnavailable."""
        return await self._lanes.queries.run(self.core.code, address, number)

    async def storage(self, address: bytes, slot: bytes, number: int | None = None, /) -> bytes:
        """32 bytes. Raises StateUnavailable."""
        return await self._lanes.queries.run(self.core.storage, address, slot, number)

    async def proof(
        self, address: bytes, slots: Sequence[bytes], number: int | None = None, /
    ) -> AccountProof:
        """Merkle proofs (EIP-1186). Raises StateUnavailable."""
        return await self._lanes.queries.run(self.core.proof, address, slots, number)

    # -- simulation

    async def call(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> CallOutcome:
        """Runs a message. Raises CoreAborted after `timeout_ms`, StateUnavailable."""
        return await self._lanes.queries.run(self.core.call, request, number, gas_cap, timeout_ms)

    async def estimate_gas(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> tuple[int, CallOutcome]:
        """(gas, outcome); 0 where even the cap does not suffice."""
        return await self._lanes.queries.run(self.core.estimate_gas, request, number, gas_cap, timeout_ms)

    async def create_access_list(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> CallOutcome:
        """The outcome carries the touched accounts and slots."""
        return await self._lanes.queries.run(
            self.core.create_access_list, request, number, gas_cap, timeout_ms
        )

    async def simulate(
        self,
        blocks: Sequence[SeriesRow],
        number: int,
        validate: bool,
        tells_moves: bool,
        gas_cap: int,
        timeout_ms: int,
        /,
    ) -> tuple[tuple[int, str] | None, list[SimulatedBlock]]:
        """
        Blocks on the one at `number`: (refusal as code and geth's words, blocks).

        Raises CoreInvalidArgument for overrides that contradict each other, StateUnavailable.
        """
        return await self._lanes.queries.run(
            self.core.simulate, blocks, number, validate, tells_moves, gas_cap, timeout_ms
        )

    # -- traces

    async def trace_transaction(
        self, number: int, index: int, order: TraceOrder, /
    ) -> tuple[str | None, list[bytes]]:
        """(geth's words for why not, JSON in pieces). Raises StateUnavailable, CoreAborted once it is called off."""
        return await self._lanes.traces.run(self.core.trace_transaction, number, index, order)

    async def trace_block(self, number: int, order: TraceOrder, /) -> tuple[str | None, list[bytes]]:
        """The same for all transactions of a canonical block."""
        return await self._lanes.traces.run(self.core.trace_block, number, order)

    async def trace_raw_block(self, raw: bytes, order: TraceOrder, /) -> tuple[str | None, list[bytes]]:
        """The same for an RLP block on a canonical parent."""
        return await self._lanes.traces.run(self.core.trace_raw_block, raw, order)

    async def trace_call(
        self, request: CallRequest, number: int, index: int | None, gas_cap: int, order: TraceOrder, /
    ) -> tuple[str | None, list[bytes]]:
        """The same for a message on a block, or before its transaction `index`."""
        return await self._lanes.traces.run(self.core.trace_call, request, number, index, gas_cap, order)

    # -- access sets

    async def known_accesses(
        self, transactions: Sequence[Transaction], /
    ) -> tuple[list[_AccessSet], list[int]]:
        """What is known of each on the head, and the places of those that a run may find more of."""
        return await self._lanes.hints.run(self.core.known_accesses, transactions)

    async def predict_accesses(
        self, transactions: Sequence[Transaction], patience_ms: int, /
    ) -> tuple[list[_AccessSet], list[int]]:
        """The same after running those alone on the head, within the engine's bounds."""
        return await self._lanes.hints.run(self.core.predict_accesses, transactions, patience_ms)

    async def learn_from(self, number: int, gas: int, patience_ms: int, /) -> int:
        """Learns what a block's calls access. Raises StateUnavailable."""
        return await self._lanes.lessons.run(self.core.learn_from, number, gas, patience_ms)

    async def load_templates(self, path: Path, /) -> int:
        """Adds what a file holds and returns how much. Raises CoreError."""
        return await self._lanes.lessons.run(self.core.load_templates, path)

    async def save_templates(self, path: Path, /) -> None:
        """Writes what was learned to a file. Raises CoreError."""
        await self._lanes.lessons.run(self.core.save_templates, path)

    def predicted(self) -> list[bytes]:
        """Hashes of the transactions that the engine holds predictions of."""
        return self.core.predicted()

    def forget_predictions(self, hashes: Sequence[bytes], /) -> None:
        """Drops what is held of transactions that are not pooled any more."""
        self.core.forget_predictions(hashes)

    def prediction_statistics(self) -> PredictionStatistics:
        """Figures of what is done ahead of need."""
        return self.core.prediction_statistics()

    async def pre_execute_call(self, request: CallRequest, gas_limit: int, /) -> _AccessSet:
        """The access set of a message that nobody signed, by running it alone on the head."""
        return await self._lanes.hints.run(self.core.pre_execute_call, request, gas_limit)

    # -- making blocks

    async def build(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
    ) -> BuiltBlock:
        """
        Executes candidates on the head; nothing is stored.

        One transfer in `check_transfers` is executed by the EVM too. Raises CoreDivergence if that differs.
        """
        return await self._lanes.writer.run(
            self.core.build, attributes, candidates, mode, check_transfers=check_transfers
        )

    async def reproducer(
        self, built: BuiltBlock, candidates: Sequence[Transaction], difference: str, /
    ) -> bytes:
        """A document to make the block from its candidates again. Raises CoreError, above all off the parent."""
        return await self._lanes.writer.run(self.core.reproducer, built, candidates, difference)

    async def build_and_commit(
        self,
        attributes: BlockAttributes,
        candidates: Sequence[Transaction],
        mode: str,
        /,
        *,
        check_transfers: int = 0,
        is_wanted: Callable[[BuiltBlock], bool],
    ) -> tuple[BuiltBlock, bool]:
        """
        As `build`, then as `commit` if `is_wanted`, which is asked on the writer's thread; whether it did.

        One turn of the writer for both, for blocks that are smaller than two turns.
        """

        def make() -> tuple[BuiltBlock, bool]:
            built = self.core.build(attributes, candidates, mode, check_transfers=check_transfers)
            if not is_wanted(built):
                return built, False
            self.core.commit(built)
            return built, True

        built, is_stored = await self._lanes.writer.run(make)
        if is_stored:
            self._follow(built)
        return built, is_stored

    async def commit(self, built: BuiltBlock, /) -> Header:
        """Stores a built block durably and publishes the new head. Raises BlockRefused if the head moved."""
        await self._lanes.writer.run(self.core.commit, built)
        return self._follow(built)

    def _follow(self, built: BuiltBlock) -> Header:
        block = built.block
        self._made[block.header.number] = (block, built.receipts)
        while len(self._made) > HELD_BLOCKS:
            self._made.popitem(last=False)
        self._events.publish(HeadChanged(added=(block.header,), removed=()))
        return block.header

    async def import_block(self, raw: bytes, mode: str, /) -> tuple[Block, ExecutionStatistics]:
        """Checks, executes and stores an RLP block, then publishes it. Raises BlockRefused."""
        block, statistics = await self._lanes.writer.run(self.core.import_block, raw, mode)
        self._events.publish(HeadChanged(added=(block.header,), removed=()))
        return block, statistics

    async def close(self) -> None:
        """Releases the store."""
        await self._lanes.writer.run(self.core.close)
