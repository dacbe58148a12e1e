"""Fees and lists that a caller of a simulation names, leaves open, or names empty, each in geth's words."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import rlp
from eth_utils.crypto import keccak

from rpc.call_object import CallObject
from rpc.errors import Json, RpcError
from rpc.fee_defaults import with_default_fees
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import ALICE, CHAIN_ID, GWEI, POOR

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "0x" + "70" * 20
TO = bytes.fromhex(NOBODY[2:])

SIGNATURE: dict[str, Json] = {"address": NOBODY, "nonce": "0x0", "r": "0x1", "s": "0x1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node one block above its genesis."""
    async with dev_node() as node:
        await node.ask("dev_mine")
        yield node


@pytest.mark.parametrize(
    ("fees", "message"),
    [
        ({"gasPrice": "0x0"}, "gasPrice must be non-zero after london fork"),
        ({"maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0"}, "maxFeePerGas must be non-zero"),
        (
            {"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x3"},
            "maxFeePerGas (0x1) < maxPriorityFeePerGas (0x3)",
        ),
        ({"maxFeePerGas": "0x1"}, "maxFeePerGas (0x1) < maxPriorityFeePerGas (0xf4240)"),
        ({"maxFeePerBlobGas": "0x0"}, "maxFeePerBlobGas, if specified, must be non-zero"),
        ({"gasPrice": "0x1", "authorizationList": []}, "both gasPrice and authorizationList specified"),
    ],
)
async def test_fees_that_no_transaction_has_get_no_access_list(
    dev: Dev, fees: dict[str, Json], message: str
) -> None:
    """What was left open is filled in first, and may not fit what was named."""
    call: Json = {"from": ALICE.address, "to": NOBODY, **fees}

    assert await dev.fail("eth_createAccessList", call) == (-32000, message, None)


async def test_a_tip_alone_is_enough_for_an_access_list(dev: Dev) -> None:
    """The cap is the tip and twice the base fee."""
    call: Json = {"from": ALICE.address, "to": NOBODY, "maxPriorityFeePerGas": "0x3"}

    assert await dev.ask("eth_createAccessList", call) == {"accessList": [], "gasUsed": "0x5208"}


async def test_slots_that_are_named_but_not_touched_stay_for_others_than_the_recipient_only(dev: Dev) -> None:
    """As in geth: the recipient is warm anyway, and what it does not touch only costs."""
    other = {"address": "0x" + "72" * 20, "storageKeys": ["0x" + "22" * 32]}
    named: Json = [{"address": NOBODY, "storageKeys": ["0x" + "22" * 32]}, other]
    call: Json = {"from": ALICE.address, "to": NOBODY, "accessList": named}

    assert (await dev.ask("eth_createAccessList", call))["accessList"] == [other]


async def test_fees_before_london_and_for_blobs() -> None:
    """A gas price is suggested where no base fee is known; blobs may cost twice what they cost now."""

    async def suggest() -> int:
        return 7

    blobs = CallObject(max_fee_per_gas=9, max_priority_fee_per_gas=1, blob_versioned_hashes=[bytes(32)])

    assert await with_default_fees(CallObject(), None, None, suggest) == CallObject(gas_price=7)
    assert (await with_default_fees(blobs, 1, 5, suggest)).max_fee_per_blob_gas == 10
    with pytest.raises(RpcError, match="not valid before London is active"):
        await with_default_fees(CallObject(max_fee_per_gas=1), None, None, suggest)


@pytest.mark.parametrize(
    ("fees", "encoding"),
    [
        ({"gasPrice": hex(2 * GWEI)}, rlp.encode([b"", 2 * GWEI, 21_000, TO, b"", b"", b"", b"", b""])),
        (
            {"maxFeePerGas": hex(2 * GWEI), "maxPriorityFeePerGas": "0x1"},
            b"\2" + rlp.encode([CHAIN_ID, b"", 1, 2 * GWEI, 21_000, TO, b"", b"", [], b"", b"", b""]),
        ),
    ],
)
async def test_a_message_that_cannot_be_applied_is_named_by_its_transaction(
    dev: Dev, fees: dict[str, Json], encoding: bytes
) -> None:
    """The hash is that of the unsigned transaction, of the plain type where there is a gas price."""
    call: Json = {"from": POOR.address, "to": NOBODY, "gas": "0x5208", "nonce": "0x0", **fees}

    code, message, _ = await dev.fail("eth_createAccessList", call)

    expected = f"failed to apply transaction: 0x{keccak(encoding).hex()}"
    assert (code, message.split(" err: ")[0]) == (-32000, expected)


@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"to": NOBODY, "blobVersionedHashes": []}, "blob transaction missing blob hashes"),
        (
            {"to": NOBODY, "authorizationList": []},
            f"EIP-7702 transaction with empty auth list (sender {ALICE.address})",
        ),
    ],
)
async def test_a_list_that_is_there_may_not_be_empty(
    dev: Dev, method: str, fields: dict[str, Json], message: str
) -> None:
    """An empty list makes the message one of its type, as in geth."""
    code, words, _ = await dev.fail(method, {"from": ALICE.address, **fields})

    assert code == -32000
    assert message in words


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("blobVersionedHashes", "blob transaction of type create"),
        ("authorizationList", "EIP-7702 transaction cannot be used to create contract"),
    ],
)
async def test_no_contract_is_created_with_blobs_or_authorizations(
    dev: Dev, field: str, message: str
) -> None:
    """Said before anything else of the message is looked at."""
    assert await dev.fail("eth_call", {"data": "0x00", field: []}) == (-32000, message, None)


async def test_a_wide_parity_is_cut_to_a_byte(dev: Dev) -> None:
    """As Go cuts it: such an authorization is invalid and skipped, and the message runs."""
    authorization: Json = {**SIGNATURE, "chainId": "0x1", "yParity": "0xffffffffffffffff"}
    call: Json = {"from": ALICE.address, "to": NOBODY, "authorizationList": [authorization]}

    assert int(await dev.ask("eth_estimateGas", call), 16) > 21_000


async def test_numbers_in_authorizations_are_told_by_their_own_type(dev: Dev) -> None:
    """geth reads them into another type than the numbers around them."""
    call: Json = {"to": NOBODY, "authorizationList": [{**SIGNATURE, "chainId": 5, "yParity": "0x0"}]}

    assert await dev.fail("eth_call", call) == (
        -32602,
        (
            "invalid argument 0: json: cannot unmarshal non-string into Go struct field "
            "TransactionArgs.authorizationList.chainId of type *uint256.Int"
        ),
        None,
    )


@pytest.mark.parametrize("field", ["number", "baseFeePerGas", "blobBaseFee"])
async def test_an_environment_beyond_the_engines_numbers_is_refused(dev: Dev, field: str) -> None:
    """In words, and not as a crash of the method."""
    code, message, _ = await dev.fail("eth_call", {"to": NOBODY}, "latest", None, {field: "0x1" + "0" * 40})

    assert (code, message.endswith("bits is not supported")) == (-32000, True)


# ------------------------------------------------------------------ before the forks

EARLY = {
    "config": {"chainId": 5, "homesteadBlock": 0},
    "difficulty": "0x1",
    "gasLimit": "0x1c9c380",
    "alloc": {},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def early(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """A node on a chain that stands at its genesis, long before London."""
    genesis = tmp_path_factory.mktemp("early") / "genesis.json"
    genesis.write_text(json.dumps(EARLY))
    async with dev_node(genesis) as node:
        yield node


async def test_before_london_the_fees_of_london_are_passed_over(early: Dev) -> None:
    """A message has no type that the block might not know, and does not pay what it cannot say."""
    call: Json = {"to": NOBODY, "maxFeePerGas": "0x5", "maxPriorityFeePerGas": "0x9"}

    assert await early.ask("eth_call", call) == "0x"
    assert await early.ask("eth_estimateGas", call) == "0x5208"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"accessList": []}, "access list"),
        ({"blobVersionedHashes": ["0x01" + "00" * 31]}, "blob"),
        ({"authorizationList": []}, "setcode"),
    ],
)
async def test_a_list_that_the_block_does_not_know_is_named(
    early: Dev, fields: dict[str, Json], kind: str
) -> None:
    """With the sender, as geth names it."""
    call: Json = {"from": ALICE.address, "to": NOBODY, "gas": "0x186a0", **fields}

    assert await early.fail("eth_call", call) == (
        -32000,
        f"err: transaction type not supported: {kind} tx (sender {ALICE.address}) (supplied gas 100000)",
        None,
    )
