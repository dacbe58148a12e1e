"""The accuracy command: tallies by source, goals, exit codes."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from parallelpool.accuracy import AccuracyOptions, BatchTally, Report, Tally, main, measure
from tests.public_data import fixture_folder

SMALL = (19_923_400, 19_933_122)
"""Blocks of May 2024 with a few dozen transactions each, one day apart."""


@pytest.fixture
def files() -> list[Path]:
    """Two small blocks."""
    return [fixture_folder("mainnet") / f"{number}.json.gz" for number in SMALL]


def test_every_transaction_is_answered_and_later_blocks_use_what_earlier_ones_taught(
    files: list[Path],
) -> None:
    """
    Without the first block there is no template for the second; the order of the files does not matter.
    """
    alone = measure(AccuracyOptions(files[1:], threads=2))
    after = measure(AccuracyOptions([*reversed(files)], first=SMALL[1], threads=2))

    for report in (alone, after):
        assert (report.blocks, report.transactions) == (1, 45)
        answered = sum(report.sources[name].predicted for name in ("transfer", "trace"))
        assert answered == report.transactions
        assert report.batches.equal == 1
        assert report.batches.unequal == 0
    assert "template" not in alone.sources
    assert after.sources["template"].predicted > 0
    assert after.token_templates.predicted <= after.sources["template"].predicted


def test_the_table_has_a_row_for_each_source_and_the_goals_in_words(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A person reads what was reached.
    """
    assert main(AccuracyOptions(files, threads=2)) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 blocks, 69 transactions"
    assert {line.split()[0] for line in lines[2:]} >= {"transfer", "trace", "ahead,", "template,"}
    assert any(line.startswith("batches nobody wrote to before: ") for line in lines)


def test_json_has_all_tallies(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """
    For machines.
    """
    assert main(AccuracyOptions(files, first=SMALL[1], threads=2, as_json=True)) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["blocks"] == 1
    assert report["sources"]["trace"]["exact"] <= report["sources"]["trace"]["predicted"]
    assert set(report["batches"]) == {*BatchTally.__dataclass_fields__}


def test_bad_paths_and_bad_blocks_exit_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    With the reason on standard error.
    """
    bad: dict[str, Any] = {"block": {}}
    wrong = tmp_path / "wrong.json.gz"
    wrong.write_bytes(gzip.compress(orjson.dumps(bad)))

    assert main(AccuracyOptions([tmp_path / "nothing"])) == 2
    assert main(AccuracyOptions([wrong])) == 2
    _, told = capsys.readouterr().err.splitlines()
    assert told.startswith(f"parallelpool accuracy: cannot read {wrong}: not a block to replay: ")


def test_a_parallel_result_that_differs_exits_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Predictions may be wrong, execution may not.
    """
    report = Report(batches=BatchTally(equal=3, unequal=1))
    monkeypatch.setattr("parallelpool.accuracy.measure", lambda options: report)

    assert main(AccuracyOptions([])) == 1
    assert "differs: 1" in capsys.readouterr().out


def test_recall_is_of_what_was_used_and_precision_of_what_was_said() -> None:
    """
    Of nothing, all is right.
    """
    tally = Tally(predicted=2, slots_right=6, slots_missed=2, slots_extra=4)

    assert (tally.recall, tally.precision) == (0.75, 0.6)
    assert (Tally().recall, Tally().precision) == (1.0, 1.0)
