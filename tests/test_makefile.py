"""The make targets: what there is, what they call, what they do not do twice."""

import re

import pytest

from tests.public_data import REPOSITORY
from tests.repository import make

TARGETS = (
    "help install build run demo test test-all lint typecheck bench docs docker clean clients format"
    " dist-wheel install-runtime test-rust test-python lock oracle-blocks faulty-engine sanitize contracts geth"
).split()

is_built = (REPOSITORY / ".venv" / ".check-tools").exists()


def test_help_lists_every_target_with_a_sentence() -> None:
    """
    Each target that people call is in the list, and the list has no other.
    """
    listed = dict(line.split(maxsplit=1) for line in make("help").stdout.splitlines())

    assert set(listed) == set(TARGETS)
    assert all(len(sentence) > 10 for sentence in listed.values())


def test_make_alone_is_help() -> None:
    """
    Nothing is built by accident.
    """
    assert make().stdout == make("help").stdout


def test_test_runs_every_check() -> None:
    """
    Lint, types, stub, import layers, Rust and Python tests are all behind the one command.
    """
    commands = make("--dry-run", "--always-make", "test").stdout

    for part in (
        "ruff check .",
        "ruff format --check .",
        "lint-imports",
        "cargo fmt --all --check",
        "-D warnings",
        "cargo test --release --locked --workspace",
        "tests.core.stub",
        "pytest",
    ):
        assert part in re.sub(r"\\\n\s*", "", commands), part


def test_ci_calls_the_test_command() -> None:
    """
    CI runs what people run.
    """
    script = REPOSITORY / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("exec make test")


def test_run_passes_flags_on_and_keeps_data_in_the_repository() -> None:
    """
    ARGS reach the daemon; the data directory is a default that flags and environment override.
    """
    commands = make("--dry-run", "run", "ARGS=--http.port 9545").stdout

    assert "bin/parallelpool --http.port 9545" in commands
    assert 'PARALLELPOOL_DATADIR="${PARALLELPOOL_DATADIR:-data}"' in commands
    assert "/data/" in (REPOSITORY / ".gitignore").read_text().splitlines()


@pytest.mark.skipif(not is_built, reason="needs the environment that `make install` makes")
def test_what_is_built_is_not_built_again() -> None:
    """
    Nothing is to do after a build; a change in the engine's source, or its loss, is noticed.
    """
    source = "crates/parallelpool-core/src/lib.rs"

    assert make("--question", "build").returncode == 0
    assert make("--question", f"--what-if={source}", "build").returncode == 1
    assert make("--question", "--what-if=pyproject.toml", "build").returncode == 1
    assert make("--question", "--what-if=constraints.txt", "install").returncode == 1


def test_an_old_python_is_refused_with_a_hint() -> None:
    """
    The version is checked before anything is made.
    """
    outcome = make("no-such-place/.python", "PYTHON=false", "VENV=no-such-place")

    assert outcome.returncode != 0
    assert "Python 3.11 or newer is needed" in outcome.stderr
    assert not (REPOSITORY / "no-such-place").exists()


def test_a_runtime_needs_a_place() -> None:
    """
    install-runtime without PREFIX touches nothing.
    """
    outcome = make("install-runtime", "PREFIX=")

    assert outcome.returncode != 0
    assert "PREFIX=/opt/parallelpool" in outcome.stderr
