"""
What the RPC needs from the rest of the node, as Protocols.

`node.py` hands in the real parts, tests hand in fakes; nothing in `rpc` asks for more than stands here. Point
reads are synchronous, everything the engine may work on for longer than a few microseconds is awaited.

Value types are those of the boundary (`parallelpool/_core.pyi`), which `rpc` may not import by itself; it takes
them from the modules that own them:

- `parallelpool.chain`: `Account`, `Block`, `CallOutcome`, `CallRequest`, `Header`, `Log`, `Receipt`, `Rules`, and the
  `CoreError` classes;
- `parallelpool.transaction`: `Transaction`, `keccak256`;
- `parallelpool.access`: `AccessSet`;
- `parallelpool.batching`: `Batch`, `BatchPlan`, `Selection`;
- `parallelpool.events`: `EventBus`, `HeadChanged`, `TransactionsPromoted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from parallelpool.access import AccessSet
    from parallelpool.batching import (
        BatchPlan,
        BatchVerification,
        Dependency,
        HotSpot,
        OfferedBatch,
        Selection,
    )
    from parallelpool.chain import (
        Account,
        Block,
        CallOutcome,
        CallRequest,
        Header,
        Log,
        Receipt,
        Rules,
        SeriesRow,
        SimulatedBlock,
        TraceOrder,
    )
    from parallelpool.conditions import Condition
    from parallelpool.events import Departure, EventBus
    from parallelpool.ingress import DecodeRejection, Intake
    from parallelpool.transaction import PooledTransaction, Transaction

# ------------------------------------------------------------------ chain

AccountProof: TypeAlias = (
    "tuple[Account, bytes, tuple[bytes, ...], tuple[tuple[bytes, bytes, tuple[bytes, ...]], ...]]"
)
"""(account, storage root, account proof, (slot, value, proof) each)."""


AccountAccesses: TypeAlias = (
    "tuple[bytes, tuple[tuple[bytes, tuple[tuple[int, bytes], ...]], ...], tuple[bytes, ...],"
    " tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], tuple[tuple[int, bytes], ...]]"
)
"""(address, changed slots, read slots, balances, nonces, codes); what changed is (index, value) each."""

BlockAccessList: TypeAlias = "tuple[bytes, tuple[AccountAccesses, ...]]"
"""(encoding, accounts in ascending order)."""


class Chain(Protocol):
    """Blocks and state: `parallelpool.chain`, a thin wrapper over the engine's chain, its names unchanged."""

    @property
    def chain_id(self) -> int: ...
    @property
    def genesis_hash(self) -> bytes: ...
    @property
    def parallel_tx_type(self) -> int | None: ...

    def head(self) -> Header: ...
    def header_by_number(self, number: int, /) -> Header | None: ...
    def header_by_hash(self, block_hash: bytes, /) -> Header | None: ...
    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """(block number, index in the block)."""

    def rules_at(self, number: int, timestamp: int, /) -> Rules: ...
    def fork_schedule(self) -> tuple[tuple[str, str, int], ...]: ...
    def next_base_fee(self, number: int | None = None, /) -> int | None: ...
    def blob_base_fee(self, number: int | None = None, /, *, following: bool = False) -> int | None: ...

    async def block_by_number(self, number: int, /) -> Block | None: ...
    async def block_by_hash(self, block_hash: bytes, /) -> Block | None: ...
    async def receipts(self, number: int, /) -> tuple[Receipt, ...] | None: ...
    async def block_access_list(self, number: int, /) -> BlockAccessList | None: ...
    async def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        limit: int,
        /,
    ) -> list[tuple[int, int, int, Log]]: ...

    async def account(self, address: bytes, number: int | None = None, /) -> Account: ...
    async def code(self, address: bytes, number: int | None = None, /) -> bytes: ...
    async def storage(self, address: bytes, slot: bytes, number: int | None = None, /) -> bytes: ...
    async def proof(
        self, address: bytes, slots: Sequence[bytes], number: int | None = None, /
    ) -> AccountProof: ...

    async def call(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> CallOutcome: ...
    async def estimate_gas(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> tuple[int, CallOutcome]: ...
    async def create_access_list(
        self, request: CallRequest, number: int | None, gas_cap: int, timeout_ms: int, /
    ) -> CallOutcome: ...
    async def simulate(
        self,
        blocks: Sequence[SeriesRow],
        number: int,
        validate: bool,
        tells_moves: bool,
        gas_cap: int,
        timeout_ms: int,
        /,
    ) -> tuple[tuple[int, str] | None, list[SimulatedBlock]]: ...
    async def trace_transaction(
        self, number: int, index: int, order: TraceOrder, /
    ) -> tuple[str | None, list[bytes]]: ...
    async def trace_block(self, number: int, order: TraceOrder, /) -> tuple[str | None, list[bytes]]: ...
    async def trace_raw_block(self, raw: bytes, order: TraceOrder, /) -> tuple[str | None, list[bytes]]: ...
    async def trace_call(
        self, request: CallRequest, number: int, index: int | None, gas_cap: int, order: TraceOrder, /
    ) -> tuple[str | None, list[bytes]]: ...


# ------------------------------------------------------------------ pool


PoolContent: TypeAlias = "tuple[Mapping[bytes, Sequence[Transaction]], Mapping[bytes, Sequence[Transaction]]]"
"""(pending, queued), each address -> transactions in nonce order."""


class Pool(Protocol):
    """The pool as readers see it: `parallelpool.pool`. Synchronous, touched from the event loop only."""

    @property
    def sequence(self) -> int:
        """Snapshot counter, monotone within one run of the daemon."""

    def get(self, tx_hash: bytes, /) -> Transaction | None:
        """A pooled transaction, pending or queued."""

    def nonce(self, address: bytes, /) -> int:
        """The next nonce after the sender's pending transactions (geth's virtual nonce)."""

    def content(self) -> PoolContent: ...
    def snapshot(self) -> tuple[Sequence[PooledTransaction], Sequence[PooledTransaction]]:
        """(pending, queued) of one moment, in no order; cheap."""

    def content_from(self, address: bytes, /) -> tuple[Sequence[Transaction], Sequence[Transaction]]:
        """(pending, queued) of one sender in nonce order."""

    def stats(self) -> tuple[int, int]:
        """(pending, queued) transactions."""

    def placement(self, tx_hash: bytes, /) -> tuple[Literal["pending", "queued"], str | None] | None:
        """Where a pooled transaction stands, and what it waits for, if anything."""

    def why_queued(self, tx_hash: bytes, /) -> Sequence[Condition]:
        """What a pooled transaction waits for; a pending one may wait too."""

    def drop_record(self, tx_hash: bytes, /) -> Departure | None:
        """How a transaction left the pool, as far as that is remembered."""

    def departures_of(self, address: bytes, /) -> Sequence[Departure]:
        """The remembered departures of one sender, oldest first."""


class Ingress(Protocol):
    """The way in."""

    def take(
        self, raw: bytes, check: Callable[[Transaction], Exception | None], /
    ) -> asyncio.Future[Transaction]:
        """
        The transaction, once it is in the pool and durable; concurrent calls share one engine call and one sync.

        `check` has the RPC's own objections (fee cap, replay protection), which come between decoding and admission.
        The future's exception is DecodeError with geth's text, what `check` gives, or PoolError with geth's text.
        """

    async def take_all(
        self,
        decoded: Sequence[Transaction | DecodeRejection],
        check: Callable[[Transaction], Exception | None],
        /,
    ) -> Sequence[Exception | None]:
        """As `take` for each, without what was decoded already having to wait for others; `None` is in the pool."""

    async def decode(self, raw: bytes, /) -> Transaction:
        """
        Decodes and recovers; many concurrent calls share one engine call.

        Raises DecodeError with geth's text. A signature that does not recover is not refused here but by `submit`.
        """

    async def submit(self, transaction: Transaction, /, *, local: bool = True) -> None:
        """Returns when the transaction is in the pool and durable. Raises PoolError with geth's text."""

    async def synced(self) -> None:
        """Returns when all that has happened so far holds for good."""


# ------------------------------------------------------------------ batches


class Offer(Protocol):
    """A plan over candidates, of one state of head and pool."""

    @property
    def parent(self) -> Header: ...
    @property
    def candidates(self) -> Sequence[Transaction]:
        """In execution order; the plan's indices point here."""

    @property
    def access_sets(self) -> Sequence[AccessSet]:
        """One per candidate."""

    @property
    def plan(self) -> BatchPlan: ...
    @property
    def sequence(self) -> int:
        """Snapshot counter of the pool, monotone within one run of the daemon."""

    @property
    def withheld(self) -> bool:
        """More exists, but the selection's budget or exclusions kept it back."""


class Verdict(Protocol):
    """How a transaction stands against what is pending."""

    @property
    def access_set(self) -> AccessSet: ...
    @property
    def is_parallelizable(self) -> bool:
        """Known accesses, not tagged SEQUENTIAL, and no conflict with any other sender's pending transaction."""

    @property
    def conflicts(self) -> Sequence[tuple[bytes, bytes, str, bytes | None, str, str]]:
        """As `_core.find_conflicts`: (hash of the other, address, field, slot, kind there, kind here)."""

    @property
    def compared_with(self) -> int:
        """How many pending transactions it was held against."""


class BatchFigures(Protocol):
    """The batches on offer now."""

    @property
    def batch_size(self) -> int:
        """Configured size."""

    @property
    def batches(self) -> int:
        """Of both kinds."""

    @property
    def parallel_batches(self) -> int: ...
    @property
    def parallelizable(self) -> int:
        """Pending transactions in parallel batches."""

    @property
    def sequential(self) -> int:
        """Pending transactions in sequential batches."""

    @property
    def unknown(self) -> int:
        """Pending transactions without a known access set."""

    @property
    def largest_batch(self) -> int: ...


class Batches(Protocol):
    """Access sets and batches: `parallelpool.batching` over `parallelpool.access`."""

    @property
    def batch_size(self) -> int: ...
    def set_batch_size(self, transactions: int, /) -> None:
        """Raises ValueError outside 64..256."""

    async def current(self, selection: Selection | None = None, /) -> Offer:
        """
        The batches of the pool on the head, best tips first.

        `Selection` is a frozen dataclass of `parallelpool.batching`, every field `None` or empty by default:
        `base_fee`, `max_gas`, `max_bytes`, `max_transactions`, `min_tip`, `batch_size`, `min_batch_size` (int),
        `senders`, `exclude_addresses` (frozenset of 20 bytes), `exclude_locations` (frozenset of (address, slot)).
        It bounds the candidates; the plan arranges them.
        """

    async def verdict(self, subject: Transaction | CallRequest, /) -> Verdict:
        """Pre-executes the subject on the head and compares it with the pending transactions."""

    def figures(self) -> BatchFigures:
        """Of the last offer that `current` made without a selection."""

    def find(self, batch_id: bytes, /) -> OfferedBatch | None:
        """A batch that was offered lately, still on offer or not."""

    def containing(self, tx_hash: bytes, /) -> OfferedBatch | None:
        """The batch of the present default offer that a transaction stands in."""

    async def hottest(self, limit: int, /, *, by: Literal["address", "slot"]) -> Sequence[HotSpot]:
        """Where most pending transactions must keep an order, most first."""

    async def dependencies(self, tx_hash: bytes, limit: int, /) -> Sequence[Dependency] | None:
        """Better paid pending transactions that this one must follow; `None` if it cannot be executed now."""

    async def verify(
        self,
        transactions: Sequence[Transaction],
        /,
        *,
        beneficiary: bytes | None = None,
        orders: int = 4,
        seed: int = 0,
        gas_cap: int | None = None,
    ) -> BatchVerification:
        """Holds transactions against the promise of a parallel batch. Raises CoreInvalidArgument."""


# ------------------------------------------------------------------ making blocks


class Execution(Protocol):
    """What running batches did."""

    @property
    def block_hash(self) -> bytes | None:
        """`None` for a dry run, or where nothing was executable."""

    @property
    def hashes(self) -> Sequence[bytes]:
        """Executed transactions in block order."""

    @property
    def left_out(self) -> Sequence[tuple[bytes, str]]:
        """(hash, geth's reason) of members that could not be executed."""

    @property
    def gas_used(self) -> int: ...
    @property
    def state_root(self) -> bytes:
        """Of the executed block, stored or not."""

    @property
    def serial_state_root(self) -> bytes | None:
        """Of its serial twin; only where a comparison was asked for."""

    @property
    def parallel_ns(self) -> int: ...
    @property
    def serial_ns(self) -> int | None:
        """Only where a comparison was asked for."""

    @property
    def conflicts(self) -> int: ...
    @property
    def executions(self) -> int: ...


class ProducerStatistics(Protocol):
    """Counters since the start."""

    @property
    def blocks(self) -> int: ...
    @property
    def total_processed(self) -> int:
        """Transactions put into blocks."""

    @property
    def successfully_batched(self) -> int:
        """Those of them that stood in a parallel batch and needed one execution."""

    @property
    def last_execution(self) -> Execution | None: ...


class Producer(Protocol):
    """`parallelpool.producer`."""

    async def seal(self) -> Header:
        """Seals one block from the pool now, an empty one if nothing is executable."""

    async def execute_batches(
        self, batch_ids: Sequence[bytes] | None, /, *, dry_run: bool, compare: bool
    ) -> Execution:
        """
        Executes the named batches of the current offer (`None`: all) as the next block.

        `compare` also runs them serially and checks that both agree. Raises UnknownBatch.
        """

    async def submit_block(self, raw: bytes, /) -> Block:
        """Puts a block that was made elsewhere on the head. Raises BlockRefused."""

    def statistics(self) -> ProducerStatistics: ...


# ------------------------------------------------------------------ all of it


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything the namespaces talk to."""

    chain: Chain
    pool: Pool
    ingress: Ingress
    batches: Batches
    producer: Producer
    events: EventBus
    listen: Callable[[Sequence[int], float], Intake] | None = None
    """
    Serves submissions that come over HTTP beside the event loop: descriptors of listening sockets, which are given up,
    and how long a connection stays open without a request, in seconds. `None`: all connections are the loop's.
    """
