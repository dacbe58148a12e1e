"""What all tests share: Hypothesis profiles and the JavaScript clients."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.public_data import REPOSITORY

settings.register_profile(
    "fast", max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

CLIENTS = REPOSITORY / "tests" / "clients"


def _absent(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the JavaScript clients (ethers, viem) that `make clients` installs."""
    folder = CLIENTS / "node_modules"
    if not (folder / ".installed").exists():
        _absent("the JavaScript clients are not installed: run `make clients`")
    return folder


@pytest.fixture(scope="session")
def node(node_modules: Path) -> str:
    """The Node.js program; run scripts with `tests/clients` as the working directory."""
    found = shutil.which("node")
    if found is None:
        _absent("no Node.js on the PATH: run `make clients`")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def cast(node_modules: Path) -> str:
    """The program `cast` of the npm package @foundry-rs/cast."""
    found = shutil.which("cast", path=str(node_modules / ".bin"))
    if found is None:
        _absent("cast is not installed: run `make clients`")
    assert found is not None
    return found
