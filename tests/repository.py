"""The repository as tests see it: its files, and its make targets run in a shell of their own."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.public_data import REPOSITORY

MAKES_OWN = frozenset({"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARGS", "PROFILE"})
"""Variables that a make above these tests hands down."""


def files() -> list[str]:
    """Paths of all files that are, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted({line for line in listed.stdout.splitlines() if (REPOSITORY / line).is_file()})


def make(
    *words: str,
    folder: Path = REPOSITORY,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Runs make; its output is kept, and its exit code is the caller's to judge."""
    inherited = {name: value for name, value in os.environ.items() if name not in MAKES_OWN}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
