"""
Explains blocks: why they run as parallel as they do, and what stands in the way.

In: block files as `replay` takes them, reproducers of a failed self-check among them, or numbers of blocks on the
chain in the data directory. Each block is executed serially and in parallel, and taken apart under three models
of conflict; the last is the executor's own. Out: a report for people, or JSON.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import orjson
from rich.console import Console
from rich.table import Table

from config import NodeConfig
from parallelpool import _core
from parallelpool.embedded import open_chain
from parallelpool.errors import StartFailure
from parallelpool.replay import UnreadableBlock, read_block

BLOCK_NUMBER: Final = re.compile(r"[0-9]{1,18}")

RUNS: Final = 3
"""Executions of each kind: the first finds cold caches, another may be disturbed."""

Location: TypeAlias = tuple[bytes, str, bytes | None]
Chain: TypeAlias = Sequence[tuple[int, Location | None]]

KNOWN: Final[Mapping[str, str]] = {
    "000f3df6d732807ef1319fb7b8bb8522d0beac02": "beacon roots (EIP-4788)",
    "0000f90827f1c53a10cb7a02335b175320002935": "block hashes (EIP-2935)",
    "00000000219ab540356cbb839cbe05303d7705fa": "deposit contract",
    "c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2": "WETH",
    "dac17f958d2ee523a2206206994597c13d831ec7": "USDT",
    "a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": "USDC",
    "6b175474e89094c44da98b954eedeac495271d0f": "DAI",
    "514910771af9ca656af840dff83e8264ecf986ca": "LINK",
    "7a250d5630b4cf539739df2c5dacb4c659f2488d": "Uniswap V2 router",
    "e592427a0aece92de3edee1f18e0157c05861564": "Uniswap V3 router",
    "3fc91a3afd70395cd496c647d5a6cc9d4b2b7fad": "Uniswap universal router",
}
"""Contracts that everybody meets, by address."""


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What to explain and how."""

    blocks: Sequence[str]
    """Block files, or numbers of blocks on the chain."""
    threads: int = 0
    """Threads of the parallel execution, the caller included; 0: one per CPU."""
    top: int = 10
    """Most lines of a list."""
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """One block, executed and taken apart."""

    block: _core.ReplayBlock
    serial: _core.ReplayVerdict
    parallel: _core.ReplayVerdict
    analysis: _core.Analysis
    differences: tuple[str, ...]
    """From the header, and between the two executions; empty: all agrees."""

    @property
    def occupancy(self) -> float:
        """Share of the threads' time in which they had work."""
        statistics = self.parallel.statistics
        offered = statistics.elapsed_ns * statistics.threads
        return sum(statistics.busy_ns) / offered if offered else 0.0

    def gas_of(self, chain: Chain) -> int:
        """Gas of a chain's transactions."""
        return sum(self.analysis.costs[transaction][0] for transaction, _ in chain)

    def name(self, location: Location) -> str:
        """`USDT slot 0x02`, `balance of 0x… (beneficiary)`."""
        address, field, slot = location
        known = KNOWN.get(address.hex())
        if slot is not None:
            return f"{known or '0x' + address.hex()} slot {int.from_bytes(slot):#x}"
        role = known
        if address == self.block.beneficiary:
            role = "beneficiary"
        elif address in self.block.senders:
            role = f"sender of tx {self.block.senders.index(address)}"
        return f"{field} of 0x{address.hex()}" + (f" ({role})" if role else "")


def main(config: NodeConfig, options: ExplainOptions) -> int:
    """
    Runs the command; returns its exit code: 0, or 1 where executions differ.

    Raises StartFailure for a file or a chain that cannot be read.
    """
    workers = _core.Workers(options.threads)
    explanations = [explain(workers, block, options.threads) for block in _blocks(config, options, workers)]
    if options.as_json:
        print(
            orjson.dumps(
                [_as_json(one, options.top) for one in explanations], option=orjson.OPT_INDENT_2
            ).decode()
        )
    else:
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        for one in explanations:
            _print(one, options.top, console)
    return 1 if any(one.differences for one in explanations) else 0


def explain(workers: _core.Workers, block: _core.ReplayBlock, threads: int) -> Explanation:
    """
    Executes a block both ways, of three runs each the one of median time, and takes it apart.

    Raises StartFailure for a block that is invalid.
    """
    try:
        serial = _median(_core.replay(workers, block, "serial") for _ in range(RUNS))
        parallel = _median(_core.replay(workers, block, "parallel", threads=threads) for _ in range(RUNS))
        analysis = _core.analyse(block)
    except _core.CoreError as error:
        raise StartFailure(f"explain: block {block.number}: {error}") from error
    differences = (*serial.differences, *parallel.differences, *_core.replay_compare(serial, parallel))
    return Explanation(block, serial, parallel, analysis, differences)


def _median(runs: Iterable[_core.ReplayVerdict]) -> _core.ReplayVerdict:
    return sorted(runs, key=lambda run: run.elapsed_ns)[RUNS // 2]


def _blocks(
    config: NodeConfig, options: ExplainOptions, workers: _core.Workers
) -> Iterator[_core.ReplayBlock]:
    with ExitStack() as stack:
        chain: _core.Chain | None = None
        for name in options.blocks:
            if not BLOCK_NUMBER.fullmatch(name):
                yield _read(Path(name))
                continue
            if chain is None:
                chain = _open(config, workers)
                stack.callback(chain.close)
            yield _stored(chain, int(name))


def _read(path: Path) -> _core.ReplayBlock:
    try:
        return read_block(path)
    except UnreadableBlock as error:
        raise StartFailure(f"explain: cannot read {path}: {error}") from error


def _open(config: NodeConfig, workers: _core.Workers) -> _core.Chain:
    """The chain in the data directory; none is begun there."""
    if config.datadir is None or not config.datadir.is_dir():
        raise StartFailure(f"explain: there is no chain in {config.datadir or 'memory'}; see --datadir")
    return open_chain(config, workers)


def _stored(chain: _core.Chain, number: int) -> _core.ReplayBlock:
    try:
        block = chain.replay_block(number)
    except _core.CoreError as error:
        raise StartFailure(f"explain: block {number}: {error}") from error
    if block is None:
        raise StartFailure(f"explain: block {number} lies beyond the head, {chain.head().number}")
    return block


# ---------------------------------------------------------------- for people


def _print(one: Explanation, top: int, console: Console) -> None:
    block, models = one.block, one.analysis.models
    console.print(
        f"[bold]Block {block.number}[/] ({block.fork}), {block.transactions:,} transactions, "
        f"{block.gas_used:,} gas, beneficiary 0x{block.beneficiary.hex()}"
    )
    _print_execution(one, top, console)
    console.print(_models_table(models))
    ours = models[-1]
    _print_contended(one, ours, top, console)
    _print_chain(one, "Longest chain", ours.longest_chain, top, console)
    if ours.by_gas.critical_path != ours.longest_chain:
        _print_chain(one, "Critical path", ours.by_gas.critical_path, top, console)
    for difference in one.differences:
        console.print(f"[bold red]differs:[/] {difference}", soft_wrap=True)
    console.print()


def _print_execution(one: Explanation, top: int, console: Console) -> None:
    run, serial = one.parallel.statistics, one.serial.statistics
    console.print(
        f"\n[bold]Execution[/]  {run.elapsed_ns / 1e6:.2f} ms on {run.threads} threads, {one.occupancy:.0%} busy, "
        f"{run.cpu_ns / 1e6:.2f} ms CPU; serial {serial.elapsed_ns / 1e6:.2f} ms"
    )
    console.print(
        f"  {run.executions:,} executions, {run.conflicts:,} thrown away with {run.wasted_gas:,} gas; "
        f"{run.transfers:,} transfers without an EVM, {run.reused:,} results reused"
    )
    for transaction, writer, location in run.aborts[:top]:
        missed = "what was itself thrown away" if writer is None else f"a write of tx {writer}"
        where = f" at {one.name(location)}" if location else ""
        console.print(f"  tx {transaction} had not seen {missed}{where}", soft_wrap=True)
    if len(run.aborts) > top:
        console.print(f"  and {run.conflicts - top:,} more")


def _models_table(models: Sequence[_core.ModelAnalysis]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("\nDependencies")
    for model in models:
        table.add_column("\n" + model.name.replace("-", " "), justify="right")
    table.add_row("  transactions without any", *(f"{model.independent:,}" for model in models))
    table.add_row("  longest chain", *(f"{len(model.longest_chain):,}" for model in models))
    table.add_row("  critical path, gas", *(f"{model.by_gas.critical_weight:,}" for model in models))
    table.add_row("  critical path, ms", *(f"{model.by_time.critical_weight / 1e6:.2f}" for model in models))
    table.add_row("  available parallelism, gas", *(f"{model.by_gas.available:.2f} ×" for model in models))
    table.add_row("  available parallelism, time", *(f"{model.by_time.available:.2f} ×" for model in models))
    for row, (cores, _, _) in enumerate(models[0].by_gas.limits):
        of_row = [model.by_gas.limits[row] for model in models]
        table.add_row(f"  {cores} cores at most", *(f"{bound:.2f} ×" for _, bound, _ in of_row))
        table.add_row(f"  {cores} cores in block order", *(f"{schedule:.2f} ×" for _, _, schedule in of_row))
    return table


def _print_contended(one: Explanation, model: _core.ModelAnalysis, top: int, console: Console) -> None:
    if not model.contended:
        return
    total = max(1, model.by_gas.total)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("\nContended", overflow="fold")
    for heading in ("readers", "writers", "dependencies", "gas behind"):
        table.add_column("\n" + heading, justify="right")
    for location, readers, writers, dependencies, gas in model.contended[:top]:
        table.add_row(
            "  " + one.name(location),
            f"{readers:,}",
            f"{writers:,}",
            f"{dependencies:,}",
            f"{gas / total:.1%}",
        )
    if len(model.contended) > top:
        table.add_row(f"  and {len(model.contended) - top:,} more")
    console.print(table)


def _print_chain(one: Explanation, title: str, chain: Chain, top: int, console: Console) -> None:
    if not chain:
        return
    console.print(f"\n[bold]{title}[/]  {len(chain):,} transactions, {one.gas_of(chain):,} gas")
    for transaction, location in chain[:top]:
        gas, _ = one.analysis.costs[transaction]
        reason = f" after the one above by {one.name(location)}" if location else ""
        console.print(
            f"  tx {transaction} 0x{one.block.hashes[transaction].hex()[:8]}… {gas:,} gas{reason}",
            soft_wrap=True,
        )
    if len(chain) > top:
        console.print(f"  and {len(chain) - top:,} more")


# ---------------------------------------------------------------- for machines


def _as_json(one: Explanation, top: int) -> dict[str, object]:
    run = one.parallel.statistics
    return {
        "block": one.block.number,
        "fork": one.block.fork,
        "transactions": one.block.transactions,
        "gasUsed": one.block.gas_used,
        "serialMs": one.serial.elapsed_ns / 1e6,
        "parallelMs": one.parallel.elapsed_ns / 1e6,
        "threads": run.threads,
        "occupancy": one.occupancy,
        "cpuMs": run.cpu_ns / 1e6,
        "serialCpuMs": one.serial.statistics.cpu_ns / 1e6,
        "executions": run.executions,
        "conflicts": run.conflicts,
        "wastedGas": run.wasted_gas,
        "transfers": run.transfers,
        "reused": run.reused,
        "aborts": [
            {"transaction": transaction, "writer": writer, "location": _location_json(one, location)}
            for transaction, writer, location in run.aborts
        ],
        "models": [_model_json(one, model, top) for model in one.analysis.models],
        "ok": not one.differences,
        "differences": list(one.differences),
    }


def _model_json(one: Explanation, model: _core.ModelAnalysis, top: int) -> dict[str, object]:
    return {
        "model": model.name,
        "independent": model.independent,
        "longestChain": _chain_json(one, model.longest_chain),
        "criticalPath": _chain_json(one, model.by_gas.critical_path),
        "criticalPathGas": model.by_gas.critical_weight,
        "criticalPathMs": model.by_time.critical_weight / 1e6,
        "parallelismByGas": model.by_gas.available,
        "parallelismByTime": model.by_time.available,
        "limits": [
            {"cores": cores, "bound": bound, "inBlockOrder": schedule}
            for cores, bound, schedule in model.by_gas.limits
        ],
        "contended": [
            {
                "location": _location_json(one, location),
                "readers": readers,
                "writers": writers,
                "dependencies": dependencies,
                "gas": gas,
            }
            for location, readers, writers, dependencies, gas in model.contended[:top]
        ],
        "dependencies": [list(own) for own in model.dependencies],
    }


def _chain_json(one: Explanation, chain: Chain) -> list[dict[str, object]]:
    return [
        {
            "transaction": transaction,
            "hash": "0x" + one.block.hashes[transaction].hex(),
            "gas": one.analysis.costs[transaction][0],
            "location": _location_json(one, location),
        }
        for transaction, location in chain
    ]


def _location_json(one: Explanation, location: Location | None) -> dict[str, object] | None:
    if location is None:
        return None
    address, field, slot = location
    return {
        "address": "0x" + address.hex(),
        "field": field,
        "slot": None if slot is None else "0x" + slot.hex(),
        "name": one.name(location),
    }
