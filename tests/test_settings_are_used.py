"""No setting is taken and then ignored."""

import ast

from config.options import options
from tests.public_data import REPOSITORY

AWAITED: frozenset[str] = frozenset()
"""Settings whose reader is not written yet. A setting leaves this list with its reader."""


def names_read() -> set[str]:
    """Every attribute that the daemon's modules read."""
    sources = [
        path for folder in ("parallelpool", "rpc", "metrics") for path in (REPOSITORY / folder).rglob("*.py")
    ]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_setting_is_read_by_the_daemon() -> None:
    """
    The last word of each setting's name is read as an attribute somewhere outside `config`.
    """
    read = names_read()

    assert {option.name for option in options() if option.attributes[-1] not in read} == AWAITED
