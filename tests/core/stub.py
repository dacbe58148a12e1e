"""
Holds the engine's stub against the engine, all parts of it: `python -m tests.core.stub`.

stubtest does not follow what `_core.pyi` re-exports: it expects the part that defines a name to be a module of
its own. Here each part becomes one, made of the engine's objects under the names that the part defines.
"""

import ast
import sys
from pathlib import Path
from types import ModuleType

from mypy import stubtest

from parallelpool import _core
from tests.public_data import REPOSITORY

PARTS = REPOSITORY / "parallelpool" / "_boundary"
PACKAGE = "parallelpool._boundary"


def defined_names(part: Path) -> set[str]:
    """Classes and functions that a stub file defines itself."""
    body = ast.parse(part.read_text()).body
    return {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def module_of(part: Path) -> ModuleType:
    """The module that a part describes. What the engine lacks is lacking here too."""
    module = ModuleType(PACKAGE if part.stem == "__init__" else f"{PACKAGE}.{part.stem}")
    for name in defined_names(part):
        if hasattr(_core, name):
            setattr(module, name, getattr(_core, name))
    return module


def main() -> int:
    """stubtest's exit code: 0 where stub and engine agree."""
    for part in PARTS.glob("*.pyi"):
        module = module_of(part)
        sys.modules[module.__name__] = module
    sys.modules[PACKAGE].__path__ = []
    sys.argv = ["stubtest", "parallelpool._core", PACKAGE]
    return stubtest.main()


if __name__ == "__main__":
    sys.exit(main())
