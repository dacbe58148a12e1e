"""eth_fillTransaction: what is left open is filled in, and the encoding says the same as the JSON."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import rlp
from eth_utils.crypto import keccak

from rpc.errors import Json
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import ALICE, BOB, CHAIN_ID, GWEI, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "0x" + "70" * 20
TO = bytes.fromhex(NOBODY[2:])
SLOT = "0x" + "22" * 32
AUTHORIZATION: Json = {
    "chainId": "0x1",
    "address": NOBODY,
    "nonce": "0x2",
    "yParity": "0x1",
    "r": "0x3",
    "s": "0x4",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node at its genesis with one transaction of Alice in the pool."""
    async with dev_node() as node:
        await node.ask("eth_sendRawTransaction", "0x" + signed(ALICE, nonce=0).hex())
        yield node


async def test_what_is_left_open_is_filled_in(dev: Dev) -> None:
    """The pool's next nonce, an estimate, the suggested tip and twice the base fee; geth's order of fields."""
    filled = await dev.ask("eth_fillTransaction", {"from": ALICE.address, "to": NOBODY, "value": "0x5"})
    tip = int(await dev.ask("eth_maxPriorityFeePerGas"), 16)
    base_fee = int((await dev.ask("eth_getBlockByNumber", "latest", False))["baseFeePerGas"], 16)
    cap = tip + 2 * base_fee
    raw = b"\x02" + rlp.encode([CHAIN_ID, 1, tip, cap, 21_000, TO, 5, b"", [], b"", b"", b""])

    assert list(filled["tx"].items()) == [
        ("type", "0x2"),
        ("chainId", hex(CHAIN_ID)),
        ("nonce", "0x1"),
        ("to", NOBODY),
        ("gas", "0x5208"),
        ("gasPrice", None),
        ("maxPriorityFeePerGas", hex(tip)),
        ("maxFeePerGas", hex(cap)),
        ("value", "0x5"),
        ("input", "0x"),
        ("accessList", []),
        ("v", "0x0"),
        ("r", "0x0"),
        ("s", "0x0"),
        ("yParity", "0x0"),
        ("hash", "0x" + keccak(raw).hex()),
    ]
    assert filled["raw"] == "0x" + raw.hex()


async def test_a_gas_price_makes_a_plain_transaction(dev: Dev) -> None:
    """Which has no access list, as geth has it, and no chain before it is signed."""
    call: Json = {
        "from": BOB.address,
        "to": NOBODY,
        "gas": "0x5208",
        "gasPrice": hex(3 * GWEI),
        "accessList": [{"address": NOBODY, "storageKeys": [SLOT]}],
    }
    filled = await dev.ask("eth_fillTransaction", call)
    raw = rlp.encode([b"", 3 * GWEI, 21_000, TO, b"", b"", b"", b"", b""])

    assert filled["raw"] == "0x" + raw.hex()
    assert (filled["tx"]["type"], filled["tx"]["gasPrice"]) == ("0x0", hex(3 * GWEI))
    assert not {"chainId", "accessList", "yParity"} & set(filled["tx"])


async def test_authorizations_make_their_type(dev: Dev) -> None:
    """Encoded with everything that came along."""
    fees = {"maxFeePerGas": hex(9 * GWEI), "maxPriorityFeePerGas": "0x1"}
    call: dict[str, Any] = {"from": BOB.address, "to": NOBODY, "gas": "0x186a0", **fees}
    call |= {"authorizationList": [AUTHORIZATION], "accessList": [{"address": NOBODY, "storageKeys": [SLOT]}]}
    filled = await dev.ask("eth_fillTransaction", call)
    body = [CHAIN_ID, b"", 1, 9 * GWEI, 100_000, TO, b"", b"", [[TO, [bytes.fromhex(SLOT[2:])]]]]
    raw = b"\x04" + rlp.encode([*body, [[1, TO, 2, 1, 3, 4]], b"", b"", b""])

    assert filled["raw"] == "0x" + raw.hex()
    assert filled["tx"]["authorizationList"] == [AUTHORIZATION]


async def test_a_filled_transaction_can_be_signed_and_sent(dev: Dev) -> None:
    """By any signer, field by field."""
    filled = await dev.ask("eth_fillTransaction", {"from": BOB.address, "data": "0x60425f5260205ff3"})
    fields = {name: value for name, value in filled["tx"].items() if value is not None}
    unsigned = {
        name: value for name, value in fields.items() if name not in {"v", "r", "s", "yParity", "hash"}
    }
    unsigned["data"] = unsigned.pop("input")
    raw = BOB.sign_transaction(unsigned).raw_transaction

    tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + bytes(raw).hex())
    await dev.ask("dev_mine")

    assert (await dev.ask("eth_getTransactionReceipt", tx_hash))["status"] == "0x1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"to": NOBODY, "gasPrice": "0x0"}, "gasPrice must be non-zero after london fork"),
        (
            {"to": NOBODY, "gas": "0x1", "chainId": "0x1"},
            f"chainId does not match node's (have=1, want={CHAIN_ID})",
        ),
        (
            {"to": NOBODY, "data": "0x01", "input": "0x02"},
            (
                'both "data" and "input" are set and not equal. '
                'Please use "input" to pass transaction call data'
            ),
        ),
        ({}, "contract creation without any data provided"),
        (
            {"data": "0x00", "authorizationList": []},
            'authorizationList provided for contract creation, but "to" field is missing',
        ),
        ({"to": NOBODY, "blobVersionedHashes": []}, "need at least 1 blob for a blob transaction"),
        ({"to": NOBODY, "blobVersionedHashes": ["0x01" + "00" * 31]}, "blob transactions are not supported"),
        ({"to": NOBODY, "blobs": ["0x00"]}, "blob transactions are not supported"),
    ],
)
async def test_what_cannot_be_a_transaction_is_refused_in_geths_words(
    dev: Dev, fields: dict[str, Json], message: str
) -> None:
    """Except for blobs, which this pool does not take."""
    call: Json = {"from": ALICE.address, **fields}

    assert await dev.fail("eth_fillTransaction", call) == (-32000, message, None)
