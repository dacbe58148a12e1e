"""The bench command: workloads are listed, exported, run small, and refused in words."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parallelpool import cli
from parallelpool.__main__ import PROGRAMS
from parallelpool.bench import BenchOptions, main

SCALE = "0.0005"


def invoke(*words: str) -> int:
    """The exit code of `parallelpool bench …`, with the programs it really calls."""
    return cli.main(("bench", *words), {}, PROGRAMS)


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    assert invoke(*words, "--json") == 0
    parsed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return parsed


def test_the_list_has_a_line_for_each_workload(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Names stand first, one to a line.
    """
    assert invoke("list") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]

    assert names[:2] == ["transfers-self", "transfers-distinct"]
    assert {"hot-recipient", "one-sender", "chain-counter", "mainnet", "mainnet-2021"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_run_prints_a_row_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The plain loop, our engines and the calibration, each with its figures.
    """
    assert invoke("run", "transfers-self", "--scale", SCALE, "--rounds", "2", "--lists") == 0
    printed = capsys.readouterr().out

    assert "24 transactions, 504,000 gas" in printed
    for way in ("plain revm", "serial", "parallel", "calibration", "decode and recover", "receipts root"):
        assert way in printed, way


def test_the_json_has_conditions_figures_and_raw_samples(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Whoever doubts a figure finds the samples behind it, and the machine they were taken on.
    """
    result = document(
        capsys, "run", "one-sender", "--scale", SCALE, "--rounds", "3", "--threads", "1", "--seed", "7"
    )

    assert result["conditions"]["allocator"] == "mimalloc"
    assert (result["conditions"]["seed"], result["conditions"]["rounds"]) == (7, 3)
    assert result["conditions"]["machine"]["cpus"] > 0
    (workload,) = result["workloads"]
    assert [row["way"] for row in workload["rows"]] == [
        "plain revm",
        "serial",
        "serial by EVM",
        "parallel",
        "auto",
    ]
    for row in workload["rows"]:
        walls = row["samples"]["wallNs"]
        assert len(walls) == 3
        assert row["medianMs"] == sorted(walls)[1] / 1e6
        assert row["executionsPerTransaction"] >= 1.0 or row["way"] == "parallel"


@pytest.mark.parametrize("name", ["block.json", "block.json.gz"])
def test_an_exported_block_runs_as_the_workload_does(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The file holds all that is needed; transactions and gas are the same.
    """
    path = tmp_path / name
    assert invoke("export", "chain-counter", str(path), "--scale", SCALE) == 0
    capsys.readouterr()
    made = document(capsys, "run", "chain-counter", "--scale", SCALE, "--rounds", "1")["workloads"][0]
    read = document(capsys, "run", str(path), "--rounds", "1")["workloads"][0]

    assert (made["transactions"], made["gas"]) == (read["transactions"], read["gas"])
    assert read["name"] == "chain-counter"


def test_an_exported_file_has_the_shape_that_others_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Environment, state as geth's prestate tracer gives it, signed bytes with their sender.
    """
    path = tmp_path / "block.json.gz"
    assert invoke("export", "chain-counter", str(path), "--scale", SCALE) == 0
    block = json.loads(gzip.decompress(path.read_bytes()))

    assert block["env"]["chainId"] == "0x1"
    assert {"fork", "number", "timestamp", "coinbase", "gasLimit", "baseFee", "prevRandao"} <= set(
        block["env"]
    )
    first = block["transactions"][0]
    assert first["raw"].startswith("0x02")
    assert block["preState"][first["from"]]["nonce"] == 0
    codes = [account["code"] for account in block["preState"].values() if "code" in account]
    assert codes == ["0x60015f54015f5500"]
    assert str(path) in capsys.readouterr().out


def test_the_state_root_has_a_row_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Sizes beyond the state's are left out.
    """
    rows = document(capsys, "state-root", "--scale", "0.001", "--rounds", "1")["stateRoot"]

    assert [(row["accounts"], row["changed"]) for row in rows] == [(1000, 100), (1000, 1000)]
    assert invoke("state-root", "--scale", "0.0002", "--rounds", "1") == 0
    assert "root us/account" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "transfers"), "no workload 'transfers'"),
        (("run", "absent.json"), "absent.json: "),
        (("run", "mainnet/x"), "no recorded block 'x' in "),
        (("export", "nothing", "file.json"), "no workload 'nothing'"),
        (("run", "one-sender", "--scale", "0"), "scale must be above 0 and at most 1000, not 0"),
    ],
)
def test_what_is_not_there_is_refused(
    words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    One line on standard error and exit code 2.
    """
    assert invoke(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.replace('"', "'")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "bench: '' is none of run, list, export, state-root"),
        (("measure",), "bench: 'measure' is none of run, list, export, state-root"),
        (("export", "one-sender"), "bench export: takes a workload's name and a file"),
        (("list", "all"), "bench list: takes nothing more"),
        (("run", "--threads", "0"), "--threads: "),
        (("run", "--rounds", "many"), "--rounds: "),
        (("run", "--fast"), "--fast"),
    ],
)
def test_words_without_sense_are_refused(
    words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Nothing is measured; the problem is named and the exit code is 2.
    """
    assert invoke(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"block", "not a block: "),
        (b"{}", "missing field `env`"),
        (b"\x1f\x8b\x08", "block.json: "),
    ],
)
def test_a_file_that_is_no_block_is_refused(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The file is named, with what is wrong with it.
    """
    path = tmp_path / "block.json"
    path.write_bytes(content)

    assert main(BenchOptions("run", [str(path)])) == 2
    printed = capsys.readouterr().err
    assert str(path) in printed
    assert said in printed


def test_a_changed_sender_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Senders are recovered again and held against the file.
    """
    path = tmp_path / "block.json"
    assert invoke("export", "one-sender", str(path), "--scale", SCALE) == 0
    block = json.loads(path.read_text())
    block["transactions"][2]["from"] = "0x" + "11" * 20
    path.write_text(json.dumps(block))

    assert main(BenchOptions("run", [str(path)], rounds=1)) == 2
    assert "transactions[2]: signed by 0x" in capsys.readouterr().err


def test_the_batch_builder_is_timed_at_three_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A row for each pool and size, with as many samples as rounds; or a table for people.
    """
    words = ("batching", "--scale", "0.001", "--rounds", "2")
    report = document(capsys, *words)["batching"]
    pools = {row["pool"] for row in report["speed"]}

    assert report["recorded"] == report["executed"] == []
    assert {"independent", "single-payer", "zipf-pools", "erc20"} <= pools
    assert len(report["speed"]) == 3 * len(pools)
    assert sorted({row["transactions"] for row in report["speed"]}) == [64, 100]
    assert all(len(samples) == 2 for row in report["speed"] for samples in row["samples"].values())

    assert invoke(*words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(report["speed"])


def test_the_batch_builder_is_measured_on_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Made pools, or the word for recorded blocks.
    """
    assert invoke("batching", "goerli") == 2
    assert "batching: takes mainnet or nothing" in capsys.readouterr().err
