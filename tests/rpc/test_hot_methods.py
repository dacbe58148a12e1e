"""Methods that are called without jsonrpcserver in between answer exactly as through it."""

import pytest

from rpc.errors import Json
from rpc.quantities import to_data
from tests.rpc.client import Client
from tests.rpc.fakes import FakeNode, FakeTransaction, account, word

ALICE = to_data(account(0xA11CE))
PARAMETERS: list[list[Json]] = [
    [],
    [None],
    [5],
    ["0x12"],
    [ALICE],
    [ALICE, "pending"],
    [ALICE, "0x99"],
    [ALICE, "latest", 1],
    [to_data(word(1))],
    [to_data(word(9))],
    ["0x01"],
    ["0x02"],
    ["0x03"],
]
"""Good for some of the methods, bad for others."""


def prepared() -> FakeNode:
    """A mined transaction, one that can be submitted, and one that fails to be."""
    node = FakeNode()
    node.chain.append([FakeTransaction()])
    node.ingress.known = {b"\x01": FakeTransaction(hash=word(2)), b"\x02": FakeTransaction(type=3)}
    return node


HOT = sorted(name for name, method in Client(FakeNode()).rows.items() if method.is_hot)


def test_the_hot_methods_are_those_that_wallets_repeat() -> None:
    """Few: each needs the proof below."""
    assert HOT == [
        "eth_blockNumber",
        "eth_chainId",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_sendRawTransaction",
        "net_version",
    ]


@pytest.mark.parametrize("method", HOT)
async def test_the_short_way_changes_no_answer(method: str) -> None:
    """Results, refusals, wrong parameters and crashes, byte for byte."""
    for params in PARAMETERS:
        short = await Client(prepared()).raw(method, *params)
        through = await Client(prepared(), through_jsonrpcserver=True).raw(method, *params)

        assert short == through
