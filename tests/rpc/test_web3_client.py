"""web3.py, unmodified, against the real engine: the calls that wallets and scripts make."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from eth_typing import HexStr
from web3 import AsyncWeb3, WebSocketProvider
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.providers.rpc import AsyncHTTPProvider
from web3.types import TxParams

from tests.rpc.dev_node import Dev
from tests.rpc.senders import ALICE, BOB, CHAIN_ID, GWEI, signed


@pytest.fixture
async def web3(dev: Dev) -> AsyncIterator[AsyncWeb3[AsyncHTTPProvider]]:
    """A client over HTTP."""
    provider = AsyncHTTPProvider(dev.server.http_url)
    yield AsyncWeb3(provider)
    await provider.disconnect()


async def test_a_transfer(dev: Dev, web3: AsyncWeb3[AsyncHTTPProvider]) -> None:
    """Nonce, gas and fees are asked for; the receipt is waited for; the balance has changed."""
    fields: TxParams = {
        "chainId": await web3.eth.chain_id,
        "nonce": await web3.eth.get_transaction_count(ALICE.address, "pending"),
        "to": BOB.address,
        "value": web3.to_wei(1, "ether"),
        "maxPriorityFeePerGas": await web3.eth.max_priority_fee,
        "maxFeePerGas": web3.to_wei(3, "gwei"),
    }
    fields["gas"] = await web3.eth.estimate_gas({**fields, "from": ALICE.address})
    before = await web3.eth.get_balance(BOB.address)

    tx_hash = await web3.eth.send_raw_transaction(
        ALICE.sign_transaction(cast("dict[str, Any]", fields)).raw_transaction
    )
    with pytest.raises(TransactionNotFound):
        await web3.eth.get_transaction_receipt(tx_hash)
    await dev.ask("dev_mine")
    receipt = await web3.eth.wait_for_transaction_receipt(tx_hash, timeout=60, poll_latency=0.01)

    assert fields["chainId"] == CHAIN_ID
    assert (receipt["status"], receipt["gasUsed"], receipt["blockNumber"]) == (1, 21_000, 1)
    assert await web3.eth.get_balance(BOB.address) == before + web3.to_wei(1, "ether")
    mined = await web3.eth.get_transaction(tx_hash)
    assert (mined["from"], mined["blockNumber"]) == (ALICE.address, 1)
    block = await web3.eth.get_block(1, full_transactions=True)
    assert cast(Any, block["transactions"])[0]["hash"] == tx_hash


async def test_facts_about_the_node(web3: AsyncWeb3[AsyncHTTPProvider]) -> None:
    """What scripts print first."""
    assert await web3.is_connected()
    assert (await web3.client_version).startswith("parallelpool")
    assert await web3.net.version == str(CHAIN_ID)
    assert await web3.eth.block_number == 0
    assert await web3.eth.syncing is False
    assert list(await web3.eth.accounts) == []
    assert await web3.eth.gas_price > GWEI // 2
    history = await web3.eth.fee_history(1, "latest", [50])
    assert len(history["baseFeePerGas"]) == 2
    assert (await web3.eth.get_block("pending"))["number"] == 1


async def test_refusals_reach_the_caller_in_words(dev: Dev, web3: AsyncWeb3[AsyncHTTPProvider]) -> None:
    """Of the pool and of a reverting contract."""
    raw = signed()
    await web3.eth.send_raw_transaction(raw)
    with pytest.raises(Web3RPCError, match="already known"):
        await web3.eth.send_raw_transaction(raw)

    revert = bytes.fromhex("08c379a0" + "20".rjust(64, "0") + "2".rjust(64, "0") + b"no".hex().ljust(64, "0"))
    with pytest.raises(ContractLogicError, match="execution reverted: no"):
        await web3.eth.call(
            {"to": BOB.address, "data": revert},
            "latest",
            {BOB.address: {"code": HexStr("0x365f5f37365ffd")}},
        )


async def test_the_pool_can_be_looked_into(web3: AsyncWeb3[AsyncHTTPProvider]) -> None:
    """By checksummed address and decimal nonce."""
    await web3.eth.send_raw_transaction(signed())

    # What web3.py's types say of these answers is not what geth sends.
    content = cast(Any, await web3.geth.txpool.content())
    status = cast(Any, await web3.geth.txpool.status())

    assert content["pending"][ALICE.address]["0"]["from"] == ALICE.address.lower()
    assert status["pending"] == "0x1"


async def test_subscriptions_over_websocket(dev: Dev) -> None:
    """New heads arrive as they are sealed, pending transactions as they are pooled."""
    async with AsyncWeb3(WebSocketProvider(dev.server.websocket_url)) as web3:
        heads = await web3.eth.subscribe("newHeads")
        pending = await web3.eth.subscribe("newPendingTransactions")
        tx_hash = await web3.eth.send_raw_transaction(signed())
        await dev.ask("dev_mine")

        told: dict[str, object] = {}
        async with asyncio.timeout(60):
            async for message in web3.socket.process_subscriptions():
                told[message["subscription"]] = message["result"]
                if len(told) == 2:
                    break

    assert told[pending] == tx_hash
    assert told[heads]["number"] == 1  # type: ignore[index]  # a header
