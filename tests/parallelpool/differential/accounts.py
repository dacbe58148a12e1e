"""
The world both pools stand on: one genesis, and the bytes of transactions that its accounts sign.

Transactions are written field by field, so that every field can be wrong. Signing is that of `tests.factories`: keys
for tests alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from parallelpool.chain import dev_genesis
from parallelpool.transaction import keccak256
from tests.factories import (
    CHAIN_ID,
    DELEGATE,
    ETHER,
    GENERATOR_X,
    ORDER,
    TARGET,
    Key,
    Rlp,
    authorization,
    rlp,
)

GWEI: Final = 10**9

RICH: Final = tuple(Key(secret) for secret in range(1, 41))
"""A thousand ether each."""

POOR: Final = tuple(Key(secret) for secret in range(101, 113))
"""A few transfers' worth each."""

DELEGATED: Final = tuple(Key(secret) for secret in range(201, 207))
"""Accounts whose code delegates them (EIP-7702)."""

PENNILESS: Final = tuple(Key(secret) for secret in range(301, 304))
"""Accounts that the state does not know."""

FLUSHER: Final = Key(401)
"""Its blocks' transactions make heads differ; it is in no stream."""

POOR_BALANCE: Final = 21_000 * 10 * GWEI

EVERYBODY: Final = (*RICH, *POOR, *DELEGATED, *PENNILESS)


def genesis(*, gas_limit: int = 30_000_000, base_fee: int = GWEI) -> dict[str, Any]:
    """The dev chain's forks and system contracts under the tests' chain id, without a parallel type, our accounts."""
    document: dict[str, Any] = json.loads(dev_genesis())
    config = document["config"]
    config["chainId"] = CHAIN_ID
    del config["parallelTxType"]
    contracts = {name: account for name, account in document["alloc"].items() if account.get("code")}
    rich = {"balance": hex(1_000 * ETHER)}
    code = {"code": "0xef0100" + DELEGATE.hex()}
    document["alloc"] = {
        **contracts,
        **{_name(key): rich for key in (*RICH, FLUSHER)},
        **{_name(key): {"balance": hex(POOR_BALANCE)} for key in POOR},
        **{_name(key): rich | code | {"nonce": "0x3"} for key in DELEGATED},
    }
    document["gasLimit"], document["baseFeePerGas"] = hex(gas_limit), hex(base_fee)
    return document


def _name(key: Key) -> str:
    return "0x" + key.address.hex()


@dataclass(frozen=True)
class Draft:
    """A transaction before it is signed. `tip` is the price of types 0 and 1, `cap` counts for the others."""

    key: Key
    nonce: int
    tx_type: int = 2
    tip: int = GWEI
    cap: int = 3 * GWEI
    gas: int = 21_000
    value: int = 1
    to: bytes = TARGET
    data: bytes = b""
    access_list: Sequence[Rlp] = ()
    authorities: Sequence[Key] = ()
    chain_id: int = CHAIN_ID
    has_high_s: bool = False
    is_protected: bool = True

    @property
    def raw(self) -> bytes:
        """Signed bytes."""
        return self._legacy() if self.tx_type == 0 else self._typed()

    def _legacy(self) -> bytes:
        fields: list[Rlp] = [self.nonce, self.tip, self.gas, self.to, self.value, self.data]
        protection: list[Rlp] = [self.chain_id, 0, 0] if self.is_protected else []
        parity, r, s = self._sign(keccak256(rlp([*fields, *protection])))
        return rlp([*fields, parity + (self.chain_id * 2 + 35 if self.is_protected else 27), r, s])

    def _typed(self) -> bytes:
        fees: list[Rlp] = [self.tip] if self.tx_type == 1 else [self.tip, self.cap]
        fields: list[Rlp] = [
            *(
                self.chain_id,
                self.nonce,
                *fees,
                self.gas,
                self.to,
                self.value,
                self.data,
                list(self.access_list),
            )
        ]
        if self.tx_type == 3:
            fields += [1, [bytes([1]) + bytes(31)]]
        if self.tx_type == 4:
            fields.append([authorization(authority) for authority in self.authorities])
        prefix = bytes([self.tx_type])
        return prefix + rlp([*fields, *self._sign(keccak256(prefix + rlp(fields)))])

    def _sign(self, digest: bytes) -> tuple[int, int, int]:
        parity, r, s = self.key.sign(digest)
        assert r == GENERATOR_X
        return (1 - parity, r, ORDER - s) if self.has_high_s else (parity, r, s)
