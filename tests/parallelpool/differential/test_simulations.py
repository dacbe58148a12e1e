"""`eth_simulateV1` against a real geth: whole blocks with their roots, results, numbers of logs, and refusals."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from tests.parallelpool.differential import geth
from tests.parallelpool.differential.pair import Pair, pair
from tests.parallelpool.differential.series import series

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        geth.program() is None, reason="no geth: run `make geth`, or name one by PARALLELPOOL_GETH"
    ),
]

SERIES: Final = 250

LEAST_SIMULATED: Final = 60
"""Of all, which are not refused."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Both nodes on the genesis."""
    async with pair(tmp_path_factory.mktemp("simulations")) as nodes:
        yield nodes


async def answer(both: Pair, url: str | None, seed: int) -> str:
    """The whole answer, keys in their order."""
    assert url is not None
    request = {"jsonrpc": "2.0", "id": seed, "method": "eth_simulateV1", "params": [series(seed), "latest"]}
    async with both.session.post(url, json=request) as response:
        return json.dumps(await response.json())


async def test_random_series_are_simulated_as_by_geth(both: Pair) -> None:
    """The same blocks to the last byte, or the same refusal."""
    simulated = 0
    for seed in range(SERIES):
        ours = await answer(both, both.node.server.http_url, seed)

        assert ours == await answer(both, both.geth.url, seed), f"series({seed})"
        simulated += '"result"' in ours

    assert simulated >= LEAST_SIMULATED
