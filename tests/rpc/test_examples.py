"""`docs/examples`: what the documentation shows is what the daemon does."""

from pathlib import Path

import orjson
import pytest

from tests.rpc import examples
from tests.rpc.client import Client
from tests.rpc.dev_node import dev_node
from tests.rpc.fakes import FakeNode

PATHS = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in examples.paths()]


@pytest.mark.parametrize("path", PATHS)
async def test_the_answers_are_those_that_are_shown(path: Path) -> None:
    """Every request of a session, in order, to a fresh daemon."""
    async with dev_node() as dev:
        for line in examples.read(path):
            if line.text.startswith(">> "):
                given = await examples.ask(dev, line)
                found = list(examples.differences(orjson.loads(line.answer), given))
                assert found == [], line.text


def test_every_parallel_method_has_an_example() -> None:
    """In the folder of its name, where the method is really called."""
    methods = {name for name in Client(FakeNode()).rows if name.startswith("parallel_")}
    shown = {
        path.parent.name
        for path in examples.paths()
        if any(f'"method":"{path.parent.name}"' in line.text for line in examples.read(path))
    }

    assert shown == methods


def test_a_wrong_answer_is_seen() -> None:
    """The comparison can fail: by value, by member, by length, by kind of what differs from run to run."""
    shown = {"id": 1, "result": {"batches": [{"kind": "parallel"}], "epoch": "0x01"}}

    assert list(examples.differences(shown, {"id": 1, "result": {**shown["result"], "epoch": "0x02"}})) == []  # type: ignore[dict-item]
    for wrong in (
        {"batches": [{"kind": "sequential"}], "epoch": "0x01"},
        {"batches": [], "epoch": "0x01"},
        {"batches": [{"kind": "parallel"}]},
        {"batches": [{"kind": "parallel"}], "epoch": 1},
    ):
        assert len(list(examples.differences(shown, {"id": 1, "result": wrong}))) == 1
