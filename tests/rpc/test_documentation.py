"""The reference names every method, and no other."""

import re

from tests.public_data import REPOSITORY
from tests.rpc.client import Client
from tests.rpc.fakes import FakeNode

METHOD = re.compile(r"`((?:eth|net|web3|txpool|debug|dev|evm|rpc|parallel)_\w+)`")
OF_CONNECTIONS = {"eth_subscribe", "eth_unsubscribe", "parallel_subscribe", "parallel_unsubscribe"}
"""Served by the connection, not by the table."""


def test_the_reference_lists_the_methods_there_are() -> None:
    """In the tables; what is missing is named in its own paragraph."""
    text = (REPOSITORY / "docs" / "rpc.md").read_text()
    listed = {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in METHOD.findall(line.split("|")[1])
    }

    assert listed == set(Client(FakeNode()).rows) | OF_CONNECTIONS


def test_operator_methods_are_marked() -> None:
    """Those and no others."""
    text = (REPOSITORY / "docs" / "rpc.md").read_text()
    marked = {
        name
        for line in text.splitlines()
        if line.startswith("| `") and "*op*" in line.split("|")[1]
        for name in METHOD.findall(line.split("|")[1])
    }

    assert marked == {name for name, method in Client(FakeNode()).rows.items() if method.is_operator}
