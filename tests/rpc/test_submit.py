"""Submission: order of checks, hash, receipt in time."""

import asyncio

import pytest

from rpc.errors import Json
from rpc.namespaces.eth_submit import go_duration
from rpc.quantities import to_data
from rpc.settings import CallSettings
from tests.deadline import until
from tests.rpc.client import Client
from tests.rpc.fakes import GWEI, FakeNode, FakeTransaction, word

RAW = "0x01"
HASH = to_data(word(1))
ETHER = 10**18
UNREADABLE = "invalid argument 0: json: cannot unmarshal"


@pytest.fixture
def client(node: FakeNode) -> Client:
    """geth's limits."""
    return Client(node)


def register(node: FakeNode, **facts: object) -> None:
    """Makes RAW decode to a transaction with these facts."""
    node.ingress.known[b"\x01"] = FakeTransaction(**facts)  # type: ignore[arg-type]  # each test names fields


async def test_a_transaction_is_answered_with_its_hash(client: Client, node: FakeNode) -> None:
    """And is pooled then."""
    register(node)

    assert await client.ask("eth_sendRawTransaction", RAW) == HASH
    assert node.pool.stats() == (1, 0)


async def test_the_same_transaction_again_is_known(client: Client, node: FakeNode) -> None:
    """geth is not idempotent here, and clients rely on the words."""
    register(node)
    await client.ask("eth_sendRawTransaction", RAW)

    assert await client.fail("eth_sendRawTransaction", RAW) == (-32000, "already known", None)


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [
        (
            "01",
            -32602,
            f"{UNREADABLE} hex string without 0x prefix into Go value of type hexutil.Bytes",
        ),
        (
            "0x1",
            -32602,
            f"{UNREADABLE} hex string of odd length into Go value of type hexutil.Bytes",
        ),
        ("0x", -32000, "typed transaction too short"),
        (5, -32602, f"{UNREADABLE} non-string into Go value of type hexutil.Bytes"),
        (None, -32602, "missing value for required argument 0"),
    ],
)
async def test_hex_comes_before_decoding(client: Client, raw: Json, code: int, message: str) -> None:
    """The first failing check decides."""
    assert await client.fail("eth_sendRawTransaction", raw) == (code, message, None)


@pytest.mark.parametrize(
    ("gas", "price", "message"),
    [
        (1_000_000_000, 1_500_000_000, "tx fee (1.50 ether) exceeds the configured cap (1.00 ether)"),
        (1, ETHER + 10**16, "tx fee (1.01 ether) exceeds the configured cap (1.00 ether)"),
        (
            2**64 - 1,
            2**256 - 1,
            f"tx fee ({(2**64 - 1) * (2**256 - 1) / ETHER:.2f} ether) exceeds the configured cap (1.00 ether)",
        ),
    ],
)
async def test_a_fee_above_the_cap_is_refused(
    client: Client, node: FakeNode, gas: int, price: int, message: str
) -> None:
    """Gas limit times fee cap, before replay protection and pool are looked at."""
    register(node, gas_limit=gas, max_fee_per_gas=price, chain_id=None)

    assert await client.fail("eth_sendRawTransaction", RAW) == (-32000, message, None)
    assert node.pool.stats() == (0, 0)


async def test_a_fee_of_exactly_the_cap_passes(client: Client, node: FakeNode) -> None:
    """The value does not count."""
    register(node, gas_limit=10**9, max_fee_per_gas=GWEI, value=100 * ETHER)

    assert await client.ask("eth_sendRawTransaction", RAW) == HASH


async def test_the_cap_can_be_off(node: FakeNode) -> None:
    """Zero is no cap."""
    register(node, gas_limit=10**9, max_fee_per_gas=ETHER)

    assert await Client(node, CallSettings(tx_fee_cap_ether=0)).ask("eth_sendRawTransaction", RAW) == HASH


async def test_unprotected_transactions_are_refused_by_default(client: Client, node: FakeNode) -> None:
    """A signature that is good on every chain."""
    register(node, type=0, chain_id=None)

    assert await client.fail("eth_sendRawTransaction", RAW) == (
        -32000,
        "only replay-protected (EIP-155) transactions allowed over RPC",
        None,
    )
    permissive = Client(node, CallSettings(allow_unprotected_txs=True))
    assert await permissive.ask("eth_sendRawTransaction", RAW) == HASH


async def test_a_synchronous_submission_gives_the_receipt(client: Client, node: FakeNode) -> None:
    """As soon as the block is there."""
    register(node)
    asking = asyncio.ensure_future(client.ask("eth_sendRawTransactionSync", RAW, 5_000))
    await until(lambda: bool(node.pool.pending))
    node.mine()
    await asyncio.sleep(0)
    assert not asking.done()
    node.mine([FakeTransaction()])
    receipt = await asking

    assert isinstance(receipt, dict)
    assert (receipt["transactionHash"], receipt["blockNumber"]) == (HASH, "0x2")


async def test_a_synchronous_submission_gives_up_in_time(client: Client, node: FakeNode) -> None:
    """Code 4 with the hash as data; the transaction stays pooled."""
    register(node)

    assert await client.fail("eth_sendRawTransactionSync", RAW, 10) == (
        4,
        "The transaction was added to the transaction pool but wasn't processed in 10ms",
        HASH,
    )
    assert node.pool.stats() == (1, 0)
    assert node.events.readers == 0


async def test_a_synchronous_submission_is_bounded(node: FakeNode) -> None:
    """Longer waits than allowed are cut, zero is the default."""
    hurried = Client(node, CallSettings(sync_default_timeout_s=0.01, sync_max_timeout_s=0.02))
    for timeout, said in ((60_000, "20ms"), (0, "10ms"), (None, "10ms")):
        node.pool.pending.clear()
        register(node)
        code, message, _ = await hurried.fail("eth_sendRawTransactionSync", RAW, timeout)

        assert (code, message.rpartition(" ")[2]) == (4, said)


async def test_the_timeout_is_a_json_number(client: Client) -> None:
    """Hex is refused, as in geth."""
    assert await client.fail("eth_sendRawTransactionSync", RAW, "0x10") == (
        -32602,
        "invalid argument 1: json: cannot unmarshal string into Go value of type uint64",
        None,
    )


async def test_a_refusal_is_the_same_synchronously(client: Client, node: FakeNode) -> None:
    """Errors of submission come at once."""
    assert await client.fail("eth_sendRawTransactionSync", RAW) == (
        -32000,
        "typed transaction too short",
        None,
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(20, "20s"), (60, "1m0s"), (1.5, "1.5s"), (0.25, "250ms"), (3_661, "1h1m1s"), (90.25, "1m30.25s")],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    """Wallets show the text."""
    assert go_duration(seconds) == text
