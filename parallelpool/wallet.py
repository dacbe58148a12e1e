"""
The wallet side of parallel transactions: build, sign, encode, decode, recover.

A transaction goes in as a JSON-RPC dictionary (what `parallel_tagTransaction` answers, or what web3.py takes), signed
bytes for `eth_sendRawTransaction` come out. Pure Python on eth-account and eth-rlp, independent of the engine, so
each checks the other. Keys, keystores and mnemonics all yield the eth-account `LocalAccount` that signs:

    >>> from eth_account import Account
    >>> from parallelpool import wallet
    >>> account = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    >>> signed = wallet.sign(
    ...     {
    ...         "chainId": 31337,
    ...         "nonce": 0,
    ...         "maxPriorityFeePerGas": 10**9,
    ...         "maxFeePerGas": 3 * 10**9,
    ...         "gas": 60_000,
    ...         "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    ...         "value": 0,
    ...         "data": wallet.tagged(bytes.fromhex("a9059cbb"), "PARALLEL"),
    ...     },
    ...     account,
    ... )
    >>> signed.raw_transaction[:1].hex(), signed.transaction.evm_input.hex()
    ('05', 'a9059cbb')
    >>> wallet.decode(signed.raw_transaction).sender == account.address
    True

`parallelpool.wallet_web3` does the same inside web3.py. The format is described in `docs/eip-parallel-transaction.md`,
the use in `docs/wallet.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_rlp import HashableRLP
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from rlp.exceptions import RLPException
from rlp.sedes import Binary, CountableList, List, big_endian_int, binary

__all__ = [
    "PARALLEL_TX_TYPE",
    "ParallelTransaction",
    "SignedParallelTransaction",
    "SigningKey",
    "Tag",
    "WalletError",
    "account_of",
    "build",
    "decode",
    "quantity",
    "recover",
    "sign",
    "split_tag",
    "tagged",
]

PARALLEL_TX_TYPE: Final = 0x05
"""The type byte of parallelpool's own chains. A chain may choose another one in its genesis."""

Tag: TypeAlias = Literal["PARALLEL", "SEQUENTIAL"]
"""What the sender says about his transaction: a hint that orders work and never changes a result."""

AccessList: TypeAlias = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""EIP-2930: (address of 20 bytes, slots of 32 bytes each), ..."""

SigningKey: TypeAlias = LocalAccount | bytes | str
"""An eth-account account (from a key, a keystore or a mnemonic), or a private key as 32 bytes or hex."""

_TAGS: Final[tuple[Tag, ...]] = ("PARALLEL", "SEQUENTIAL")
_HEX: Final = re.compile("0x[0-9a-fA-F]*")
_HALF_CURVE_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class WalletError(ValueError):
    """A transaction that cannot be built, signed or decoded; the message names the field."""


# ------------------------------------------------------------------ tags


def tagged(data: bytes, tag: Tag) -> bytes:
    """`data` with exactly this tag in front; one that is there already is replaced."""
    if tag not in _TAGS:
        raise WalletError(f"tag: want one of {', '.join(_TAGS)}, not {tag!r}")
    return tag.encode() + split_tag(data)[1]


def split_tag(data: bytes) -> tuple[Tag | None, bytes]:
    """The tag that `data` begins with, and what follows it: what the EVM sees of a parallel transaction."""
    for tag in _TAGS:
        if data.startswith(tag.encode()):
            return tag, data[len(tag) :]
    return None, data


# ------------------------------------------------------------------ transactions

_UNSIGNED_FIELDS: Final = (
    ("chain_id", big_endian_int),
    ("nonce", big_endian_int),
    ("max_priority_fee_per_gas", big_endian_int),
    ("max_fee_per_gas", big_endian_int),
    ("gas_limit", big_endian_int),
    ("to", Binary.fixed_length(20, allow_empty=True)),
    ("value", big_endian_int),
    ("data", binary),
    ("access_list", CountableList(List([Binary.fixed_length(20), CountableList(Binary.fixed_length(32))]))),
)


class _UnsignedPayload(HashableRLP):
    fields = _UNSIGNED_FIELDS


class _SignedPayload(HashableRLP):
    fields = (*_UNSIGNED_FIELDS, ("y_parity", big_endian_int), ("r", big_endian_int), ("s", big_endian_int))


_WIDTHS: Final = {
    "chain_id": 64,
    "nonce": 64,
    "max_priority_fee_per_gas": 256,
    "max_fee_per_gas": 256,
    "gas_limit": 64,
    "value": 256,
}
"""Bits of each number."""


@dataclass(frozen=True, slots=True)
class ParallelTransaction:
    """
    The nine fields that are signed, and the type byte in front of them.

    Fees are wei per gas, `value` is wei; `to` is `None` where a contract is created. Raises WalletError where a
    field is of the wrong kind, length or width, or the tip is above the fee cap.
    """

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: bytes | None
    value: int
    data: bytes
    access_list: AccessList = ()
    tx_type: int = PARALLEL_TX_TYPE

    def __post_init__(self) -> None:
        for name, bits in _WIDTHS.items():
            number = getattr(self, name)
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << bits:
                raise WalletError(f"{name}: want an integer of {bits} bits, not {number!r}")
        if not 5 <= self.tx_type <= 0x7F:
            raise WalletError(f"tx_type: want 5 to 127, not {self.tx_type}")
        if self.max_priority_fee_per_gas > self.max_fee_per_gas:
            raise WalletError("max_priority_fee_per_gas: higher than max_fee_per_gas")
        _check_bytes("to", self.to, 20, optional=True)
        _check_bytes("data", self.data, None)
        for address, slots in self.access_list:
            _check_bytes("access_list", address, 20)
            for slot in slots:
                _check_bytes("access_list", slot, 32)

    @property
    def tag(self) -> Tag | None:
        """What the sender says; `None` where he says nothing."""
        return split_tag(self.data)[0]

    @property
    def evm_input(self) -> bytes:
        """Calldata or init code as the EVM sees it: `data` without its one leading tag."""
        return split_tag(self.data)[1]

    @property
    def signing_hash(self) -> bytes:
        """keccak256(type || rlp(the nine fields)), 32 bytes."""
        return bytes(keccak(bytes([self.tx_type]) + rlp.encode(_UnsignedPayload(*self._values()))))

    def sign(self, key: SigningKey) -> SignedParallelTransaction:
        """Signed by `key`, deterministically (RFC 6979) and with a low s."""
        signature = account_of(key).unsafe_sign_hash(self.signing_hash)  # type: ignore[arg-type]  # Hash32 is bytes
        return SignedParallelTransaction(self, signature.v - 27, signature.r, signature.s)

    def _values(self) -> tuple[Any, ...]:
        return (
            self.chain_id,
            self.nonce,
            self.max_priority_fee_per_gas,
            self.max_fee_per_gas,
            self.gas_limit,
            self.to or b"",
            self.value,
            self.data,
            self.access_list,
        )


@dataclass(frozen=True, slots=True)
class SignedParallelTransaction:
    """
    A parallel transaction with its signature. The names are those of eth-account's `SignedTransaction`.

    Raises WalletError where the signature is not one that a node takes.
    """

    transaction: ParallelTransaction
    v: int
    """Parity of the signature's point: 0 or 1."""
    r: int
    s: int

    def __post_init__(self) -> None:
        if self.v not in (0, 1) or not 0 < self.r < 1 << 256 or not 0 < self.s <= _HALF_CURVE_ORDER:
            raise WalletError("signature: v is 0 or 1, r and s are not 0, s is low (EIP-2)")

    @property
    def raw_transaction(self) -> HexBytes:
        """The canonical encoding: what `eth_sendRawTransaction` takes."""
        payload = _SignedPayload(*self.transaction._values(), self.v, self.r, self.s)
        return HexBytes(bytes([self.transaction.tx_type]) + rlp.encode(payload))

    @property
    def hash(self) -> HexBytes:
        """keccak256 of the canonical encoding, 32 bytes."""
        return HexBytes(keccak(self.raw_transaction))

    @property
    def sender(self) -> str:
        """The checksummed address whose key signed. Raises WalletError where no key can have."""
        try:
            signature = Signature(vrs=(self.v, self.r, self.s))
            return signature.recover_public_key_from_msg_hash(
                self.transaction.signing_hash
            ).to_checksum_address()
        except BadSignature as error:
            raise WalletError(f"signature: {error}") from error


# ------------------------------------------------------------------ building, signing, decoding

_NAMES: Final = {
    "chainId": "chain_id",
    "nonce": "nonce",
    "maxPriorityFeePerGas": "max_priority_fee_per_gas",
    "maxFeePerGas": "max_fee_per_gas",
    "gas": "gas_limit",
    "value": "value",
}
"""Number fields: JSON-RPC name -> ours."""

_IGNORED: Final = frozenset({"from", "tagging"})
"""Keys that stand beside the fields: the account to sign with, and what `parallel_tagTransaction` did."""

_KNOWN: Final = frozenset(_NAMES) | _IGNORED | {"type", "to", "data", "input", "accessList"}


def build(transaction: Mapping[str, Any]) -> ParallelTransaction:
    """
    The parallel transaction of a JSON-RPC dictionary.

    Numbers are integers or 0x-hex, bytes are bytes or 0x-hex. `type` may be absent (0x5); `to` absent or null
    creates a contract; `value`, `data` and `accessList` may be absent. Raises WalletError on anything that is
    missing, unknown or malformed, and where `data` and `input` differ.
    """
    if unknown := sorted(set(transaction) - _KNOWN):
        raise WalletError(f"unknown fields: {', '.join(unknown)}")
    given = {name: value for name, value in transaction.items() if value is not None}
    if missing := [name for name in _NAMES if name not in given and name != "value"]:
        raise WalletError(f"missing fields: {', '.join(missing)}")
    numbers = {field: quantity(name, given.get(name, 0)) for name, field in _NAMES.items()}
    return ParallelTransaction(
        **numbers,
        to=_bytes("to", given["to"]) if "to" in given else None,
        data=_payload(given),
        access_list=_access_list(given.get("accessList", ())),
        tx_type=quantity("type", given.get("type", PARALLEL_TX_TYPE)),
    )


def sign(transaction: ParallelTransaction | Mapping[str, Any], key: SigningKey) -> SignedParallelTransaction:
    """
    Builds and signs in one step.

    Raises WalletError as `build` does, and where the dictionary's `from` is not the key's account.
    """
    account = account_of(key)
    if isinstance(transaction, ParallelTransaction):
        return transaction.sign(account)
    owner = transaction.get("from")
    if owner is not None and to_checksum_address(owner) != account.address:
        raise WalletError(f"from: {owner} is not the account of the key, {account.address}")
    return build(transaction).sign(account)


def decode(raw: bytes | str, tx_type: int = PARALLEL_TX_TYPE) -> SignedParallelTransaction:
    """
    The transaction that `raw` (bytes or hex) encodes; `sender` recovers who signed it.

    Raises WalletError on bytes of another type and on every encoding but the canonical one.
    """
    encoded = bytes(HexBytes(raw))
    if encoded[:1] != bytes([tx_type]):
        raise WalletError(f"type: want 0x{tx_type:02x} in front, not 0x{encoded[:1].hex()}")
    try:
        payload = rlp.decode(encoded[1:], _SignedPayload)
    except RLPException as error:
        raise WalletError(f"encoding: {error}") from error
    transaction = ParallelTransaction(
        chain_id=payload.chain_id,
        nonce=payload.nonce,
        max_priority_fee_per_gas=payload.max_priority_fee_per_gas,
        max_fee_per_gas=payload.max_fee_per_gas,
        gas_limit=payload.gas_limit,
        to=payload.to or None,
        value=payload.value,
        data=payload.data,
        access_list=payload.access_list,
        tx_type=tx_type,
    )
    signed = SignedParallelTransaction(transaction, payload.y_parity, payload.r, payload.s)
    if signed.raw_transaction != encoded:
        raise WalletError("encoding: not canonical")
    return signed


def recover(raw: bytes | str, tx_type: int = PARALLEL_TX_TYPE) -> str:
    """The checksummed address that signed `raw`. Raises WalletError as `decode` does."""
    return decode(raw, tx_type).sender


def account_of(key: SigningKey) -> LocalAccount:
    """The account of a key."""
    if isinstance(key, LocalAccount):
        return key
    account: LocalAccount = Account.from_key(key)
    return account


def _check_bytes(name: str, value: object, length: int | None, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if not isinstance(value, bytes) or (length is not None and len(value) != length):
        raise WalletError(f"{name}: want {'bytes' if length is None else f'{length} bytes'}, not {value!r}")


def quantity(name: str, value: object) -> int:
    """The number that an integer or 0x-hex says; `name` is for the message. Raises WalletError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _HEX.fullmatch(value) and len(value) > len("0x"):
        return int(value, 16)
    raise WalletError(f"{name}: want an integer or 0x-hex, not {value!r}")


def _bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and _HEX.fullmatch(value) and len(value) % 2 == 0:
        return bytes.fromhex(value[2:])
    raise WalletError(f"{name}: want bytes or 0x-hex, not {value!r}")


def _payload(given: Mapping[str, Any]) -> bytes:
    both = {_bytes(name, given[name]) for name in ("data", "input") if name in given}
    if len(both) > 1:
        raise WalletError("data: differs from input")
    return both.pop() if both else b""


def _access_list(entries: Sequence[Mapping[str, Any]]) -> AccessList:
    try:
        return tuple(
            (
                _bytes("accessList", entry["address"]),
                tuple(_bytes("accessList", key) for key in entry["storageKeys"]),
            )
            for entry in entries
        )
    except (KeyError, TypeError) as error:
        raise WalletError("accessList: want a list of {address, storageKeys}") from error
