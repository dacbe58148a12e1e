"""
What the pool costs by itself, from a thousand to a million pooled transactions: microseconds for each admission, bytes
for each transaction, and a new head.

In this process and without network, journal or state store: accounts come from memory, recovery is done before. Each
transaction has a sender of its own, the dearest case for memory and for heads.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.schema import TxPoolConfig
from parallelpool import _core
from parallelpool.garbage import GarbageWatch
from parallelpool.pool import TxPool
from parallelpool.transaction import Rules, Transaction
from parallelpool.validation import EMPTY_CODE_HASH

CHAIN_ID: Final = 1337
GWEI: Final = 10**9
GROUP: Final = 64
"""Transactions of one call, as micro-batched ingress has them under load."""

MINED: Final = 1_000
"""Transactions of the block of a new head."""


@dataclass(frozen=True, slots=True)
class Account:
    """A rich account."""

    nonce: int
    balance: int = 10**24
    code_hash: bytes = EMPTY_CODE_HASH


@dataclass(frozen=True, slots=True)
class Head:
    """A header, as far as the pool asks."""

    number: int
    hash: bytes
    timestamp: int = 0
    gas_limit: int = 60_000_000


class RichChain:
    """A chain on which everybody is rich, and blocks take what they are told."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._head = Head(0, bytes(32))
        self._used: dict[bytes, int] = {}
        self._newest: list[bytes] = []
        self._locations: dict[bytes, tuple[int, int]] = {}

    def mine(self, transactions: Sequence[Transaction]) -> None:
        """A block with these."""
        number = self._head.number + 1
        self._head = Head(number, number.to_bytes(32, "big"))
        self._newest = [tx.sender for tx in transactions]
        for index, tx in enumerate(transactions):
            self._used[tx.sender] = tx.nonce + 1
            self._locations[tx.hash] = (number, index)

    def head(self) -> Head:
        return self._head

    def rules_at(self, _number: int, _timestamp: int, /) -> Rules:
        return self._rules

    def next_base_fee(self, _number: int | None = None, /) -> int:
        return GWEI + self._head.number

    def accounts(self, addresses: Sequence[bytes], /) -> list[Account]:
        return [Account(self._used.get(address, 0)) for address in addresses]

    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        return self._locations.get(tx_hash)

    def transaction_locations(self, hashes: Sequence[bytes], /) -> list[tuple[int, int] | None]:
        return [self._locations.get(tx_hash) for tx_hash in hashes]

    def accounts_changed_since(self, _number: int, _block_hash: bytes, /) -> list[bytes]:
        return self._newest


@dataclass(frozen=True, slots=True)
class Point:
    """The pool at one size. All times are processor time of the thread: nothing here waits for anything."""

    pooled: int
    admission_us: float
    """For each transaction since the point before; with what other threads do meanwhile."""
    slowest_group_ms: float
    """Longest call with `GROUP` transactions; collections of garbage included, as the daemon has them."""
    resident_bytes: int
    """For each transaction since the point before, its bytes and the decoded form included."""
    reset_ms: list[float]
    """Heads with a block of a thousand pooled transactions each."""
    best_first_ms: float
    """The first thousand of the best, right after a head."""
    underpriced_ms: float
    """The first question of a full pool after a head."""


def measure(sizes: Sequence[int], *, seed: int) -> list[dict[str, Any]]:
    """
    One point for each size, ascending, of one pool that grows.

    What the process takes once is not counted: another pool of the smallest size is filled first, and kept.
    """
    core = _core.Chain.open(_core.dev_genesis(), None, _core.Workers(1))
    chain = RichChain(core.rules_at(0, 0))
    limits = TxPoolConfig(globalslots=2 * max(sizes), globalqueue=1)
    workers = _core.Workers(0)
    garbage = GarbageWatch()
    garbage.begin()
    warm = TxPool(limits, chain, lambda event: None)
    _admit(warm, _transactions(workers, seed - 1, 0, sizes[0]), garbage)
    pool = TxPool(limits, chain, lambda event: None)
    before = _resident()
    points: list[Point] = []
    made = 0
    for size in sizes:
        growth = size - len(pool)
        transactions = _transactions(workers, seed, made, growth)
        made += growth
        admission_us, slowest_ms = _admit(pool, transactions, garbage)
        resident = _resident() - before
        before += resident
        spent = [_head(pool, chain, transactions[start : start + MINED]) for start in (0, MINED)][
            : growth // MINED
        ]
        began = time.thread_time()
        best = pool.pending_best(chain.next_base_fee())
        for _ in range(min(1_000, len(pool))):
            next(best)
        best_ms = (time.thread_time() - began) * 1e3
        began = time.thread_time()
        prices = pool._holdings.index.prices
        prices.take_cheapest(0)
        underpriced_ms = (time.thread_time() - began) * 1e3
        points.append(
            Point(size, admission_us, slowest_ms, resident // growth, spent, best_ms, underpriced_ms)
        )
    core.close()
    assert len(warm) == sizes[0], "it is kept"
    return [{name: getattr(point, name) for name in point.__slots__} for point in points]


def _transactions(workers: _core.Workers, seed: int, first: int, count: int) -> list[Transaction]:
    signed = _core.bench_transfers(
        seed=seed + first,
        senders=count,
        each=1,
        chain_id=CHAIN_ID,
        fee_cap=100 * GWEI,
        tip_cap=GWEI,
        tip_steps=997,
    )
    decoded = _core.decode_transactions(workers, [raws[0] for _, raws in signed], CHAIN_ID, None)
    return [tx for tx in decoded if isinstance(tx, Transaction)]


def _admit(pool: TxPool, transactions: Sequence[Transaction], garbage: GarbageWatch) -> tuple[float, float]:
    """(microseconds for each, milliseconds of the slowest group)."""
    slowest = 0.0
    cpu = time.process_time()
    for start in range(0, len(transactions), GROUP):
        began = time.thread_time()
        refused = [each for each in pool.add(transactions[start : start + GROUP]) if each is not None]
        garbage.settle()
        slowest = max(slowest, time.thread_time() - began)
        assert not refused, refused[0]
    return (time.process_time() - cpu) / len(transactions) * 1e6, slowest * 1e3


def _head(pool: TxPool, chain: RichChain, mined: Sequence[Transaction]) -> float:
    """Milliseconds of a head with these."""
    chain.mine(mined)
    began = time.thread_time()
    pool.reset()
    return (time.thread_time() - began) * 1e3


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def plot(points: Sequence[dict[str, Any]]) -> str:
    """Microseconds for each admission over the size of the pool, as SVG."""
    width, height, left, bottom = 640, 320, 56, 40
    sizes = [point["pooled"] for point in points]
    greatest = max(20.0, *(point["admission_us"] for point in points)) * 1.25
    spread = max(len(sizes) - 1, 1)
    across = [left + (width - left - 20) * place / spread for place in range(len(sizes))]
    heights = [
        height - bottom - (height - bottom - 20) * point["admission_us"] / greatest for point in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="12">'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="14">admission, µs of processor time for each transaction, by pool size</text>',
        f'<path d="M{left} 20V{height - bottom}H{width - 10}" stroke="#888" fill="none"/>',
        f'<polyline points="{line}" stroke="#2a6fdb" stroke-width="2" fill="none"/>',
    ]
    for x, y, point in zip(across, heights, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2a6fdb"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{point["admission_us"]:.1f}</text>'
        )
        parts.append(
            f'<text x="{x:.1f}" y="{height - bottom + 16}" text-anchor="middle">{point["pooled"]:,}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
