"""Daemons for tests: one per module where tests may share a chain, else as many as a test starts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon

Start = Callable[..., Daemon]


@pytest.fixture(scope="module")
def instant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that seals a block for each transaction; the tests of a module share its chain."""
    with daemons.running(tmp_path_factory.mktemp("node") / "data", "--dev.mine", "instant") as node:
        yield node


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[Daemon]:
    """A fresh daemon that seals only when told."""
    with daemons.running(tmp_path / "data", "--dev.mine", "manual") as node:
        yield node


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts daemons on one data directory, one after the other; those still running at the end must stop in order."""
    started: list[Daemon] = []

    def begin(*flags: str) -> Daemon:
        started.append(daemons.start(tmp_path / "data", *flags))
        return started[-1]

    yield begin
    running = [node for node in started if node.process.poll() is None]
    codes = [node.stop() for node in running]
    for node in started:
        node.stop()
    assert not any(codes), "\n".join(node.log() for node in running)
