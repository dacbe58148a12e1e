"""
A typed, asynchronous client of the daemon: for wallets and sequencers in Python.

    async with Client("http://127.0.0.1:8545") as node:
        unsigned = await node.tag_transaction({"from": sender, "to": recipient, "value": 1}, "PARALLEL")
        ...
        async for offer in node.follow_batches(BatchRequest(form="raw")):
            ...

HTTP, WebSocket and IPC speak the same; subscriptions need one of the latter two. What the daemon refuses raises
`RpcFailure` with its code and words; a daemon that cannot be reached raises `ConnectionLost`. It uses the JSON-RPC and
nothing else of the package, and works against any daemon that serves the `parallel_` namespace.
"""

from parallelpool.client.answers import (
    Batch,
    BatchStatistics,
    Change,
    Conflict,
    Execution,
    Head,
    Offer,
    PastBatch,
    Place,
    Placement,
    Prediction,
    Verdict,
    Verification,
)
from parallelpool.client.connection import ClientError, ConnectionLost, RpcFailure, StrangeAnswer
from parallelpool.client.node import Client
from parallelpool.client.requests import BatchRequest

__all__ = [
    "Batch",
    "BatchRequest",
    "BatchStatistics",
    "Change",
    "Client",
    "ClientError",
    "Conflict",
    "ConnectionLost",
    "Execution",
    "Head",
    "Offer",
    "PastBatch",
    "Place",
    "Placement",
    "Prediction",
    "RpcFailure",
    "StrangeAnswer",
    "Verdict",
    "Verification",
]
