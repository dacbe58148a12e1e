"""
A seeded walk of both pools: a stream of transactions, blocks now and then, and reorgs.

The same plan is the same walk, as long as our pool decides the same. `walk` raises AssertionError at the first step
after which the pools differ, with the step's number.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.parallelpool.differential.pair import Pair, pair
from tests.parallelpool.differential.stream import Stream

MAX_DEPTH = 3
"""Of reorgs."""


@dataclass(frozen=True)
class Plan:
    """One walk."""

    seed: int
    steps: int
    limits: dict[str, int] = field(default_factory=dict)
    blocks: float = 0.03
    """Share of steps that a block follows."""
    reorgs: float = 0.012
    """Share of steps that a reorg follows."""
    is_full: bool = False
    """Whether the limits are so low that transactions are evicted for their price."""

    def __str__(self) -> str:
        limits = "-".join(f"{name}{limit}" for name, limit in self.limits.items())
        return f"seed{self.seed}-{limits or 'defaults'}"


async def walk(plan: Plan, folder: Path) -> Pair:
    """The whole walk; what was met on it."""
    random = Random(plan.seed)
    async with pair(folder, **plan.limits) as both:
        stream = Stream(both.node.pool, plan.seed)
        for step in range(plan.steps):
            try:
                await both.submit(stream.take_but_underbids() if plan.is_full else stream.take())
                if random.random() < plan.blocks:
                    await both.seal()
                if random.random() < plan.reorgs and len(both.blocks) >= MAX_DEPTH:
                    await _reorganize(both, random)
            except AssertionError as error:
                error.add_note(f"step {step} of {plan}")
                raise
        return both


async def _reorganize(both: Pair, random: Random) -> None:
    """Up to three blocks give way to one or two with some of their transactions."""
    depth = random.randrange(1, MAX_DEPTH + 1)
    abandoned = [tx for block in both.blocks[-depth:] for tx in block.transactions]
    kept = [tx for tx in abandoned if random.random() < 0.6]
    middle = len(kept) // 2
    await both.reorganize([kept[:middle], kept[middle:]][: random.randrange(1, 3)], depth=depth)
