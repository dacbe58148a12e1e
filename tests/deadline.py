"""Waiting for a condition in tests: with a deadline, never for a time."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Returns as soon as `condition` holds. Raises TimeoutError after `timeout_s` seconds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  the condition is of other tasks' and threads' making
            await asyncio.sleep(0.001)
