"""
Seeded streams of transactions: valid ones, and every way of being refused.

A stream looks at our pool to know what would be interesting next (a nonce to replace, a gap to fill); it never looks at
geth. The same seed gives the same bytes as long as the pool decides the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from parallelpool._core import (  # noqa: TID251  the pool never decodes, its tests must
    DecodeRejection,
    decode_transactions,
)
from parallelpool.pool import TxPool
from parallelpool.transaction import PooledTransaction
from tests.factories import CHAIN_ID, ETHER, ORDER, TARGET, Key, Rlp, rlp, workers
from tests.parallelpool.differential.accounts import (
    DELEGATED,
    EVERYBODY,
    GWEI,
    PENNILESS,
    POOR,
    POOR_BALANCE,
    RICH,
    Draft,
)

TYPES: Final = (0, 0, 1, 2, 2, 2, 2)

MAX_SIZE: Final = 131_072

KEYS: Final = {key.address: key for key in EVERYBODY}


class Stream:
    """Bytes to submit, one transaction after another."""

    def __init__(self, pool: TxPool, seed: int) -> None:
        self._pool = pool
        self._random = Random(seed)
        self._sent: list[bytes] = []
        self._prices = 0
        self._kinds: Sequence[tuple[int, Callable[[], bytes]]] = (
            (30, self.next_nonce),
            (10, self.gapped),
            (4, self.gap_filler),
            (12, self.replacement),
            (3, self.seen_before),
            (3, self.nonce_too_low),
            (4, self.too_expensive),
            (6, self.all_he_has),
            (6, self.set_code),
            (5, self.from_delegated),
            (2, self.penniless),
            (2, self.creation),
            (3, self.large),
            (2, self.too_large),
            (1, self.long_init_code),
            (3, self.gas_too_low),
            (2, self.gas_too_high),
            (2, self.wrong_fees),
            (2, self.low_tip),
            (1, self.fee_above_cap),
            (2, self.other_chain),
            (1, self.unprotected),
            (2, self.bad_signature),
            (1, self.empty_authorizations),
            (1, self.blob),
            (1, self.unknown_type),
            (1, self.last_nonce),
            (3, self.mutated),
        )

    def take(self) -> bytes:
        """The next transaction of any kind."""
        weights = [weight for weight, _ in self._kinds]
        (kind,) = self._random.choices([make for _, make in self._kinds], weights)
        return self.note(kind())

    def take_but_underbids(self) -> bytes:
        """
        The next one that does not miss a price bump.

        In a full pool geth evicts somebody for such a one before it finds out; ours does not.
        """
        raw = self.take()
        while self._underbids(raw):
            raw = self.take()
        return raw

    def note(self, raw: bytes) -> bytes:
        """Remembers bytes, to send them again some time."""
        self._sent.append(raw)
        return raw

    # ------------------------------------------------------------------ acceptable

    def draft(self, key: Key, nonce: int, tx_type: int | None = None) -> Draft:
        """
        A transfer at a price that no other transaction has, above or below the base fee.

        Equal prices are the one thing that geth leaves to chance.
        """
        self._prices += 1
        tip = self._random.randrange(GWEI // 10, 2 * GWEI) * 1_000 + self._prices
        tip //= 1_000
        cap = tip + self._random.randrange(0, 4 * GWEI)
        tx_type = self._random.choice(TYPES) if tx_type is None else tx_type
        if tx_type < 2:
            tip = cap
        return Draft(key, nonce, tx_type=tx_type, tip=tip, cap=cap, value=self._random.randrange(1_000))

    def anyone(self) -> Key:
        """Mostly somebody of the first few, so that lists grow."""
        return self._random.choice(self._random.choice((RICH[:6], RICH[:6], RICH, POOR)))

    def nonce(self, key: Key) -> int:
        """The account's next executable nonce."""
        return int(self._pool.nonce(key.address))

    def next_nonce(self) -> bytes:
        """Executable."""
        key = self.anyone()
        return self.draft(key, self.nonce(key)).raw

    def gapped(self) -> bytes:
        """Behind a gap of up to five nonces."""
        key = self.anyone()
        return self.draft(key, self.nonce(key) + self._random.randrange(1, 6)).raw

    def gap_filler(self) -> bytes:
        """The nonce that somebody's queue waits for."""
        queued = [pooled for pooled in self._own() if pooled.nonce > self._pool.nonce(pooled.sender)]
        if not queued:
            return self.gapped()
        key = self._key(self._random.choice(queued))
        return self.draft(key, self.nonce(key)).raw

    def replacement(self) -> bytes:
        """For a pooled nonce: at, just below or above what the price bump asks of either cap."""
        old = self._pooled()
        if old is None:
            return self.next_nonce()
        key, draft = self._key(old), self.draft(self._key(old), old.nonce)
        tip, cap = (
            price * 110 // 100 + self._random.choice((-1, 0, 0, 0, 1, price // 10))
            for price in (old.max_priority_fee_per_gas, old.max_fee_per_gas)
        )
        if draft.tx_type < 2:
            tip = cap
        if old.authorities and self._random.random() < 0.7:
            return self._set_code(key, old.nonce, tip=tip, cap=max(tip, cap))
        return replace(draft, tip=min(tip, cap), cap=cap).raw

    def set_code(self) -> bytes:
        """Delegates one to three accounts, perhaps its own sender."""
        key = self._random.choice((*RICH[:8], *POOR[:2], *DELEGATED[:2]))
        draft = self.draft(key, self.nonce(key) + self._random.choice((0, 0, 0, 1)))
        return self._set_code(key, draft.nonce, tip=draft.tip, cap=draft.cap)

    def _set_code(self, key: Key, nonce: int, *, tip: int, cap: int) -> bytes:
        authorities = self._random.choices((*RICH[:8], *POOR[:3], *DELEGATED), k=self._random.randrange(1, 4))
        return Draft(
            key, nonce, tx_type=4, tip=tip, cap=cap, gas=150_000, value=0, authorities=authorities
        ).raw

    def from_delegated(self) -> bytes:
        """From an account with code: its next nonce, one too far, or one more."""
        key = self._random.choice(DELEGATED)
        return self.draft(key, self.nonce(key) + self._random.choice((0, 0, 0, 1, 2))).raw

    def creation(self) -> bytes:
        """Makes a contract of no code."""
        key = self.anyone()
        return replace(self.draft(key, self.nonce(key)), to=b"", gas=100_000, data=bytes(64)).raw

    def large(self) -> bytes:
        """Up to four slots, with or without an access list."""
        key = self._random.choice(RICH)
        size = self._random.choice((1_000, 32_700, 32_800, 60_000, 100_000, 130_000))
        entries: list[Rlp] = [[TARGET, [bytes(32)]] for _ in range(self._random.randrange(3))]
        draft = replace(self.draft(key, self.nonce(key), 2), data=bytes(size), access_list=entries)
        gas = 21_000 + 10 * size + 10_000
        return replace(draft, tip=GWEI + self._prices, cap=2 * GWEI + self._prices, gas=gas).raw

    def all_he_has(self) -> bytes:
        """From a poor account: what it can just pay, or just cannot, alone or beside what it has pending."""
        key = self._random.choice(POOR)
        nonce = self.nonce(key) + self._random.choice((0, 0, -1, 1))
        draft = self.draft(key, max(0, nonce))
        cap = draft.tip if draft.tx_type < 2 else draft.cap
        spare = POOR_BALANCE - 21_000 * cap
        parts = (1, 2, 3) if spare > 0 else (1,)
        value = max(0, spare // self._random.choice(parts) + self._random.choice((-1, 0, 0, 1)))
        return replace(draft, value=value).raw

    # ------------------------------------------------------------------ refused

    def seen_before(self) -> bytes:
        """Bytes that were sent before."""
        return self._random.choice(self._sent[-300:]) if self._sent else self.next_nonce()

    def nonce_too_low(self) -> bytes:
        """A nonce that a block has used, if one has."""
        key = self._random.choice(RICH[:6])
        return self.draft(key, 0).raw

    def too_expensive(self) -> bytes:
        """Beyond the balance."""
        key = self.anyone()
        value = self._random.choice((1_001 * ETHER, 2**255, POOR_BALANCE))
        return replace(self.draft(key, self.nonce(key)), value=value).raw

    def penniless(self) -> bytes:
        """From an account that does not exist."""
        return self.draft(self._random.choice(PENNILESS), self._random.randrange(2)).raw

    def too_large(self) -> bytes:
        """Around the greatest size; the encoding adds about a hundred bytes."""
        key = self._random.choice(RICH)
        size = MAX_SIZE - 120 + self._random.randrange(40)
        draft = replace(self.draft(key, self.nonce(key), 2), data=bytes(size), gas=21_000 + 10 * size)
        return replace(draft, tip=GWEI + self._prices, cap=2 * GWEI + self._prices).raw

    def long_init_code(self) -> bytes:
        """Around the greatest length of init code."""
        key = self._random.choice(RICH)
        size = 49_152 + self._random.randrange(2)
        return replace(self.draft(key, self.nonce(key)), to=b"", gas=3_000_000, data=bytes(size)).raw

    def gas_too_low(self) -> bytes:
        """Below the intrinsic gas, or below the floor of calldata."""
        key = self.anyone()
        data = self._random.choice((b"", bytes(100), b"\x01" * 2_000))
        intrinsic = 21_000 + sum(16 if byte else 4 for byte in data)
        gas = intrinsic + self._random.choice((-1, 0, 0, 5_000))
        return replace(self.draft(key, self.nonce(key)), gas=gas, data=data).raw

    def gas_too_high(self) -> bytes:
        """Around the cap of a transaction and the limit of a block."""
        key = self._random.choice(RICH)
        gas = self._random.choice((2**24, 2**24 + 1, 30_000_001, 2**63))
        draft = self.draft(key, self.nonce(key), 2)
        return replace(draft, gas=gas, tip=1_000 + self._prices, cap=GWEI // 100 + self._prices).raw

    def wrong_fees(self) -> bytes:
        """A tip above the fee cap, or amounts beyond 256 bits."""
        key = self._random.choice(RICH)
        draft = self.draft(key, self.nonce(key), 2)
        tip, cap = self._random.choice(
            ((draft.cap + 1, draft.cap), (2**256, 2**256), (1, 2**256), (2**300, 5), (2**256 - 1, 2**256 - 1))
        )
        return replace(draft, tip=tip, cap=cap).raw

    def low_tip(self) -> bytes:
        """Around the least tip."""
        key = self.anyone()
        return replace(self.draft(key, self.nonce(key), 2), tip=self._random.randrange(3)).raw

    def fee_above_cap(self) -> bytes:
        """A fee around one ether."""
        key = self._random.choice(RICH)
        cap = ETHER // 1_000_000 + self._random.choice((-1, 0, 1, 10**10))
        return replace(self.draft(key, self.nonce(key), 2), cap=cap, gas=1_000_000).raw

    def other_chain(self) -> bytes:
        """For another chain."""
        key = self._random.choice(RICH)
        chain_id = self._random.choice((1, CHAIN_ID + 1, 2**63))
        return replace(self.draft(key, self.nonce(key)), chain_id=chain_id).raw

    def unprotected(self) -> bytes:
        """Valid on every chain."""
        key = self._random.choice(RICH)
        return replace(self.draft(key, self.nonce(key), 0), is_protected=False).raw

    def bad_signature(self) -> bytes:
        """A high s, or numbers that are no signature."""
        key = self._random.choice(RICH)
        draft = self.draft(key, self.nonce(key), self._random.choice((0, 1, 2)))
        if self._random.random() < 0.5:
            return replace(draft, has_high_s=True).raw
        v = self._random.choice((0, 1, 2, 27, CHAIN_ID * 2 + 35, CHAIN_ID * 2 + 36, 2**64, 2**256))
        r, s = (self._random.choice((0, 1, ORDER - 1, ORDER, 2**256 - 1)) for _ in range(2))
        return rlp([draft.nonce, draft.tip, draft.gas, draft.to, draft.value, b"", v, r, s])

    def empty_authorizations(self) -> bytes:
        """Type 4 without any."""
        key = self._random.choice(RICH)
        return replace(self.draft(key, self.nonce(key), 4), gas=100_000).raw

    def blob(self) -> bytes:
        """Type 3 without its sidecar."""
        key = self._random.choice(RICH[10:])
        return self.draft(key, self.nonce(key), 3).raw

    def unknown_type(self) -> bytes:
        """A type byte that nobody knows."""
        key = self._random.choice(RICH)
        return self.draft(key, self.nonce(key), self._random.choice((5, 6, 0x64, 0x7F))).raw

    def last_nonce(self) -> bytes:
        """The greatest nonces."""
        key = self._random.choice(RICH[20:])
        return self.draft(key, 2**64 - 1 - self._random.randrange(2)).raw

    def mutated(self) -> bytes:
        """A valid transaction with a byte changed, cut or added."""
        key = self._random.choice(RICH)
        raw = bytearray(self.draft(key, self.nonce(key)).raw)
        place = self._random.randrange(min(16, len(raw)))
        match self._random.randrange(4):
            case 0:
                raw[place] = self._random.randrange(256)
            case 1:
                del raw[self._random.randrange(len(raw)) :]
            case 2:
                raw.append(self._random.randrange(256))
            case _:
                del raw[place]
        return bytes(raw)

    # ------------------------------------------------------------------ parts

    def _pooled(self) -> PooledTransaction | None:
        pooled = self._own()
        return self._random.choice(pooled) if pooled else None

    def _own(self) -> list[PooledTransaction]:
        """Of the stream's accounts: a reorg may leave others' in the pool."""
        return [pooled for pooled in self._pool.pooled() if pooled.sender in KEYS]

    def _key(self, pooled: PooledTransaction) -> Key:
        return KEYS[pooled.sender]

    def _underbids(self, raw: bytes) -> bool:
        (tx,) = decode_transactions(workers(), [raw], CHAIN_ID, None)
        if isinstance(tx, DecodeRejection) or tx.sender_error is not None:
            return False
        held = {each.nonce: each for content in self._pool.content_from(tx.sender) for each in content}
        old = held.get(tx.nonce)
        return old is not None and (
            tx.max_fee_per_gas < max(old.max_fee_per_gas + 1, old.max_fee_per_gas * 110 // 100)
            or tx.max_priority_fee_per_gas
            < max(old.max_priority_fee_per_gas + 1, old.max_priority_fee_per_gas * 110 // 100)
        )
