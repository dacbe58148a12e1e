"""Work ahead of need in a running daemon: runs that blocks use, and what blocks teach the next daemon."""

from pathlib import Path
from typing import Any

from config.schema import ExecutionConfig
from parallelpool.chain import Header
from parallelpool.lessons import TEMPLATES_FILE
from parallelpool.node import Node
from tests.node_rig import GWEI, accounts, node, send, wait_until

LEDGER = bytes.fromhex("6004355f5260405f208054600101905500")
"""Adds one to the slot keccak(argument 0 . 0)."""

CHECKED = ExecutionConfig(mode="parallel", workers=2, selfcheck=1, selfcheck_transfers=1)
"""Every block is executed serially too and compared."""


def signed(sender: int, nonce: int, *, to: bytes | None, data: bytes) -> bytes:
    """A call or creation by one of the funded accounts."""
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "value": 0,
        "data": data,
        "gas": 300_000,
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
    }
    if to is not None:
        transaction["to"] = to
    return bytes(accounts()[sender].sign_transaction(transaction).raw_transaction)


async def deploy(started: Node, *codes: bytes) -> list[bytes]:
    """Contracts of these codes, made by the last accounts."""
    made = []
    for place, code in enumerate(codes):
        init = bytes([0x60, len(code), 0x80, 0x60, 9, 0x5F, 0x39, 0x5F, 0xF3]) + code
        creation = await send(started, signed(9 - place, 0, to=None, data=init))
        made.append(creation)
    await started.producer.seal()
    receipts = await started.chain.receipts(started.chain.head().number)
    assert receipts is not None
    by_index = [started.chain.transaction_location(tx.hash) for tx in made]
    addresses = [receipts[location[1]].contract_address for location in by_index if location]
    return [address for address in addresses if address]


def entry(argument: int) -> bytes:
    """Calldata of an entry in the ledger."""
    return bytes(4) + argument.to_bytes(32, "big")


async def sealed_after_runs(started: Node, records: int) -> Header:
    """Waits for the runs ahead of need, and seals."""
    await wait_until(lambda: started.chain.prediction_statistics().records >= records)
    return await started.producer.seal()


async def test_a_sealed_block_uses_the_runs_ahead_of_need_and_equals_the_serial_one() -> None:
    """
    Each call by its record; a daemon that executes serially and has no use for them makes the same state and receipts.
    """
    roots = []
    for execution in (CHECKED, ExecutionConfig(mode="serial")):
        async with node(execution=execution) as started:
            started.chain.core.set_prediction_bounds(time_ms=60_000)  # a busy machine is no reason to give up
            started.producer._clock = lambda: 2e9  # the state holds hashes of blocks, and these the time
            (ledger,) = await deploy(started, LEDGER)
            before = started.executor.figures()
            for sender in range(8):
                await send(started, signed(sender, 0, to=ledger, data=entry(sender)))
            header = await sealed_after_runs(started, 8)
            after = started.executor.figures()
            roots.append((header.state_root, header.receipts_root, header.gas_used))
            assert started.pool.stats() == (0, 0)
            if execution is CHECKED:
                assert after.reused - before.reused == 8
                assert after.conflicts == 0
                assert after.checked_blocks - before.checked_blocks == 1
                assert started.executor.divergence is None

    assert roots[0] == roots[1]


async def test_templates_are_learned_from_sealed_blocks_and_known_to_the_next_daemon(tmp_path: Path) -> None:
    """
    Written at the end, read at the start; a damaged file is passed over.
    """
    async with node(datadir=tmp_path) as started:
        (ledger,) = await deploy(started, LEDGER)
        await send(started, signed(0, 0, to=ledger, data=entry(1)))
        await started.producer.seal()
        await wait_until(lambda: started.chain.prediction_statistics().templates == 1)
    file = tmp_path / TEMPLATES_FILE
    learned = file.read_bytes()

    async with node(datadir=tmp_path) as started:
        assert started.chain.prediction_statistics().templates == 1
        call = await started.ingress.decode(signed(1, 0, to=ledger, data=entry(2)))
        (expected,), unsettled = await started.chain.known_accesses([call])
        assert (expected.source, unsettled) == ("template", [0])
    assert file.read_bytes() == learned
    file.write_bytes(learned[:-1])

    async with node(datadir=tmp_path) as started:
        assert started.chain.prediction_statistics().templates == 0
