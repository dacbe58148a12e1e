"""`parallel_tagTransaction` on the real engine."""

import json
from pathlib import Path

import pytest

from parallelpool import wallet
from parallelpool.chain import dev_genesis
from rpc.errors import Json
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.parallel_rig import (
    PARALLEL,
    RECIPIENT,
    SEQUENTIAL,
    ZERO_SLOT,
    send,
)
from tests.rpc.senders import ALICE, CHAIN_ID, parallel


@pytest.mark.parametrize(
    ("params", "tag"),
    [
        ([{"from": ALICE.address, "to": RECIPIENT}, "PARALLEL"], PARALLEL),
        ([{"from": ALICE.address, "to": RECIPIENT}, "SEQUENTIAL"], SEQUENTIAL),
        ([{"tx": {"from": ALICE.address, "to": RECIPIENT}, "tag": "SEQUENTIAL"}], SEQUENTIAL),
        ([{"tx": {"from": ALICE.address, "to": RECIPIENT}, "parallel": True}], PARALLEL),
        ([{"tx": {"from": ALICE.address, "to": RECIPIENT}, "parallel": False}], SEQUENTIAL),
    ],
)
async def test_a_transaction_comes_back_ready_to_sign(dev: Dev, params: list[Json], tag: str) -> None:
    """Tagged, with nonce, gas, fees and access list; signed and sent it is mined."""
    tagged = await dev.ask("parallel_tagTransaction", *params)

    assert (tagged["type"], tagged["chainId"], tagged["nonce"]) == ("0x5", hex(CHAIN_ID), "0x0")
    assert tagged["data"] == "0x" + tag
    assert tagged["accessList"] == []
    assert tagged["tagging"]["tagged"] is True
    assert tagged["tagging"]["filled"] == [
        "nonce",
        "maxPriorityFeePerGas",
        "maxFeePerGas",
        "gas",
        "accessList",
    ]
    (tx_hash,) = await send(dev, wallet.sign(tagged, ALICE).raw_transaction)
    await dev.ask("dev_mine")
    receipt = await dev.ask("eth_getTransactionReceipt", tx_hash)
    assert (receipt["status"], receipt["type"]) == ("0x1", "0x5")
    mined = await dev.ask("eth_getTransactionByHash", tx_hash)
    assert mined["input"] == "0x" + tag
    assert {"yParity", "accessList", "chainId", "maxFeePerGas", "maxPriorityFeePerGas"} <= set(mined)


async def test_a_tagged_contract_call_reaches_the_contract(dev: Dev, counter: str) -> None:
    """Its access list names the slot that it touches; the slot is written."""
    call: Json = {"from": ALICE.address, "to": counter, "data": "0xa9059cbb"}
    tagged = await dev.ask("parallel_tagTransaction", call, "PARALLEL")

    assert tagged["data"] == "0x" + PARALLEL + "a9059cbb"
    assert tagged["accessList"] == [{"address": counter, "storageKeys": [ZERO_SLOT]}]
    await send(dev, wallet.sign(tagged, ALICE).raw_transaction)
    await dev.ask("dev_mine")
    assert await dev.ask("eth_getStorageAt", counter, "0x0") == "0x" + "1".rjust(64, "0")


async def test_what_the_caller_gave_is_kept(dev: Dev) -> None:
    """Only what was left open is filled in."""
    given: dict[str, Json] = {
        "from": ALICE.address,
        "to": RECIPIENT,
        "nonce": "0x7",
        "gas": "0xffff",
        "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x5",
        "value": "0x3",
        "accessList": [{"address": RECIPIENT, "storageKeys": []}],
    }
    tagged = await dev.ask("parallel_tagTransaction", given, "PARALLEL")

    assert tagged["tagging"]["filled"] == []
    for field in ("nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "value", "to", "accessList"):
        assert tagged[field] == given[field]


async def test_a_tag_is_never_doubled(dev: Dev) -> None:
    """Another one is replaced."""
    call = {"from": ALICE.address, "to": RECIPIENT, "data": "0x" + SEQUENTIAL + "01"}

    tagged = await dev.ask("parallel_tagTransaction", call, "PARALLEL")
    again = await dev.ask("parallel_tagTransaction", {**call, "data": tagged["data"]}, "PARALLEL")

    assert tagged["data"] == again["data"] == "0x" + PARALLEL + "01"


@pytest.mark.parametrize(
    ("tx_type", "has_access_list", "fee_fields"),
    [
        ("0x0", False, {"gasPrice"}),
        ("0x1", True, {"gasPrice"}),
        ("0x2", True, {"maxFeePerGas", "maxPriorityFeePerGas"}),
    ],
)
async def test_ordinary_types_are_not_tagged(
    dev: Dev, counter: str, tx_type: str, has_access_list: bool, fee_fields: set[str]
) -> None:
    """They come back with their data untouched, an access list where they have one, and the reason."""
    call: Json = {"from": ALICE.address, "to": counter, "data": "0x01", "type": tx_type}
    tagged = await dev.ask("parallel_tagTransaction", call, "PARALLEL")

    assert (tagged["type"], tagged["data"]) == (tx_type, "0x01")
    assert tagged["tagging"]["tagged"] is False
    assert "only type 0x5 carries a tag" in tagged["tagging"]["reason"]
    assert ("accessList" in tagged) is has_access_list
    if has_access_list:
        assert tagged["accessList"] == [{"address": counter, "storageKeys": [ZERO_SLOT]}]
    assert {field for field in tagged if "Fee" in field or "Price" in field} == fee_fields
    fields = {name: value for name, value in tagged.items() if name != "tagging"}
    fields["to"] = bytes.fromhex(counter[2:])
    if tx_type == "0x0":
        del fields["type"]  # eth-account knows this type by its absence
    await send(dev, bytes(ALICE.sign_transaction(fields).raw_transaction))


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ([{"to": RECIPIENT}, "PARALLEL"], -32602, '"from" or "nonce" is required'),
        ([{"from": ALICE.address}], -32602, "missing value for required argument 1"),
        ([], -32602, "missing value for required argument 0"),
        ([{}, "FAST"], -32602, "invalid argument 1: want one of PARALLEL, SEQUENTIAL"),
        ([{"tx": {}, "tag": "FAST"}], -32602, "invalid argument 0: want one of PARALLEL, SEQUENTIAL"),
        ([{"tx": {}, "tga": "PARALLEL"}], -32602, 'invalid argument 0: unknown field "tga"'),
        ([{"tx": {}}], -32602, 'invalid argument 0: want one of "tag" and "parallel"'),
        (
            [{"tx": {}, "tag": "PARALLEL", "parallel": True}],
            -32602,
            'invalid argument 0: want one of "tag" and "parallel"',
        ),
        ([{"tx": {}, "tag": "PARALLEL"}, "SEQUENTIAL"], -32602, "two different tags"),
        (
            [{"from": ALICE.address, "gasPrice": "0x1"}, "PARALLEL"],
            -32000,
            "type 0x5 has maxFeePerGas instead of a gasPrice",
        ),
        (
            [{"from": ALICE.address, "type": "0x0", "maxFeePerGas": "0x1"}, "PARALLEL"],
            -32000,
            "type 0x0 has a gasPrice instead of maxFeePerGas",
        ),
        (
            [{"from": ALICE.address, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}, "PARALLEL"],
            -32000,
            "maxFeePerGas (1) < maxPriorityFeePerGas (2)",
        ),
        (
            [{"from": ALICE.address, "chainId": "0x1"}, "PARALLEL"],
            -32000,
            f"chainId does not match node's (have=1, want={CHAIN_ID})",
        ),
        ([{"from": ALICE.address, "type": "0x9"}, "PARALLEL"], -32000, "transaction type not supported"),
        ([{"from": ALICE.address, "type": "legacy"}, "PARALLEL"], -32000, "transaction type not supported"),
    ],
)
async def test_what_cannot_be_tagged_is_refused(
    dev: Dev, params: list[Json], code: int, message: str
) -> None:
    """With the field that is wrong."""
    assert await dev.fail("parallel_tagTransaction", *params) == (code, message, None)


async def test_a_chain_without_the_parallel_type_tags_nothing(tmp_path: Path) -> None:
    """And refuses the type."""
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(genesis_without_parallel_type())
    async with dev_node(genesis) as node:
        tagged = await node.ask(
            "parallel_tagTransaction", {"from": ALICE.address, "to": RECIPIENT}, "PARALLEL"
        )
        refused = await node.fail("eth_sendRawTransaction", "0x" + parallel().hex())

    assert (tagged["type"], tagged["data"]) == ("0x2", "0x")
    assert tagged["tagging"]["reason"] == "this chain has no parallel transaction type"
    assert refused == (-32000, "transaction type not supported", None)


def genesis_without_parallel_type() -> bytes:
    """The dev genesis with the type off."""
    document = json.loads(dev_genesis())
    del document["config"]["parallelTxType"]
    return json.dumps(document).encode()
