"""
The whole daemon behind its RPC, in memory, and a client of it.

Blocks are sealed when a test asks for one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from config import NodeConfig
from parallelpool.chain import EmbeddedChain, split_blocks
from parallelpool.node import running
from parallelpool.pool import TxPool
from rpc.errors import Json
from rpc.server import RpcServer


@dataclass
class Dev:
    """A running daemon and a client of it."""

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
async def dev_node(genesis: Path | None = None, blocks: bytes = b"") -> AsyncIterator[Dev]:
    """
    Runs a daemon on `genesis` (default: the dev chain's) and the RLP `blocks` above it.

    More blocks are sealed by `dev_mine` and `parallel_executeBatches` only.
    """
    defaults = NodeConfig()
    config = replace(
        defaults,
        genesis=genesis,
        ipcdisable=True,
        dev=replace(defaults.dev, enabled=True, mine="manual"),
        http=replace(defaults.http, port=0),
        ws=replace(defaults.ws, port=0),
        metrics=replace(defaults.metrics, enabled=False),
    )
    async with running(config) as node, aiohttp.ClientSession() as session:
        for block in split_blocks(blocks):
            await node.chain.import_block(block, "serial")
        yield Dev(node.server, node.chain, node.pool, session)
