"""Writing of logs beside the GIL."""

from collections.abc import Callable
from typing import final

@final
class Written:
    """What became of some contents for one log that were written together."""

    @property
    def log(self) -> int: ...
    @property
    def jobs(self) -> int:
        """Calls of `write` that this answers."""
    @property
    def ticket(self) -> int:
        """Of the last of them."""
    @property
    def size(self) -> int:
        """Bytes of all of them."""
    @property
    def room(self) -> int:
        """Bytes of zeros that now stand behind them."""
    @property
    def sync_seconds(self) -> float | None:
        """How long the sync took, if there was one."""
    @property
    def error(self) -> BaseException | None:
        """Why it failed: nothing is known then about what the file holds, and nothing more is written to this log."""

@final
class LogWriter:
    """
    Appends to files and syncs them, in order, on one thread that does not wait for the GIL.

    What comes for the same log while a sync runs is written together and shares the next one.
    """

    def __new__(
        cls,
        *,
        room: int,
        write: Callable[[int, bytes], int] | None = None,
        sync: Callable[[int], None] | None = None,
    ) -> LogWriter:
        """
        A log is made longer by a multiple of `room` zeros, in bytes, where it has not enough of them.

        `write` and `sync` stand for the system calls: tests let them wait and fail.
        """
    def fileno(self) -> int:
        """Becomes readable when there is something to take."""
    def write(self, log: int, file: int, content: bytes, ticket: int, /, *, is_synced: bool) -> None:
        """
        Appends to a log at the position of its descriptor, which stays open until `take` has told of it.

        `log` tells logs apart that had the same descriptor one after the other.
        """
    def take(self) -> list[Written]:
        """What has been written since, in order."""
    def stop(self) -> None:
        """Waits until all is written and the thread has ended."""
