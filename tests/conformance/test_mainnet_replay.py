"""
Real mainnet blocks, executed and held against their own headers: gas used, logs bloom and, from Byzantium on,
the receipts root. Serial and parallel execution must agree on every receipt and every changed account and slot.
"""

from functools import cache
from pathlib import Path

import pytest

from parallelpool import _core
from parallelpool.replay import ReplayOptions, block_files, read_block, replay_file
from tests.public_data import fixture_files

BLOCKS = fixture_files("mainnet", "*.json.gz")


@cache
def workers(threads: int) -> _core.Workers:
    """Engine threads, made once for all blocks."""
    return _core.Workers(threads)


@pytest.mark.parametrize("path", BLOCKS)
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_mainnet_block_matches_its_header_serially_and_in_parallel(path: Path, threads: int) -> None:
    """
    The speculative path is forced, and each committed transaction is run again on committed state.
    """
    options = ReplayOptions([path], mode="both", threads=threads, recheck=True)

    row = replay_file(workers(threads), path, options)

    assert row.differences == ()
    assert row.executions is not None
    assert row.transactions <= row.executions <= 2 * row.transactions


@pytest.mark.parametrize("path", BLOCKS)
def test_the_parallel_mode_is_never_silently_serial(path: Path) -> None:
    """
    Statistics say that the speculative path ran, with one thread too.
    """
    verdict = _core.replay(workers(1), read_block(path), "parallel", threads=1)

    assert verdict.statistics.parallel
    assert len(verdict.statistics.executions_per_transaction) == read_block(path).transactions


def test_a_folder_is_read_in_order_of_block_numbers(tmp_path: Path) -> None:
    """
    Numbers of different length sort as numbers.
    """
    for number in (100, 20, 3):
        (tmp_path / f"{number}.json").write_text("{}")

    assert [path.name for path in block_files([tmp_path])] == ["3.json", "20.json", "100.json"]


def test_a_file_that_is_no_block_is_a_verdict_and_not_a_crash(tmp_path: Path) -> None:
    """
    The row says what is wrong with the file; other files would still run.
    """
    path = tmp_path / "1.json.gz"
    path.write_bytes(b"this is not gzip")

    row = replay_file(workers(1), path, ReplayOptions([path]))

    assert row.verdict.startswith("unreadable: ")
