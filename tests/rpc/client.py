"""Calls methods of the whole table without a transport."""

import json
from dataclasses import replace

from rpc.block_cache import BlockCache
from rpc.caller import Caller
from rpc.dispatch import BatchLimits, Dispatcher
from rpc.errors import Json
from rpc.filters import FilterBook
from rpc.methods import method_table
from rpc.news import News
from rpc.offers import Offers
from rpc.settings import CallSettings, RpcSettings
from rpc.streamed import Streamed
from tests.rpc.fakes import FakeNode

CALLER = Caller("http", "127.0.0.1", None, is_operator=True)


class Client:
    """A caller with all rights."""

    def __init__(
        self, node: FakeNode, calls: CallSettings | None = None, *, through_jsonrpcserver: bool = False
    ) -> None:
        """`through_jsonrpcserver` takes the short way from all methods."""
        backend = node.backend
        blocks = BlockCache(backend.chain)
        filters = FilterBook(News(backend.chain, backend.events, blocks))
        settings = RpcSettings(calls=calls or CallSettings())
        self.rows = method_table(backend, blocks, filters, Offers(backend), settings)
        if through_jsonrpcserver:
            self.rows = {name: replace(method, is_hot=False) for name, method in self.rows.items()}
        self._dispatcher = Dispatcher(self.rows, BatchLimits())

    async def message(self, octets: bytes) -> bytes:
        """The answer to any message."""
        answer = await self._dispatcher.respond(octets, CALLER)
        return await answer.joined() if isinstance(answer, Streamed) else answer or b""

    async def raw(self, method: str, *params: Json) -> bytes:
        """The answer as bytes."""
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        return await self.message(message.encode())

    async def ask(self, method: str, *params: Json) -> Json:
        """The result. Raises AssertionError for an error."""
        answer = json.loads(await self.raw(method, *params))
        assert "error" not in answer, answer["error"]
        result: Json = answer["result"]
        return result

    async def fail(self, method: str, *params: Json) -> tuple[int, str, Json]:
        """(code, message, data). Raises AssertionError for a result."""
        error = json.loads(await self.raw(method, *params)).get("error")
        assert error is not None, "the call succeeded"
        return error["code"], error["message"], error.get("data")
