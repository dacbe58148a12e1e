"""
Replays real blocks: fixture files in, a verdict and figures for each out.

A block file holds the block, the state it touches and the ancestors' hashes it asks for. It is executed
serially, in parallel, or both ways, and held against its own header: gas used, logs bloom and, from
Byzantium on, the receipts root. With both, every receipt and every changed account and slot must agree too.
"""

import gzip
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from parallelpool import _core

Mode = Literal["serial", "parallel", "both"]

FILE_ENDINGS = (".json.gz", ".json")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What to replay and how."""

    paths: Sequence[Path]
    """Block files, or folders of them."""
    mode: Mode = "both"
    threads: int = 0
    """Threads of the parallel execution, the caller included; 0: one per CPU."""
    recheck: bool = False
    """Run every committed transaction of the parallel execution a second time and compare."""
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """The outcome of one file."""

    file: str
    number: int | None
    transactions: int
    gas_used: int
    serial_ms: float | None
    parallel_ms: float | None
    executions: int | None
    """Runs of the EVM in the parallel execution."""
    conflicts: int | None
    active_workers: int | None
    differences: tuple[str, ...]
    """Empty: all agrees."""

    @property
    def speed_up(self) -> float | None:
        """Serial time over parallel time, where both were taken."""
        if self.serial_ms is None or not self.parallel_ms:
            return None
        return self.serial_ms / self.parallel_ms

    @property
    def executions_per_transaction(self) -> float | None:
        """1.0 where nothing ran twice."""
        if self.executions is None or not self.transactions:
            return None
        return self.executions / self.transactions

    @property
    def verdict(self) -> str:
        """`ok`, or what is wrong."""
        return "ok" if not self.differences else "; ".join(self.differences)


def block_files(paths: Iterable[Path]) -> list[Path]:
    """
    The block files that `paths` name, folders read in order of block number.

    Raises FileNotFoundError for a path that does not exist or a folder without block files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [entry for entry in path.iterdir() if entry.name.endswith(FILE_ENDINGS)]
            if not inside:
                raise FileNotFoundError(f"no block files (*.json.gz, *.json) in {path}")
            found.extend(sorted(inside, key=lambda entry: (len(entry.name), entry.name)))
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(f"no such file or folder: {path}")
    return found


class UnreadableBlock(Exception):
    """A file that is no block, or cannot be read. `str()` is the reason, without the file."""


def read_block(path: Path) -> _core.ReplayBlock:
    """Parses one file. Raises UnreadableBlock."""
    try:
        content = path.read_bytes()
        return _core.ReplayBlock.parse(gzip.decompress(content) if path.name.endswith(".gz") else content)
    except OSError as error:  # of the file, or of what is no gzip at all
        raise UnreadableBlock(error.strerror or str(error)) from error
    except (EOFError, zlib.error, _core.CoreInvalidArgument) as error:
        raise UnreadableBlock(str(error)) from error


def replay_file(workers: _core.Workers, path: Path, options: ReplayOptions) -> ReplayRow:
    """Replays one file. What goes wrong with it is in the row: the other files still run."""
    try:
        block = read_block(path)
    except UnreadableBlock as error:
        return ReplayRow(path.name, None, 0, 0, None, None, None, None, None, (f"unreadable: {error}",))
    serial = parallel = None
    differences: list[str] = []
    try:
        if options.mode != "parallel":
            serial = _core.replay(workers, block, "serial")
            differences += [f"serial: {text}" for text in serial.differences]
        if options.mode != "serial":
            parallel = _core.replay(
                workers, block, "parallel", threads=options.threads, recheck=options.recheck
            )
            differences += [f"parallel: {text}" for text in parallel.differences]
    except _core.CoreError as error:
        differences.append(str(error))
    if serial is not None and parallel is not None:
        differences += _core.replay_compare(serial, parallel)
    return ReplayRow(
        file=path.name,
        number=block.number,
        transactions=block.transactions,
        gas_used=block.gas_used,
        serial_ms=serial.elapsed_ns / 1e6 if serial else None,
        parallel_ms=parallel.elapsed_ns / 1e6 if parallel else None,
        executions=parallel.statistics.executions if parallel else None,
        conflicts=parallel.statistics.conflicts if parallel else None,
        active_workers=parallel.statistics.active_workers if parallel else None,
        differences=tuple(differences),
    )


def main(options: ReplayOptions) -> int:
    """Runs the command; returns its exit code: 0, 1 on any difference, 2 on bad paths."""
    try:
        files = block_files(options.paths)
    except FileNotFoundError as error:
        print(f"parallelpool replay: {error}", file=sys.stderr)
        return 2
    workers = _core.Workers(options.threads)
    rows: list[ReplayRow] = []
    with _progress() as progress:
        task = progress.add_task("replaying", total=len(files))
        for path in files:
            progress.update(task, description=path.name)
            rows.append(replay_file(workers, path, options))
            progress.advance(task)
    if options.as_json:
        print(orjson.dumps([_as_json(row) for row in rows], option=orjson.OPT_INDENT_2).decode())
    else:
        _print_table(rows)
    return 1 if any(row.differences for row in rows) else 0


def _progress() -> Progress:
    """A bar on the terminal's error stream; nothing where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _print_table(rows: Sequence[ReplayRow]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("block", "txs", "gas", "serial ms", "parallel ms", "speed-up", "executions/tx"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.number) if row.number is not None else row.file,
            f"{row.transactions:,}",
            f"{row.gas_used:,}",
            _figure(row.serial_ms),
            _figure(row.parallel_ms),
            _figure(row.speed_up),
            _figure(row.executions_per_transaction),
            row.verdict,
        )
    serial = sum(row.serial_ms or 0.0 for row in rows)
    parallel = sum(row.parallel_ms or 0.0 for row in rows)
    failed = sum(1 for row in rows if row.differences)
    table.add_section()
    table.add_row(
        f"{len(rows)} blocks",
        f"{sum(row.transactions for row in rows):,}",
        f"{sum(row.gas_used for row in rows):,}",
        _figure(serial or None),
        _figure(parallel or None),
        _figure(serial / parallel if serial and parallel else None),
        "",
        "all ok" if not failed else f"{failed} differ",
    )
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _as_json(row: ReplayRow) -> dict[str, object]:
    return {
        "file": row.file,
        "block": row.number,
        "transactions": row.transactions,
        "gasUsed": row.gas_used,
        "serialMs": row.serial_ms,
        "parallelMs": row.parallel_ms,
        "speedUp": row.speed_up,
        "executions": row.executions,
        "executionsPerTransaction": row.executions_per_transaction,
        "conflicts": row.conflicts,
        "activeWorkers": row.active_workers,
        "ok": not row.differences,
        "differences": list(row.differences),
    }
