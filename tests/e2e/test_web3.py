"""web3.py, unmodified, against the daemon: what a Python application does all day."""

from typing import Any, cast

import pytest
from eth_account.signers.local import LocalAccount
from web3 import AsyncHTTPProvider, AsyncWeb3, Web3
from web3._utils.filters import Filter
from web3.contract import Contract
from web3.exceptions import (
    ContractCustomError,
    TransactionNotFound,
    Web3RPCError,
)
from web3.middleware import SignAndSendRawMiddlewareBuilder

from parallelpool.wallet_web3 import ParallelSigning
from tests.e2e.daemon import Daemon
from tests.e2e.signing import ETHER, GWEI, accounts, newcomer, raw, token

SUPPLY = 10**6 * ETHER

Fields = dict[str, Any]


def signer(index: int) -> LocalAccount:
    """One of the funded accounts; each test has its own, so that nonces do not meet."""
    return accounts()[index]


def sends_as(w3: Web3, account: LocalAccount) -> Web3:
    """A Web3 of its own that signs for `account`, ordinary types and the parallel one."""
    own = Web3(w3.provider)
    own.middleware_onion.inject(ParallelSigning(account), layer=0)  # type: ignore[arg-type]  # wants a class
    own.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    own.eth.default_account = account.address
    return own


@pytest.fixture(scope="module")
def deployed(instant: Daemon) -> Contract:
    """The demo token, deployed by account 9 through web3.py."""
    own = sends_as(instant.web3, signer(9))
    factory = own.eth.contract(abi=token()["abi"], bytecode=token()["bytecode"])
    receipt = own.eth.wait_for_transaction_receipt(factory.constructor(SUPPLY).transact(), timeout=60)
    assert receipt["status"] == 1
    address = receipt["contractAddress"]
    assert address is not None
    return own.eth.contract(address=address, abi=token()["abi"])


def test_the_node_says_who_it_is(instant: Daemon) -> None:
    """Version, chain, network and sync state, as web3.py asks for them."""
    w3 = instant.web3

    assert w3.is_connected()
    assert w3.client_version.lower().startswith("parallelpool/")
    assert (w3.eth.chain_id, w3.net.version, w3.eth.syncing) == (31_337, "31337", False)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (0, {"gasPrice": 3 * GWEI}),
        (1, {"gasPrice": 3 * GWEI, "accessList": [{"address": "0x" + "11" * 20, "storageKeys": []}]}),
        (2, {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": GWEI}),
    ],
)
def test_each_ordinary_type_is_mined(instant: Daemon, kind: int, fields: Fields) -> None:
    """The receipt carries the type, the sender pays what the receipt says, the recipient gets the value."""
    w3, account = instant.web3, signer(0)
    to = newcomer(f"recipient {kind}").address
    before = w3.eth.get_balance(account.address)
    transaction = {"to": to, "value": ETHER, "gas": 30_000, "chainId": 31_337, "data": b"", **fields}
    transaction["nonce"] = w3.eth.get_transaction_count(account.address, "pending")

    signed = account.sign_transaction(transaction)
    tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash, timeout=60)

    assert tx_hash == signed.hash
    assert (receipt["type"], receipt["status"], receipt["from"]) == (kind, 1, account.address)
    assert w3.eth.get_balance(to) == ETHER
    paid = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert before - w3.eth.get_balance(account.address) == ETHER + paid
    found = w3.eth.get_transaction(tx_hash)
    assert (found["type"], found["blockHash"]) == (kind, receipt["blockHash"])
    assert found["hash"] in w3.eth.get_block(receipt["blockNumber"])["transactions"]


def test_a_transaction_is_filled_in_signed_and_mined(instant: Daemon) -> None:
    """Gas, fees, nonce and chain id come from the node where web3.py's own middleware signs."""
    own = sends_as(instant.web3, signer(1))

    tx_hash = own.eth.send_transaction({"to": newcomer("filled").address, "value": ETHER})  # type: ignore[typeddict-item]
    receipt = own.eth.wait_for_transaction_receipt(tx_hash, timeout=60)

    assert (receipt["status"], receipt["type"], receipt["gasUsed"]) == (1, 2, 21_000)


def test_the_token_answers_calls(deployed: Contract) -> None:
    """Constructor argument, immutable and text come back through `eth_call`."""
    assert deployed.functions.totalSupply().call() == SUPPLY
    assert deployed.functions.balanceOf(signer(9).address).call() == SUPPLY
    assert deployed.functions.name().call() == "Parallel Demo Token"


def test_a_transfer_is_estimated_mined_and_logged(instant: Daemon, deployed: Contract) -> None:
    """The estimate suffices, the event can be decoded, and `eth_getLogs` finds it."""
    recipient = newcomer("token holder").address
    transfer = deployed.functions.transfer(recipient, 5 * ETHER)
    estimate = transfer.estimate_gas({"from": signer(9).address})
    receipt = instant.web3.eth.wait_for_transaction_receipt(transfer.transact({"gas": estimate}), timeout=60)

    assert receipt["status"] == 1
    assert receipt["gasUsed"] <= estimate
    [event] = deployed.events.Transfer().process_receipt(receipt)
    assert event["args"] == {"from": signer(9).address, "to": recipient, "value": 5 * ETHER}
    found = deployed.events.Transfer().get_logs(argument_filters={"to": recipient})
    assert [log["transactionHash"] for log in found] == [receipt["transactionHash"]]
    assert deployed.functions.balanceOf(recipient).call() == 5 * ETHER
    assert deployed.functions.balanceOf(recipient).call(block_identifier=receipt["blockNumber"] - 1) == 0


@pytest.mark.parametrize("kind", [2, "0x2", 5, "0x5"])
def test_the_type_may_be_a_number_in_calls(deployed: Contract, kind: Any) -> None:
    """web3.py sends the type of an estimate or a call as it was given, and geth does not look at it."""
    transfer = deployed.functions.transfer(newcomer("estimated").address, 1)

    assert transfer.call({"from": signer(9).address, "type": kind}) is True
    assert transfer.estimate_gas({"from": signer(9).address, "type": kind}) > 21_000


def test_a_custom_error_comes_back_as_such(deployed: Contract) -> None:
    """The revert data reaches web3.py, on a call and on an estimate."""
    poor = newcomer("owns no tokens").address
    transfer = deployed.functions.transfer(signer(9).address, 1)
    error = Web3.keccak(text="InsufficientBalance(address,uint256,uint256)")[:4]

    for attempt in (transfer.call, transfer.estimate_gas):
        with pytest.raises(ContractCustomError) as caught:
            attempt({"from": poor})
        words = [bytes.fromhex(poor[2:]).rjust(32, b"\0"), bytes(32), (1).to_bytes(32, "big")]
        assert caught.value.data == "0x" + (error + b"".join(words)).hex()


def test_a_reverted_transaction_is_mined_as_failed(instant: Daemon, deployed: Contract) -> None:
    """Status 0, the gas is paid, no log is left."""
    own = sends_as(instant.web3, signer(2))
    data = deployed.encode_abi("transfer", args=[signer(9).address, 1])

    tx_hash = own.eth.send_transaction({"to": deployed.address, "data": data, "gas": 100_000})
    receipt = own.eth.wait_for_transaction_receipt(tx_hash, timeout=60)

    assert (receipt["status"], receipt["logs"]) == (0, [])
    assert 21_000 < receipt["gasUsed"] < 100_000


def news(entries: Filter) -> list[Any]:
    """What a filter has since it was asked last: hashes or logs, which web3.py types as logs."""
    return list(entries.get_new_entries())


def test_filters_deliver_blocks_logs_and_pending_transactions(instant: Daemon, deployed: Contract) -> None:
    """Each filter has exactly what happened since it was made, once."""
    w3 = instant.web3
    blocks, pending = w3.eth.filter("latest"), w3.eth.filter("pending")
    transfers = deployed.events.Transfer().create_filter(from_block="latest")
    news(transfers)
    tx_hash = deployed.functions.transfer(newcomer("filtered").address, 1).transact()
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash, timeout=60)

    assert receipt["blockHash"] in news(blocks)
    assert news(pending) == [tx_hash]
    assert [entry["transactionHash"] for entry in news(transfers)] == [tx_hash]
    assert (news(blocks), news(transfers)) == ([], [])
    assert blocks.filter_id is not None
    assert w3.eth.uninstall_filter(blocks.filter_id)


def test_the_pending_nonce_counts_what_waits(manual: Daemon) -> None:
    """`pending` is ahead of `latest` until a block is sealed; a gap is not counted."""
    w3, account = manual.web3, signer(0)
    for nonce in (0, 1, 3):
        w3.eth.send_raw_transaction(raw(account, nonce))  # type: ignore[arg-type]  # hex text is taken

    def counts() -> tuple[int, int]:
        return (
            w3.eth.get_transaction_count(account.address, "latest"),
            w3.eth.get_transaction_count(account.address, "pending"),
        )

    assert counts() == (0, 2)
    manual.call("dev_mine")
    assert counts() == (2, 2)
    content = cast("dict[str, Any]", w3.geth.txpool.content())
    assert content["pending"] == {}
    assert list(content["queued"][account.address]) == ["3"]


def test_a_batch_of_requests_is_answered_in_order(instant: Daemon) -> None:
    """web3.py's own batch context."""
    w3 = instant.web3
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_balance(newcomer("batched").address))
        batch.add(w3.eth.get_block(0))
        batch.add(w3.eth.get_transaction_count(newcomer("batched").address))
        balance, genesis, count = cast("list[Any]", batch.execute())

    assert (balance, genesis["number"], count) == (0, 0, 0)


def test_refusals_carry_geths_words(instant: Daemon) -> None:
    """A transaction that cannot be paid, and one that nobody knows."""
    with pytest.raises(Web3RPCError, match="insufficient funds for gas \\* price \\+ value"):
        instant.web3.eth.send_raw_transaction(raw(newcomer("poor"), 0))  # type: ignore[arg-type]
    with pytest.raises(TransactionNotFound):
        instant.web3.eth.get_transaction_receipt("0x" + "ab" * 32)  # type: ignore[arg-type]


def test_fee_history_and_suggestions_agree(instant: Daemon) -> None:
    """The newest base fee stands in the history, and the gas price is that plus the tip."""
    w3 = instant.web3
    history = w3.eth.fee_history(1, "latest", [50])

    head = w3.eth.get_block("latest")
    assert history["baseFeePerGas"][0] == head["baseFeePerGas"]
    assert w3.eth.gas_price == head["baseFeePerGas"] + w3.eth.max_priority_fee


def test_the_parallel_type_is_signed_and_sent_by_the_middleware(instant: Daemon, deployed: Contract) -> None:
    """A tagged token transfer through `eth.send_transaction`: mined as type 5, with the selector intact."""
    own, recipient = sends_as(instant.web3, signer(9)), newcomer("tagged holder").address
    data = deployed.encode_abi("transfer", args=[recipient, 3])

    tx_hash = own.eth.send_transaction(
        {
            "type": 5,
            "from": signer(9).address,
            "to": deployed.address,
            "data": "0x" + (b"PARALLEL" + bytes.fromhex(data[2:])).hex(),  # type: ignore[typeddict-item]
        }
    )
    receipt = own.eth.wait_for_transaction_receipt(tx_hash, timeout=60)

    assert (receipt["type"], receipt["status"]) == (5, 1)
    assert deployed.functions.balanceOf(recipient).call() == 3


async def test_async_web3_reads_and_sends(instant: Daemon) -> None:
    """The asynchronous client over HTTP."""
    w3 = AsyncWeb3(AsyncHTTPProvider(instant.http_url))
    account = signer(3)
    nonce = await w3.eth.get_transaction_count(account.address, "pending")

    tx_hash = await w3.eth.send_raw_transaction(raw(account, nonce))  # type: ignore[arg-type]
    receipt = await w3.eth.wait_for_transaction_receipt(tx_hash, timeout=60)
    await w3.provider.disconnect()

    assert receipt["status"] == 1
