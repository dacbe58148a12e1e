"""The web3.py middleware, in a real Web3 over a provider that answers like a node and writes down what it was sent."""

from typing import Any

import pytest
from eth_account import Account
from web3 import AsyncBaseProvider, AsyncWeb3, BaseProvider, Web3
from web3.exceptions import Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder

from parallelpool import wallet
from parallelpool.wallet_web3 import ParallelSigning

ACCOUNT = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
RECIPIENT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
REQUEST: dict[str, Any] = {"type": "0x5", "from": ACCOUNT.address, "to": RECIPIENT, "data": b"PARALLEL\x01"}

BLOCK = {
    "number": "0x1",
    "hash": "0x" + "11" * 32,
    "baseFeePerGas": "0x64",
    "gasLimit": "0x3938700",
    "timestamp": "0x1",
}


class _Node:
    """Answers of a node, and the requests that it saw."""

    def __init__(self, refuses: str | None = None) -> None:
        self.requests: list[tuple[str, Any]] = []
        self._refuses = refuses

    def answer(self, method: str, params: Any) -> dict[str, Any]:
        """One response."""
        self.requests.append((method, params))
        if method == self._refuses:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "the node says no"}}
        result: Any = {
            "eth_chainId": "0x7a69",
            "eth_getTransactionCount": "0x5",
            "eth_maxPriorityFeePerGas": "0x3",
            "eth_getBlockByNumber": BLOCK,
            "eth_estimateGas": "0x5555",
            "eth_sendRawTransaction": "0x" + "22" * 32,
            "eth_sendTransaction": "0x" + "33" * 32,
        }[method]
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    def sent(self) -> wallet.SignedParallelTransaction:
        """The one transaction that was sent."""
        [raw] = [params[0] for method, params in self.requests if method == "eth_sendRawTransaction"]
        return wallet.decode(raw)


class _Provider(BaseProvider):
    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.node = node

    def make_request(self, method: Any, params: Any) -> Any:
        return self.node.answer(method, params)

    def make_batch_request(self, requests: Any) -> Any:
        return [self.node.answer(method, params) for method, params in requests]


class _AsyncProvider(AsyncBaseProvider):
    def __init__(self, node: _Node) -> None:
        super().__init__()
        self.node = node

    async def make_request(self, method: Any, params: Any) -> Any:
        return self.node.answer(method, params)


def _web3(node: _Node) -> Web3:
    w3 = Web3(_Provider(node))
    w3.middleware_onion.inject(ParallelSigning(ACCOUNT), layer=0)  # type: ignore[arg-type]  # wants a class
    return w3


def test_a_request_is_filled_in_signed_and_sent() -> None:
    """
    Chain id, nonce, fees and gas come from the node; what is sent is signed by the account and keeps its tag.
    """
    node = _Node()

    answer = _web3(node).eth.send_transaction(REQUEST)  # type: ignore[arg-type]

    signed = node.sent()
    assert answer == b"\x22" * 32
    assert signed.sender == ACCOUNT.address
    assert (signed.transaction.chain_id, signed.transaction.nonce) == (31337, 5)
    assert signed.transaction.max_fee_per_gas >= 100
    assert signed.transaction.gas_limit >= 0x5555
    assert (signed.transaction.tag, signed.transaction.evm_input) == ("PARALLEL", b"\x01")


def test_the_node_estimates_the_transaction_that_is_sent() -> None:
    """
    The estimate is asked for the parallel type with the tag in its data, so that it counts the tag.
    """
    node = _Node()
    _web3(node).eth.send_transaction(REQUEST)  # type: ignore[arg-type]

    [asked] = [params[0] for method, params in node.requests if method == "eth_estimateGas"]
    assert int(asked["type"], 16) == 5
    assert asked["data"] == "0x504152414c4c454c01"


def test_what_is_given_is_not_asked_for() -> None:
    """
    A complete transaction needs one request.
    """
    node = _Node()
    complete = {
        **REQUEST,
        "chainId": 31337,
        "nonce": 9,
        "gas": 60_000,
        "maxFeePerGas": 7,
        "maxPriorityFeePerGas": 2,
        "value": 4,
    }

    ParallelSigning(ACCOUNT)(None).wrap_make_request(node.answer)("eth_sendTransaction", [complete])

    assert [method for method, _ in node.requests] == ["eth_sendRawTransaction"]
    transaction = node.sent().transaction
    assert (transaction.nonce, transaction.gas_limit, transaction.value) == (9, 60_000, 4)
    assert (transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas) == (7, 2)


def test_a_refusal_of_the_node_comes_out_as_it_is() -> None:
    """
    Where a question is answered with an error, nothing is sent and the caller sees it.
    """
    node = _Node(refuses="eth_getTransactionCount")

    with pytest.raises(Web3RPCError, match="the node says no"):
        _web3(node).eth.send_transaction(REQUEST)  # type: ignore[arg-type]

    assert all(method != "eth_sendRawTransaction" for method, _ in node.requests)


@pytest.mark.parametrize("change", [{"type": "0x2"}, {"from": RECIPIENT}])
def test_other_transactions_pass_untouched(change: dict[str, Any]) -> None:
    """
    Another type, or an account whose key is not here, is left to the node or to the next middleware.
    """
    node = _Node()
    request = {
        **REQUEST,
        **change,
        "gas": 50_000,
        "maxFeePerGas": 7,
        "maxPriorityFeePerGas": 2,
        "chainId": 31337,
    }

    _web3(node).eth.send_transaction(request)  # type: ignore[arg-type]

    methods = [method for method, _ in node.requests]
    assert "eth_sendTransaction" in methods
    assert "eth_sendRawTransaction" not in methods


def test_it_stands_beside_web3s_own_signing() -> None:
    """
    Both middlewares of one account: each signs its own types.
    """
    node = _Node()
    w3 = _web3(node)
    w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(ACCOUNT), layer=0)

    ordinary = {**REQUEST, "type": "0x2", "gas": 50_000}
    w3.eth.send_transaction(ordinary)  # type: ignore[arg-type]
    w3.eth.send_transaction(REQUEST)  # type: ignore[arg-type]

    sent = [params[0] for method, params in node.requests if method == "eth_sendRawTransaction"]
    assert [raw[:4] for raw in sent] == ["0x02", "0x05"]


def test_a_batch_takes_complete_transactions_only() -> None:
    """
    In a batch nothing can be asked in between; a transaction that lacks a field is refused before anything is sent.
    """
    node = _Node()
    complete = {**REQUEST, "chainId": 1, "nonce": 0, "gas": 1, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1}
    batch = ParallelSigning(ACCOUNT)(None).wrap_make_batch_request(
        lambda requests: [node.answer(*request) for request in requests]
    )

    batch([("eth_chainId", []), ("eth_sendTransaction", [complete])])
    assert [method for method, _ in node.requests] == ["eth_chainId", "eth_sendRawTransaction"]
    with pytest.raises(wallet.WalletError, match="missing fields: chainId"):
        batch([("eth_sendTransaction", [REQUEST])])
    assert len(node.requests) == 2


async def test_it_works_with_async_web3() -> None:
    """
    The same through AsyncWeb3.
    """
    node = _Node()
    w3 = AsyncWeb3(_AsyncProvider(node))
    w3.middleware_onion.inject(ParallelSigning(ACCOUNT), layer=0)  # type: ignore[arg-type]

    await w3.eth.send_transaction(REQUEST)  # type: ignore[arg-type]

    assert node.sent().sender == ACCOUNT.address
