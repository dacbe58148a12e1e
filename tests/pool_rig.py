"""
A pool on a chain that the test sets as it likes, checked after every step.

Each method that changes the pool asserts all invariants afterwards, so a test only says what it is about.
"""

from collections.abc import Sequence

from parallelpool.errors import PoolError
from parallelpool.events import Departure, DropReason, PoolEvent, TransactionDropped, TransactionsPromoted
from parallelpool.meters import PoolMeters
from parallelpool.pool import TxPool
from parallelpool.primitives import Wei
from parallelpool.transaction import Transaction
from tests.factories import FakeAccount, FakeChain, Key, limits
from tests.invariants import assert_pool


class PoolRig:
    """Pool, chain, clock, and the news since they were last asked for."""

    def __init__(self, chain: FakeChain | None = None, **changed_limits: int) -> None:
        self.chain = chain if chain is not None else FakeChain()
        self.now = 1_000.0
        self.news: list[PoolEvent] = []
        self.pool = TxPool(
            limits(**changed_limits),
            self.chain,
            self.news.append,
            clock=lambda: self.now,
            wall_clock=lambda: 1_700_000_000.0 + self.now,
        )

    # -- steps

    def try_add(self, *transactions: Transaction, held: bool = False) -> list[PoolError | None]:
        """Submits all in one call."""
        answers = self.pool.add(transactions, held=held)
        assert_pool(self.pool)
        for tx, answer in zip(transactions, answers, strict=True):
            if answer is not None and str(answer) != "already known":
                assert tx.hash not in self.pool, "refused, yet pooled"
        return answers

    def add(self, *transactions: Transaction) -> None:
        """Submits all in one call; each must be accepted."""
        answers = self.try_add(*transactions)
        assert answers == [None] * len(transactions), [str(answer) for answer in answers]

    def refusal(self, tx: Transaction) -> str:
        """Submits one that must be refused; the text that the caller gets."""
        (answer,) = self.try_add(tx)
        assert answer is not None, "accepted"
        return str(answer)

    def reset(self, discarded: Sequence[Transaction] = ()) -> None:
        """Moves the pool to the chain's head."""
        self.pool.reset(discarded)
        assert_pool(self.pool)

    def mine(self, *transactions: Transaction) -> None:
        """A block with these, and the pool on it."""
        self.chain.mine(*transactions)
        self.reset()

    def set_gas_tip(self, gas_tip: int) -> None:
        """Changes the pool's minimum tip."""
        self.pool.set_gas_tip(Wei(gas_tip))
        assert_pool(self.pool)

    def remove(self, tx: Transaction) -> bool:
        """Takes one out."""
        removed = self.pool.remove(tx.hash)
        assert_pool(self.pool)
        return removed

    def wait(self, seconds: float) -> None:
        """Lets time pass, and the pool notice."""
        self.now += seconds
        self.pool.tick()
        assert_pool(self.pool)

    # -- questions

    @property
    def counts(self) -> tuple[int, int]:
        """(pending, queued)."""
        return self.pool.stats()

    @property
    def meters(self) -> PoolMeters:
        """Counts so far."""
        return self.pool.statistics().meters

    def nonces(self, key: Key) -> tuple[list[int], list[int]]:
        """(pending, queued) nonces of an account."""
        pending, queued = self.pool.content_from(key.address)
        return [tx.nonce for tx in pending], [tx.nonce for tx in queued]

    def announced(self) -> list[Transaction]:
        """Transactions that were told to be executable since the last question about news."""
        told = [
            tx for event in self.news if isinstance(event, TransactionsPromoted) for tx in event.transactions
        ]
        self.news.clear()
        return told

    def departures(self) -> list[Departure]:
        """What left since the last question about news."""
        told = [event.departure for event in self.news if isinstance(event, TransactionDropped)]
        self.news.clear()
        return told

    def reason(self, tx: Transaction) -> DropReason | None:
        """Why a transaction left."""
        departure = self.pool.drop_record(tx.hash)
        return None if departure is None else departure.reason

    # -- the chain

    def account(self, key: Key) -> FakeAccount:
        """The account of a key, to be changed."""
        return self.chain.account(key)

    def keys(self, count: int, *, balance: int = 10**18) -> list[Key]:
        """So many funded accounts."""
        keys = [Key(secret) for secret in range(1, count + 1)]
        self.chain.fund(*keys, balance=balance)
        return keys
