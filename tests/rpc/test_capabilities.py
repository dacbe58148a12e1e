"""`eth_capabilities`: what the node says it has is there."""

import pytest

from tests.rpc.dev_node import dev_node
from tests.rpc.senders import ALICE, signed

pytestmark = pytest.mark.asyncio


async def test_all_that_is_promised_is_there() -> None:
    """State, proofs, blocks, transactions, receipts and logs reach back to the block that is named."""
    async with dev_node() as dev:
        before = await dev.ask("eth_getBalance", ALICE.address, "0x0")
        tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + signed(nonce=0).hex())
        for _ in range(3):
            await dev.ask("dev_mine")

        promised = await dev.ask("eth_capabilities")

        head = await dev.ask("eth_getBlockByNumber", "latest", False)
        assert promised.pop("head") == {"number": head["number"], "hash": head["hash"]}
        assert set(promised) == {"state", "tx", "logs", "receipts", "blocks", "stateproofs"}
        assert all(kind == {"disabled": False, "oldestBlock": "0x0"} for kind in promised.values())
        assert await dev.ask("eth_getBalance", ALICE.address, "0x0") == before
        proof = await dev.ask("eth_getProof", ALICE.address, [], "0x0")
        assert proof["balance"] == before
        assert (await dev.ask("eth_getBlockByNumber", "0x0", False))["number"] == "0x0"
        assert (await dev.ask("eth_getTransactionByHash", tx_hash))["blockNumber"] == "0x1"
        assert (await dev.ask("eth_getTransactionReceipt", tx_hash))["blockNumber"] == "0x1"
        assert await dev.ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"}) == []
