"""
A daemon inside the test's own event loop: in memory, on the dev chain, servers on free ports.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from config import NodeConfig
from config.schema import ExecutionConfig, SealingMode
from parallelpool.banner import DEV_ACCOUNTS
from parallelpool.node import Node, running
from parallelpool.transaction import Transaction

GWEI = 10**9
DEADLINE_S = 60.0


@cache
def accounts() -> list[LocalAccount]:
    """The ten funded accounts of the dev chain."""
    return [Account.from_key(account.key) for account in DEV_ACCOUNTS]


@asynccontextmanager
async def node(
    mine: SealingMode = "manual",
    *,
    datadir: Path | None = None,
    batch_size: int = 64,
    adaptive: bool = False,
    execution: ExecutionConfig | None = None,
) -> AsyncIterator[Node]:
    """A running daemon; in memory without `datadir`."""
    config = NodeConfig(datadir=datadir, ipcdisable=True)
    config = replace(
        config,
        dev=replace(config.dev, enabled=datadir is None, mine=mine),
        http=replace(config.http, port=0),
        ws=replace(config.ws, enabled=False),
        metrics=replace(config.metrics, port=0),
        parallel=replace(config.parallel, batchsize=batch_size, adaptive=adaptive),
        execution=execution or config.execution,
    )
    async with running(config) as started:
        yield started


def raw_transfer(
    sender: int, nonce: int, *, to: bytes | None = None, tip: int = GWEI, cap: int = 10 * GWEI
) -> bytes:
    """A signed transfer of one wei by one of the ten accounts; to itself unless `to` says otherwise."""
    account = accounts()[sender]
    recipient = to if to is not None else account.address
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "to": recipient,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": cap,
        "maxPriorityFeePerGas": tip,
    }
    signed = account.sign_transaction(transaction)
    return bytes(signed.raw_transaction)


async def send(started: Node, raw: bytes) -> Transaction:
    """Decodes and admits, as the RPC does."""
    transaction = await started.ingress.decode(raw)
    await started.ingress.submit(transaction)
    return transaction


async def wait_until(condition: Callable[[], bool]) -> None:
    """Looks again and again, but not for ever."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - any condition; nobody tells of them all
            await asyncio.sleep(0.005)
