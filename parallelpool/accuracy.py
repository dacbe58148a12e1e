"""
Says how good predicted access sets are: real blocks in, tallies by source out.

Each transaction is predicted on the state before its block, by every source that has an answer, and held against
what it does at its place. Templates know only the blocks before. The batches that the daemon would have made of the
predictions are executed, each member alone first: what conflicts then was not foreseen.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.table import Table

from parallelpool import _core
from parallelpool.access import PRE_EXECUTION_GAS
from parallelpool.replay import UnreadableBlock, block_files, read_block


@dataclass(frozen=True, slots=True)
class AccuracyOptions:
    """What to replay."""

    paths: Sequence[Path]
    """Block files, or folders of them; they are taken in order of block number."""
    first: int = 0
    """Blocks below it are learned from and not counted."""
    gas: int = PRE_EXECUTION_GAS
    """Cap of a run ahead of need."""
    threads: int = 0
    as_json: bool = False


@dataclass(slots=True)
class Tally:
    """How the answers of one source did; in the order of `_core.BlockAccuracy.sources`."""

    predicted: int = 0
    exact: int = 0
    exact_slots: int = 0
    supersets: int = 0
    slots_right: int = 0
    slots_missed: int = 0
    slots_extra: int = 0
    missed_conflicts: int = 0
    ns: int = 0

    @property
    def recall(self) -> float:
        """Share of the used slots that were predicted."""
        return _share(self.slots_right, self.slots_right + self.slots_missed)

    @property
    def precision(self) -> float:
        """Share of the predicted slots that were used."""
        return _share(self.slots_right, self.slots_right + self.slots_extra)


@dataclass(slots=True)
class BatchTally:
    """What became of batches; in the order of `_core.BlockAccuracy.batches`."""

    untouched: int = 0
    untouched_transactions: int = 0
    untouched_conflicts: int = 0
    later: int = 0
    later_transactions: int = 0
    later_conflicts: int = 0
    sequential: int = 0
    equal: int = 0
    unequal: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Report:
    """Sums over the counted blocks."""

    blocks: int = 0
    transactions: int = 0
    sources: dict[str, Tally] = field(default_factory=dict)
    ahead: Tally = field(default_factory=Tally)
    """What is found ahead of need about all transactions: a transfer where that follows from the state, else a run."""
    token_calls: int = 0
    token_templates: Tally = field(default_factory=Tally)
    token_probes: Tally = field(default_factory=Tally)
    """Of calls of code and selector that no earlier block has called."""
    batches: BatchTally = field(default_factory=BatchTally)
    templates: int = 0

    def add(self, found: _core.BlockAccuracy) -> None:
        """Counts a block."""
        self.blocks += 1
        self.transactions += found.transactions
        for source, row in found.sources:
            _add(self.sources.setdefault(source, Tally()), row)
        _add(self.ahead, found.ahead)
        self.token_calls += found.token_calls
        _add(self.token_templates, found.token_templates)
        _add(self.token_probes, found.token_probes)
        _add(self.batches, found.batches)


def measure(options: AccuracyOptions) -> Report:
    """
    Replays the files in order.

    Raises FileNotFoundError for bad paths, UnreadableBlock for files that are no blocks, CoreError for blocks that
    cannot be executed.
    """
    workers = _core.Workers(options.threads)
    accuracy = _core.Accuracy(options.gas)
    report = Report()
    blocks = sorted((_read(path) for path in block_files(options.paths)), key=lambda block: block.number)
    for block in blocks:
        found = accuracy.take(workers, block)
        if block.number >= options.first:
            report.add(found)
    report.templates = accuracy.templates
    return report


def _read(path: Path) -> _core.ReplayBlock:
    try:
        return read_block(path)
    except UnreadableBlock as problem:
        raise UnreadableBlock(f"cannot read {path}: {problem}") from problem


def main(options: AccuracyOptions) -> int:
    """Runs the command; returns its exit code: 0, 1 if parallel execution differed, 2 on bad paths."""
    try:
        report = measure(options)
    except (FileNotFoundError, UnreadableBlock, _core.CoreError) as error:
        print(f"parallelpool accuracy: {error}", file=sys.stderr)
        return 2
    if options.as_json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(report)
    return 1 if report.batches.unequal else 0


SOURCES: Final = ("transfer", "trace", "template", "probe", "history", "list", "unknown")


def _show(report: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(f"{report.blocks} blocks, {report.transactions:,} transactions")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source", no_wrap=True)
    for heading in (
        "answers",
        "exact",
        "exact slots",
        "supersets",
        "slot recall",
        "precision",
        "missed conflicts",
        "µs each",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in SOURCES:
        if name in report.sources:
            table.add_row(name, *_cells(report.sources[name]))
    table.add_row("ahead, all", *_cells(report.ahead))
    table.add_row("template, tokens", *_cells(report.token_templates))
    table.add_row("probe, tokens", *_cells(report.token_probes))
    console.print(table)
    tokens, found, probed = report.token_calls, report.token_templates, report.token_probes
    console.print(
        f"token calls: {tokens:,}, answered {_percent(found.predicted, tokens)} by templates and "
        f"{_percent(probed.predicted, tokens)} by probes, exact {_percent(found.exact, tokens)} and "
        f"{_percent(probed.exact, tokens)} of all; {report.templates:,} templates"
    )
    batches = report.batches
    console.print(
        f"batches nobody wrote to before: {batches.untouched:,} with {batches.untouched_transactions:,} transactions, "
        f"{batches.untouched_conflicts:,} in conflict"
    )
    console.print(
        f"later batches: {batches.later:,} with {batches.later_transactions:,} transactions, "
        f"{batches.later_conflicts:,} in conflict ({_percent(batches.later_conflicts, batches.later_transactions)}); "
        f"sequential: {batches.sequential:,}"
    )
    console.print(
        f"parallel execution of the batches equals serial: {batches.equal:,} blocks, differs: {batches.unequal:,}, "
        f"transactions not valid in this order: {batches.left_out:,}"
    )


def _cells(tally: Tally) -> list[str]:
    return [
        f"{tally.predicted:,}",
        _percent(tally.exact, tally.predicted),
        _percent(tally.exact_slots, tally.predicted),
        _percent(tally.supersets, tally.predicted),
        f"{tally.recall:.3f}",
        f"{tally.precision:.3f}",
        f"{tally.missed_conflicts:,} ({_percent(tally.missed_conflicts, tally.predicted)})",
        f"{tally.ns / 1e3 / max(tally.predicted, 1):.1f}",
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * _share(part, whole):.1f} %"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _add(sums: Tally | BatchTally, row: Sequence[int]) -> None:
    for one, number in zip(fields(sums), row, strict=True):
        setattr(sums, one.name, getattr(sums, one.name) + number)
