"""The command line, with programs that only write down how they were called."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config import NodeConfig
from config.options import options
from parallelpool import __version__, cli
from parallelpool.accuracy import AccuracyOptions
from parallelpool.errors import ConfigurationError, StartFailure
from parallelpool.explain import ExplainOptions
from parallelpool.replay import ReplayOptions


@dataclass
class Recorder:
    """Programs that note their calls and return or raise what they were told to."""

    outcome: int | Exception = 0
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def note(self, *call: object) -> int:
        """Notes the call; returns or raises the outcome."""
        self.calls.append(call)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def programs(self) -> cli.Programs:
        """The programs to hand in."""

        return cli.Programs(
            run=lambda settings: self.note("run", settings),
            import_blocks=lambda settings, files: self.note("import", settings, files),
            export_blocks=lambda settings, file, first, last: self.note(
                "export", settings, file, first, last
            ),
            replay=lambda settings: self.note("replay", settings),
            accuracy=lambda wanted: self.note("accuracy", wanted),
            explain=lambda settings, wanted: self.note("explain", settings, wanted),
            bench=lambda wanted: self.note("bench", wanted),
        )


@pytest.fixture
def recorder() -> Recorder:
    """Programs that succeed."""
    return Recorder()


def invoke(recorder: Recorder, line: str, **environment: str) -> int:
    """The exit code of a command line, written with blanks between its words."""
    return cli.main(line.split(), environment, recorder.programs())


def test_accuracy_has_flags_of_its_own(recorder: Recorder) -> None:
    """
    Where counting begins, the cap of gas, threads and JSON.
    """
    line = "accuracy --first 7 --gas 30000 --threads 2 --json folder"

    assert invoke(recorder, line) == 0
    options = AccuracyOptions([Path("folder")], first=7, gas=30_000, threads=2, as_json=True)
    assert recorder.calls == [("accuracy", options)]


def test_without_a_command_the_daemon_runs_with_the_settings(recorder: Recorder) -> None:
    """
    Flags and environment reach the daemon as one configuration, and its exit code comes back.
    """
    recorder.outcome = 7

    code = invoke(recorder, "--dev --http.port 9545", PARALLELPOOL_VERBOSITY="4")

    ((program, settings),) = recorder.calls
    assert code == 7
    assert program == "run"
    assert isinstance(settings, NodeConfig)
    assert (settings.http.port, settings.verbosity, settings.datadir) == (9_545, 4, None)


@pytest.mark.parametrize(
    "line", ["import --dev a.rlp b.rlp", "--dev import a.rlp b.rlp", "import a.rlp b.rlp --dev"]
)
def test_import_takes_files_and_flags_in_any_order(recorder: Recorder, line: str) -> None:
    """
    As with geth, flags may stand before or behind the command.
    """
    assert invoke(recorder, line) == 0
    ((program, settings, files),) = recorder.calls
    assert program == "import"
    assert isinstance(settings, NodeConfig)
    assert settings.dev.enabled
    assert files == [Path("a.rlp"), Path("b.rlp")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("export x.rlp", (None, None)), ("export x.rlp 3", (3, None)), ("export x.rlp 3 9", (3, 9))],
)
def test_export_takes_a_file_and_a_range(
    recorder: Recorder, line: str, expected: tuple[int | None, int | None]
) -> None:
    """
    What is left out of the range is open.
    """
    assert invoke(recorder, line) == 0
    assert recorder.calls[0][2:] == (Path("x.rlp"), *expected)


def test_explain_takes_its_own_flags_and_those_of_the_chain(recorder: Recorder) -> None:
    """
    Blocks stay words: what is a file and what a number is decided where they are read.
    """
    line = "--datadir data explain 7 --json one.json.gz --threads 2 --top 3"
    assert invoke(recorder, line) == 0
    ((program, settings, wanted),) = recorder.calls

    assert program == "explain"
    assert isinstance(settings, NodeConfig)
    assert settings.datadir is not None
    assert settings.datadir.name == "data"
    assert wanted == ExplainOptions(("7", "one.json.gz"), 2, 3, as_json=True)


def test_replay_has_flags_of_its_own(recorder: Recorder) -> None:
    """
    Its flags need no configuration, and the environment of the daemon does not matter to it.
    """
    line = "replay --mode serial --threads 8 --json one.json.gz --recheck two"

    assert invoke(recorder, line, PARALLELPOOL_HTTP_PORT="nonsense") == 0
    assert recorder.calls == [
        ("replay", ReplayOptions([Path("one.json.gz"), Path("two")], "serial", 8, recheck=True, as_json=True))
    ]


def test_replay_by_default_compares_both_ways(recorder: Recorder) -> None:
    """
    Serial and parallel, on all CPUs.
    """
    assert invoke(recorder, "replay folder") == 0
    assert recorder.calls == [("replay", ReplayOptions([Path("folder")], "both", 0))]


BAD_LINES = [
    ("nonsense", "invalid command: 'nonsense'"),
    ("--dev true", "--dev: write --dev=true"),
    ("dumpconfig extra", "invalid command: 'extra'"),
    ("import", "import: names no file"),
    ("export", "export: takes a file, and the first and the last block at most"),
    ("export f 1 2 3", "export: takes a file, and the first and the last block at most"),
    ("export f one", "export: no block number: 'one'"),
    ("export f -1", "-1: flag provided but not defined"),
    ("export f 9 3", "export: block 9 comes after block 3"),
    (f"export f {'9' * 5_000}", "export: no block number: '99"),
    ("replay", "replay: names no file or folder"),
    ("accuracy", "accuracy: names no file or folder"),
    ("accuracy --gas 1 x", "--gas: must be at least 21000, got 1"),
    ("explain --json", "explain: names no block"),
    ("explain --top 0 7", "--top: must be at least 1, got 0"),
    ("explain --recheck 7", "--recheck: flag provided but not defined"),
    ("replay --mode fast x", "--mode: must be one of serial, parallel, both, got 'fast'"),
    ("replay --threads -1 x", "--threads: must be at least 0, got -1"),
    ("replay --http.port 1 x", "--http.port: flag provided but not defined"),
    ("--datadir", "--datadir: flag needs an argument"),
]


@pytest.mark.parametrize(("line", "expected"), BAD_LINES, ids=lambda value: value[:40])
def test_wrong_use_is_explained_and_exits_2(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], line: str, expected: str
) -> None:
    """
    The problem stands on standard error, nothing on standard output, and no program was called.
    """
    code = invoke(recorder, line)

    printed = capsys.readouterr()
    assert code == 2
    assert expected in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert recorder.calls == []


def test_all_problems_are_printed(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    """
    One line each, with their number above.
    """
    assert invoke(recorder, "--http.port x --bogus --verbosity 9") == 2
    assert capsys.readouterr().err.splitlines() == [
        "parallelpool: 3 problems in the settings",
        "  --bogus: flag provided but not defined",
        "  --http.port: must be a whole number, got 'x'",
        "  --verbosity: must be at most 5, got 9",
        "All flags: parallelpool --help",
    ]


@pytest.mark.parametrize(
    ("error", "code"), [(StartFailure("port 8545 is taken"), 1), (ConfigurationError(["--genesis: bad"]), 2)]
)
def test_failures_of_programs_become_exit_codes(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    """
    A start that fails exits 1, settings that turn out to be wrong exit 2; both say why.
    """
    recorder.outcome = error

    assert invoke(recorder, "--dev") == code
    assert str(error) in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--help", "-h", "help", "--http.port nonsense --help"])
def test_help_shows_every_flag_in_groups(
    recorder: Recorder, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """
    Help is given whatever else is wrong, and starts nothing.
    """
    assert invoke(recorder, line) == 0
    printed = capsys.readouterr().out
    assert "THE TRANSACTION POOL" in printed
    assert all(f"  {option.flag}" in printed for option in options())
    assert "  --config" in printed
    assert recorder.calls == []


def test_replay_has_help_of_its_own(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Only the flags that replay takes.
    """
    assert invoke(recorder, "replay --help") == 0
    printed = capsys.readouterr().out
    assert "--threads" in printed
    assert "--http.port" not in printed


@pytest.mark.parametrize("line", ["version", "--version", "-v"])
def test_version_names_the_version(recorder: Recorder, capsys: pytest.CaptureFixture[str], line: str) -> None:
    """
    One line that begins with name and version.
    """
    assert invoke(recorder, line) == 0
    assert capsys.readouterr().out.startswith(f"parallelpool {__version__} ")


def test_dumpconfig_prints_what_is_in_force(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    """
    TOML with every setting, flags taken in.
    """
    assert invoke(recorder, "dumpconfig --dev --txpool.globalslots 7") == 0
    dumped = tomllib.loads(capsys.readouterr().out)
    assert dumped["txpool"]["globalslots"] == 7
    assert dumped["dev"]["enabled"] is True
