"""
A chain, a pool and the rest of a node in memory, as far as the RPC asks for them.

Blocks and transactions are plain records that a test fills in; nothing is executed. What needs the engine is
tested against the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from parallelpool.errors import AlreadyKnown, DecodeError, TransactionTypeNotSupported
from parallelpool.events import EventBus, HeadChanged, TransactionsPromoted
from rpc.backend import Backend
from rpc.views import BLOB

if TYPE_CHECKING:
    from parallelpool.chain import Block, Header, Log, Receipt
    from parallelpool.transaction import Transaction
    from rpc.backend import Batches, BlockAccessList, Chain, Ingress, Pool, Producer

CHAIN_ID = 31337
GWEI = 10**9


def word(number: int) -> bytes:
    """32 bytes that say `number`."""
    return number.to_bytes(32, "big")


def account(number: int) -> bytes:
    """20 bytes that say `number`."""
    return number.to_bytes(20, "big")


@dataclass(frozen=True)
class FakeHeader:
    """A header."""

    number: int
    hash: bytes = b""
    parent_hash: bytes = bytes(32)
    ommers_hash: bytes = bytes(32)
    beneficiary: bytes = account(0xFEE)
    state_root: bytes = bytes(32)
    transactions_root: bytes = bytes(32)
    receipts_root: bytes = bytes(32)
    logs_bloom: bytes = bytes(256)
    difficulty: int = 0
    gas_limit: int = 30_000_000
    gas_used: int = 0
    timestamp: int = 0
    extra_data: bytes = b""
    mix_hash: bytes = bytes(32)
    nonce: bytes = bytes(8)
    base_fee_per_gas: int | None = GWEI
    withdrawals_root: bytes | None = bytes(32)
    blob_gas_used: int | None = 0
    excess_blob_gas: int | None = 0
    parent_beacon_block_root: bytes | None = bytes(32)
    requests_hash: bytes | None = bytes(32)
    block_access_list_hash: bytes | None = None
    slot_number: int | None = None
    raw: bytes = bytes(600)


@dataclass(frozen=True)
class FakeTransaction:
    """A signed transaction."""

    nonce: int = 0
    hash: bytes = word(1)
    sender: bytes = account(0xA11CE)
    sender_error: str | None = None
    type: int = 2
    is_parallel: bool = False
    tag: str | None = None
    chain_id: int | None = CHAIN_ID
    gas_limit: int = 21_000
    max_fee_per_gas: int = 3 * GWEI
    max_priority_fee_per_gas: int = GWEI
    max_fee_per_blob_gas: int = 0
    to: bytes | None = account(0xB0B)
    value: int = 0
    data: bytes = b""
    evm_input: bytes = b""
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    blob_versioned_hashes: tuple[bytes, ...] = ()
    authorization_list: tuple[object, ...] = ()
    v: int = 1
    r: int = 2
    s: int = 3
    raw: bytes = b"\x02raw"
    size: int = 110
    cost: int = 0


@dataclass(frozen=True)
class FakeLog:
    """A log."""

    address: bytes = account(0x106)
    topics: tuple[bytes, ...] = ()
    data: bytes = b""


@dataclass(frozen=True)
class FakeReceipt:
    """A receipt."""

    gas_used: int = 21_000
    cumulative_gas_used: int = 21_000
    logs: tuple[FakeLog, ...] = ()
    type: int = 2
    success: bool = True
    state_root: bytes | None = None
    logs_bloom: bytes = bytes(256)
    contract_address: bytes | None = None
    effective_gas_price: int = 2 * GWEI
    blob_gas_used: int = 0
    raw: bytes = b"\x02receipt"


@dataclass(frozen=True)
class FakeBlock:
    """A block."""

    header: FakeHeader
    transactions: tuple[FakeTransaction, ...] = ()
    ommers: tuple[object, ...] = ()
    withdrawals: tuple[object, ...] | None = ()
    size: int = 700
    raw: bytes = b"block"


@dataclass(frozen=True)
class FakeRules:
    """The rules of a block: Osaka's blobs."""

    blob_schedule: tuple[int, int, int] | None = (6, 9, 5_007_716)

    def is_active(self, fork: str, /) -> bool:
        return bool(fork)


class FakeChain:
    """Canonical blocks with receipts; a test adds and removes them."""

    chain_id = CHAIN_ID
    genesis_hash = word(0xC0FFEE)
    parallel_tx_type: int | None = 5

    def __init__(self) -> None:
        genesis = FakeHeader(0, hash=word(0xC0FFEE))
        self.blocks: list[tuple[FakeBlock, tuple[FakeReceipt, ...]]] = [(FakeBlock(genesis), ())]
        self.reads = 0
        """Blocks that were read with their body."""
        self.list_failure: Exception | None = None
        """What asking for an access list raises."""

    def append(
        self,
        transactions: Sequence[FakeTransaction] = (),
        receipts: Sequence[FakeReceipt] | None = None,
        *,
        salt: int = 0,
        base_fee: int | None = GWEI,
        gas_used: int | None = None,
    ) -> Header:
        """Adds a block on the head. `salt` tells apart blocks of one number."""
        if receipts is None:
            receipts = [FakeReceipt()] * len(transactions)
        parent = self.blocks[-1][0].header
        header = replace(
            parent,
            number=parent.number + 1,
            hash=word((parent.number + 1) << 16 | salt),
            parent_hash=parent.hash,
            timestamp=parent.timestamp + 12,
            base_fee_per_gas=base_fee,
            gas_used=sum(receipt.gas_used for receipt in receipts) if gas_used is None else gas_used,
        )
        self.blocks.append((FakeBlock(header, tuple(transactions)), tuple(receipts)))
        return cast("Header", header)

    def pop(self) -> Header:
        """Takes the head off."""
        return cast("Header", self.blocks.pop()[0].header)

    def head(self) -> FakeHeader:
        return self.blocks[-1][0].header

    def header_by_number(self, number: int, /) -> FakeHeader | None:
        return self.blocks[number][0].header if 0 <= number < len(self.blocks) else None

    def header_by_hash(self, block_hash: bytes, /) -> FakeHeader | None:
        return next((block.header for block, _ in self.blocks if block.header.hash == block_hash), None)

    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        for block, _ in self.blocks:
            for index, tx in enumerate(block.transactions):
                if tx.hash == tx_hash:
                    return block.header.number, index
        return None

    def rules_at(self, _number: int, _timestamp: int, /) -> FakeRules:
        return FakeRules()

    def next_base_fee(self, number: int | None = None, /) -> int | None:
        header = self.head() if number is None else self.header_by_number(number)
        return header.base_fee_per_gas if header is not None else None

    def blob_base_fee(self, _number: int | None = None, /, *, following: bool = False) -> int | None:
        return 2 if following else 1

    async def block_by_number(self, number: int, /) -> FakeBlock | None:
        return self.blocks[number][0] if 0 <= number < len(self.blocks) else None

    async def block_by_hash(self, block_hash: bytes, /) -> FakeBlock | None:
        self.reads += 1
        return next((block for block, _ in self.blocks if block.header.hash == block_hash), None)

    async def receipts(self, number: int, /) -> tuple[FakeReceipt, ...] | None:
        return self.blocks[number][1] if 0 <= number < len(self.blocks) else None

    async def block_access_list(self, number: int, /) -> BlockAccessList | None:
        if self.list_failure is not None:
            raise self.list_failure
        return (b"\xc0", ()) if 0 <= number < len(self.blocks) else None

    async def logs(
        self,
        first: int,
        last: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        limit: int,
        /,
    ) -> list[tuple[int, int, int, FakeLog]]:
        found: list[tuple[int, int, int, FakeLog]] = []
        for number in range(first, last + 1):
            index = 0
            for position, receipt in enumerate(self.blocks[number][1]):
                for entry in receipt.logs:
                    if _matches(entry, addresses, topics):
                        found.append((number, position, index, entry))
                    index += 1
        return found[: limit + 1]


def _matches(entry: FakeLog, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes] | None]) -> bool:
    if addresses and entry.address not in addresses:
        return False
    if len(topics) > len(entry.topics):
        return False
    return all(not wanted or topic in wanted for wanted, topic in zip(topics, entry.topics, strict=False))


@dataclass(frozen=True)
class FakePooled:
    """A transaction as the pool holds it."""

    transaction: FakeTransaction

    @property
    def sender(self) -> bytes:
        return self.transaction.sender

    @property
    def nonce(self) -> int:
        return self.transaction.nonce


@dataclass
class FakePool:
    """Pending and queued transactions by sender."""

    pending: dict[bytes, list[FakeTransaction]] = field(default_factory=dict)
    queued: dict[bytes, list[FakeTransaction]] = field(default_factory=dict)

    def get(self, tx_hash: bytes, /) -> FakeTransaction | None:
        return next((tx for tx in self._all() if tx.hash == tx_hash), None)

    def nonce(self, address: bytes, /) -> int:
        return max((tx.nonce + 1 for tx in self.pending.get(address, ())), default=0)

    def content(self) -> tuple[dict[bytes, list[FakeTransaction]], dict[bytes, list[FakeTransaction]]]:
        return self.pending, self.queued

    def snapshot(self) -> tuple[list[FakePooled], list[FakePooled]]:
        held = (self.pending, self.queued)
        pending, queued = ([FakePooled(tx) for txs in each.values() for tx in txs] for each in held)
        return pending, queued

    def content_from(self, address: bytes, /) -> tuple[list[FakeTransaction], list[FakeTransaction]]:
        return self.pending.get(address, []), self.queued.get(address, [])

    def stats(self) -> tuple[int, int]:
        return sum(map(len, self.pending.values())), sum(map(len, self.queued.values()))

    def placement(self, tx_hash: bytes, /) -> tuple[str, str | None] | None:
        for place, held in (("pending", self.pending), ("queued", self.queued)):
            if any(tx.hash == tx_hash for txs in held.values() for tx in txs):
                return place, None if place == "pending" else "nonce gap"
        return None

    def _all(self) -> list[FakeTransaction]:
        return [tx for held in (self.pending, self.queued) for txs in held.values() for tx in txs]


class FakeIngress:
    """Decodes what a test has registered and pools it."""

    def __init__(self, pool: FakePool, events: EventBus) -> None:
        self._pool = pool
        self._events = events
        self.known: dict[bytes, FakeTransaction] = {}
        """raw -> transaction."""
        self.begun: list[bytes] = []
        """Raw transactions in the order in which their decoding began."""

    async def decode(self, raw: bytes, /) -> Transaction:
        self.begun.append(raw)
        if raw not in self.known:
            raise DecodeError("typed transaction too short", "too_short")
        return cast("Transaction", self.known[raw])

    def take(
        self, raw: bytes, check: Callable[[Transaction], Exception | None], /
    ) -> asyncio.Future[Transaction]:
        async def take() -> Transaction:
            transaction = await self.decode(raw)
            if (objection := check(transaction)) is not None:
                raise objection
            await self.submit(transaction)
            return transaction

        return asyncio.ensure_future(take())

    async def submit(self, transaction: Transaction, /, *, local: bool = True) -> None:
        assert local
        if transaction.type == BLOB:
            raise TransactionTypeNotSupported(BLOB)
        if self._pool.get(transaction.hash) is not None:
            raise AlreadyKnown
        held = self._pool.pending.setdefault(transaction.sender, [])
        held.append(cast(FakeTransaction, transaction))
        self._events.publish(TransactionsPromoted((transaction,)))


@dataclass
class FakeNode:
    """All parts, and the backend made of them."""

    chain: FakeChain = field(default_factory=FakeChain)
    pool: FakePool = field(default_factory=FakePool)
    events: EventBus = field(default_factory=EventBus)

    def __post_init__(self) -> None:
        self.ingress = FakeIngress(self.pool, self.events)

    @property
    def backend(self) -> Backend:
        """The fakes in the places of the real parts."""
        return Backend(
            chain=cast("Chain", self.chain),
            pool=cast("Pool", self.pool),
            ingress=cast("Ingress", self.ingress),
            batches=cast("Batches", None),
            producer=cast("Producer", None),
            events=self.events,
        )

    def mine(
        self,
        transactions: Sequence[FakeTransaction] = (),
        receipts: Sequence[FakeReceipt] | None = None,
        **facts: int,
    ) -> Header:
        """Adds a block and tells of it."""
        header = self.chain.append(transactions, receipts, **facts)
        self.events.publish(HeadChanged((header,), ()))
        return header


def as_receipt(fake: FakeReceipt) -> Receipt:
    """The fake where the engine's type is asked for."""
    return cast("Receipt", fake)


def as_transaction(fake: FakeTransaction) -> Transaction:
    """The fake where the engine's type is asked for."""
    return cast("Transaction", fake)


def as_block(fake: FakeBlock) -> Block:
    """The fake where the engine's type is asked for."""
    return cast("Block", fake)


def as_log(fake: FakeLog) -> Log:
    """The fake where the engine's type is asked for."""
    return cast("Log", fake)
