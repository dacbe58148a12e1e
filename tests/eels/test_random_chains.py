"""Random chains from Paris to the blob-parameter forks are valid for Ethereum's executable specification."""

import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

import pytest
from ethereum.exceptions import InvalidBlock
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes
from ethereum_types.numeric import U64, Uint

from parallelpool.chain import CoreChain, Workers
from tests.eels.chains import BLOCKS, FORK_TIMES, RandomChain, fork_at
from tests.eels.specification import Fork

CHAINS = 50


class SpecifiedChain:
    """A chain that takes blocks by the specification's own `state_transition`, header and all."""

    def __init__(self, genesis: dict[str, Any], header: bytes) -> None:
        fork = Fork("paris")
        state = fork.state_of_genesis(genesis["alloc"])
        block = fork.blocks.Block(
            header=rlp.decode_to(fork.blocks.Header, header), transactions=(), ommers=()
        )
        assert fork.state.state_root(state) == block.header.state_root
        chain_id = U64(genesis["config"]["chainId"])
        self.chain = fork.fork.BlockChain(blocks=[block], state=state, chain_id=chain_id)
        self._name = "paris"

    def take(self, raw: bytes, name: str) -> None:
        """Raises the specification's exceptions for a block that is not valid."""
        fork = Fork(name)
        if name != self._name:
            # Each fork has types of its own, and knows accounts of no other.
            self.chain = fork.fork.apply_fork(self.chain)
            self.chain.state = fork.taken_over(self.chain.state)
            self._take_over_parent(fork)
            self._name = name
        fork.fork.state_transition(self.chain, rlp.decode_to(fork.blocks.Block, Bytes(raw)))

    def _take_over_parent(self, fork: Fork) -> None:
        # A header of another fork's type counts as one from before there were blobs, unless it has the same fields.
        parent = self.chain.blocks[-1].header
        kind = fork.blocks.Header
        if [each.name for each in fields(kind)] == [each.name for each in fields(parent)]:
            self.chain.blocks[-1] = SimpleNamespace(header=rlp.decode_to(kind, rlp.encode(parent)))


def run(seed: int) -> RandomChain:
    """Builds a chain serially, imports it in parallel, and has the specification take it. Returns the chain."""
    random_chain = RandomChain(seed)
    importer = CoreChain.open(json.dumps(random_chain.genesis).encode(), None, Workers(3))
    specified = SpecifiedChain(random_chain.genesis, importer.head().raw)
    for raw in random_chain.blocks():
        block, statistics = importer.import_block(raw, "parallel", threads=2 + seed % 2)
        assert statistics.parallel or not block.transactions
        try:
            specified.take(raw, fork_at(block.header.timestamp))
        except Exception as problem:
            problem.add_note(f"chain {seed}, block {block.header.number}")
            raise
    importer.close()
    return random_chain


def test_a_chain_through_all_forks_is_valid() -> None:
    """
    Serially built blocks are imported in parallel and accepted by the specification, fork after fork.
    """
    chain = run(0)

    assert FORK_TIMES.keys() == {fork_at(12 * number) for number in range(BLOCKS + 1)}
    assert chain.types.keys() == {0, 1, 2, 3, 4}
    assert chain.failed > 0
    assert chain.requests > 0


def test_a_changed_block_is_not_valid() -> None:
    """
    The specification refuses a block of ours whose header says one gas more.
    """
    random_chain = RandomChain(0)
    importer = CoreChain.open(json.dumps(random_chain.genesis).encode(), None, Workers(1))
    specified = SpecifiedChain(random_chain.genesis, importer.head().raw)
    raw = next(random_chain.blocks())
    fork = Fork("paris")
    block = rlp.decode_to(fork.blocks.Block, Bytes(raw))
    header = replace(block.header, gas_used=block.header.gas_used + Uint(1))
    with pytest.raises(InvalidBlock):
        specified.take(rlp.encode(replace(block, header=header)), "paris")
    importer.close()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_thousand_blocks_of_chains_are_valid() -> None:
    """
    The same for many chains; among their transactions are all types, failures and requests.
    """
    types, failed, requests = Counter[int](), 0, 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as executors:
        for chain in executors.map(run, range(CHAINS)):
            types.update(chain.types)
            failed += chain.failed
            requests += chain.requests

    assert CHAINS * BLOCKS >= 1_000
    assert types.keys() == {0, 1, 2, 3, 4}
    assert min(types.values()) >= 100
    assert failed >= 500
    assert requests >= 50
