"""What makes four top-level packages and a compiled module one application."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import parallelpool
from tests.public_data import REPOSITORY
from tests.repository import files

PACKAGES = ("parallelpool", "rpc", "metrics", "config")


@pytest.fixture(scope="module")
def pyproject() -> Any:  # a TOML document
    """pyproject.toml, parsed."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def test_versions_agree(pyproject: Any) -> None:
    """
    The Python package, its metadata and the Rust workspace have one version.
    """
    cargo = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())

    assert (
        parallelpool.__version__
        == pyproject["project"]["version"]
        == cargo["workspace"]["package"]["version"]
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_foreign_distribution_brings_our_names(package: str) -> None:
    """
    `rpc`, `metrics` and `config` are names of distributions too; none of theirs is installed beside ours.
    """
    assert packages_distributions().get(package, ["parallelpool"]) == ["parallelpool"]
    assert Path(__import__(package).__file__ or "").parent == REPOSITORY / package


def test_the_wheel_takes_the_four_packages(pyproject: Any) -> None:
    """
    Tests and crates stay out, and nobody uploads it by mistake.
    """
    assert tuple(pyproject["tool"]["maturin"]["python-packages"]) == PACKAGES
    assert tuple(pyproject["tool"]["importlinter"]["root_packages"]) == PACKAGES
    assert "Private :: Do Not Upload" in pyproject["project"]["classifiers"]


def test_every_test_folder_is_a_package() -> None:
    """
    Without `__init__.py` at every level `tests/rpc` would hide `rpc`.
    """
    folders = {Path(path).parent for path in files() if path.startswith("tests/") and path.endswith(".py")}

    assert [folder for folder in sorted(folders) if not (REPOSITORY / folder / "__init__.py").exists()] == []


def test_every_module_has_its_layer(pyproject: Any) -> None:
    """
    A new module of parallelpool is placed in the import contract, or lint would not see it.
    """
    (contract,) = pyproject["tool"]["importlinter"]["contracts"]
    named = set(re.findall(r"[a-z0-9_.]+", " ".join(contract["layers"])))
    modules = {
        f"parallelpool.{Path(path).stem}"
        for path in files()
        if re.fullmatch(r"parallelpool/\w+\.py", path) and not path.endswith("__init__.py")
    }

    assert modules - named == set()


def test_modules_keep_to_a_readable_size() -> None:
    """
    None is above 800 lines; a longer one is two concepts.
    """
    sources = [path for path in files() if Path(path).suffix in (".py", ".pyi", ".rs")]
    lengths = {path: (REPOSITORY / path).read_bytes().count(b"\n") for path in sources}

    assert {path: length for path, length in lengths.items() if length > 800} == {}


def test_the_clients_lock_names_no_host() -> None:
    """
    The JavaScript packages come from whatever registry npm is set up for.
    """
    lock = json.loads((REPOSITORY / "tests" / "clients" / "package-lock.json").read_text())

    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


def test_a_missing_engine_says_how_to_build_it(tmp_path: Path) -> None:
    """
    The import fails with the command to run, not with a circular import.
    """
    (tmp_path / "parallelpool").mkdir()
    shutil.copy(REPOSITORY / "parallelpool" / "__init__.py", tmp_path / "parallelpool")

    outcome = subprocess.run(
        [sys.executable, "-c", "import parallelpool"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 1
    assert "make build" in outcome.stderr.splitlines()[-1]


def test_another_engine_version_is_refused(tmp_path: Path) -> None:
    """
    Package and engine of different versions do not work together; both versions are named.
    """
    (tmp_path / "parallelpool").mkdir()
    shutil.copy(REPOSITORY / "parallelpool" / "__init__.py", tmp_path / "parallelpool")
    (tmp_path / "parallelpool" / "_core.py").write_text("__version__ = '0.0.9'\n")

    outcome = subprocess.run(
        [sys.executable, "-c", "import parallelpool"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    last = outcome.stderr.splitlines()[-1]
    assert "0.0.9" in last
    assert parallelpool.__version__ in last


def test_the_module_and_the_console_script_are_one_program() -> None:
    """
    `python -m parallelpool` prints what `parallelpool` prints.
    """
    script = Path(sys.executable).parent / "parallelpool"
    if not script.exists():
        pytest.skip("parallelpool is not installed into this environment: run `make build`")

    outcomes = [
        subprocess.run([*command, "version"], capture_output=True, text=True, check=True, cwd="/").stdout
        for command in ([str(script)], [sys.executable, "-m", "parallelpool"])
    ]

    assert outcomes[0] == outcomes[1]
    assert outcomes[0].startswith(f"parallelpool {parallelpool.__version__} ")
