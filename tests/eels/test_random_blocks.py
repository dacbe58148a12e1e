"""Random blocks come to what Ethereum's executable specification says, serial and parallel."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.eels.exported import NOT_SPECIFIED, fork_of, judge, lines
from tests.eels.specification import FORKS

SAMPLE = 2
"""Blocks of each fork that `make test` takes."""


def known(blocks: Iterable[str]) -> list[str]:
    """Those of forks that the specification has; any other must be one of the two that are named."""
    of_fork = [(fork_of(line), line) for line in blocks]
    assert {fork for fork, _ in of_fork} <= FORKS.keys() | NOT_SPECIFIED
    return [line for fork, line in of_fork if fork in FORKS]


def sample(blocks: Iterable[str]) -> list[str]:
    """The first few of each fork."""
    taken: Counter[str] = Counter()
    chosen = []
    for line in blocks:
        taken[fork_of(line)] += 1
        if taken[fork_of(line)] <= SAMPLE:
            chosen.append(line)
    return chosen


def test_a_sample_of_every_fork_is_as_specified() -> None:
    """
    Receipts, blooms, gas, requests, roots and every account agree on two blocks of each fork.
    """
    blocks = sample(known(lines()))
    verdicts = [judge(line) for line in blocks]

    assert len(blocks) == SAMPLE * len(FORKS)
    for exported, differences in verdicts:
        assert not differences, f"seed {exported['seed']}, {exported['fork']}"


def test_a_changed_result_is_noticed() -> None:
    """
    One wei, one unit of gas or one byte of a receipt in the engine's result is a difference by name.
    """
    exported = next(json.loads(line) for line in known(lines()) if json.loads(line)["serial"]["receipts"])
    address, account = next(iter(exported["serial"]["post"].items()))
    account["balance"] = hex(int(account["balance"], 16) + 1)
    exported["parallel"]["gasUsed"] = hex(int(exported["parallel"]["gasUsed"], 16) + 1)
    exported["parallel"]["receipts"][0] += "00"
    _, differences = judge(json.dumps(exported))

    assert [each.split(" 0x")[0] for each in differences] == [
        "serial: account",
        "parallel: gas used",
        "parallel: receipt 0",
    ]
    assert address in differences[0]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_thousand_blocks_are_as_specified() -> None:
    """
    The same for every exported block, at least ten of each fork.
    """
    blocks = known(lines())
    wrong, forks, transactions = [], Counter[str](), 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as executors:
        for exported, differences in executors.map(judge, blocks, chunksize=8):
            forks[exported["fork"]] += 1
            transactions += len(exported["transactions"])
            if differences:
                wrong.append((exported["seed"], exported["fork"], differences))

    assert not wrong, wrong[:3]
    assert len(blocks) >= 1_000
    assert transactions >= 10_000
    assert forks.keys() == FORKS.keys()
    assert min(forks.values()) >= 10, forks
