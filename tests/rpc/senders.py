"""Accounts of the dev chain and transactions that they sign."""

from typing import Any, Final

import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from parallelpool import wallet

CHAIN_ID: Final = 31337
GWEI: Final = 10**9
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

ALICE: Final[LocalAccount] = Account.from_key(
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
)
BOB: Final[LocalAccount] = Account.from_key(
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
)
POOR: Final[LocalAccount] = Account.from_key("0x" + "11" * 32)
"""Owns nothing."""

DYNAMIC: Final[dict[str, Any]] = {
    "chainId": CHAIN_ID,
    "nonce": 0,
    "gas": 21_000,
    "maxFeePerGas": 3 * GWEI,
    "maxPriorityFeePerGas": GWEI,
    "to": "0x" + "70" * 20,
    "value": 1,
    "data": b"",
    "type": 2,
}

LEGACY: Final[dict[str, Any]] = {
    "chainId": CHAIN_ID,
    "nonce": 0,
    "gas": 21_000,
    "gasPrice": 3 * GWEI,
    "to": "0x" + "70" * 20,
    "value": 1,
    "data": b"",
}


def signed(account: LocalAccount = ALICE, base: dict[str, Any] = DYNAMIC, **changes: Any) -> bytes:
    """A signed transaction of an ordinary type; a change to `None` takes a field out."""
    fields = {name: value for name, value in {**base, **changes}.items() if value is not None or name == "to"}
    if (to := fields.pop("to")) is not None:
        fields["to"] = bytes.fromhex(to[2:])
    return bytes(account.sign_transaction(fields).raw_transaction)


def parallel(account: LocalAccount = ALICE, tag: wallet.Tag | None = "PARALLEL", **changes: Any) -> bytes:
    """A signed parallel transaction with a tag in front of its data."""
    fields = {**DYNAMIC, "gas": 60_000, "type": 5, **changes}
    if tag is not None:
        fields["data"] = wallet.tagged(fields["data"], tag)
    return wallet.sign(fields, account).raw_transaction


def delegation(account: LocalAccount, *, nonce: int = 0, address: str = "0x" + "30" * 20) -> Any:
    """A signed authorization tuple."""
    return account.sign_authorization({"chainId": CHAIN_ID, "address": address, "nonce": nonce})


def by_hand(
    account: LocalAccount,
    tx_type: int,
    *further: Any,
    signature: tuple[int, int, int] | None = None,
    is_malleated: bool = False,
) -> bytes:
    """
    The transaction `DYNAMIC` as another type, encoded and signed without eth-account's checks.

    `further` stands behind the access list; `signature` is (parity, r, s) in place of the real one.
    """
    fields = [CHAIN_ID, 0, GWEI, 3 * GWEI, 100_000, bytes.fromhex("70" * 20), 1, b"", [], *further]
    if signature is None:
        digest = keccak(bytes([tx_type]) + rlp.encode(fields))
        made = PrivateKey(bytes(account.key)).sign_msg_hash(digest)
        signature = (made.v, made.r, made.s)
    parity, r, s = signature
    if is_malleated:
        parity, s = 1 - parity, CURVE_ORDER - s
    return bytes([tx_type]) + bytes(rlp.encode([*fields, parity, r, s]))
