"""Bad raw transactions against the real decoder and the real pool: each with geth's code and words."""

import json
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.public_data import REPOSITORY
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.senders import (
    ALICE,
    BOB,
    CHAIN_ID,
    DYNAMIC,
    GWEI,
    LEGACY,
    POOR,
    by_hand,
    delegation,
    parallel,
    signed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ETHER = 10**18
RICH = 10_000 * ETHER
"""What a dev account owns."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node on which Alice has used nonce 0 and has nonce 1 pending."""
    async with dev_node() as node:
        await node.ask("eth_sendRawTransaction", "0x" + signed().hex())
        await node.ask("dev_mine")
        await node.ask("eth_sendRawTransaction", "0x" + PENDING.hex())
        yield node


PENDING = signed(nonce=1)
OVERSIZED = signed(BOB, gas=3_000_000, data=b"\x00" * 131_072)

OVERSHOOT = "rlp: element is larger than containing list"
"""geth notices an element that overshoots its list by less than its header one step later, in other words."""

POOL_CASES = [
    pytest.param(b"", "typed transaction too short", id="nothing"),
    pytest.param(b"\x02", "typed transaction too short", id="a type without a payload"),
    pytest.param(
        b"\x02\x01", "rlp: expected input list for types.DynamicFeeTx", id="a payload that is no list"
    ),
    pytest.param(b"\x02\xc0", "rlp: too few elements for types.DynamicFeeTx", id="an empty list"),
    pytest.param(b"\x7f\xc0", "transaction type not supported", id="an unknown type"),
    pytest.param(b"\x06\xc0", "transaction type not supported", id="the type after the parallel one"),
    pytest.param(b"\xc0", "rlp: too few elements for types.LegacyTx", id="an empty legacy list"),
    pytest.param(b"\x80", "rlp: expected input list for types.LegacyTx", id="a string"),
    pytest.param(PENDING[:-1], "rlp: value size exceeds available input length", id="a cut transaction"),
    pytest.param(PENDING + b"\x00", "rlp: input contains more than one value", id="a byte too many"),
    pytest.param(
        b"\x05\x01", "rlp: expected input list for types.ParallelTx", id="a parallel one that is no list"
    ),
    pytest.param(parallel()[:-1], "rlp: value size exceeds available input length", id="a cut parallel one"),
    pytest.param(PENDING, "already known", id="what is pooled already"),
    pytest.param(signed(nonce=0, value=2), "nonce too low: next nonce 1, tx nonce 0", id="a used nonce"),
    pytest.param(signed(BOB, nonce=2**64 - 1), "nonce has max value", id="the last nonce"),
    pytest.param(
        signed(nonce=1, value=2), "replacement transaction underpriced", id="a replacement at the same price"
    ),
    pytest.param(
        signed(BOB, chainId=1),
        f"invalid sender: invalid chain id for signer: have 1 want {CHAIN_ID}",
        id="another chain",
    ),
    pytest.param(
        signed(BOB, LEGACY, chainId=1),
        f"invalid sender: invalid chain id for signer: have 1 want {CHAIN_ID}",
        id="another chain, legacy",
    ),
    pytest.param(
        signed(BOB, LEGACY, chainId=None),
        "only replay-protected (EIP-155) transactions allowed over RPC",
        id="any chain",
    ),
    pytest.param(
        signed(BOB, gas=20_999),
        "intrinsic gas too low: gas 20999, minimum needed 21000",
        id="less gas than a transfer costs",
    ),
    pytest.param(
        signed(BOB, gas=21_000, data=b"\x01"),
        "intrinsic gas too low: gas 21000, minimum needed 21016",
        id="no gas for the data",
    ),
    pytest.param(
        signed(BOB, gas=22_000, data=b"\x01" * 50),
        "insufficient gas for floor data gas cost: gas 22000, minimum needed 23000",
        id="less gas than the calldata floor",
    ),
    pytest.param(
        parallel(BOB, gas=21_319),
        "insufficient gas for floor data gas cost: gas 21319, minimum needed 21320",
        id="no gas for the tag",
    ),
    pytest.param(
        signed(BOB, gas=16_777_217, maxFeePerGas=GWEI, maxPriorityFeePerGas=1),
        "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        id="more gas than one transaction may have",
    ),
    pytest.param(
        signed(BOB, maxPriorityFeePerGas=4 * GWEI),
        "max priority fee per gas higher than max fee per gas",
        id="a tip above the fee cap",
    ),
    pytest.param(
        signed(BOB, maxPriorityFeePerGas=0),
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1",
        id="no tip",
    ),
    pytest.param(
        signed(BOB, gas=1_000_000, maxFeePerGas=1_500 * GWEI),
        "tx fee (1.50 ether) exceeds the configured cap (1.00 ether)",
        id="a fee above the cap",
    ),
    pytest.param(
        signed(POOR),
        "insufficient funds for gas * price + value: "
        f"balance 0, tx cost {21_000 * 3 * GWEI + 1}, overshot {21_000 * 3 * GWEI + 1}",
        id="a sender without funds",
    ),
    pytest.param(
        signed(BOB, value=RICH),
        "insufficient funds for gas * price + value: "
        f"balance {RICH}, tx cost {RICH + 21_000 * 3 * GWEI}, overshot {21_000 * 3 * GWEI}",
        id="all that one has, and the fee",
    ),
    pytest.param(
        signed(BOB, to=None, gas=5_000_000, data=b"\x00" * 49_153),
        "max initcode size exceeded: code size 49153 limit 49152",
        id="init code too long",
    ),
    pytest.param(
        OVERSIZED,
        f"oversized data: transaction size {len(OVERSIZED)}, limit 131072",
        id="a transaction too long",
    ),
    pytest.param(
        by_hand(BOB, 3, GWEI, [b"\x01" + bytes(31)]),
        "transaction type not supported: tx type 3 not supported by this pool",
        id="a blob transaction",
    ),
    pytest.param(
        by_hand(BOB, 4, []),
        "set code tx must have at least one authorization tuple",
        id="a delegation of nobody",
    ),
    pytest.param(
        by_hand(BOB, 2, is_malleated=True),
        "invalid sender: invalid transaction v, r, s values",
        id="the malleable signature",
    ),
    pytest.param(
        by_hand(BOB, 2, signature=(0, 0, 1)),
        "invalid sender: invalid transaction v, r, s values",
        id="a signature of zero",
    ),
]


@pytest.mark.parametrize(("raw", "message"), POOL_CASES)
async def test_a_bad_transaction_is_refused_in_geths_words(dev: Dev, raw: bytes, message: str) -> None:
    """Code -32000 and the text that wallets match on; nothing is pooled."""
    before = dev.pool.stats()

    assert await dev.fail("eth_sendRawTransaction", "0x" + raw.hex()) == (-32000, message, None)
    assert dev.pool.stats() == before


async def test_decode_errors_are_geths_for_all_recorded_inputs(dev: Dev) -> None:
    """What go-ethereum said to each of some hundred broken inputs."""
    lines = (REPOSITORY / "tests/vectors/geth_transactions.jsonl").read_text().splitlines()
    recorded = [vector for line in lines if "error" in (vector := json.loads(line))]
    assert len(recorded) > 100
    others: list[tuple[str, str]] = []

    for start in range(0, len(recorded), 100):
        part = recorded[start : start + 100]
        batch = [
            {
                "jsonrpc": "2.0",
                "id": index,
                "method": "eth_sendRawTransaction",
                "params": ["0x" + vector["raw"]],
            }
            for index, vector in enumerate(part)
        ]
        async with dev.session.post(
            dev.server.http_url or "",
            data=orjson.dumps(batch),
            headers={"Content-Type": "application/json"},
        ) as response:
            answers = orjson.loads(await response.read())

        assert [answer["error"]["code"] for answer in answers] == [-32000] * len(part)
        said = [answer["error"]["message"] for answer in answers]
        others += [
            (message, vector["error"])
            for message, vector in zip(said, part, strict=True)
            if message != vector["error"]
        ]

    assert len(others) <= 2
    assert all(message == OVERSHOOT for message, _ in others)


async def test_a_valid_delegation_is_taken(dev: Dev) -> None:
    """The counterpart of the refused ones."""
    raw = signed(
        BOB,
        {**DYNAMIC, "gas": 100_000, "type": 4},
        authorizationList=[delegation(POOR)],
    )

    assert await dev.ask("eth_sendRawTransaction", "0x" + raw.hex())


async def test_the_node_still_seals(dev: Dev) -> None:
    """After all of that."""
    await dev.ask("dev_mine")

    assert await dev.ask("eth_getTransactionCount", ALICE.address) == "0x2"


async def test_a_batch_is_admitted_in_its_order() -> None:
    """A hundred nonces of one sender, then a replacement that comes after what it replaces, then a look."""
    raws = [signed(nonce=nonce) for nonce in range(100)]
    better = signed(nonce=99, maxFeePerGas=5 * GWEI, maxPriorityFeePerGas=2 * GWEI)
    calls = [("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in (*raws, better)]
    calls += [("txpool_status", []), ("eth_getTransactionCount", [ALICE.address, "pending"])]
    batch = [
        {"jsonrpc": "2.0", "id": index, "method": method, "params": params}
        for index, (method, params) in enumerate(calls)
    ]
    async with (
        dev_node() as fresh,
        fresh.session.post(fresh.server.http_url or "", json=batch) as response,
    ):
        answers = orjson.loads(await response.read())

    assert [answer["id"] for answer in answers] == list(range(len(calls)))
    assert all(len(answer["result"]) == 66 for answer in answers[:101])
    assert answers[101]["result"] == {"pending": "0x64", "queued": "0x0"}
    assert answers[102]["result"] == "0x64"
