"""
Transactions of each sender in nonce order: one list, and the two collections of lists that make up the pool.

`PendingSenders` holds what is executable, `QueuedSenders` what waits. A list is never empty: the collections
delete it with its last transaction. Which transaction belongs where is decided in `parallelpool.pool`.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from sortedcontainers import SortedDict, SortedSet

from parallelpool.primitives import Address, Gas, Nonce, Wei
from parallelpool.transaction import PooledTransaction


class NonceList:
    """
    Transactions of one sender, at most one for each nonce. geth's `list`.

    One transaction alone is kept without a sorted container: such a container costs 1.9 KB and 19 µs to make,
    and most senders never have a second transaction.
    """

    __slots__ = ("_by_nonce", "_cost_bound", "_gas_bound", "_single", "total_cost")

    def __init__(self) -> None:
        self._single: PooledTransaction | None = None
        self._by_nonce: SortedDict[Nonce, PooledTransaction] | None = None
        self.total_cost = 0
        """Sum of the costs in wei; may exceed 256 bits."""
        # Upper bounds of cost and gas, so that a head that changes neither balance nor limits costs O(1).
        self._cost_bound = 0
        self._gas_bound = 0

    def __len__(self) -> int:
        if self._by_nonce is not None:
            return len(self._by_nonce)
        return 0 if self._single is None else 1

    def __contains__(self, nonce: Nonce) -> bool:
        return self.get(nonce) is not None

    def __iter__(self) -> Iterator[PooledTransaction]:
        """In nonce order."""
        if self._by_nonce is not None:
            return iter(self._by_nonce.values())
        return iter(()) if self._single is None else iter((self._single,))

    def get(self, nonce: Nonce) -> PooledTransaction | None:
        """The transaction with this nonce."""
        if self._by_nonce is not None:
            return self._by_nonce.get(nonce)
        single = self._single
        return single if single is not None and single.nonce == nonce else None

    @property
    def first(self) -> PooledTransaction:
        """The one with the lowest nonce. The list must not be empty."""
        if self._by_nonce is not None:
            return self._by_nonce.peekitem(0)[1]
        assert self._single is not None, "an empty list has no first transaction"
        return self._single

    @property
    def last(self) -> PooledTransaction:
        """The one with the highest nonce. The list must not be empty."""
        if self._by_nonce is not None:
            return self._by_nonce.peekitem(-1)[1]
        assert self._single is not None, "an empty list has no last transaction"
        return self._single

    def put(self, pooled: PooledTransaction) -> PooledTransaction | None:
        """Takes `pooled` in and returns what had its nonce. O(log n)."""
        old = self.get(pooled.nonce)
        if old is not None:
            self.total_cost -= old.cost
        if self._by_nonce is not None:
            self._by_nonce[pooled.nonce] = pooled
        elif self._single is None or old is not None:
            self._single = pooled
        else:
            self._by_nonce = SortedDict({self._single.nonce: self._single, pooled.nonce: pooled})
            self._single = None
        self.total_cost += pooled.cost
        self._cost_bound = max(self._cost_bound, pooled.cost)
        self._gas_bound = max(self._gas_bound, pooled.gas_limit)
        return old

    def pop(self, nonce: Nonce) -> PooledTransaction | None:
        """Takes out the transaction with this nonce, if there is one."""
        popped = self.get(nonce)
        if popped is not None:
            self._take_out([popped])
        return popped

    def pop_below(self, nonce: Nonce) -> list[PooledTransaction]:
        """Takes out all lower nonces, in order."""
        return self._pop_range(None, nonce)

    def pop_from(self, nonce: Nonce) -> list[PooledTransaction]:
        """Takes out this nonce and all higher ones, in order."""
        return self._pop_range(nonce, None)

    def pop_highest(self, count: int) -> list[PooledTransaction]:
        """Takes out the `count` highest nonces (all, if there are fewer), highest first."""
        if self._by_nonce is not None:
            return self._take_out(list(islice(reversed(self._by_nonce.values()), count)))
        return self._take_out(list(self)[:count])

    def pop_run(self, next_nonce: Nonce) -> list[PooledTransaction]:
        """
        Takes out the run of consecutive nonces from the lowest on, if that is not above `next_nonce`.

        Source: geth core/txpool/legacypool/list.go, SortedMap.Ready.
        """
        if not len(self) or self.first.nonce > next_nonce:
            return []
        run: list[PooledTransaction] = []
        for pooled in self:
            if run and pooled.nonce != run[-1].nonce + 1:
                break
            run.append(pooled)
        return self._take_out(run)

    def pop_unaffordable(self, balance: Wei, gas_limit: Gas) -> list[PooledTransaction]:
        """Takes out what alone costs more than `balance` (wei) or needs more gas than `gas_limit`, in nonce order."""
        if self._cost_bound <= balance and self._gas_bound <= gas_limit:
            return []
        self._cost_bound, self._gas_bound = balance, gas_limit
        return self._take_out(
            [pooled for pooled in self if pooled.cost > balance or pooled.gas_limit > gas_limit]
        )

    def pop_after_gap(self, first_nonce: Nonce) -> list[PooledTransaction]:
        """Takes out what does not belong to the run of consecutive nonces that begins with `first_nonce`."""
        # As a rule the list is that run, and its ends say so.
        if self.first.nonce == first_nonce and self.last.nonce == first_nonce + len(self) - 1:
            return []
        expected = first_nonce
        for pooled in self:
            if pooled.nonce != expected:
                break
            expected = Nonce(expected + 1)
        return self.pop_from(expected) if self.first.nonce == first_nonce else self._take_out(list(self))

    def _pop_range(self, minimum: Nonce | None, below: Nonce | None) -> list[PooledTransaction]:
        by_nonce = self._by_nonce
        if by_nonce is not None:
            nonces = by_nonce.irange(minimum, below, inclusive=(True, False))
            return self._take_out([by_nonce[nonce] for nonce in nonces])
        return self._take_out(
            [
                pooled
                for pooled in self
                if (minimum is None or pooled.nonce >= minimum) and (below is None or pooled.nonce < below)
            ]
        )

    def _take_out(self, popped: list[PooledTransaction]) -> list[PooledTransaction]:
        if self._by_nonce is None:
            if popped:
                self._single = None
        else:
            for pooled in popped:
                del self._by_nonce[pooled.nonce]
            if not self._by_nonce:
                self._by_nonce = None
        self.total_cost -= sum(pooled.cost for pooled in popped)
        return popped


class SenderLists:
    """Lists by sender. All changes go through here, so that no empty list stays behind."""

    def __init__(self) -> None:
        self._lists: dict[Address, NonceList] = {}

    @property
    def by_sender(self) -> Mapping[Address, NonceList]:
        """For reading."""
        return self._lists

    def __len__(self) -> int:
        """Senders."""
        return len(self._lists)

    def of(self, sender: Address) -> NonceList | None:
        """The sender's list, never an empty one."""
        return self._lists.get(sender)

    def count(self, sender: Address) -> int:
        """Transactions of the sender."""
        nonces = self._lists.get(sender)
        return 0 if nonces is None else len(nonces)

    def get(self, sender: Address, nonce: Nonce) -> PooledTransaction | None:
        """The sender's transaction with this nonce."""
        nonces = self._lists.get(sender)
        return None if nonces is None else nonces.get(nonce)

    def put(self, pooled: PooledTransaction) -> PooledTransaction | None:
        """Takes `pooled` in and returns what had its nonce."""
        nonces = self._lists.get(pooled.sender)
        if nonces is None:
            nonces = self._lists[pooled.sender] = NonceList()
        old = nonces.put(pooled)
        self._settle(pooled.sender, nonces)
        return old

    def pop(self, sender: Address, nonce: Nonce) -> PooledTransaction | None:
        """Takes out one transaction."""
        if (nonces := self._lists.get(sender)) is None:
            return None
        popped = nonces.pop(nonce)
        self._settle(sender, nonces)
        return popped

    def pop_below(self, sender: Address, nonce: Nonce) -> list[PooledTransaction]:
        """Takes out the sender's lower nonces, in order."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_below(nonce))

    def pop_from(self, sender: Address, nonce: Nonce) -> list[PooledTransaction]:
        """Takes out the sender's nonces from `nonce` on, in order."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_from(nonce))

    def pop_highest(self, sender: Address, count: int) -> list[PooledTransaction]:
        """Takes out the sender's `count` highest nonces, highest first."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_highest(count))

    def pop_unaffordable(self, sender: Address, balance: Wei, gas_limit: Gas) -> list[PooledTransaction]:
        """Takes out what alone the sender cannot pay for or a block cannot hold, in nonce order."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_unaffordable(balance, gas_limit))

    def _settled(
        self, sender: Address, nonces: NonceList, popped: list[PooledTransaction]
    ) -> list[PooledTransaction]:
        if popped:
            self._settle(sender, nonces)
        return popped

    def _settle(self, sender: Address, nonces: NonceList) -> None:
        if not len(nonces):
            del self._lists[sender]

    def assert_invariants(self) -> None:
        """No list is empty, every transaction stands under its own sender and nonce, the costs add up."""
        for sender, nonces in self._lists.items():
            held = list(nonces)
            assert held, f"empty list of {sender.hex()}"
            assert len(held) == len(nonces), f"length of the list of {sender.hex()}"
            assert all(pooled.sender == sender for pooled in held), f"foreign transaction with {sender.hex()}"
            assert all(nonces.get(pooled.nonce) is pooled for pooled in held), "nonce of another transaction"
            assert [pooled.nonce for pooled in held] == sorted({pooled.nonce for pooled in held}), (
                "nonce order"
            )
            assert nonces.total_cost == sum(pooled.cost for pooled in held), f"costs of {sender.hex()}"


class PendingSenders(SenderLists):
    """Executable transactions: each list begins with the account's nonce and has no gap."""

    def __init__(self, guaranteed: int) -> None:
        """`guaranteed` is what each sender may keep when the pool is cut back: geth's AccountSlots."""
        super().__init__()
        self._guaranteed = guaranteed
        # Kept beside the lists, since with a full pool every admission asks for the largest senders.
        self._crowded: dict[Address, int] = {}
        self._by_size: SortedSet[tuple[int, Address]] = SortedSet()

    def pop_after_gap(self, sender: Address, first_nonce: Nonce) -> list[PooledTransaction]:
        """Takes out what is not part of the sender's run from `first_nonce` on, in order."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_after_gap(first_nonce))

    def largest_first(self) -> Iterator[tuple[int, Address]]:
        """Senders with more than the guaranteed share, and how many transactions each has."""
        return reversed(self._by_size)

    def _settle(self, sender: Address, nonces: NonceList) -> None:
        super()._settle(sender, nonces)
        size = len(nonces)
        if size <= self._guaranteed and sender not in self._crowded:
            return
        if (known := self._crowded.pop(sender, None)) is not None:
            self._by_size.remove((known, sender))
        if size > self._guaranteed:
            self._crowded[sender] = size
            self._by_size.add((size, sender))

    def assert_invariants(self) -> None:
        """As above, each list without gaps, and the crowded senders are those that are."""
        super().assert_invariants()
        for sender, nonces in self._lists.items():
            assert nonces.last.nonce - nonces.first.nonce == len(nonces) - 1, f"gap at {sender.hex()}"
        sizes = {sender: len(nonces) for sender, nonces in self._lists.items()}
        crowded = {sender: size for sender, size in sizes.items() if size > self._guaranteed}
        assert crowded == self._crowded, "crowded senders"
        assert set(self._by_size) == {(size, sender) for sender, size in crowded.items()}, "senders by size"


class QueuedSenders(SenderLists):
    """
    Transactions that wait, with a heartbeat for each sender.

    The heartbeat is set with a sender's first queued transaction, renewed by `beat`, and gone with the last.
    Heartbeats stand in the order of their times, so the oldest is found at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._beats: dict[Address, float] = {}

    def queue(self, pooled: PooledTransaction, now: float) -> PooledTransaction | None:
        """Takes `pooled` in and returns what had its nonce. `now` is in seconds of a clock that never steps back."""
        if pooled.sender not in self._beats:
            self._beats[pooled.sender] = now
        return self.put(pooled)

    def pop_run(self, sender: Address, next_nonce: Nonce) -> list[PooledTransaction]:
        """Takes out the sender's run of consecutive nonces that `next_nonce` can begin with."""
        if (nonces := self._lists.get(sender)) is None:
            return []
        return self._settled(sender, nonces, nonces.pop_run(next_nonce))

    def beat(self, sender: Address, now: float) -> None:
        """Renews the sender's heartbeat, if he has one."""
        if sender in self._beats:
            del self._beats[sender]
            self._beats[sender] = now

    def oldest(self) -> tuple[Address, float] | None:
        """The sender whose heartbeat is the oldest, and when it was."""
        return next(iter(self._beats.items()), None)

    def _settle(self, sender: Address, nonces: NonceList) -> None:
        super()._settle(sender, nonces)
        if not len(nonces):
            del self._beats[sender]

    def assert_invariants(self) -> None:
        """As above, and the heartbeats are those of the senders, in the order of their times."""
        super().assert_invariants()
        assert self._beats.keys() == self._lists.keys(), "heartbeats"
        beats = list(self._beats.values())
        assert beats == sorted(beats), "order of the heartbeats"


def fair_shares(
    largest_first: Iterable[tuple[int, Address]], excess: int, guaranteed: int
) -> dict[Address, int]:
    """
    How many transactions each of the largest senders loses so that `excess` go.

    `largest_first` are the senders with more than `guaranteed` transactions, which is what each keeps in any case.
    The largest are levelled down to the next one, and so on. Each round takes one from every sender reached so far,
    so up to (senders - 1) more than `excess` may go, and fewer where the guaranteed shares leave no more.

    Source: geth core/txpool/legacypool/legacypool.go, truncatePending, whose rounds are added up here.
    """
    remaining = iter(largest_first)
    reached: list[tuple[int, Address]] = []
    following = next(remaining, None)
    level = 0 if following is None else following[0]
    while excess > 0 and following is not None:
        reached.append(following)
        following = next(remaining, None)
        floor = guaranteed if following is None else following[0]
        rounds = min(level - floor, -(-excess // len(reached)))
        level -= rounds
        excess -= rounds * len(reached)
    return {sender: size - level for size, sender in reached if size > level}
