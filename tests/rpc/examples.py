"""
The sessions of `docs/examples`: requests in order to a fresh daemon, with what it answered.

Run as a program it asks a daemon anew and writes down the answers; whoever does that reads the differences:

    python -m tests.rpc.examples
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tests.public_data import REPOSITORY
from tests.rpc.dev_node import Dev, dev_node

FOLDER: Final = REPOSITORY / "docs" / "examples"

OF_THE_RUN: Final = frozenset(
    {"epoch", "parallelMs", "serialMs", "elapsedMs", "blockHash", "stateRoot", "serialStateRoot"}
)
"""Members that differ from run to run: the clock goes into blocks and times, chance into the epoch."""


@dataclass(frozen=True, slots=True)
class Line:
    """A request with its answer, or a comment."""

    text: str
    answer: str = ""


def paths() -> list[Path]:
    """All sessions."""
    return sorted(FOLDER.glob("*/*.io"))


def read(path: Path) -> list[Line]:
    """Lines in order: `//` comments, `>>` requests, `<<` answers."""
    lines: list[Line] = []
    for line in path.read_text().splitlines():
        if line.startswith("<< "):
            lines[-1] = Line(lines[-1].text, line[3:])
        elif line:
            lines.append(Line(line))
    return lines


async def ask(dev: Dev, line: Line) -> Any:
    """The daemon's answer to the request of a line."""
    request = orjson.loads(line.text.removeprefix(">> "))
    return await dev.answer(request["method"], *request["params"])


def differences(expected: Any, given: Any, where: str = "") -> Iterator[str]:
    """Where an answer is another than the one written down; members of the run need only be of one kind."""
    if isinstance(expected, dict) and isinstance(given, dict) and list(expected) == list(given):
        for name, value in expected.items():
            if name not in OF_THE_RUN or type(value) is not type(given[name]):
                yield from differences(value, given[name], f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        for index, (one, other) in enumerate(zip(expected, given, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif expected != given:
        yield f"{where}: {given!r} instead of {expected!r}"


async def answered(path: Path) -> str:
    """The session's text with the answers of a fresh daemon, kept as they are where they say the same."""
    written: list[str] = []
    async with dev_node() as dev:
        for line in read(path):
            written.append(line.text)
            if line.text.startswith(">> "):
                answer = await ask(dev, line)
                is_same = line.answer and not list(differences(orjson.loads(line.answer), answer))
                written.append("<< " + (line.answer if is_same else orjson.dumps(answer).decode()))
    return "\n".join(written) + "\n"


if __name__ == "__main__":
    for session in paths():
        session.write_text(asyncio.run(answered(session)))
