"""Benchmarks. Results are JSON documents as `docs/benchmarks.md` describes them."""

from collections.abc import Sequence

def bench_workloads() -> list[tuple[str, str]]:
    """(name, description) of each workload that can be made."""

def bench_run(
    name: str,
    /,
    *,
    threads: Sequence[int],
    rounds: int,
    scale: float,
    seed: int,
    lists: bool = False,
) -> bytes:
    """
    Measures a workload, a block file or a folder of recorded blocks: one item of the result's `workloads`.

    Raises CoreInvalidArgument for an unknown name, an unreadable file, a block that is not valid or numbers
    out of range; CoreDivergence where two ways of executing a block come to different results.
    """

def bench_export(name: str, path: str, /, *, scale: float, seed: int) -> None:
    """
    Writes `{env, preState, transactions}`, packed if `path` ends in `.gz`.

    Raises CoreInvalidArgument for an unknown name, for several blocks, and where the file cannot be written.
    """

def bench_state_root(*, rounds: int, scale: float, seed: int) -> bytes:
    """Measures state root and commit in a temporary folder: the result's `stateRoot`."""

def bench_batching(words: Sequence[str], /, *, rounds: int, scale: float, seed: int) -> tuple[bytes, str]:
    """
    Measures the batch builder: no words: its times; `mainnet`: what its batches are worth on recorded blocks.

    (JSON, a table for people). Raises CoreInvalidArgument for other words, and where no recorded blocks are.
    """

def bench_conditions(command_line: Sequence[str], /, *, rounds: int, scale: float, seed: int) -> bytes:
    """Machine, build and command: the result's `conditions`."""

def bench_transfers(
    *,
    seed: int,
    senders: int,
    each: int,
    chain_id: int,
    fee_cap: int,
    tip_cap: int,
    tip_steps: int = 1,
    data: int = 0,
) -> list[tuple[bytes, list[bytes]]]:
    """
    (sender, raw type 2 transfers from nonce 0 on) for so many derived accounts.

    Prices are wei per gas; the sender's number modulo `tip_steps` is added to his tip. `data` is in bytes.
    """

def bench_load(
    address: str, bodies: Sequence[Sequence[bytes]], /
) -> tuple[float, list[int], int, int, bytes | None]:
    """
    Posts `bodies[c]` over connection `c` to `HOST:PORT`, in order, all connections at once.

    (seconds in all, microseconds of each request, results, errors, the first answer with an error). Raises
    CoreInvalidArgument where the server cannot be reached or answers with another status than 200.
    """
