"""
Signed transactions and a chain for pool tests: real bytes, decoded and recovered by the real engine.

Signatures use one fixed secret nonce, which makes signing two multiplications instead of milliseconds. Such a
signature gives its key away, so these keys are for tests alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, TypeAlias

from config.schema import TxPoolConfig
from parallelpool._core import (  # noqa: TID251  the pool never decodes, its tests must
    DecodeRejection,
    Workers,
    decode_transactions,
)
from parallelpool.transaction import Rules, Transaction, keccak256
from parallelpool.validation import EMPTY_CODE_HASH

CHAIN_ID: Final = 1337
PARALLEL_TYPE: Final = 5
TARGET: Final = bytes.fromhex("00000000000000000000000000000000000000aa")
DELEGATE: Final = bytes.fromhex("00000000000000000000000000000000000000de")
ETHER: Final = 10**18

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1."""

GENERATOR_X: Final = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798
"""r of every signature here: the secret nonce is 1. The generator's y is even."""

Rlp: TypeAlias = "bytes | int | Sequence[Rlp]"


def rlp(item: Rlp) -> bytes:
    """Recursive length prefix encoding; ints without leading zeros."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _length(len(item), 0x80) + item
    payload = b"".join(rlp(each) for each in item)
    return _length(len(payload), 0xC0) + payload


def _length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    encoded = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(encoded)]) + encoded


@dataclass(frozen=True)
class Key:
    """A secret key from 1 up."""

    secret: int

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """(parity, r, s) with the low s that Ethereum wants."""
        s = (int.from_bytes(digest, "big") + GENERATOR_X * self.secret) % ORDER
        return (1, GENERATOR_X, ORDER - s) if s > ORDER // 2 else (0, GENERATOR_X, s)

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return _address(self.secret)


@cache
def workers() -> Workers:
    """The engine's threads; one is enough."""
    return Workers(1)


@cache
def _address(secret: int) -> bytes:
    return legacy(Key(secret), 0).sender


def decode(raw: Iterable[bytes], *, chain_id: int = CHAIN_ID) -> list[Transaction]:
    """Decodes what must be transactions."""
    decoded: list[Transaction] = []
    for item in decode_transactions(workers(), list(raw), chain_id, PARALLEL_TYPE):
        assert not isinstance(item, DecodeRejection), item.message
        decoded.append(item)
    return decoded


def raw_legacy(
    key: Key,
    nonce: int,
    *,
    price: int = 1,
    gas: int = 100_000,
    value: int = 100,
    to: bytes = TARGET,
    data: bytes = b"",
    chain_id: int = CHAIN_ID,
) -> bytes:
    """A legacy transaction with replay protection; geth's tests' values by default. `to` empty creates."""
    fields: list[Rlp] = [nonce, price, gas, to, value, data]
    parity, r, s = key.sign(keccak256(rlp([*fields, chain_id, 0, 0])))
    return rlp([*fields, chain_id * 2 + 35 + parity, r, s])


def legacy(
    key: Key,
    nonce: int,
    *,
    price: int = 1,
    gas: int = 100_000,
    value: int = 100,
    to: bytes = TARGET,
    data: bytes = b"",
) -> Transaction:
    """The decoded transaction of `raw_legacy`."""
    return decode([raw_legacy(key, nonce, price=price, gas=gas, value=value, to=to, data=data)])[0]


def typed(
    key: Key,
    nonce: int,
    *,
    tx_type: int = 2,
    tip: int = 1,
    cap: int = 1,
    gas: int = 100_000,
    value: int = 100,
    to: bytes = TARGET,
    data: bytes = b"",
    authorizations: Sequence[Rlp] | None = None,
) -> Transaction:
    """A transaction of type 1 (`tip` counts as price), 2, 4 or the parallel one."""
    fees = [tip] if tx_type == 1 else [tip, cap]
    fields: list[Rlp] = [CHAIN_ID, nonce, *fees, gas, to, value, data, []]
    if tx_type == 4:
        fields.append(list(authorizations or ()))
    prefix = bytes([tx_type])
    return decode([prefix + rlp([*fields, *key.sign(keccak256(prefix + rlp(fields)))])])[0]


def authorization(key: Key, *, nonce: int = 0) -> Rlp:
    """A signed tuple that delegates the account of `key`."""
    message: list[Rlp] = [CHAIN_ID, DELEGATE, nonce]
    return [*message, *key.sign(keccak256(b"\x05" + rlp(message)))]


def set_code(
    key: Key, nonce: int, authorities: Sequence[Key], *, tip: int = 1, cap: int = 1, gas: int = 250_000
) -> Transaction:
    """A type 4 transaction that delegates the accounts of `authorities`."""
    tuples = [authorization(authority) for authority in authorities]
    return typed(key, nonce, tx_type=4, tip=tip, cap=cap, gas=gas, value=0, authorizations=tuples)


# ------------------------------------------------------------------ a chain


@dataclass(frozen=True)
class FakeHeader:
    """The part of a header that the pool reads."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    gas_limit: int


@dataclass
class FakeAccount:
    """An account of the state."""

    nonce: int = 0
    balance: int = 0
    code_hash: bytes = EMPTY_CODE_HASH


@dataclass
class FakeChain:
    """A head with a state that tests set as they like. Mined transactions stand in `mined`."""

    network: str = "Osaka"
    gas_limit: int = 10_000_000
    base_fee: int | None = 0
    state: dict[bytes, FakeAccount] = field(default_factory=dict)
    mined: dict[bytes, int] = field(default_factory=dict)
    number: int = 0
    account_reads: int = 0
    tells_changes: bool = True
    """Whether it says which accounts blocks changed, or leaves it to the pool to look."""
    last_read: dict[bytes, FakeAccount] = field(default_factory=dict)
    """What the pool was told of each account."""

    def head(self) -> FakeHeader:
        """The newest block."""
        hashes = [keccak256(number.to_bytes(8, "big")) for number in (self.number, max(0, self.number - 1))]
        return FakeHeader(self.number, hashes[0], hashes[1], 12 * self.number, self.gas_limit)

    def rules_at(self, number: int, timestamp: int, /) -> Rules:
        """The rules of `network`."""
        return Rules.of_network(self.network, chain_id=CHAIN_ID, parallel_tx_type=PARALLEL_TYPE)

    def next_base_fee(self, number: int | None = None, /) -> int | None:
        """As set."""
        return self.base_fee

    def accounts(self, addresses: Sequence[bytes], /) -> list[FakeAccount]:
        """As set; others are empty."""
        self.account_reads += len(addresses)
        self.last_read.update({address: replace(self._account(address)) for address in addresses})
        return [self._account(address) for address in addresses]

    def _account(self, address: bytes) -> FakeAccount:
        return self.state.get(address, FakeAccount())

    def transaction_location(self, tx_hash: bytes, /) -> tuple[int, int] | None:
        """The block that the test says has mined it."""
        number = self.mined.get(tx_hash)
        return None if number is None else (number, 0)

    def transaction_locations(self, hashes: Sequence[bytes], /) -> list[tuple[int, int] | None]:
        """The same for many."""
        return [self.transaction_location(tx_hash) for tx_hash in hashes]

    def accounts_changed_since(self, number: int, block_hash: bytes, /) -> list[bytes] | None:
        """Exactly those that are not as they were last read; `None` if the chain keeps that to itself."""
        if (
            not self.tells_changes
            or block_hash != keccak256(number.to_bytes(8, "big"))
            or number > self.number
        ):
            return None
        return [address for address, read in self.last_read.items() if self._account(address) != read]

    # -- what tests do to it

    def fund(self, *keys: Key, balance: int = ETHER) -> None:
        """Gives each account a balance in wei."""
        for key in keys:
            self.account(key).balance = balance

    def account(self, key: Key) -> FakeAccount:
        """The account of a key, made on first use."""
        return self.state.setdefault(key.address, FakeAccount())

    def mine(self, *transactions: Transaction) -> None:
        """A block with these: nonces and balances move as if they had spent what they may cost."""
        self.number += 1
        for tx in transactions:
            account = self.state.setdefault(tx.sender, FakeAccount())
            account.nonce = tx.nonce + 1
            account.balance -= tx.cost
            self.mined[tx.hash] = self.number


def limits(**changed: int | str) -> TxPoolConfig:
    """geth's limits, with changes."""
    return TxPoolConfig(**changed)  # type: ignore[arg-type]  # each test knows what its setting wants
