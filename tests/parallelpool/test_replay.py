"""The replay command: table, JSON, exit codes."""

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from parallelpool.chain import Workers
from parallelpool.replay import ReplayOptions, UnreadableBlock, main, read_block, replay_file
from tests.public_data import fixture_folder


@pytest.fixture
def document() -> dict[str, Any]:
    """The smallest of the public blocks."""
    smallest = min(fixture_folder("mainnet").glob("*.json.gz"), key=lambda path: path.stat().st_size)
    parsed: dict[str, Any] = json.loads(gzip.decompress(smallest.read_bytes()))
    return parsed


def write(folder: Path, document: dict[str, Any]) -> Path:
    """The document as a block file."""
    path = folder / "block.json"
    path.write_bytes(orjson.dumps(document))
    return path


def test_a_block_that_matches_its_header_exits_with_zero(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The table has a row for the block and a line for all.
    """
    assert main(ReplayOptions([write(tmp_path, document)], mode="both", threads=2)) == 0

    printed = capsys.readouterr().out
    assert str(int(document["block"]["number"], 16)) in printed
    assert "all ok" in printed


def test_a_difference_is_named_and_exits_with_one(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A header that promises other gas is a difference in both executions.
    """
    gas_used = int(document["block"]["gasUsed"], 16)
    document["block"]["gasUsed"] = hex(gas_used + 1)

    assert main(ReplayOptions([write(tmp_path, document)], mode="both", threads=2, as_json=True)) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["ok"] is False
    assert [text.split(":")[0] for text in row["differences"]] == ["serial", "parallel"]
    assert all(f"gas used {gas_used}, the header says {gas_used + 1}" in text for text in row["differences"])


def test_json_has_the_figures_of_both_executions(
    tmp_path: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    For machines: times in milliseconds, executions, conflicts.
    """
    assert main(ReplayOptions([write(tmp_path, document)], mode="both", threads=1, as_json=True)) == 0
    (row,) = json.loads(capsys.readouterr().out)

    block = document["block"]
    assert row["block"] == int(block["number"], 16)
    assert row["transactions"] == len(block["transactions"])
    assert row["gasUsed"] == int(block["gasUsed"], 16)
    assert row["serialMs"] > 0
    assert row["parallelMs"] > 0
    assert row["executionsPerTransaction"] >= 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "Not a gzipped file"),
        (gzip.compress(b"{}")[:-9], "Compressed file ended"),
        (gzip.compress(bytes(range(256)))[:12] + b"\xff" * 40, "while decompressing data"),
        (gzip.compress(b"{}"), "not a block to replay"),
        (None, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_row_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    """
    Whatever is wrong with it: no gzip, cut, damaged, no block, no file.
    """
    path = tmp_path / "block.json.gz"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    with pytest.raises(UnreadableBlock, match=reason):
        read_block(path)
    row = replay_file(Workers(1), path, ReplayOptions([path]))
    assert row.differences[0].startswith("unreadable: ")


def test_a_path_that_is_not_there_exits_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Wrong use is not a difference.
    """
    assert main(ReplayOptions([tmp_path / "nothing"])) == 2
    assert "no such file or folder" in capsys.readouterr().err
