"""What the tests of the `parallel_` methods share: accounts, a contract to fight for, ways to send."""

from typing import Any

from eth_account import Account

from tests.rpc.dev_node import Dev
from tests.rpc.senders import signed

PARALLEL, SEQUENTIAL = b"PARALLEL".hex(), b"SEQUENTIAL".hex()
RECIPIENT = "0x" + "70" * 20
MNEMONIC = "test test test test test test test test test test test junk"

ARGUMENT = "invalid argument 0:"
NO_PREFIX = "json: cannot unmarshal hex string without 0x prefix into Go value of type hexutil.Bytes"

COUNTER = "600160005401600055" + "00"
"""Adds 1 to slot 0."""
ZERO_SLOT = "0x" + "00" * 32


def deployment(code: str) -> bytes:
    """Init code that leaves `code` behind."""
    body = bytes.fromhex(code)
    return bytes([0x60, len(body), 0x60, 12, 0x60, 0, 0x39, 0x60, len(body), 0x60, 0, 0xF3]) + body


def dev_account(index: int) -> Any:
    """One of the ten funded accounts."""
    Account.enable_unaudited_hdwallet_features()
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


async def deploy_counter(dev: Dev) -> str:
    """Mines a block with a counter; its address."""
    raw = signed(dev_account(9), to=None, gas=200_000, data=deployment(COUNTER))
    tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + raw.hex())
    await dev.ask("dev_mine")
    receipt = await dev.ask("eth_getTransactionReceipt", tx_hash)
    address: str = receipt["contractAddress"]
    return address


async def send(dev: Dev, *raw: bytes) -> list[str]:
    """Submits transactions; their hashes."""
    return [await dev.ask("eth_sendRawTransaction", "0x" + each.hex()) for each in raw]


def transfers(count: int, **changes: Any) -> list[bytes]:
    """Transfers of different senders to different recipients."""
    return [
        signed(dev_account(index), to="0x" + f"{index + 70:02d}" * 20, **changes) for index in range(count)
    ]
