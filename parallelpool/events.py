"""
News of the node and its bounded fan-out.

Publishing never waits and never fails: it puts a reference into each reader's queue. A reader that does not keep
up loses its oldest events, sees how many in `Feed.lost`, and if it subscribed to `Resync` is told so before the
next event, so that it can read the present state afresh. News travels up the layers only this way.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Generic, Self, TypeVar

from parallelpool.primitives import Address, Nonce, TxHash
from parallelpool.transaction import Header, PooledTransaction, Transaction

# ------------------------------------------------------------------ chain


@dataclass(frozen=True, slots=True)
class HeadChanged:
    """The canonical chain has a new head, durable before this is published."""

    added: tuple[Header, ...]
    """New canonical blocks in ascending order; empty if blocks were only taken off."""
    removed: tuple[Header, ...]
    """Blocks that left the canonical chain, in ascending order."""


# ------------------------------------------------------------------ pool


class DropReason(Enum):
    """Why a transaction left the pool."""

    MINED = "mined"
    SUPERSEDED = "nonce used by another transaction"
    REPLACED = "replaced"
    UNDERPRICED = "evicted by a better paying transaction"
    RATE_LIMITED = "over the limits of pool or sender"
    EXPIRED = "queued for too long"
    UNPAYABLE = "cost above the balance of the sender"
    GAS_ABOVE_BLOCK_LIMIT = "gas limit above that of the block"
    GAS_ABOVE_TRANSACTION_CAP = "gas limit above the cap of the fork"
    TIP_BELOW_MINIMUM = "tip below the raised minimum"
    REMOVED = "removed on request"
    NOT_DURABLE = "journal could not be written"
    REFUSED_AT_RESTART = "refused when the journal was read back"


@dataclass(frozen=True, slots=True)
class Departure:
    """How a transaction left the pool: what a client that asks for it later is told."""

    hash: TxHash
    sender: Address
    nonce: Nonce
    reason: DropReason
    departed_at: float
    """Unix seconds."""
    replaced_by: TxHash | None = None
    """Set exactly if the reason is REPLACED."""
    block_number: int | None = None
    """Set exactly if the reason is MINED."""
    detail: str = ""
    """The refusal's text, if the reason is REFUSED_AT_RESTART or NOT_DURABLE."""


@dataclass(frozen=True, slots=True)
class TransactionAdmitted:
    """The pool took a transaction in, executable or not. Published once for each, before anything else about it."""

    pooled: PooledTransaction


@dataclass(frozen=True, slots=True)
class TransactionsPromoted:
    """Transactions became executable, replacements of executable ones included; each sender's in nonce order."""

    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class TransactionsQueued:
    """Transactions wait: newly admitted ones that are not executable, and executable ones that no longer are."""

    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class TransactionDropped:
    """A transaction left the pool."""

    departure: Departure


PoolEvent = TransactionAdmitted | TransactionsPromoted | TransactionsQueued | TransactionDropped


# ------------------------------------------------------------------ fan-out


@dataclass(frozen=True, slots=True)
class Resync:
    """The reader was too slow: `lost` events before the next one are gone."""

    lost: int


Event = HeadChanged | PoolEvent | Resync
E = TypeVar("E", bound=Event)


class Feed(Generic[E]):
    """
    One reader's queue of events. Leaving its `with` block ends it; until then it must be read or it loses.

    For one task at a time.
    """

    def __init__(self, bus: "EventBus", kinds: Sequence[type[E]], capacity: int) -> None:
        self._bus = bus
        self._kinds = frozenset(kinds)
        self._capacity = capacity
        self._events: deque[E] = deque()
        self._arrived = asyncio.Event()
        self._lost = 0
        self._lost_untold = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bus.drop(self)

    @property
    def lost(self) -> int:
        """Events that this reader never got because it was too slow."""
        return self._lost

    async def next(self) -> E:
        """The oldest event, as soon as there is one."""
        while (event := self.next_nowait()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return event

    def next_nowait(self) -> E | None:
        """The oldest event, or `None`."""
        if self._lost_untold and Resync in self._kinds:
            marker = Resync(self._lost_untold)
            self._lost_untold = 0
            return marker  # type: ignore[return-value]  # E has Resync in it, as the line above found out
        return self._events.popleft() if self._events else None

    async def wait_next(self, timeout_s: float) -> bool:
        """Whether an event is there now or comes within `timeout_s` seconds; it stays in the feed."""
        if not self._events:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return False
        return True

    def drain(self) -> list[E]:
        """All waiting events, oldest first; the feed is empty then."""
        drained: list[E] = []
        while (event := self.next_nowait()) is not None:
            drained.append(event)
        return drained

    async def __aiter__(self) -> AsyncIterator[E]:
        while True:
            yield await self.next()

    def put(self, event: E) -> None:
        """Called by the bus only."""
        if len(self._events) == self._capacity:
            self._events.popleft()
            self._lost += 1
            self._lost_untold += 1
        self._events.append(event)
        self._arrived.set()


class EventBus:
    """Hands each event to the feeds that asked for its kind. Touched from the event loop only."""

    def __init__(self) -> None:
        self._feeds: dict[type[Event], list[Feed[Event]]] = {}

    def subscribe(self, *kinds: type[E], capacity: int) -> Feed[E]:
        """
        A feed of the events of `kinds`, from now on.

        At most `capacity` (at least 1) wait in it; then the oldest are lost.
        """
        if capacity < 1 or not kinds:
            raise ValueError("a feed needs room for one event, and a kind")
        feed: Feed[E] = Feed(self, kinds, capacity)
        for kind in kinds:
            self._feeds.setdefault(kind, []).append(feed)  # type: ignore[arg-type]  # gets only these kinds
        return feed

    def publish(self, event: Event) -> None:
        """Hands `event` out. O(readers of its kind), never waits."""
        for feed in self._feeds.get(type(event), ()):
            feed.put(event)

    def drop(self, feed: Feed[E]) -> None:
        """Ends a feed; one that has ended already is no error."""
        for readers in self._feeds.values():
            if feed in readers:
                readers.remove(feed)  # type: ignore[arg-type]  # compared by identity

    @property
    def readers(self) -> int:
        """Open feeds."""
        return len({id(feed) for readers in self._feeds.values() for feed in readers})
