"""
The daemon's methods as coroutines.

One `Client` is one way to one daemon; its methods may be called side by side. `call` reaches every other method.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, Literal, Self

from parallelpool.client import answers
from parallelpool.client.answers import (
    BatchStatistics,
    Change,
    Conflict,
    Execution,
    Head,
    Offer,
    PastBatch,
    Place,
    Placement,
    Verdict,
    Verification,
    maybe,
    number,
    octets,
    read,
)
from parallelpool.client.connection import ConnectionLost, transport
from parallelpool.client.requests import BatchRequest, Octets, encoded

TIMEOUT_S: Final = 60.0
"""How long a call waits for its answer, beyond what it asks the daemon to wait."""

POLL_MS: Final = 20_000
"""How long `follow_batches` lets one long poll last."""

RECEIPT_POLL_S: Final = 0.1
"""Time between two looks for a receipt."""


class Client:
    """
    A daemon at `url`: `http(s)://`, `ws(s)://`, or the path of its IPC socket.

    Used as `async with Client(url) as node`. Methods raise RpcFailure, ConnectionLost or StrangeAnswer.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._transport = transport(url)
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def call(self, method: str, *params: Any, timeout_s: float | None = None) -> Any:
        """Any method; numbers and bytes among `params` are encoded, the result is as JSON has it."""
        limit = timeout_s if timeout_s is not None else self._timeout_s
        return await self._transport.call(method, [encoded(each) for each in params], limit)

    # -- for wallets

    async def chain_id(self) -> int:
        """EIP-155 chain id."""
        return read(await self.call("eth_chainId"), number)

    async def tag_transaction(
        self, transaction: Mapping[str, Any], tag: Literal["PARALLEL", "SEQUENTIAL"]
    ) -> dict[str, Any]:
        """
        An unsigned transaction, complete, ready for `parallelpool.wallet.sign`, with `tagging` saying what was done.

        `transaction` is a transaction object of JSON-RPC; nonce, gas, fees and access list are filled in where absent.
        """
        return read(await self.call("parallel_tagTransaction", transaction, tag), dict)

    async def send_raw_transaction(self, raw: Octets) -> bytes:
        """The hash of a signed transaction that is now in the pool and on disk."""
        return read(await self.call("eth_sendRawTransaction", raw), octets)

    async def receipt(self, tx_hash: Octets) -> dict[str, Any] | None:
        """The receipt as JSON-RPC has it, once the transaction is mined."""
        return read(await self.call("eth_getTransactionReceipt", tx_hash), lambda view: maybe(dict, view))

    async def wait_for_receipt(self, tx_hash: Octets, *, timeout_s: float = 60.0) -> dict[str, Any]:
        """The receipt, as soon as there is one. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while (found := await self.receipt(tx_hash)) is None:  # noqa: ASYNC110 - over HTTP nothing is told
                await asyncio.sleep(RECEIPT_POLL_S)
            return found

    async def is_parallelizable(self, subject: Octets | Mapping[str, Any]) -> Verdict:
        """About a pooled transaction by its hash, a signed one, or a transaction object."""
        return read(await self.call("parallel_isParallelizable", subject), answers.verdict)

    async def analyze_transaction_data(self, data: Octets, to: Octets | None = None) -> dict[str, Any]:
        """What the data of a transaction says before anything runs."""
        params = [data] if to is None else [data, to]
        return read(await self.call("parallel_analyzeTransactionData", *params), dict)

    async def status(self, *, tx_hash: Octets | None = None, address: Octets | None = None) -> dict[str, Any]:
        """Figures of the daemon, or where one transaction or one sender stands and why."""
        request = {"hash": tx_hash, "address": address}
        given = {name: value for name, value in request.items() if value is not None}
        return read(await self.call("parallel_status", *([given] if given else [])), dict)

    # -- for sequencers

    async def get_batches(self, request: BatchRequest | None = None) -> Offer:
        """The batches on offer; with `wait_ms`, as soon as there is something new."""
        request = request or BatchRequest()
        limit = self._timeout_s + (request.wait_ms or 0) / 1_000
        answer = await self.call("parallel_getBatches", request.to_json(), timeout_s=limit)
        return read(answer, answers.offer)

    async def follow_batches(self, request: BatchRequest | None = None) -> AsyncGenerator[Offer, None]:
        """
        What is on offer, then each offer that differs from the one before, by long polls: over every transport.

        A lost connection ends it with ConnectionLost; who comes back begins with what is on offer then.
        """
        request = replace(request or BatchRequest(), wait_ms=None, if_none_match=None)
        while True:
            offered = await self.get_batches(request)
            if not offered.not_modified:
                yield offered
            request = replace(request, wait_ms=POLL_MS, if_none_match=offered.etag)

    async def execute_batches(
        self, batch_ids: Sequence[Octets] | None = None, *, dry_run: bool = False, compare: bool = False
    ) -> Execution:
        """Executes batches on the daemon as its next block. For operators."""
        request: dict[str, Any] = {"dryRun": dry_run, "compare": compare}
        if batch_ids is not None:
            request["batchIds"] = list(batch_ids)
        return read(await self.call("parallel_executeBatches", request), answers.execution)

    async def submit_block(self, raw: Octets) -> Placement:
        """Brings a block that was made elsewhere. For operators; may be repeated."""
        return read(await self.call("parallel_submitBlock", raw), answers.placement)

    async def raw_block(self, block: int | Literal["latest"]) -> bytes:
        """The RLP of a block."""
        return read(await self.call("debug_getRawBlock", block), octets)

    async def set_batch_size(self, transactions: int) -> None:
        """How many transactions close a batch from now on. For operators."""
        await self.call("parallel_setBatchSize", transactions)

    async def batch_statistics(self) -> BatchStatistics:
        """Figures of the batches on offer and of what was produced."""
        return read(await self.call("parallel_batchStatistics"), answers.batch_statistics)

    async def verify_batch(
        self,
        transactions: Sequence[Octets],
        *,
        parent_hash: Octets | None = None,
        fee_recipient: Octets | None = None,
        orders: int | None = None,
        seed: int | None = None,
    ) -> Verification:
        """Holds signed transactions against the promise of a parallel batch, on the head."""
        request = {
            "parentHash": parent_hash,
            "feeRecipient": fee_recipient,
            "orders": orders,
            "seed": seed,
        }
        given = {name: value for name, value in request.items() if value is not None}
        answer = await self.call("parallel_verifyBatch", {**given, "transactions": list(transactions)})
        return read(answer, answers.verification)

    async def get_conflicts(
        self, *, limit: int = 16, by: Literal["address", "slot"] = "slot"
    ) -> tuple[Place, ...]:
        """Where pending transactions must keep an order, the most contended place first."""
        return read(await self.call("parallel_getConflicts", {"limit": limit, "by": by}), answers.places)

    async def get_dependencies(
        self, hashes: Sequence[Octets], *, limit: int = 16
    ) -> dict[bytes, tuple[Conflict, ...] | None]:
        """For each transaction those it must follow, with a reason each; `None` for what cannot be executed now."""
        request = {"hashes": list(hashes), "limit": limit}
        return read(await self.call("parallel_getDependencies", request), answers.dependencies)

    async def get_batch_by_id(self, batch_id: Octets) -> PastBatch:
        """A batch that was offered lately. Raises RpcFailure 3004."""
        return read(await self.call("parallel_getBatchById", batch_id), answers.past_batch)

    async def get_batch_by_transaction(self, tx_hash: Octets) -> PastBatch | None:
        """The batch on offer that a pending transaction stands in."""
        answer = await self.call("parallel_getBatchByTransaction", tx_hash)
        return read(answer, lambda view: maybe(answers.past_batch, view))

    # -- subscriptions

    async def subscribe_heads(self) -> AsyncGenerator[Head, None]:
        """Each new head. Over WebSocket and IPC."""
        async with aclosing(self._subscribe("heads")) as told:
            async for view in told:
                yield read(view, answers.head)

    async def subscribe_batches(self, request: BatchRequest | None = None) -> AsyncGenerator[Change, None]:
        """All that is on offer, then each change of it. Over WebSocket and IPC."""
        wanted = (request or BatchRequest()).to_json()
        async with aclosing(self._subscribe("batches", wanted)) as told:
            async for view in told:
                yield read(view, answers.change)

    async def subscribe_conflicts(
        self, *, limit: int = 16, by: Literal["address", "slot"] = "slot"
    ) -> AsyncGenerator[tuple[Place, ...], None]:
        """The most contended places, now and whenever they change. Over WebSocket and IPC."""
        async with aclosing(self._subscribe("conflicts", {"limit": limit, "by": by})) as told:
            async for view in told:
                yield read(view, answers.places)

    async def _subscribe(self, kind: str, *params: Any) -> AsyncGenerator[Any, None]:
        subscription = read(await self.call("parallel_subscribe", kind, *params), str)
        try:
            async for told in self._transport.notifications(subscription):
                yield told
        finally:
            await self._unsubscribe(subscription)

    async def _unsubscribe(self, subscription: str) -> None:
        try:
            await self.call("parallel_unsubscribe", subscription)
        except ConnectionLost:
            return  # It ended with the connection.
