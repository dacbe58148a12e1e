"""
Random blocks that the engine wrote for others to check, and how they are held against a verdict.

`make oracle-blocks` writes them to `target/oracle`, or to the file that `PARALLELPOOL_ORACLE_BLOCKS` names.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.eels.specification import Verdict, execute
from tests.public_data import REPOSITORY

NOT_SPECIFIED = {"Constantinople", "Amsterdam"}
"""Forks of exported blocks that the specification's package does not have: one never was on mainnet, one is to come."""

Exported = dict[str, Any]


def lines() -> Iterator[str]:
    """Every exported block as its line of JSON; skips the test, in CI fails it, where there are none."""
    path = Path(
        os.environ.get("PARALLELPOOL_ORACLE_BLOCKS", REPOSITORY / "target/oracle/random_blocks.jsonl")
    )
    if not path.exists():
        reason = f"no blocks at {path}: run `make oracle-blocks`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with path.open() as file:
        yield from file


def fork_of(line: str) -> str:
    """The fork's name, without reading the whole block."""
    found = re.search(r'"fork":"(\w+)"', line)
    assert found is not None, line[:200]
    return found[1]


def judge(line: str) -> tuple[Exported, list[str]]:
    """Executes a block by the specification. Returns it and what the engine's executors made otherwise."""
    exported: Exported = json.loads(line)
    specified = execute(exported)
    differences = []
    for executor in ("serial", "parallel"):
        differences += [f"{executor}: {each}" for each in _compare(exported[executor], specified)]
    return exported, differences


def _compare(ours: Exported, theirs: Verdict) -> Iterator[str]:
    values = (
        ("gas used", ours["gasUsed"], theirs.gas_used),
        ("blob gas used", ours["blobGasUsed"], theirs.blob_gas_used),
        ("bloom", ours["bloom"], theirs.bloom),
        ("receipts root", ours["receiptsRoot"], theirs.receipts_root),
        ("withdrawals root", ours["withdrawalsRoot"], theirs.withdrawals_root),
        ("requests", ours["requests"], None if theirs.requests is None else list(theirs.requests)),
        ("state root", ours["stateRoot"], theirs.state_root),
        ("number of receipts", len(ours["receipts"]), len(theirs.receipts)),
    )
    for name, one, other in values:
        if one != other:
            yield f"{name} {one}, specified {other}"
    for index, (one, other) in enumerate(zip(ours["receipts"], theirs.receipts, strict=False)):
        if one != other:
            yield f"receipt {index} {one}, specified {other}"
    for address in sorted(ours["post"].keys() | theirs.post.keys()):
        if ours["post"].get(address) != theirs.post.get(address):
            yield f"account {address} {ours['post'].get(address)}, specified {theirs.post.get(address)}"
