"""Simulation on the real engine: results, reverts, overrides, limits, the parallel type."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rpc.errors import Json
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import ALICE, BOB, CHAIN_ID, GWEI, POOR, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRACT = "0x" + "c0de".rjust(40, "0")
NOBODY = "0x" + "70" * 20
ETHER = 10**18
TAG = b"PARALLEL".hex()

ECHO = "0x365f5f37365ff3"
"""Returns its calldata."""
NUMBER = "0x435f5260205ff3"
"""Returns the block's number."""
LOAD = "0x5f545f5260205ff3"
"""Returns slot 0."""
LOOP = "0x5b5f56"
"""Jumps to itself until gas runs out."""
INVALID = "0xfe"
UNDERFLOW = "0x01"
REVERT_WITH_CALLDATA = "0x365f5f37365ffd"
STORE = "0x60015f55"
"""Stores 1 in slot 0."""

REASON = "0x08c379a0" + "20".rjust(64, "0") + "a".rjust(64, "0") + b"user error".hex().ljust(64, "0")


def to_contract(code: str, **fields: Json) -> list[Json]:
    """Parameters of a call to CONTRACT, which has `code`."""
    call: dict[str, Json] = {"from": ALICE.address, "to": CONTRACT, **fields}
    return [call, "latest", {CONTRACT: {"code": code}}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node one block above its genesis."""
    async with dev_node() as node:
        await node.ask("dev_mine")
        yield node


@pytest.mark.parametrize("field", ["input", "data"])
async def test_a_call_returns_what_the_code_returns(dev: Dev, field: str) -> None:
    """Either name of the calldata."""
    assert await dev.ask("eth_call", *to_contract(ECHO, **{field: "0x0102"})) == "0x0102"


async def test_input_goes_before_data(dev: Dev) -> None:
    """As in geth, a call does not complain about both."""
    assert await dev.ask("eth_call", *to_contract(ECHO, data="0x01", input="0x02")) == "0x02"


@pytest.mark.parametrize(
    ("tx_type", "seen"),
    [
        ({"type": "0x5"}, "0xa9059cbb"),
        ({"type": "0x2"}, "0x" + TAG + "a9059cbb"),
        ({}, "0x" + TAG + "a9059cbb"),
    ],
)
async def test_only_the_parallel_type_hides_its_tag_from_the_code(
    dev: Dev, tx_type: dict[str, Json], seen: str
) -> None:
    """A tagged contract call reaches the contract with its selector intact."""
    assert await dev.ask("eth_call", *to_contract(ECHO, data="0x" + TAG + "a9059cbb", **tx_type)) == seen


async def test_the_tag_is_paid_for(dev: Dev) -> None:
    """Eight bytes that are no zeros, although the code does not see them."""
    plain, tagged = [
        await dev.ask("eth_createAccessList", *to_contract(STORE, data=data, type="0x5")[:3])
        for data in ("0x", "0x" + TAG)
    ]

    assert int(tagged["gasUsed"], 16) - int(plain["gasUsed"], 16) == 8 * 16


@pytest.mark.parametrize("tx_type", ["0x6", "0x01", "legacy", 1.5, True, []])
async def test_any_other_type_is_passed_over(dev: Dev, tx_type: Json) -> None:
    """geth reads no type at all."""
    assert await dev.ask("eth_call", *to_contract(ECHO, data="0x01", type=tx_type)) == "0x01"


@pytest.mark.parametrize(
    ("code", "data", "code_and_words", "output"),
    [
        (REVERT_WITH_CALLDATA, "0x", (3, "execution reverted"), "0x"),
        (REVERT_WITH_CALLDATA, "0x0102", (3, "execution reverted"), "0x0102"),
        (REVERT_WITH_CALLDATA, REASON, (3, "execution reverted: user error"), REASON),
        (
            REVERT_WITH_CALLDATA,
            "0x4e487b71" + "11".rjust(64, "0"),
            (3, "execution reverted: arithmetic underflow or overflow"),
            "0x4e487b71" + "11".rjust(64, "0"),
        ),
        (
            REVERT_WITH_CALLDATA,
            "0x4e487b71" + "77".rjust(64, "0"),
            (3, "execution reverted: unknown panic code: 0x77"),
            "0x4e487b71" + "77".rjust(64, "0"),
        ),
        (REVERT_WITH_CALLDATA, REASON[:-64], (3, "execution reverted"), REASON[:-64]),
        (INVALID, "0x", (-32000, "invalid opcode: INVALID"), None),
        (UNDERFLOW, "0x", (-32000, "stack underflow (0 <=> 2)"), None),
    ],
)
async def test_failures_of_the_code_are_told_in_geths_words(
    dev: Dev, code: str, data: str, code_and_words: tuple[int, str], output: str | None
) -> None:
    """Reverts with their data and, where it is one of Solidity's, their reason."""
    assert await dev.fail("eth_call", *to_contract(code, data=data)) == (*code_and_words, output)


async def test_a_call_that_never_ends_runs_out_of_gas(dev: Dev) -> None:
    """The gas of the call, or the node's cap."""
    assert await dev.fail("eth_call", *to_contract(LOOP, gas="0x186a0")) == (-32000, "out of gas", None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"gasPrice": "0x1", "maxFeePerGas": "0x1"},
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ),
        ({"chainId": "0x1"}, f"chainId does not match node's (have=1, want={CHAIN_ID})"),
        (
            {"from": POOR.address, "value": "0x1"},
            (
                "err: insufficient funds for gas * price + value: "
                f"address {POOR.address} have 0 want 1 (supplied gas 50000000)"
            ),
        ),
        ({"gas": "0x10"}, "err: intrinsic gas too low: have 16, want 21000 (supplied gas 16)"),
    ],
)
async def test_impossible_messages_are_refused_in_geths_words(
    dev: Dev, fields: dict[str, Json], message: str
) -> None:
    """Before anything runs."""
    call = {"from": ALICE.address, "to": NOBODY, **fields}

    assert await dev.fail("eth_call", call, "latest") == (-32000, message, None)


@pytest.mark.parametrize(
    ("override", "code", "expected"),
    [
        ({"balance": hex(5 * ETHER)}, None, None),
        ({"state": {"0x" + "00" * 32: "0x" + "07".rjust(64, "0")}}, LOAD, "0x" + "07".rjust(64, "0")),
        ({"stateDiff": {"0x" + "00" * 32: "0x" + "08".rjust(64, "0")}}, LOAD, "0x" + "08".rjust(64, "0")),
    ],
)
async def test_state_can_be_overridden(
    dev: Dev, override: dict[str, Json], code: str | None, expected: str | None
) -> None:
    """Balance, all slots, some slots."""
    if code is None:
        call: Json = {"from": CONTRACT, "to": NOBODY, "value": hex(5 * ETHER)}
        assert await dev.ask("eth_call", call, "latest", {CONTRACT: override}) == "0x"
    else:
        call = {"to": CONTRACT}
        assert await dev.ask("eth_call", call, "latest", {CONTRACT: {**override, "code": code}}) == expected


async def test_state_and_its_difference_exclude_each_other(dev: Dev) -> None:
    """geth names the account with its checksum."""
    override: Json = {ALICE.address: {"state": {}, "stateDiff": {}}}

    assert await dev.fail("eth_call", {"to": NOBODY}, "latest", override) == (
        -32000,
        f"account {ALICE.address} has both 'state' and 'stateDiff'",
        None,
    )


@pytest.mark.parametrize(
    ("block", "overrides", "number"),
    [("latest", None, 1), ("pending", None, 2), ("0x0", None, 0), ("latest", {"number": "0x99"}, 0x99)],
)
async def test_the_code_sees_the_block_that_is_asked_for(
    dev: Dev, block: str, overrides: Json, number: int
) -> None:
    """The head, the one after it, an old one, and one made up."""
    call, _, state = to_contract(NUMBER)

    assert int(await dev.ask("eth_call", call, block, state, overrides), 16) == number


@pytest.mark.parametrize("field", ["beaconRoot", "withdrawals"])
async def test_some_block_fields_cannot_be_overridden(dev: Dev, field: str) -> None:
    """A single call has no use for them."""
    value: Json = "0x" + "00" * 32 if field == "beaconRoot" else []

    assert await dev.fail("eth_call", {"to": NOBODY}, "latest", None, {field: value}) == (
        -32000,
        f'block override "{field}" is not supported for this RPC method',
        None,
    )


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ([{"to": "0x12"}], -32602, "invalid argument 0: hex string has length 2, want 40 for common.Address"),
        (
            [{"gas": "21000"}],
            -32602,
            (
                "invalid argument 0: json: cannot unmarshal hex string without 0x prefix into "
                "Go struct field TransactionArgs.gas of type hexutil.Uint64"
            ),
        ),
        (
            [{"accessList": [{"address": "0x12", "storageKeys": []}]}],
            -32602,
            "invalid argument 0: hex string has length 2, want 40 for common.Address",
        ),
        (
            [{"accessList": [{"storageKeys": []}]}],
            -32602,
            "invalid argument 0: missing required field 'address' for AccessTuple",
        ),
        (
            ["call"],
            -32602,
            "invalid argument 0: json: cannot unmarshal string into Go value of type ethapi.TransactionArgs",
        ),
        ([], -32602, "missing value for required argument 0"),
        ([{}, "0x99"], -32000, "header not found"),
        ([{}, "0x" + "99" * 32], -32000, "header for hash not found"),
        ([{}, "newest"], -32602, "invalid argument 1: hex string without 0x prefix"),
        (
            [{}, "latest", {"0x12": {}}],
            -32602,
            "invalid argument 2: hex string has length 2, want 40 for common.Address",
        ),
        (
            [{}, "latest", {"70" * 20: {}}],
            -32602,
            (
                "invalid argument 2: json: cannot unmarshal hex string without 0x prefix into "
                "Go value of type common.Address"
            ),
        ),
        (
            [{}, "latest", {"0x" + "70" * 20: {"stateDiff": {"0x0": "0x0"}}}],
            -32602,
            (
                "invalid argument 2: json: cannot unmarshal hex string of odd length into "
                "Go struct field OverrideAccount.stateDiff of type common.Hash"
            ),
        ),
        (
            [{}, "latest", {}, {"number": 5}],
            -32602,
            (
                "invalid argument 3: json: cannot unmarshal non-string into "
                "Go struct field BlockOverrides.Number of type *hexutil.Big"
            ),
        ),
        ([{}, {}], -32602, "invalid argument 1: must specify either BlockHash or BlockNumber"),
    ],
)
async def test_wrong_parameters_are_refused_in_geths_words(
    dev: Dev, params: list[Json], code: int, message: str
) -> None:
    """Call object, block, overrides."""
    assert await dev.fail("eth_call", *params) == (code, message, None)


# ------------------------------------------------------------------ estimates


@pytest.mark.parametrize(
    ("call", "low", "high"),
    [
        ({"from": ALICE.address, "to": NOBODY, "value": "0x1"}, 21_000, 21_000),
        ({"from": POOR.address, "to": NOBODY}, 21_000, 21_000),
        ({"from": ALICE.address, "data": "0x5f5ff3"}, 53_000, 54_000),
    ],
)
async def test_estimates(dev: Dev, call: Json, low: int, high: int) -> None:
    """Exact for a transfer; close for anything else."""
    assert low <= int(await dev.ask("eth_estimateGas", call), 16) <= high


async def test_an_estimate_suffices(dev: Dev) -> None:
    """The message succeeds with it, and fails with a tenth less."""
    params = to_contract(STORE)
    gas = int(await dev.ask("eth_estimateGas", *params), 16)
    call, *rest = params
    assert isinstance(call, dict)

    assert await dev.ask("eth_call", {**call, "gas": hex(gas)}, *rest) == "0x"
    assert (await dev.fail("eth_call", {**call, "gas": hex(gas * 9 // 10)}, *rest))[1] == "out of gas"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (to_contract(REVERT_WITH_CALLDATA, data=REASON), (3, "execution reverted: user error", REASON)),
        (to_contract(INVALID), (-32000, "invalid opcode: INVALID", None)),
        (to_contract(LOOP, gas="0x186a0"), (-32000, "gas required exceeds allowance (100000)", None)),
        (
            [{"from": POOR.address, "to": NOBODY, "value": "0x1", "maxFeePerGas": hex(3 * GWEI)}],
            (-32000, "insufficient funds for transfer", None),
        ),
    ],
)
async def test_what_cannot_succeed_has_no_estimate(
    dev: Dev, params: list[Json], expected: tuple[int, str, Any]
) -> None:
    """geth's words for each reason."""
    assert await dev.fail("eth_estimateGas", *params) == expected


# ------------------------------------------------------------------ access lists


async def test_an_access_list_names_what_is_touched(dev: Dev) -> None:
    """The slot of the contract; neither sender nor recipient by themselves."""
    answer = await dev.ask("eth_createAccessList", *to_contract(STORE))

    assert answer["accessList"] == [{"address": CONTRACT, "storageKeys": ["0x" + "00" * 32]}]
    assert "error" not in answer


async def test_a_failing_message_has_an_access_list_too(dev: Dev) -> None:
    """The failure is part of the answer."""
    answer = await dev.ask("eth_createAccessList", *to_contract(INVALID))

    assert (answer["error"], answer["accessList"]) == ("invalid opcode: INVALID", [])


# ------------------------------------------------------------------ state


async def test_reads_of_state(dev: Dev) -> None:
    """Of accounts that exist, that do not, and in the past."""
    raw = signed(BOB, gas=200_000, to=None, data=bytes.fromhex("6007600052602060206020f3"))
    tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + raw.hex())
    await dev.ask("dev_mine")
    receipt = await dev.ask("eth_getTransactionReceipt", tx_hash)
    contract = receipt["contractAddress"]

    assert receipt["status"] == "0x1"
    assert await dev.ask("eth_getCode", contract) == "0x" + "00" * 32
    assert await dev.ask("eth_getCode", contract, "0x0") == "0x"
    assert await dev.ask("eth_getTransactionCount", BOB.address) == "0x1"
    assert await dev.ask("eth_getTransactionCount", BOB.address, "0x0") == "0x0"
    assert await dev.ask("eth_getBalance", BOB.address, "earliest") == hex(10_000 * ETHER)
    assert int(await dev.ask("eth_getBalance", BOB.address), 16) < 10_000 * ETHER - GWEI
    assert await dev.ask("eth_getStorageAt", contract, "0x0") == "0x" + "00" * 32
    assert await dev.ask("eth_getBalance", NOBODY) == "0x0"


async def test_the_pending_nonce_knows_the_pool(dev: Dev) -> None:
    """The latest one does not."""
    await dev.ask("eth_sendRawTransaction", "0x" + signed(ALICE, nonce=0).hex())

    assert await dev.ask("eth_getTransactionCount", ALICE.address, "pending") == "0x1"
    assert await dev.ask("eth_getTransactionCount", ALICE.address, "latest") == "0x0"


async def test_a_proof_of_an_account(dev: Dev) -> None:
    """Keys come back as they were written, if they were not whole."""
    proof = await dev.ask("eth_getProof", ALICE.address, ["0x1", "0x" + "01".rjust(64, "0")], "latest")

    assert proof["address"] == ALICE.address.lower()
    assert [entry["key"] for entry in proof["storageProof"]] == ["0x1", "0x" + "01".rjust(64, "0")]
    assert proof["accountProof"]
    assert int(proof["codeHash"], 16)


async def test_a_proof_that_there_is_no_account(dev: Dev) -> None:
    """Both hashes are zero then, as in geth, and not those of nothing."""
    proof = await dev.ask("eth_getProof", "0x" + "71" * 20, ["0x1"], "latest")

    assert (proof["codeHash"], proof["storageHash"]) == ("0x" + "00" * 32,) * 2
    assert proof["storageProof"] == [{"key": "0x1", "value": "0x0", "proof": []}]


async def test_the_block_of_a_slot_is_looked_for_before_its_key_is_read(dev: Dev) -> None:
    """As in geth, where both are wrong."""
    assert (await dev.fail("eth_getStorageAt", NOBODY, "0xzz", "0x99"))[1] == "header not found"


@pytest.mark.parametrize("slots", [{}, {NOBODY: []}, {NOBODY: None}])
async def test_no_slots_are_no_request(dev: Dev, slots: Json) -> None:
    """An account without a slot asks for nothing."""
    assert await dev.fail("eth_getStorageValues", slots) == (-32602, "empty request", None)


async def test_too_many_keys_are_refused(dev: Dev) -> None:
    """A thousand and twenty-four."""
    assert await dev.fail("eth_getProof", ALICE.address, ["0x0"] * 1_025, "latest") == (
        -32602,
        "too many storage keys requested (max 1024, got 1025)",
        None,
    )
    slots: Json = {ALICE.address: ["0x" + "00" * 32] * 1_025}
    assert await dev.fail("eth_getStorageValues", slots, "latest") == (
        -38026,
        "too many slots (max 1024)",
        None,
    )
