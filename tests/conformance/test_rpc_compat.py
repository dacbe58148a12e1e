"""
The RPC against the recorded requests and answers of the Ethereum execution APIs, on their chain.

Each vector is one conversation: what is asked must be answered as recorded, letter for letter. A vector marked
`speconly` was recorded from one client among several; of it only the shape counts.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from tests.public_data import fixture_files, fixture_folder
from tests.rpc.dev_node import dev_node

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_YET = {
    "testing_buildBlockV1": "a method for test networks",
}
"""Methods that this version does not have, each with the reason. The corpus must hold no others."""

OTHERWISE = {"eth_sendRawTransaction/send-blob-tx.io": "the pool takes no blob transactions yet"}
"""Vectors that are answered otherwise than recorded, each with the reason; they must fail."""

VECTORS = fixture_files("rpc-compat", "*.io")


@dataclass(frozen=True)
class Exchange:
    """One request and its recorded answer."""

    request: bytes
    answer: Any


@dataclass(frozen=True)
class Vector:
    """A file of the corpus."""

    exchanges: tuple[Exchange, ...]
    is_shape_only: bool

    @classmethod
    def read(cls, path: Path) -> "Vector":
        """Lines `>> request` and `<< answer`; comments begin with `//`."""
        lines = path.read_text().splitlines()
        requests = [line[3:].encode() for line in lines if line.startswith(">> ")]
        answers = [orjson.loads(line[3:]) for line in lines if line.startswith("<< ")]
        pairs = zip(requests, answers, strict=True)
        return cls(
            tuple(Exchange(request, answer) for request, answer in pairs),
            any(line.startswith("// speconly") for line in lines),
        )

    @property
    def methods(self) -> list[str]:
        """All methods that it calls."""
        return [orjson.loads(exchange.request)["method"] for exchange in self.exchanges]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    """A node on the corpus's chain, which stands still; its pool is empty at first."""
    folder = fixture_folder("rpc-compat")
    async with dev_node(folder / "genesis.json", (folder / "chain.rlp").read_bytes()) as dev:
        assert dev.server.http_url is not None
        yield dev.server.http_url


@pytest.mark.parametrize("path", VECTORS)
async def test_the_recorded_answer_is_given(url: str, path: Path, request: pytest.FixtureRequest) -> None:
    """Every exchange of a vector, in order."""
    vector = Vector.read(path)
    if (reason := OTHERWISE.get("/".join(path.parts[-2:]))) is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    for method in vector.methods:
        if method in NOT_YET:
            pytest.skip(f"{method}: {NOT_YET[method]}")

    async with aiohttp.ClientSession() as session:
        for exchange in vector.exchanges:
            async with session.post(
                url, data=exchange.request, headers={"Content-Type": "application/json"}
            ) as response:
                answer = orjson.loads(await response.read())

            if vector.is_shape_only:
                assert list(differences(exchange.answer, answer)) == []
            else:
                assert answer == exchange.answer


async def test_what_is_missing_is_listed(url: str) -> None:
    """The table of missing methods is exact: nothing in it exists, and nothing else in the corpus is missing."""
    called = {method for parameter in VECTORS for method in Vector.read(_path(parameter)).methods}
    missing: set[str] = set()
    async with aiohttp.ClientSession() as session:
        for method in sorted(called | set(NOT_YET)):
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
            async with session.post(url, json=request) as response:
                error = (await response.json()).get("error", {})
            if error.get("code") == -32601:
                missing.add(method)

    assert missing == set(NOT_YET)


def _path(parameter: Any) -> Path:  # a ParameterSet of pytest
    (path,) = parameter.values
    assert isinstance(path, Path)
    return path


# ------------------------------------------------------------------ shapes

QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)")
DATA = re.compile(r"0x([0-9a-f]{2})*")
MAP_KEY = re.compile(r"0x[0-9a-fA-F]{40}|0x[0-9a-f]{64}|\d+")


def differences(expected: Any, given: Any, where: str = "") -> Iterator[str]:
    """Where the shapes of two JSON values differ: types, names of members, form of hex texts."""
    if isinstance(expected, dict) and isinstance(given, dict):
        if _is_map(expected) and _is_map(given):
            yield from _map_differences(expected, given, where)
            return
        if set(expected) != set(given):
            yield f"{where}: members {sorted(set(expected) ^ set(given))}"
        for key in set(expected) & set(given):
            yield from differences(expected[key], given[key], f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(given, list):
        for index, value in enumerate(given):
            if expected:
                yield from differences(expected[min(index, len(expected) - 1)], value, f"{where}[{index}]")
    elif isinstance(expected, str) and isinstance(given, str):
        for form in (QUANTITY, DATA):
            if form.fullmatch(expected) and not form.fullmatch(given) and len(expected) == len(given):
                yield f"{where}: {given!r} for {expected!r}"
        if expected.startswith("0x") != given.startswith("0x"):
            yield f"{where}: {given!r} for {expected!r}"
    elif _kind(expected) != _kind(given):
        yield f"{where}: {given!r} for {expected!r}"


def _is_map(value: Any) -> bool:
    """An object whose keys are addresses, hashes or numbers, not names; an empty one may be a map."""
    return isinstance(value, dict) and all(MAP_KEY.fullmatch(key) for key in value)


def _map_differences(expected: dict[str, Any], given: dict[str, Any], where: str) -> Iterator[str]:
    """Each value must have the shape of some expected value; values of inner maps are put together first."""
    examples = list(expected.values()) or list(given.values())
    if all(_is_map(example) for example in examples):
        inner = [value for example in examples for value in example.values()]
        examples = [{str(index): value for index, value in enumerate(inner)}]
    for key, value in given.items():
        tried = [list(differences(example, value, f"{where}.{key}")) for example in examples]
        yield from min(tried, key=len)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__
