"""
The dev chain with its pool, batches and producer, in memory, behind the RPC.

Blocks are sealed when a test asks for one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from config.schema import TxPoolConfig
from parallelpool.access import AccessBook
from parallelpool.batching import Batches
from parallelpool.chain import CoreChain, EmbeddedChain, Workers, dev_genesis, split_blocks
from parallelpool.engine import Lanes
from parallelpool.events import EventBus
from parallelpool.execution import Executor
from parallelpool.ingress import Ingress
from parallelpool.pool import TxPool
from parallelpool.producer import Producer, SealingPolicy
from parallelpool.transaction import Transaction
from rpc.backend import Backend
from rpc.errors import Json
from rpc.server import RpcServer
from rpc.settings import HttpSettings, RpcSettings, WebSocketSettings

ON_FREE_PORTS = RpcSettings(http=HttpSettings(port=0), websocket=WebSocketSettings(port=0))


class Admission:
    """Decodes and pools."""

    def __init__(self, ingress: Ingress, pool: TxPool) -> None:
        self._ingress = ingress
        self._pool = pool

    async def decode(self, raw: bytes, /) -> Transaction:
        return await self._ingress.decode(raw)

    async def submit(self, transaction: Transaction, /, *, local: bool = True) -> None:
        (refusal,) = self._pool.add([transaction], local=local)
        if refusal is not None:
            raise refusal


@dataclass
class Dev:
    """A running node and a client of it."""

    server: RpcServer
    chain: EmbeddedChain
    pool: TxPool
    session: aiohttp.ClientSession

    async def answer(self, method: str, *params: Json) -> dict[str, Any]:
        """The whole answer."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        headers = {"Content-Type": "application/json"}
        async with self.session.post(self.server.http_url or "", data=body, headers=headers) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
            return answer

    async def ask(self, method: str, *params: Json) -> Any:
        """The result. Raises AssertionError for an error."""
        answer = await self.answer(method, *params)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def fail(self, method: str, *params: Json) -> tuple[int, str, Any]:
        """(code, message, data). Raises AssertionError for a result."""
        answer = await self.answer(method, *params)
        assert "error" in answer, answer
        return answer["error"]["code"], answer["error"]["message"], answer["error"].get("data")


@asynccontextmanager
async def dev_node(
    genesis: bytes | None = None, blocks: bytes = b"", settings: RpcSettings = ON_FREE_PORTS
) -> AsyncIterator[Dev]:
    """
    Runs a node on `genesis` (default: the dev chain's) and the RLP `blocks` above it.

    More blocks are sealed by `dev_mine` and `parallel_executeBatches` only.
    """
    lanes, workers, events = Lanes(), Workers(2), EventBus()
    core = CoreChain.open(genesis or dev_genesis(), None, workers)
    for block in split_blocks(blocks):
        core.import_block(block, "serial")
    chain = EmbeddedChain(core, lanes, events)
    ingress = Ingress(
        workers, lanes.ingress, chain_id=core.chain_id, parallel_tx_type=lambda: core.parallel_tx_type
    )
    pool = TxPool(TxPoolConfig(), chain, events.publish)
    batches = Batches(
        chain,
        pool,
        AccessBook(chain),
        lanes.hints,
        batch_size=64,
        min_batch_size=2,
        beneficiary=bytes(20),
    )
    producer = Producer(
        chain,
        batches,
        Executor(chain, "auto"),
        events,
        SealingPolicy("manual", 0.0),
        executable=lambda: pool.stats()[0],
        settle=lambda _: pool.reset(),
    )
    backend = Backend(
        chain=chain,
        pool=pool,
        ingress=Admission(ingress, pool),
        batches=batches,
        producer=producer,
        events=events,
    )
    server = RpcServer(backend, settings)
    async with asyncio.TaskGroup() as tasks, server.serving(tasks), aiohttp.ClientSession() as session:
        decoding = tasks.create_task(ingress.run())
        yield Dev(server, chain, pool, session)
        decoding.cancel()
    core.close()
    lanes.close()
