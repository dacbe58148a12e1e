"""Block access lists over the RPC, on a chain with Amsterdam's rules: shape, encoding, commitment, errors."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
import rlp
from eth_utils.crypto import keccak

from parallelpool.chain import StateUnavailable, dev_genesis
from rpc.namespaces.eth_access_lists import account_view
from tests.rpc.client import Client
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.fakes import FakeNode
from tests.rpc.senders import ALICE, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUNTIME = bytes.fromhex("60015f5500")
"""Stores 1 in slot 0."""
DEPLOY = bytes.fromhex("60058060095f395ff3")
"""Copies the five bytes behind itself and makes them the contract."""
CONTRACT = "0x" + keccak(rlp.encode([bytes.fromhex(ALICE.address[2:]), 0]))[12:].hex()
HISTORY = "0x0000f90827f1c53a10cb7a02335b175320002935"
GAS = 1_000_000


@pytest.fixture(scope="module")
def amsterdam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dev chain's genesis with Amsterdam from the beginning."""
    genesis = orjson.loads(dev_genesis())
    genesis["config"]["amsterdamTime"] = 0
    path = tmp_path_factory.mktemp("amsterdam") / "genesis.json"
    path.write_bytes(orjson.dumps(genesis))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(amsterdam: Path) -> AsyncIterator[Dev]:
    """A node on which Alice created a contract in block 1 and called it twice in block 2."""
    async with dev_node(amsterdam) as node:
        init = DEPLOY + RUNTIME
        await node.ask("eth_sendRawTransaction", "0x" + signed(to=None, value=0, gas=GAS, data=init).hex())
        await node.ask("dev_mine")
        for nonce in (1, 2):
            raw = signed(nonce=nonce, to=CONTRACT, value=0, gas=GAS)
            await node.ask("eth_sendRawTransaction", "0x" + raw.hex())
        await node.ask("dev_mine")
        yield node


def entry(accounts: list[dict[str, Any]], address: str) -> dict[str, Any]:
    """The account's part of a list."""
    return next(account for account in accounts if account["address"] == address.lower())


async def test_a_list_names_changes_with_their_indices(dev: Dev) -> None:
    """A second write of the same value is none, and the sender's nonce counts up."""
    accounts = await dev.ask("eth_getBlockAccessList", "latest")
    contract, sender = entry(accounts, CONTRACT), entry(accounts, ALICE.address)
    one = "0x" + "1".rjust(64, "0")

    assert [account["address"] for account in accounts] == sorted(account["address"] for account in accounts)
    assert contract["storageChanges"] == [
        {"key": "0x" + "0" * 64, "changes": [{"index": "0x1", "value": one}]}
    ]
    assert contract["storageReads"] == contract["balanceChanges"] == contract["nonceChanges"] == []
    assert sender["nonceChanges"] == [{"index": "0x1", "value": "0x2"}, {"index": "0x2", "value": "0x3"}]
    assert [change["index"] for change in sender["balanceChanges"]] == ["0x1", "0x2"]
    assert entry(accounts, HISTORY)["storageChanges"][0]["changes"][0]["index"] == "0x0"


async def test_a_creation_shows_its_code(dev: Dev) -> None:
    """With the nonce that a new contract has."""
    accounts = await dev.ask("eth_getBlockAccessListByBlockNumber", "0x1")
    contract = entry(accounts, CONTRACT)

    assert contract["codeChanges"] == [{"index": "0x1", "code": "0x" + RUNTIME.hex()}]
    assert contract["nonceChanges"] == [{"index": "0x1", "value": "0x1"}]


async def test_number_and_hash_name_the_same_list(dev: Dev) -> None:
    """By every way of naming a block."""
    block = await dev.ask("eth_getBlockByNumber", "0x2", False)
    lists = [
        await dev.ask("eth_getBlockAccessList", "0x2"),
        await dev.ask("eth_getBlockAccessList", {"blockHash": block["hash"]}),
        await dev.ask("eth_getBlockAccessListByBlockNumber", "0x2"),
        await dev.ask("eth_getBlockAccessListByBlockHash", block["hash"]),
    ]

    assert lists.count(lists[0]) == len(lists)
    assert await dev.ask("eth_getBlockAccessList", "earliest") == []


async def test_the_header_commits_to_the_encoding(dev: Dev) -> None:
    """Keccak of what `debug_getRawBlockAccessList` returns; slots count up."""
    for number in ("0x1", "0x2"):
        block = await dev.ask("eth_getBlockByNumber", number, False)
        raw = bytes.fromhex((await dev.ask("debug_getRawBlockAccessList", number))[2:])
        accounts = await dev.ask("eth_getBlockAccessList", number)
        decoded: Any = rlp.decode(raw)

        assert block["blockAccessListHash"] == "0x" + keccak(raw).hex()
        assert block["slotNumber"] == number
        assert ["0x" + account[0].hex() for account in decoded] == [
            account["address"] for account in accounts
        ]


async def test_an_unknown_block_has_no_list(dev: Dev) -> None:
    """Nor has the pending one."""
    not_found = (-32001, "block not found", None)

    assert await dev.fail("eth_getBlockAccessList", "0x99") == not_found
    assert await dev.fail("eth_getBlockAccessList", "pending") == not_found
    assert await dev.fail("eth_getBlockAccessListByBlockHash", "0x" + "12" * 32) == not_found
    assert await dev.fail("debug_getRawBlockAccessList", "0x99") == not_found


async def test_a_block_whose_parent_state_is_gone_has_pruned_history() -> None:
    """With the code of the execution API specification."""
    node = FakeNode()
    node.chain.append()
    node.chain.list_failure = StateUnavailable("state of block 0 is not available")

    answer = await Client(node).fail("eth_getBlockAccessList", "latest")

    assert answer == (4444, "pruned history unavailable", None)


async def test_every_part_of_an_account_has_its_shape() -> None:
    """Slots and their values in 32 bytes, amounts as quantities."""
    word = bytes(31) + b"\x07"
    view = account_view(
        (b"\x01" * 20, ((word, ((3, word),)),), (word,), ((1, 10**20),), ((2, 5),), ((4, b"\x60\x01"),))
    )

    assert view == {
        "address": "0x" + "01" * 20,
        "storageChanges": [
            {"key": "0x" + word.hex(), "changes": [{"index": "0x3", "value": "0x" + word.hex()}]}
        ],
        "storageReads": ["0x" + word.hex()],
        "balanceChanges": [{"index": "0x1", "value": hex(10**20)}],
        "nonceChanges": [{"index": "0x2", "value": "0x5"}],
        "codeChanges": [{"index": "0x4", "code": "0x6001"}],
    }
