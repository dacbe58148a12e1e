"""
Where the public test data stands: real blocks, chains, RPC vectors, transaction tests.

The folder is `PARALLELPOOL_FIXTURES`, else `../shared/fixtures` beside the repository. Where it is absent the
tests that need it skip with the reason; with `CI` set they fail. A test takes every file that it finds.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def fixtures_root() -> Path:
    """The folder of the public test data, whether or not it exists."""
    chosen = os.environ.get("PARALLELPOOL_FIXTURES")
    return Path(chosen).resolve() if chosen else REPOSITORY.parent / "shared" / "fixtures"


def absence(folder: Path) -> str:
    """Why tests on `folder` do not run."""
    return f"no public test data at {folder}: set PARALLELPOOL_FIXTURES"


def fixture_folder(name: str) -> Path:
    """The folder `name` of the public test data; skips the test, in CI fails it, where it is absent."""
    folder = fixtures_root() / name
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(absence(folder))
        pytest.skip(absence(folder))
    return folder


def fixture_files(name: str, pattern: str) -> list["pytest.ParameterSet"]:
    """
    Parameters for `pytest.mark.parametrize`: every file below folder `name` that matches `pattern`.

    The id of each is its path inside the folder. Raises FileNotFoundError, so that the collection fails, where
    there is no file and `CI` is set.
    """
    folder = fixtures_root() / name
    found = sorted(folder.rglob(pattern)) if folder.is_dir() else []
    if found:
        return [pytest.param(path, id=path.relative_to(folder).as_posix()) for path in found]
    if os.environ.get("CI"):
        raise FileNotFoundError(absence(folder))
    return [pytest.param(folder, id="absent", marks=pytest.mark.skip(reason=absence(folder)))]
