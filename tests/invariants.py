"""
What must hold of a pool after every step, recomputed from what its readers see and from its parts.

`assert_pool` says more than `TxPool.assert_invariants`: it goes through the public side and adds up by itself.
"""

from parallelpool.pool import TxPool
from parallelpool.transaction import PooledTransaction, Transaction


def assert_pool(pool: TxPool) -> None:
    """geth's `validatePoolInternals` and more."""
    pool.assert_invariants()
    statistics = pool.statistics()
    pending, queued = pool.content()
    everything = pool.pooled()
    if not statistics.held:
        assert statistics.pending == sum(map(len, pending.values()))
        assert statistics.queued == sum(map(len, queued.values()))
        assert {tx.hash for tx in _flat(pending, queued)} == {pooled.hash for pooled in everything}
        assert len(everything) == len(pool)
        assert statistics.slots == sum(pooled.slots for pooled in everything)
        assert statistics.local == sum(1 for pooled in everything if pooled.is_local)
    assert len(pool) == statistics.pending + statistics.queued
    assert pool.stats() == (statistics.pending, statistics.queued)
    _assert_senders(pool, pending, queued)
    _assert_facts(everything)
    best = list(pool.pending_best(None))
    assert sorted(tx.hash for tx in best) == sorted(tx.hash for txs in pending.values() for tx in txs)


def _flat(*contents: dict[bytes, list[Transaction]]) -> list[Transaction]:
    return [tx for content in contents for transactions in content.values() for tx in transactions]


def _assert_senders(
    pool: TxPool, pending: dict[bytes, list[Transaction]], queued: dict[bytes, list[Transaction]]
) -> None:
    for sender, transactions in pending.items():
        nonces = [tx.nonce for tx in transactions]
        assert nonces == list(range(nonces[0], nonces[0] + len(nonces))), (
            "a gap among executable transactions"
        )
        assert pool.nonce(sender) == nonces[-1] + 1, "virtual nonce"
        assert not set(nonces) & {tx.nonce for tx in queued.get(sender, ())}, (
            "a nonce both pending and queued"
        )
        assert (transactions, queued.get(sender, [])) == pool.content_from(sender)
    for transactions in queued.values():
        nonces = [tx.nonce for tx in transactions]
        assert nonces == sorted(set(nonces)), "nonce order of waiting transactions"
    for tx in _flat(pending, queued):
        assert pool.get(tx.hash) is not None
        assert tx.hash in pool
        assert pool.drop_record(tx.hash) is None, "departed, yet pooled"
        placement = pool.placement(tx.hash)
        assert placement is not None
        assert (placement[0] == "pending") == (tx in pending.get(tx.sender, ()))


def _assert_facts(everything: list[PooledTransaction]) -> None:
    for pooled in everything:
        tx = pooled.transaction
        assert (pooled.hash, pooled.sender, pooled.nonce, pooled.cost) == (
            tx.hash,
            tx.sender,
            tx.nonce,
            tx.cost,
        )
        assert pooled.slots == max(1, (len(tx.raw) + 32_767) // 32_768)
