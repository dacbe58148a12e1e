"""
Signed transactions of the dev chain's accounts, as a wallet makes them with eth-account.

Fees are generous: the chain's base fee only falls below its first one gwei unless blocks are full.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from parallelpool import wallet
from tests.public_data import REPOSITORY

CHAIN_ID: Final = 31_337
GWEI: Final = 10**9
ETHER: Final = 10**18
MNEMONIC: Final = "test test test test test test test test test test test junk"

FEES: Final[Mapping[str, int]] = {"maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}


@cache
def accounts() -> tuple[LocalAccount, ...]:
    """The ten funded accounts, from the words that everybody knows and not from the program under test."""
    Account.enable_unaudited_hdwallet_features()
    return tuple(
        Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}") for index in range(10)
    )


@cache
def newcomer(name: str) -> LocalAccount:
    """An account without money."""
    account: LocalAccount = Account.from_key(keccak(text=name))
    return account


@cache
def token() -> dict[str, Any]:
    """The compiled demo token: `abi` and `bytecode` among others."""
    artifact: dict[str, Any] = json.loads((REPOSITORY / "examples/contracts/DemoToken.json").read_text())
    return artifact


def raw(account: LocalAccount, nonce: int, **fields: Any) -> str:
    """A signed transaction as hex; type 2, a transfer of one wei to nobody unless fields say otherwise."""
    transaction = {
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "to": newcomer("nobody").address,
        "value": 1,
        "gas": 21_000,
        "data": b"",
        **({} if "gasPrice" in fields else FEES),
        **fields,
    }
    if transaction["to"] is None:
        del transaction["to"]
    return str(account.sign_transaction(transaction).raw_transaction.to_0x_hex())


def raw_parallel(account: LocalAccount, fields: Mapping[str, Any]) -> str:
    """A signed transaction of type 0x05 as hex."""
    return str(wallet.sign(fields, account).raw_transaction.to_0x_hex())


def hash_of(raw_transaction: str) -> str:
    """The transaction's hash."""
    return "0x" + keccak(hexstr=raw_transaction).hex()
