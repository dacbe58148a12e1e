"""`make demo`: the story for the user, run as the user runs it."""

import re
import subprocess
import sys

import pytest

from tests.public_data import REPOSITORY

DEADLINE_S = 240


@pytest.mark.timeout(DEADLINE_S + 10)
def test_the_demo_shows_the_whole_line_and_succeeds() -> None:
    """Exit 0; every step is told, and so is that parallel and serial execution agree."""
    ended = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    steps = [int(number) for number in re.findall(r"^(\d)\. ", ended.stdout, re.MULTILINE)]
    assert steps == list(range(1, 8))
    assert "202 receipts, all successful, of types 0x2, 0x5" in ended.stdout
    assert re.search(r"executed +202 transactions", ended.stdout)
    assert "parallel and serial state roots are equal" in ended.stdout
    assert len(re.findall(r"^ *parallel_txpool_", ended.stdout, re.MULTILINE)) == 20
