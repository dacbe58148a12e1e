"""
The command line: words in, one program called with its settings, an exit code out.

0 done, 1 the program failed, 2 the words, the file or the environment make no sense; then all problems stand on
standard error. What the commands call is handed in (`Programs`), so nothing here starts anything by itself.
"""

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import machine, python_version, system
from typing import Final, cast

from config import NodeConfig, load
from config.checks import Range
from config.flags import CONFIG, read_command_line
from config.options import Option, Section, options, sections
from config.reference import config_toml, help_text
from config.values import from_text
from parallelpool import __version__
from parallelpool.access import PRE_EXECUTION_GAS
from parallelpool.accuracy import AccuracyOptions
from parallelpool.bench import DEFAULT_SEED, Action, BenchOptions
from parallelpool.errors import ConfigurationError, StartFailure
from parallelpool.explain import ExplainOptions
from parallelpool.replay import Mode, ReplayOptions

BLOCK_NUMBER: Final = re.compile(r"[0-9]{1,18}")

WRONG_USE: Final = 2
FAILED: Final = 1

USAGE: Final = """\
parallelpool: a geth-compatible parallel transaction pool daemon

  parallelpool [flags]                            start the daemon
  parallelpool import [flags] FILE...             execute and store blocks from RLP files
  parallelpool export [flags] FILE [FIRST [LAST]] write stored blocks to an RLP file
  parallelpool replay [flags] PATH...             execute real blocks from files and check them
  parallelpool accuracy [flags] PATH...           say how good predicted access sets are, on real blocks
  parallelpool explain [flags] BLOCK...           say why blocks run as parallel as they do
  parallelpool bench run [flags] [NAME...|FILE...] time workloads: plain revm, serial, parallel
  parallelpool bench list|state-root|export NAME FILE
  parallelpool bench batching [flags] [mainnet]   time the batch builder; its batches on recorded blocks
  parallelpool bench admission|e2e [flags]        the daemon beside geth and anvil
  parallelpool bench attack|pool [FILE.svg]       the daemon under attack; the pool by itself
  parallelpool dumpconfig [flags]                 print the settings in force as TOML
  parallelpool version                            print the version

Every flag is also a TOML key and an environment variable: docs/config.md."""

REPLAY: Final = Section(
    keys=(),
    title="Flags of replay",
    options=(
        Option(("mode",), Mode, False, (), "both", "How to execute; both ways are compared."),
        Option(("threads",), int, False, (Range(0, 1_024),), 0, "Threads of the engine; 0 is one per CPU."),
        Option(("recheck",), bool, False, (), False, "Run each committed transaction once more and compare."),
        Option(("json",), bool, False, (), False, "Print the results as JSON."),
    ),
)


ACCURACY: Final = Section(
    keys=(),
    title="Flags of accuracy",
    options=(
        Option(
            ("first",), int, False, (Range(0, 2**63 - 1),), 0, "Blocks below are learned from, not counted."
        ),
        Option(
            ("gas",),
            int,
            False,
            (Range(21_000, 2**32 - 1),),
            PRE_EXECUTION_GAS,
            "Cap of a run ahead of need.",
        ),
        Option(("threads",), int, False, (Range(0, 1_024),), 0, "Threads of the engine; 0 is one per CPU."),
        Option(("json",), bool, False, (), False, "Print the tallies as JSON."),
    ),
)


EXPLAIN: Final = Section(
    keys=(),
    title="Flags of explain; blocks are files, or numbers on the chain of --datadir",
    options=(
        Option(("threads",), int, False, (Range(0, 1_024),), 0, "Threads of the engine; 0 is one per CPU."),
        Option(("top",), int, False, (Range(1, 100_000),), 10, "Most lines of a list."),
        Option(("json",), bool, False, (), False, "Print everything as JSON."),
    ),
)


BENCH: Final = Section(
    keys=(),
    title="Flags of bench",
    options=(
        Option(
            ("threads",),
            tuple[int, ...],
            False,
            (Range(1, 1_024),),
            (1, 2),
            "Threads of the parallel engine.",
        ),
        Option(
            ("rounds",),
            int,
            False,
            (Range(0, 100_000),),
            0,
            "Samples of each way; 0 is 20, and 3 beside other daemons.",
        ),
        Option(("scale",), float, False, (), 1.0, "Share of the full size."),
        Option(("seed",), int, False, (Range(0, 2**64 - 1),), DEFAULT_SEED, "Source of keys and choices."),
        Option(("lists",), bool, False, (), False, "Time decoding, recovery and the receipts root too."),
        Option(("json",), bool, False, (), False, "Print the whole result as JSON."),
    ),
)

BENCH_ACTIONS: Final[dict[str, tuple[int, int]]] = {
    "run": (0, 1_000),
    "list": (0, 0),
    "export": (2, 2),
    "state-root": (0, 0),
    "batching": (0, 1),
    "admission": (0, 0),
    "e2e": (0, 0),
    "attack": (0, 0),
    "pool": (0, 1),
}
"""Fewest and most words after each."""

BESIDE_OTHERS: Final = frozenset({"admission", "e2e"})
"""Actions that measure other daemons too, a few minutes a round."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What the commands call. Each returns the exit code and may raise StartFailure or ConfigurationError."""

    run: Callable[[NodeConfig], int]
    import_blocks: Callable[[NodeConfig, Sequence[Path]], int]
    export_blocks: Callable[[NodeConfig, Path, int | None, int | None], int]
    """Settings, file, first and last block; `None` is the first and the last that there is."""
    replay: Callable[[ReplayOptions], int]
    accuracy: Callable[[AccuracyOptions], int]
    explain: Callable[[NodeConfig, ExplainOptions], int]
    bench: Callable[[BenchOptions], int]


def main(words: Sequence[str], environment: Mapping[str, str], programs: Programs) -> int:
    """Runs the command that `words` (without the program's name) ask for."""
    try:
        return _command(words, environment, programs)
    except ConfigurationError as error:
        count = len(error.problems)
        print(f"parallelpool: {count} problem{'s' if count > 1 else ''} in the settings", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        print("All flags: parallelpool --help", file=sys.stderr)
        return WRONG_USE
    except StartFailure as error:
        print(f"parallelpool: {error}", file=sys.stderr)
        return FAILED


def version_text() -> str:
    """Name, version, machine and Python, as `parallelpool version` prints them."""
    return f"parallelpool {__version__} {system().lower()}-{machine()} python{python_version()}"


def _command(words: Sequence[str], environment: Mapping[str, str], programs: Programs) -> int:
    line = read_command_line(words, [*options(), CONFIG])
    command, *arguments = line.arguments or ("run",)
    if command == "replay":
        place = list(words).index(command)
        return _replay([*words[:place], *words[place + 1 :]], programs)
    if command == "accuracy":
        place = list(words).index(command)
        return _accuracy([*words[:place], *words[place + 1 :]], programs)
    if command == "explain":
        place = list(words).index(command)
        return _explain([*words[:place], *words[place + 1 :]], environment, programs)
    if command == "bench":
        place = list(words).index(command)
        return _bench([*words[:place], *words[place + 1 :]], programs)
    if line.asks_help or command == "help":
        return _print_help(sections())
    if command == "version" or line.asks_version:
        print(version_text())
        return 0
    problems = (*line.problems, *_argument_problems(command, arguments))
    settings = load(line.settings, environment, problems)
    match command:
        case "dumpconfig":
            print(config_toml(settings), end="")
            return 0
        case "import":
            return programs.import_blocks(settings, [Path(argument) for argument in arguments])
        case "export":
            first, last = (*(int(number) for number in arguments[1:]), None, None)[:2]
            return programs.export_blocks(settings, Path(arguments[0]), first, last)
        case _:
            return programs.run(settings)


def _argument_problems(command: str, arguments: Sequence[str]) -> list[str]:
    """What is wrong with the words that are no flags."""
    if command in ("run", "dumpconfig"):
        return [f"invalid command: {arguments[0]!r}"] if arguments else []
    if command == "import":
        return [] if arguments else ["import: names no file"]
    if command == "export":
        return _export_problems(arguments)
    return [f"invalid command: {command!r}"]


def _export_problems(arguments: Sequence[str]) -> list[str]:
    if not 1 <= len(arguments) <= 3:
        return ["export: takes a file, and the first and the last block at most"]
    wrong = [argument for argument in arguments[1:] if not BLOCK_NUMBER.fullmatch(argument)]
    if wrong:
        return [f"export: no block number: {argument!r}" for argument in wrong]
    if len(arguments) == 3 and int(arguments[1]) > int(arguments[2]):
        return [f"export: block {arguments[1]} comes after block {arguments[2]}"]
    return []


def _replay(words: Sequence[str], programs: Programs) -> int:
    line = read_command_line(words, REPLAY.options)
    if line.asks_help:
        return _print_help([REPLAY])
    values = _own_values(REPLAY, line.settings, problems := list(line.problems))
    if not line.arguments:
        problems.append("replay: names no file or folder")
    if problems:
        raise ConfigurationError(problems)
    return programs.replay(
        ReplayOptions(
            paths=[Path(argument) for argument in line.arguments],
            mode=cast("Mode", values["mode"]),  # from_text has checked that they are of the options' types
            threads=cast("int", values["threads"]),
            recheck=bool(values["recheck"]),
            as_json=bool(values["json"]),
        )
    )


def _accuracy(words: Sequence[str], programs: Programs) -> int:
    line = read_command_line(words, ACCURACY.options)
    if line.asks_help:
        return _print_help([ACCURACY])
    values = _own_values(ACCURACY, line.settings, problems := list(line.problems))
    if not line.arguments:
        problems.append("accuracy: names no file or folder")
    if problems:
        raise ConfigurationError(problems)
    return programs.accuracy(
        AccuracyOptions(
            paths=[Path(argument) for argument in line.arguments],
            first=cast("int", values["first"]),
            gas=cast("int", values["gas"]),
            threads=cast("int", values["threads"]),
            as_json=bool(values["json"]),
        )
    )


def _explain(words: Sequence[str], environment: Mapping[str, str], programs: Programs) -> int:
    """Of a number the chain is opened, so the daemon's flags are understood beside its own."""
    line = read_command_line(words, [*EXPLAIN.options, *options(), CONFIG])
    if line.asks_help:
        return _print_help([EXPLAIN])
    own = [(option, text) for option, text in line.settings if option in EXPLAIN.options]
    values = _own_values(EXPLAIN, own, problems := list(line.problems))
    if not line.arguments:
        problems.append("explain: names no block")
    settings = load([item for item in line.settings if item not in own], environment, problems)
    return programs.explain(
        settings,
        ExplainOptions(
            blocks=line.arguments,
            threads=cast("int", values["threads"]),
            top=cast("int", values["top"]),
            as_json=bool(values["json"]),
        ),
    )


def _bench(words: Sequence[str], programs: Programs) -> int:
    line = read_command_line(words, BENCH.options)
    if line.asks_help:
        return _print_help([BENCH])
    values = _own_values(BENCH, line.settings, problems := list(line.problems))
    action, *names = line.arguments or ("",)
    fewest, most = BENCH_ACTIONS.get(action, (0, 0))
    if action not in BENCH_ACTIONS:
        problems.append(f"bench: {action!r} is none of {', '.join(BENCH_ACTIONS)}")
    elif not fewest <= len(names) <= most:
        takes = {"export": "a workload's name and a file", "batching": "mainnet or nothing"}.get(
            action, "nothing more"
        )
        problems.append(f"bench {action}: takes {takes}")
    if values["threads"] == ():
        problems.append("--threads: names no number")
    if problems:
        raise ConfigurationError(problems)
    return programs.bench(
        BenchOptions(
            action=cast("Action", action),  # one of BENCH_ACTIONS
            names=names,
            threads=cast("tuple[int, ...]", values["threads"]),
            rounds=cast("int", values["rounds"]) or (3 if action in BESIDE_OTHERS else 20),
            scale=cast("float", values["scale"]),
            seed=cast("int", values["seed"]),
            lists=bool(values["lists"]),
            as_json=bool(values["json"]),
        )
    )


def _own_values(
    section: Section, settings: Sequence[tuple[Option, str]], problems: list[str]
) -> dict[str, object]:
    """Values of a command's own flags; what is wrong with them is added to `problems`."""
    values = {option.name: option.default for option in section.options}
    for option, text in settings:
        try:
            values[option.name] = from_text(option, text)
        except ValueError as error:
            problems.append(f"{option.flag}: {error}")
    return values


def _print_help(settings: Sequence[Section]) -> int:
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    print(USAGE)
    if settings[0] not in (REPLAY, ACCURACY, EXPLAIN, BENCH):
        first, *rest = settings
        settings = [Section((), first.title, (*first.options, CONFIG)), *rest]
    print("\n".join(help_text(settings, width)))
    return 0
