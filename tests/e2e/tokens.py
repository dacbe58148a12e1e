"""Contracts on a daemon that seals when told: deployed, called, read."""

from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.e2e.daemon import Daemon
from tests.e2e.signing import ETHER, accounts, raw, token

SUPPLY = 10**6 * ETHER


def deploy(node: Daemon, index: int, init_code: bytes, *, value: int = 0) -> str:
    """Mines the creation by a funded account; the contract's address."""
    account = accounts()[index]
    nonce = node.number("eth_getTransactionCount", account.address, "pending")
    creation = raw(account, nonce, to=None, data=init_code, value=value, gas=2_000_000)
    tx_hash = node.call("eth_sendRawTransaction", creation)
    node.call("dev_mine")
    receipt: dict[str, Any] = node.call("eth_getTransactionReceipt", tx_hash)
    assert receipt["status"] == "0x1"
    return str(to_checksum_address(receipt["contractAddress"]))


def deploy_code(node: Daemon, index: int, code: bytes, *, value: int = 0) -> str:
    """Deploys `code` as it is: the init code copies what stands behind it."""
    init_code = bytes([0x60, len(code), 0x60, 12, 0x60, 0, 0x39, 0x60, len(code), 0x60, 0, 0xF3]) + code
    return deploy(node, index, init_code, value=value)


def deploy_token(node: Daemon, index: int) -> str:
    """The demo token, all of it owned by the account."""
    return deploy(node, index, bytes.fromhex(token()["bytecode"][2:]) + SUPPLY.to_bytes(32, "big"))


def encode_transfer(to: str, amount: int) -> str:
    """Calldata of the token's `transfer` as hex."""
    selector = keccak(text="transfer(address,uint256)")[:4]
    return "0x" + (selector + bytes(12) + bytes.fromhex(to[2:]) + amount.to_bytes(32, "big")).hex()


def balance_of(node: Daemon, contract: str, holder: str) -> int:
    """Tokens of an account at the head."""
    data = keccak(text="balanceOf(address)")[:4] + bytes(12) + bytes.fromhex(holder[2:])
    return node.number("eth_call", {"to": contract, "data": "0x" + data.hex()}, "latest")
