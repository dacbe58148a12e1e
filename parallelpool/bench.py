"""
Benchmarks: workloads by name or file in, a table or a JSON document out.

The engine makes the workloads and takes the times; here they are only shown. `docs/benchmarks.md` says what
is measured and how the figures are to be read.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from rich.console import Console
from rich.table import Table

from parallelpool import _core, bench_attack, bench_pool
from parallelpool.bench_admission import admission
from parallelpool.bench_daemons import PeerFailure
from parallelpool.bench_e2e import end_to_end

Action = Literal["run", "list", "export", "state-root", "batching", "admission", "e2e", "attack", "pool"]

DEFAULT_SEED = 0x7061_7261_6C6C_656C
"""Of published figures."""

HEADINGS = (
    "threads",
    "median ms",
    "min ms",
    "p95 ms",
    "CPU ms",
    "us/tx",
    "executions/tx",
    "x serial",
    "x plain",
    "share",
)


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure and how."""

    action: Action
    names: Sequence[str] = ()
    """Workloads, block files, or folders of recorded blocks; for an export a workload and the file."""
    threads: Sequence[int] = (1, 2)
    rounds: int = 20
    """Samples of each way."""
    scale: float = 1.0
    """Share of the full size."""
    seed: int = DEFAULT_SEED
    lists: bool = False
    """Time decoding, sender recovery and the receipts root too."""
    as_json: bool = False


def main(options: BenchOptions) -> int:
    """Runs the command; returns its exit code: 0, 1 if results differ, 2 for what makes no sense."""
    try:
        match options.action:
            case "list":
                _print_list()
            case "export":
                _export(options)
            case "state-root":
                _state_root(options)
            case "batching":
                _batching(options)
            case "run":
                _run(options)
            case "admission":
                _print_result(
                    options, admission(rounds=options.rounds, scale=options.scale, seed=options.seed)
                )
            case "e2e":
                _print_result(
                    options, end_to_end(rounds=options.rounds, scale=options.scale, seed=options.seed)
                )
            case "attack":
                _print_result(options, bench_attack.measure(scale=options.scale, seed=options.seed))
            case "pool":
                _pool(options)
    except _core.CoreInvalidArgument as error:
        print(f"parallelpool bench: {error}", file=sys.stderr)
        return 2
    except (_core.CoreError, PeerFailure) as error:
        print(f"parallelpool bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: BenchOptions) -> None:
    names = options.names or [name for name, _ in _core.bench_workloads()]
    workloads = []
    for name in names:
        document = _core.bench_run(
            name,
            threads=options.threads,
            rounds=options.rounds,
            scale=options.scale,
            seed=options.seed,
            lists=options.lists,
        )
        workload = orjson.loads(document)
        workloads.append(workload)
        if not options.as_json:
            _print_workload(workload)
    if options.as_json:
        _print_document(options, {"workloads": workloads, "stateRoot": []})


def _state_root(options: BenchOptions) -> None:
    document = _core.bench_state_root(rounds=options.rounds, scale=options.scale, seed=options.seed)
    rows = orjson.loads(document)
    if options.as_json:
        _print_document(options, {"workloads": [], "stateRoot": rows})
        return
    table = _table("accounts", "changed", "root ms", "root us/account", "commit ms", "commit us/account")
    for row in rows:
        each = 1e3 / max(row["changed"], 1)
        table.add_row(
            f"{row['accounts']:,}",
            f"{row['changed']:,}",
            _figure(row["rootMs"]),
            _figure(row["rootMs"] * each),
            _figure(row["commitMs"]),
            _figure(row["commitMs"] * each),
        )
    _console().print(table)


def _batching(options: BenchOptions) -> None:
    document, text = _core.bench_batching(
        options.names, rounds=options.rounds, scale=options.scale, seed=options.seed
    )
    if options.as_json:
        _print_document(options, {"batching": orjson.loads(document)})
    else:
        print(text)


POOL_SIZES = (1_000, 10_000, 100_000, 250_000, 500_000, 1_000_000)
"""Pooled transactions at full scale."""


def _pool(options: BenchOptions) -> None:
    """The pool by itself; with a name, the plot goes to that file."""
    points = bench_pool.measure(
        [max(64, int(size * options.scale)) for size in POOL_SIZES], seed=options.seed
    )
    for name in options.names:
        Path(name).write_text(bench_pool.plot(points))
    _print_result(options, {"points": points})


def _print_result(options: BenchOptions, result: dict[str, Any]) -> None:  # JSON, passed on as it came
    """The document; the programs have told the essence while they ran. Without `--json` only the summary."""
    if options.as_json:
        _print_document(options, result)
    else:
        shown = {name: rows for name, rows in result.items() if name != "samples"} or result
        print(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())


def _export(options: BenchOptions) -> None:
    name, path = options.names
    _core.bench_export(name, path, scale=options.scale, seed=options.seed)
    print(f"{path}: {Path(path).stat().st_size:,} bytes")


def _print_document(options: BenchOptions, results: dict[str, Any]) -> None:  # JSON, passed on as it came
    conditions = _core.bench_conditions(
        sys.argv, rounds=options.rounds, scale=options.scale, seed=options.seed
    )
    document = {"conditions": orjson.loads(conditions), **results}
    print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def _print_list() -> None:
    workloads = _core.bench_workloads()
    width = max(len(name) for name, _ in workloads)
    for name, description in workloads:
        print(f"{name:<{width}}  {description}")


def _print_workload(workload: dict[str, Any]) -> None:  # JSON of the engine's own making
    table = _table(workload["name"], *HEADINGS)
    for row in workload["rows"]:
        table.add_row(
            row["way"],
            str(row["threads"]),
            _figure(row["medianMs"]),
            _figure(row["leastMs"]),
            _figure(row["p95Ms"]),
            _figure(row["cpuMs"]),
            _figure(row["microsecondsPerTransaction"], places=3),
            _figure(row["executionsPerTransaction"]),
            _figure(row["againstSerial"]),
            _figure(row["againstPlain"]),
            _figure(row["share"]),
        )
    for row in workload["lists"]:
        each = _figure(row["microsecondsPerItem"], places=3)
        table.add_row(row["work"], str(row["threads"]), _figure(row["medianMs"]), "", "", "", each)
    console = _console()
    console.print(
        f"{workload['description']}: {workload['transactions']:,} transactions, {workload['gas']:,} gas"
    )
    console.print(table)
    console.print()


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def _figure(value: float | None, *, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"
