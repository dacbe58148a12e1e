"""
The errors that callers tell apart.

    ParallelPoolError
    ├── ConfigurationError      bad flags, file or environment: all problems at once, exit code 2
    ├── StartFailure            the daemon cannot start or go on: exit code 1
    └── PoolError               a transaction was refused: an answer, not a fault

The engine has a tree of its own, `CoreError` in `parallelpool._core`. A bug is an AssertionError.
"""

from collections.abc import Sequence
from typing import ClassVar


class ParallelPoolError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigurationError(ParallelPoolError):
    """The settings cannot be used. `problems` holds one sentence each, in the order in which they were found."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StartFailure(ParallelPoolError):
    """Something outside keeps the daemon from running: a taken port, a locked data directory."""


class PoolError(ParallelPoolError):
    """
    A transaction was refused. Subclasses carry the offending values; the message is geth's, verbatim.

    Wallets match on the words, so a subclass says them in `message` and adds numbers behind a colon as geth does.
    """

    message: ClassVar[str]
    """geth's words for this refusal."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{self.message}: {detail}" if detail else self.message)
