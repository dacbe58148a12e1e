"""
A sequencer: takes batches from one daemon, executes them on another machine, brings the block back.

Needs two daemons on one genesis. The first keeps the pool and does not seal by itself; the second executes:

    parallelpool --datadir pool --dev.mine manual
    parallelpool --datadir engine --dev.mine manual --http.port 9545 --metrics.port 6061
    python -m examples.sequencer --pool http://127.0.0.1:8545 --engine http://127.0.0.1:9545

It waits for batches by long polls and ends after `--blocks` blocks, or with Ctrl-C. Should it be stopped between any
two steps, the next start goes on: the engine is brought to the pool's head first, and a block may be submitted twice.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress

from parallelpool.client import BatchRequest, Client, ClientError, Offer, Placement, RpcFailure

STALE_HEAD = 3001


async def catch_up(pool: Client, engine: Client) -> None:
    """Gives the engine the blocks that it lacks, and the pool the ones that it was not told of."""
    theirs, ours = [int(await node.call("eth_blockNumber"), 16) for node in (pool, engine)]
    for number in range(ours + 1, theirs + 1):
        await engine.submit_block(await pool.raw_block(number))
    for number in range(theirs + 1, ours + 1):
        await pool.submit_block(await engine.raw_block(number))


async def hand_over(engine: Client, transactions: Iterable[bytes]) -> None:
    """Puts the batches' transactions into the engine's pool, where some may be already."""
    for raw in transactions:
        try:
            await engine.send_raw_transaction(raw)
        except RpcFailure as refusal:
            if refusal.message != "already known":
                raise


async def make_block(pool: Client, engine: Client, offer: Offer) -> Placement:
    """Executes the offered batches on the engine, in their order; the block as it stands on the pool's chain."""
    await hand_over(engine, (raw for batch in offer.batches for raw in batch.transactions))
    execution = await engine.execute_batches()
    placement = await pool.submit_block(await engine.raw_block("latest"))
    kinds = ", ".join(f"{len(batch.transactions)} {batch.kind}" for batch in offer.batches)
    print(
        f"block {placement.number}: {len(execution.hashes)} transactions ({kinds}), {execution.gas_used} gas, "
        f"{execution.parallel_ms:.2f} ms, {execution.executions} executions, {execution.conflicts} conflicts"
    )
    return placement


async def sequence(pool: Client, engine: Client, blocks: int | None) -> None:
    """Makes blocks until there are enough. Raises ClientError."""
    await catch_up(pool, engine)
    made = 0
    async for offer in pool.follow_batches(BatchRequest(form="raw", consumer_id="example", max_batches=64)):
        if not offer.batches:
            continue
        try:
            await make_block(pool, engine, offer)
        except RpcFailure as refusal:
            if refusal.code != STALE_HEAD:
                raise
            sys.exit("sequencer: the pool's chain has another head; start the engine on a copy of its data")
        made += 1
        if made == blocks:
            return


async def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pool", default="http://127.0.0.1:8545", help="the daemon that has the transactions"
    )
    parser.add_argument("--engine", default="http://127.0.0.1:9545", help="the daemon that executes them")
    parser.add_argument("--blocks", type=int, help="end after so many")
    options = parser.parse_args()
    try:
        async with Client(options.pool) as pool, Client(options.engine) as engine:
            await sequence(pool, engine, options.blocks)
    except ClientError as error:
        print(f"sequencer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))
