"""
When the collector of cyclic garbage looks at what.

A full pool is some hundred thousand objects that are in no cycle; to look at all of them takes as long as hundreds of
admissions, and everybody waits. So what has settled is set aside and not looked at again, but for one whole collection
after very many new objects. Nothing is lost meanwhile but the memory of cycles that died after they had settled:
those of connections that were open at such a moment.
"""

import asyncio
import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""New objects that a young collection waits for: some milliseconds."""

YOUNG_COLLECTIONS: Final = 2
"""After so many of them what they left has settled."""

SETTLEMENTS: Final = 128
"""After so many of those everything is looked at once: more than half a million transactions."""

LOOK_S: Final = 0.1

NEVER: Final = 1_000_000_000
"""Collections that the next older generation waits for, where that is not left to CPython."""


class GarbageWatch:
    """Owns the collector's settings of the process from `begin` on."""

    def __init__(self) -> None:
        self._collections = 0
        self._settlements = 0

    def begin(self) -> None:
        """Sets aside what there is now, which lives as long as the process."""
        gc.set_threshold(YOUNG_OBJECTS, NEVER, NEVER)
        self._look_at_everything()

    async def run(self) -> None:
        """Looks ten times a second until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.settle()

    def settle(self) -> None:
        """Sets aside what some young collections have left, if there were so many since the last time."""
        if _collections() - self._collections < YOUNG_COLLECTIONS:
            return
        if self._settlements >= SETTLEMENTS:
            self._look_at_everything()
            return
        self._settlements += 1
        gc.collect(1)
        gc.freeze()
        self._collections = _collections()

    def _look_at_everything(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._settlements = 0
        self._collections = _collections()


def _collections() -> int:
    """Collections so far, of any kind."""
    return sum(each["collections"] for each in gc.get_stats())
