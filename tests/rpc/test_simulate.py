"""`eth_simulateV1` and moved precompiles, beyond the recorded answers: what a block leaves to the next, numbers of
logs, moves of ether, limits and refusals."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rpc.errors import Json
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import ALICE, BOB, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST, SECOND, THIRD = ("0x" + digit * 40 for digit in "abc")
ETHER_LOG = "0x" + "e" * 40
IDENTITY = "0x" + "4".rjust(40, "0")
SHA256 = "0x" + "2".rjust(40, "0")

COUNT = "0x5f5460010180" + "5f55" + "5f5260205ff3"
"""Adds one to slot 0 and returns it."""
BLOCK_HASH = "0x6001430340" + "5f5260205ff3"
"""Returns the parent's hash."""
BASE_FEE = "0x485f5260205ff3"
LOG_AND_REVERT = "0x5f5fa0" + "5f5ffd"
LOG = "0x5f5fa0"
LOOP = "0x5b5f56"


def call_with_value(to: str, value: int) -> str:
    """Code that sends some wei to an account and forgets whether that went well."""
    return "5f5f5f5f" + f"60{value:02x}" + "73" + to[2:] + "5af150"


def destroy(heir: str) -> str:
    """Code that destroys its account."""
    return "73" + heir[2:] + "ff"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node one block above its genesis."""
    async with dev_node() as node:
        await node.ask("dev_mine")
        yield node


async def simulate(dev: Dev, *blocks: dict[str, Json], **options: Json) -> Any:
    """The simulated blocks."""
    return await dev.ask("eth_simulateV1", {"blockStateCalls": list(blocks), **options}, "latest")


async def refusal(dev: Dev, *blocks: dict[str, Json], **options: Json) -> tuple[int, str]:
    """Code and words of a series that is refused."""
    code, words, _ = await dev.fail("eth_simulateV1", {"blockStateCalls": list(blocks), **options}, "latest")
    return code, words


def call_to(account: str, **fields: Json) -> dict[str, Json]:
    """A message of Alice."""
    return {"from": ALICE.address, "to": account, **fields}


async def test_a_block_stands_on_the_one_before(dev: Dev) -> None:
    """State, parent and BLOCKHASH lead from block to block, and the chain itself stays as it is."""
    head = await dev.ask("eth_getBlockByNumber", "latest", False)
    overrides: dict[str, Json] = {FIRST: {"code": COUNT}, SECOND: {"code": BLOCK_HASH}}
    calls: list[Json] = [call_to(FIRST), call_to(SECOND)]

    one, other = await simulate(dev, {"stateOverrides": overrides, "calls": calls}, {"calls": calls})

    assert [int(block["calls"][0]["returnData"], 16) for block in (one, other)] == [1, 2]
    assert one["parentHash"] == one["calls"][1]["returnData"] == head["hash"]
    assert other["parentHash"] == other["calls"][1]["returnData"] == one["hash"]
    assert await dev.ask("eth_getBlockByNumber", "latest", False) == head


async def test_what_was_sealed_is_simulated_to_the_same_roots(dev: Dev) -> None:
    """The messages of a sealed block, under its header's fields and on its parent's state, come to its roots."""
    nonce = int(await dev.ask("eth_getTransactionCount", ALICE.address, "latest"), 16)
    creation = signed(ALICE, nonce=nonce, gas=100_000, to=None, data=bytes.fromhex(LOG[2:]))
    payment = signed(ALICE, nonce=nonce + 1, to=BOB.address, value=7)
    for transaction in (creation, payment):
        await dev.ask("eth_sendRawTransaction", "0x" + transaction.hex())
    await dev.ask("dev_mine")
    sealed = await dev.ask("eth_getBlockByNumber", "latest", True)
    await dev.ask("dev_mine")
    overrides = {
        "time": sealed["timestamp"],
        "gasLimit": sealed["gasLimit"],
        "feeRecipient": sealed["miner"],
        "prevRandao": sealed["mixHash"],
        "baseFeePerGas": sealed["baseFeePerGas"],
    }
    fields = ("from", "to", "gas", "value", "nonce", "input", "maxFeePerGas", "maxPriorityFeePerGas")
    calls = [{name: tx[name] for name in fields} for tx in sealed["transactions"]]
    series: dict[str, Json] = {
        "blockStateCalls": [{"blockOverrides": overrides, "calls": calls}],
        "validation": True,
    }

    (block,) = await dev.ask("eth_simulateV1", series, {"blockHash": sealed["parentHash"]})

    assert len(calls) == 2
    for root in ("stateRoot", "receiptsRoot", "logsBloom", "gasUsed", "requestsHash", "parentHash", "number"):
        assert block[root] == sealed[root]


async def test_moves_of_ether_are_told_where_they_happen(dev: Dev) -> None:
    """Value of the message, of a call and of a self-destruct, in order; the bloom knows only real logs."""
    code = call_with_value(THIRD, 3) + LOG[2:] + destroy(SECOND)
    block: dict[str, Json] = {
        "stateOverrides": {FIRST: {"code": "0x" + code}},
        "calls": [call_to(FIRST, value="0xa")],
    }

    (told,) = await simulate(dev, block, traceTransfers=True)
    (plain,) = await simulate(dev, block)

    logs = told["calls"][0]["logs"]
    moves = [
        (log["topics"][1][-40:], log["topics"][2][-40:], int(log["data"], 16))
        for log in logs
        if log["address"] == ETHER_LOG
    ]
    alice = ALICE.address[2:].lower()
    assert moves == [(alice, "a" * 40, 10), ("a" * 40, "c" * 40, 3), ("a" * 40, "b" * 40, 7)]
    assert [log["address"] for log in logs] == [ETHER_LOG, ETHER_LOG, FIRST, ETHER_LOG]
    assert [log["logIndex"] for log in logs] == ["0x0", "0x1", "0x2", "0x3"]
    assert [log["address"] for log in plain["calls"][0]["logs"]] == [FIRST]
    assert told["hash"] == plain["hash"]
    assert told["logsBloom"] == plain["logsBloom"]


async def test_logs_that_are_reverted_keep_their_numbers(dev: Dev) -> None:
    """As in geth, whose numbers count every log that was ever written in the block."""
    block: dict[str, Json] = {
        "stateOverrides": {
            FIRST: {"code": "0x" + call_with_value(SECOND, 0) + LOG[2:], "balance": "0x5"},
            SECOND: {"code": LOG_AND_REVERT},
        },
        "calls": [call_to(SECOND), call_to(FIRST), call_to(FIRST)],
    }

    (simulated,) = await simulate(dev, block)

    failed, *calls = simulated["calls"]
    assert (failed["status"], failed["logs"]) == ("0x0", [])
    assert failed["error"] == {"message": "execution reverted", "code": 3, "data": "0x"}
    assert [[log["logIndex"] for log in call["logs"]] for call in calls] == [["0x2"], ["0x4"]]


async def test_the_base_fee_is_shown_to_who_does_not_pay_it(dev: Dev) -> None:
    """An overridden base fee is what BASEFEE gives, though a message without fees is spared it."""
    block: dict[str, Json] = {
        "blockOverrides": {"baseFeePerGas": "0x9"},
        "stateOverrides": {FIRST: {"code": BASE_FEE}},
        "calls": [call_to(FIRST)],
    }

    (simulated,) = await simulate(dev, block)

    assert int(simulated["calls"][0]["returnData"], 16) == 9


async def test_precompiles_move_for_calls_too(dev: Dev) -> None:
    """The identity answers where it was moved, and no longer where it was; estimates forget the move."""
    moved: Json = {IDENTITY: {"movePrecompileToAddress": FIRST}}

    assert await dev.ask("eth_call", call_to(FIRST, input="0x0102"), "latest", moved) == "0x0102"
    assert await dev.ask("eth_call", call_to(IDENTITY, input="0x0102"), "latest", moved) == "0x"
    plain = await dev.ask("eth_estimateGas", call_to(IDENTITY, input="0x0102"))
    assert await dev.ask("eth_estimateGas", call_to(IDENTITY, input="0x0102"), "latest", moved) == plain


async def test_an_override_takes_the_place_of_a_precompile(dev: Dev) -> None:
    """Code at its address runs in its stead."""
    override: Json = {SHA256: {"code": BASE_FEE}}

    answer = await dev.ask("eth_call", call_to(SHA256), "latest", override)

    assert answer == "0x" + "00" * 32


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({FIRST: {"movePrecompileToAddress": SECOND}}, "account 0x" + "a" * 40 + " is not a precompile"),
        (
            {IDENTITY: {"movePrecompileToAddress": FIRST}, FIRST: {"nonce": "0x1"}},
            "account 0x" + "a" * 40 + " is already overridden",
        ),
    ],
)
async def test_moves_that_cannot_be_are_refused(dev: Dev, overrides: Json, words: str) -> None:
    """In geth's words, but for the letter case of the address."""
    series: Json = {"blockStateCalls": [{"stateOverrides": overrides}]}
    for method, parameters in (
        ("eth_call", [call_to(FIRST), "latest", overrides]),
        ("eth_simulateV1", [series]),
    ):
        code, message, _ = await dev.fail(method, *parameters)
        assert (code, message.lower()) == (-32000, words)


@pytest.mark.parametrize(
    ("call", "validation", "expected"),
    [
        (
            {"gas": "0x5207"},
            False,
            (-38013, "err: intrinsic gas too low: have 20999, want 21000 (supplied gas 20999)"),
        ),
        (
            {"gas": "0xffffffffff"},
            False,
            (-38015, "block gas limit reached: remaining: {limit}, required: {gas}"),
        ),
        ({}, True, (-38012, None)),
        ({"nonce": "0xffff", "maxFeePerGas": "0x77359400"}, True, (-38011, None)),
        ({"from": FIRST, "value": "0x1"}, False, (-38014, None)),
        ({"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}, False, (-32602, None)),
        ({"gasPrice": "0x1", "maxFeePerGas": "0x1"}, False, (-32000, None)),
    ],
)
async def test_a_message_that_cannot_be_applied_refuses_the_series(
    dev: Dev, call: dict[str, Json], validation: bool, expected: tuple[int, str | None]
) -> None:
    """With the code of the execution API, and in geth's words."""
    head = await dev.ask("eth_getBlockByNumber", "latest", False)

    code, message = await refusal(dev, {"calls": [call_to(BOB.address, **call)]}, validation=validation)

    words = expected[1] or message
    assert (code, message) == (
        expected[0],
        words.format(limit=int(head["gasLimit"], 16), gas=0xFFFFFFFFFF),
    )


async def test_all_messages_share_the_gas_of_the_server(dev: Dev) -> None:
    """What one has used the next ones lack; a failure says that the cap may be to blame."""
    loop: dict[str, Json] = {"gasLimit": hex(10**9)}
    block: dict[str, Json] = {
        "blockOverrides": loop,
        "stateOverrides": {FIRST: {"code": LOOP}},
        "calls": [call_to(FIRST, gas=hex(49_900_000)), call_to(FIRST, gas=hex(200_000))],
    }

    (simulated,) = await simulate(dev, block)

    alone, capped = simulated["calls"]
    assert alone["error"] == {"message": "out of gas", "code": -32015}
    words = "out of gas (gas limit was capped by the RPC server's global gas cap)"
    assert capped["error"] == {"message": words, "code": -32015}
    assert (alone["gasUsed"], capped["gasUsed"]) == (hex(49_900_000), hex(100_000))


async def test_whole_transactions_are_given_unsigned(dev: Dev) -> None:
    """With their sender, and as plain ones where a gas price was named."""
    calls: list[Json] = [call_to(BOB.address), call_to(BOB.address, gasPrice="0x0")]

    (block,) = await simulate(dev, {"calls": calls}, returnFullTransactions=True)

    newer, plain = block["transactions"]
    assert (newer["type"], plain["type"]) == ("0x2", "0x0")
    for transaction in (newer, plain):
        assert transaction["from"] == ALICE.address.lower()
        assert transaction["r"] == transaction["s"] == "0x0"
        assert transaction["blockHash"] == block["hash"]


async def test_a_parallel_message_hides_its_tag(dev: Dev) -> None:
    """The parallel type means in a simulated block what it means in a real one."""
    echo: Json = {FIRST: {"code": "0x365f5f37365ff3"}}
    tagged = "0x" + b"PARALLEL".hex() + "a9059cbb"
    calls: list[Json] = [call_to(FIRST, input=tagged, type="0x5"), call_to(FIRST, input=tagged)]

    (block,) = await simulate(dev, {"stateOverrides": echo, "calls": calls}, returnFullTransactions=True)

    assert [call["returnData"] for call in block["calls"]] == ["0xa9059cbb", tagged]
    assert [transaction["type"] for transaction in block["transactions"]] == ["0x5", "0x2"]
