"""
geth's tracers against a real geth, over random chains that go through all forks since the merge.

Both nodes hold the same blocks. Every transaction is traced with every tracer, and each answer must be geth's, member
for member. Messages on past states, in the middle of blocks and under overrides come on top, and refusals.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio

from parallelpool.chain import Block
from tests.eels.chains import BLOCKS, RandomChain
from tests.parallelpool.differential import geth as geths
from tests.parallelpool.differential.series import message, state_overrides
from tests.rpc.dev_node import Dev, dev_node

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        geths.program() is None, reason="no geth: run `make geth`, or name one by PARALLELPOOL_GETH"
    ),
]

SEEDS: Final = (5, 11)

MESSAGES: Final = 150

PATIENCE: Final = {"timeout": "60s"}
"""geth's own is short for a busy machine."""

TRACERS: Final[dict[str, dict[str, Any]]] = {
    "steps": {},
    "steps with all": {"enableMemory": True, "enableReturnData": True},
    "steps with nothing": {"disableStack": True, "disableStorage": True},
    "few steps": {"limit": 3_000},
    "calls": {"tracer": "callTracer"},
    "calls with logs": {"tracer": "callTracer", "tracerConfig": {"withLog": True}},
    "the outermost call": {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True, "withLog": True}},
    "calls in a row": {"tracer": "flatCallTracer"},
    "calls in a row, Parity's way": {
        "tracer": "flatCallTracer",
        "tracerConfig": {"convertParityErrors": True, "includePrecompiles": True},
    },
    "the state before": {"tracer": "prestateTracer"},
    "the state before, without code": {
        "tracer": "prestateTracer",
        "tracerConfig": {"disableCode": True, "includeEmpty": True},
    },
    "changes": {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}},
    "changes of accounts": {
        "tracer": "prestateTracer",
        "tracerConfig": {"diffMode": True, "disableCode": True, "disableStorage": True},
    },
    "selectors": {"tracer": "4byteTracer"},
    "nothing": {"tracer": "noopTracer"},
    "several": {
        "tracer": "muxTracer",
        "tracerConfig": {
            "callTracer": {"withLog": True},
            "4byteTracer": None,
            "prestateTracer": {"diffMode": True},
        },
    },
}


@dataclass
class Both:
    """Our node and geth on one chain."""

    dev: Dev
    geth: geths.Geth
    blocks: list[bytes]

    async def agree(self, method: str, *params: Any) -> Any:
        """Asks both; the answers must be equal. Returns geth's result, `None` for an error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        ours, theirs = [await self._post(url, request) for url in (self.dev.server.http_url, self.geth.url)]
        assert ours == theirs, f"{method}{json.dumps(params)}\n{_apart('', ours, theirs)}"
        return theirs.get("result")

    async def _post(self, url: str | None, request: dict[str, Any]) -> Any:
        assert url is not None
        async with self.dev.session.post(url, json=request) as response:
            return await response.json()

    async def block(self, number: int) -> Block:
        """One of the chain."""
        block = await self.dev.chain.block_by_number(number)
        assert block is not None
        return block


def _apart(path: str, ours: Any, theirs: Any) -> str:
    """The first place at which two answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        name = next(name for name in ours if ours[name] != theirs[name])
        return _apart(f"{path}/{name}", ours[name], theirs[name])
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        place = next(place for place in range(len(ours)) if ours[place] != theirs[place])
        return _apart(f"{path}/{place}", ours[place], theirs[place])
    return f"{path}: ours {str(ours)[:400]}, geth {str(theirs)[:400]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SEEDS)
async def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Both]:
    """Both nodes at the end of a random chain."""
    folder = tmp_path_factory.mktemp("tracers")
    chain = RandomChain(request.param)
    blocks = list(chain.blocks())
    genesis = folder / "genesis.json"
    genesis.write_text(json.dumps(chain.genesis))
    async with (
        aiohttp.ClientSession() as session,
        geths.running(folder / "geth", chain.genesis, session=session, blocks=blocks) as geth,
        dev_node(genesis, b"".join(blocks)) as dev,
    ):
        yield Both(dev, geth, blocks)


@pytest.mark.parametrize("tracer", TRACERS)
async def test_blocks_are_traced_as_by_geth(both: Both, tracer: str) -> None:
    """Every block of the chain, by its number."""
    traced = 0
    for number in range(1, BLOCKS + 1):
        result = await both.agree("debug_traceBlockByNumber", hex(number), TRACERS[tracer] | PATIENCE)
        assert result is not None
        traced += len(result)

    assert traced > BLOCKS


async def test_transactions_are_traced_where_they_stand(both: Both) -> None:
    """Each transaction by its hash, after those before it."""
    traced = 0
    for number in range(1, BLOCKS + 1):
        for tx in (await both.block(number)).transactions:
            for tracer in ("steps", "calls with logs", "calls in a row", "changes"):
                result = await both.agree(
                    "debug_traceTransaction", "0x" + tx.hash.hex(), TRACERS[tracer] | PATIENCE
                )
                assert result is not None
            traced += 1

    assert traced > BLOCKS


async def test_blocks_are_found_by_hash_and_taken_as_bytes(both: Both) -> None:
    """The same block by each of its names."""
    for number in (1, BLOCKS // 2, BLOCKS):
        block = await both.block(number)
        config = TRACERS["calls with logs"] | PATIENCE
        by_hash = await both.agree("debug_traceBlockByHash", "0x" + block.header.hash.hex(), config)
        by_bytes = await both.agree("debug_traceBlock", "0x" + block.raw.hex(), config)

        assert by_hash is not None
        assert by_hash == by_bytes


async def test_messages_are_traced_as_by_geth(both: Both) -> None:
    """Random messages on random blocks, in the middle of them, and under overrides of state and environment."""
    random = Random(7)
    results = 0
    for _ in range(MESSAGES):
        number = random.randrange(BLOCKS + 1)
        config = TRACERS[random.choice(list(TRACERS))] | PATIENCE
        config["stateOverrides"] = state_overrides(random)
        if number and random.random() < 0.4:
            config["txIndex"] = hex(random.randrange(len((await both.block(number)).transactions) + 1))
        if random.random() < 0.3:
            config["blockOverrides"] = {"number": hex(number + random.randrange(3)), "baseFeePerGas": "0x0"}

        results += await both.agree("debug_traceCall", message(random), hex(number), config) is not None

    assert results > MESSAGES // 3


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("debug_traceTransaction", ["0x" + "ab" * 32]),
        ("debug_traceTransaction", ["0x12"]),
        ("debug_traceBlockByNumber", ["0x0"]),
        ("debug_traceBlockByNumber", ["earliest"]),
        ("debug_traceBlockByNumber", ["0x9999"]),
        ("debug_traceBlockByNumber", ["0x1", {"timeout": "soon"}]),
        ("debug_traceBlockByNumber", ["0x1", {"timeout": "5"}]),
        ("debug_traceBlockByNumber", ["0x1", {"tracer": 5}]),
        ("debug_traceBlockByNumber", ["0x1", {"tracer": "callTracer", "tracerConfig": {"withLog": "yes"}}]),
        ("debug_traceBlockByNumber", ["0x1", {"tracer": "callTracer", "tracerConfig": "all"}]),
        ("debug_traceBlockByNumber", ["0x1", {"tracer": "muxTracer", "tracerConfig": []}]),
        (
            "debug_traceBlockByNumber",
            ["0x1", {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True, "includeEmpty": True}}],
        ),
        ("debug_traceBlockByHash", ["0x" + "00" * 31 + "01"]),
        ("debug_traceCall", [{}, "pending"]),
        ("debug_traceCall", [{}, "0x9999"]),
        ("debug_traceCall", [{}, {"blockHash": "0x" + "ab" * 32}]),
        ("debug_traceCall", [{}, "0x0", {"txIndex": "0x0"}]),
        ("debug_traceCall", [{}, "0x1", {"txIndex": "0x63"}]),
        ("debug_traceCall", [{"from": "0x" + "77" * 20, "value": "0x1"}, "latest"]),
        ("debug_traceCall", [{"gas": "0x1"}, "latest"]),
        ("debug_traceCall", [{"gasPrice": "0x1", "maxFeePerGas": "0x1"}, "latest"]),
        ("debug_traceCall", [{}, "latest", {"blockOverrides": {"beaconRoot": "0x" + "00" * 32}}]),
    ],
)
async def test_refusals_have_geths_words(both: Both, method: str, params: list[Any]) -> None:
    """What cannot be traced is refused with geth's code and text."""
    assert await both.agree(method, *params) is None
