"""Waiting for something to become true."""

import asyncio
from collections.abc import Callable


async def wait_until(condition: Callable[[], bool], *, deadline_s: float = 10.0) -> None:
    """Returns as soon as `condition` holds. Raises TimeoutError if it does not in time."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)
