"""
Transactions that the pool has decided on but may not show yet: their journal records are not on disk.

Such a transaction takes its place at once, so that the next decision sees it, but no answer, event, lease, batch or
block does until it is acknowledged. Where it took the nonce of a transaction that was shown, readers see that
one until then.
"""

from collections.abc import Iterable, Iterator

from parallelpool.primitives import Address, TxHash
from parallelpool.transaction import PooledTransaction


class HeldBack:
    """Held transactions by sender, each with the shown one whose nonce it took, if there was one."""

    def __init__(self) -> None:
        self._by_sender: dict[Address, dict[TxHash, PooledTransaction | None]] = {}

    def __len__(self) -> int:
        return sum(len(held) for held in self._by_sender.values())

    def __iter__(self) -> Iterator[TxHash]:
        for held in self._by_sender.values():
            yield from held

    def hold(self, pooled: PooledTransaction, replaced: PooledTransaction | None) -> None:
        """Holds back `pooled`, which took the nonce of `replaced`."""
        shown = None if replaced is None else self.shown(replaced)
        self._by_sender.setdefault(pooled.sender, {})[pooled.hash] = shown

    def release(self, pooled: PooledTransaction) -> None:
        """Shows `pooled` from now on, or it left the pool; one that is not held is no error."""
        if (held := self._by_sender.get(pooled.sender)) is None:
            return
        held.pop(pooled.hash, None)
        if not held:
            del self._by_sender[pooled.sender]

    def is_held(self, pooled: PooledTransaction) -> bool:
        """Whether readers must not see `pooled`."""
        held = self._by_sender.get(pooled.sender)
        return held is not None and pooled.hash in held

    def has(self, sender: Address) -> bool:
        """Whether anything of the sender is held."""
        return sender in self._by_sender

    @property
    def senders(self) -> Iterable[Address]:
        """Those of whom anything is held."""
        return self._by_sender.keys()

    def all_replaced(self) -> Iterator[PooledTransaction]:
        """What is shown only because the one that took its nonce is held."""
        return (shown for held in self._by_sender.values() for shown in held.values() if shown is not None)

    def shown(self, pooled: PooledTransaction) -> PooledTransaction | None:
        """What readers see in the place of `pooled`: itself, the one it replaced, or nothing."""
        held = self._by_sender.get(pooled.sender)
        return pooled if held is None else held.get(pooled.hash, pooled)

    def replaced(self, tx_hash: TxHash) -> PooledTransaction | None:
        """The transaction with this hash, if it is shown only because the one that took its nonce is held."""
        return next((shown for shown in self.all_replaced() if shown.hash == tx_hash), None)

    def shown_run(self, sender: Address, nonces: Iterable[PooledTransaction]) -> Iterable[PooledTransaction]:
        """The part of the sender's executable transactions that readers see as such: up to the first unseen one."""
        return nonces if sender not in self._by_sender else self._up_to_unseen(nonces)

    def _up_to_unseen(self, nonces: Iterable[PooledTransaction]) -> Iterator[PooledTransaction]:
        for pooled in nonces:
            if (shown := self.shown(pooled)) is None:
                return
            yield shown
