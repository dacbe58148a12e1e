"""
web3.py middleware that signs parallel transactions.

`w3.eth.send_transaction({"type": "0x5", "from": ..., "to": ..., "data": ...})` goes in, `eth_sendRawTransaction` goes
out. web3.py itself is not imported: any object with its middleware's methods will do, so wallets that do without it
need not install it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, TypeAlias

from eth_utils.address import to_checksum_address

from parallelpool.wallet import PARALLEL_TX_TYPE, SigningKey, account_of, quantity, sign

__all__ = ["ParallelSigning"]

Response: TypeAlias = Any
"""web3.py's `RPCResponse`: a dictionary with `result` or `error`."""

Request: TypeAlias = tuple[Any, Any]
"""Method and parameters."""


class ParallelSigning:
    """
    web3.py middleware: signs `eth_sendTransaction` of the parallel type and sends the raw bytes.

    Takes part where `type` is the chain's parallel type and `from` one of the given accounts; everything else passes
    untouched, so it stands beside web3.py's own signing middleware. What is missing of chain id, nonce, gas and fees is
    asked of the node, except in a batch, where a transaction must be complete. Works with Web3 and AsyncWeb3:

        w3.middleware_onion.inject(ParallelSigning(account), layer=0)
    """

    def __init__(self, *keys: SigningKey, tx_type: int = PARALLEL_TX_TYPE) -> None:
        accounts = [account_of(key) for key in keys]
        self._accounts = {account.address: account for account in accounts}
        self._tx_type = tx_type

    def __call__(self, w3: object) -> ParallelSigning:
        """web3.py makes the middleware anew for each instance of itself; this one needs nothing of it."""
        return self

    def wrap_make_request(
        self, make_request: Callable[[Any, Any], Response]
    ) -> Callable[[Any, Any], Response]:
        """Synchronous requests."""

        def request(method: Any, params: Any) -> Response:
            if not self._is_ours(method, params):
                return make_request(method, params)
            steps = self._submission(params[0])
            response = make_request(*next(steps))
            while "error" not in response:
                try:
                    response = make_request(*steps.send(response["result"]))
                except StopIteration:
                    break
            return response

        return request

    async def async_wrap_make_request(
        self, make_request: Callable[[Any, Any], Awaitable[Response]]
    ) -> Callable[[Any, Any], Awaitable[Response]]:
        """Requests of AsyncWeb3."""

        async def request(method: Any, params: Any) -> Response:
            if not self._is_ours(method, params):
                return await make_request(method, params)
            steps = self._submission(params[0])
            response = await make_request(*next(steps))
            while "error" not in response:
                try:
                    response = await make_request(*steps.send(response["result"]))
                except StopIteration:
                    break
            return response

        return request

    def wrap_make_batch_request(
        self, make_request: Callable[[list[Request]], Response]
    ) -> Callable[..., Response]:
        """Batches."""
        return lambda requests: make_request([self._complete(*request) for request in requests])

    async def async_wrap_make_batch_request(
        self, make_request: Callable[[list[Request]], Awaitable[Response]]
    ) -> Callable[..., Awaitable[Response]]:
        """Batches of AsyncWeb3."""
        return lambda requests: make_request([self._complete(*request) for request in requests])

    def _is_ours(self, method: Any, params: Any) -> bool:
        if method != "eth_sendTransaction":
            return False
        [transaction] = params
        chosen, owner = transaction.get("type"), transaction.get("from")
        if chosen is None or owner is None or quantity("type", chosen) != self._tx_type:
            return False
        return to_checksum_address(owner) in self._accounts

    def _complete(self, method: Any, params: Any) -> Request:
        return (method, params) if not self._is_ours(method, params) else self._signed(params[0])

    def _signed(self, transaction: Mapping[str, Any]) -> Request:
        account = self._accounts[to_checksum_address(transaction["from"])]
        return "eth_sendRawTransaction", [sign(transaction, account).raw_transaction.to_0x_hex()]

    def _submission(self, transaction: Mapping[str, Any]) -> Generator[Request, Any, None]:
        """Yields one request after another and takes their results; the last one sends."""
        filled = dict(transaction)
        if "chainId" not in filled:
            filled["chainId"] = yield "eth_chainId", []
        if "nonce" not in filled:
            filled["nonce"] = yield "eth_getTransactionCount", [filled["from"], "pending"]
        if "maxPriorityFeePerGas" not in filled:
            filled["maxPriorityFeePerGas"] = yield "eth_maxPriorityFeePerGas", []
        if "maxFeePerGas" not in filled:
            head = yield "eth_getBlockByNumber", ["latest", False]
            base_fee = quantity("baseFeePerGas", head["baseFeePerGas"])
            filled["maxFeePerGas"] = 2 * base_fee + quantity(
                "maxPriorityFeePerGas", filled["maxPriorityFeePerGas"]
            )
        if "gas" not in filled:
            filled["gas"] = yield "eth_estimateGas", [_as_json(filled)]
        yield self._signed(filled)


def _as_json(transaction: Mapping[str, Any]) -> dict[str, Any]:
    """The same transaction in JSON-RPC's own notation."""
    return {
        name: hex(value)
        if isinstance(value, int)
        else f"0x{value.hex()}"
        if isinstance(value, bytes)
        else value
        for name, value in transaction.items()
    }
