"""
The commands `import` and `export`: RLP block files into and out of the embedded chain.

A bad block ends an import; what came before it stays. Blocks that the chain has already are passed over, so an
interrupted import can be repeated.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config import NodeConfig
from parallelpool.chain import BlockRefused, CoreChain, CoreError, Workers, block_hash, split_blocks
from parallelpool.embedded import open_chain
from parallelpool.errors import StartFailure


def import_files(config: NodeConfig, files: Sequence[Path]) -> int:
    """Imports each file in turn; returns the exit code. Raises StartFailure for a file that cannot be read."""
    with _opened(config) as chain:
        for path in files:
            if not _import_file(chain, path, config.execution.mode):
                return 1
    return 0


def export_file(config: NodeConfig, path: Path, first: int | None, last: int | None) -> int:
    """
    Writes blocks `first` to `last` (default: all but the genesis); returns the exit code.

    Raises StartFailure where no chain is: none is begun for an export.
    """
    if config.datadir is None or not (config.datadir / "chain").is_dir():
        raise StartFailure(f"export: there is no chain in {config.datadir or 'memory'}; see --datadir")
    with _opened(config) as chain:
        head = chain.head().number
        begin, end = 1 if first is None else first, head if last is None else last
        if max(begin, end) > head:
            raise StartFailure(f"export: block {max(begin, end)} lies beyond the head, {head}")
        unfinished = path.with_name(path.name + ".unfinished")
        try:
            with unfinished.open("wb") as file, _progress() as progress:
                task = progress.add_task("exporting", total=max(0, end - begin + 1))
                for number in range(begin, end + 1):
                    block = chain.block_by_number(number)
                    assert block is not None, "every block up to the head is stored"
                    file.write(block.raw)
                    progress.advance(task)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StartFailure(f"cannot write {path}: {error.strerror}") from error
    print(f"exported blocks {begin} to {end} to {path}")
    return 0


def _import_file(chain: CoreChain, path: Path, mode: str) -> bool:
    try:
        blocks = split_blocks(path.read_bytes())
    except OSError as error:
        raise StartFailure(f"cannot read {path}: {error.strerror}") from error
    except CoreError as error:
        raise StartFailure(f"{path}: {error}") from error
    began, stored, transactions, gas = time.perf_counter(), 0, 0, 0
    head = chain.head().number
    try:
        with _progress() as progress:
            task = progress.add_task(path.name, total=len(blocks))
            for raw in blocks:
                if stored or not _is_known(chain, raw):
                    block, _ = chain.import_block(raw, mode)
                    stored += 1
                    transactions += len(block.transactions)
                    gas += block.header.gas_used
                progress.advance(task)
    except BlockRefused as error:
        print(f"parallelpool import: {error}", file=sys.stderr)
        print(f"head is block {chain.head().number} 0x{chain.head().hash.hex()}", file=sys.stderr)
        return False
    seconds = time.perf_counter() - began
    print(
        f"imported {stored} of {len(blocks)} blocks from {path} ({transactions} transactions, {gas:,} gas) "
        f"in {seconds:.2f} s; head was {head}, is {chain.head().number} 0x{chain.head().hash.hex()}"
    )
    return True


def _is_known(chain: CoreChain, raw: bytes) -> bool:
    """Whether the block is on the chain; genesis blocks stand at the front of some files."""
    return chain.header_by_hash(block_hash(raw)) is not None


@contextmanager
def _opened(config: NodeConfig) -> Iterator[CoreChain]:
    chain = open_chain(config, Workers(config.execution.workers))
    try:
        yield chain
    finally:
        chain.close()


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
