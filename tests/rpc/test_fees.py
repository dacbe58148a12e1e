"""The tip oracle and the fee history."""

import pytest

from rpc.errors import Json
from rpc.settings import CallSettings
from tests.rpc.client import Client
from tests.rpc.fakes import GWEI, FakeNode, FakeReceipt, FakeTransaction, account, word

MINER = account(0xFEE)


def paying(*tips: int, sender: bytes = account(1), base_fee: int = GWEI) -> list[FakeTransaction]:
    """Transactions with these tips, which their fee caps allow."""
    return [
        FakeTransaction(
            hash=word(1000 + index),
            sender=sender,
            max_priority_fee_per_gas=tip,
            max_fee_per_gas=base_fee + tip,
        )
        for index, tip in enumerate(tips)
    ]


@pytest.fixture
def client(node: FakeNode) -> Client:
    """geth's settings of the oracle."""
    return Client(node)


async def test_an_empty_chain_suggests_the_starting_value(client: Client) -> None:
    """A million wei."""
    assert await client.ask("eth_maxPriorityFeePerGas") == hex(1_000_000)
    assert await client.ask("eth_gasPrice") == hex(GWEI + 1_000_000)


async def test_the_suggestion_is_a_percentile_of_the_lowest_tips(client: Client, node: FakeNode) -> None:
    """Of each block its three lowest; the 60th percentile of all of them."""
    node.chain.append(paying(50, 10, 40, 30, 20))
    node.chain.append(paying(7, 5, 6))

    # 5 6 7 10 20 30: position (6 - 1) * 60 // 100 = 3.
    assert await client.ask("eth_maxPriorityFeePerGas") == hex(10)


async def test_a_fee_cap_bounds_the_tip(client: Client, node: FakeNode) -> None:
    """What the producer really got."""
    node.chain.append([FakeTransaction(max_priority_fee_per_gas=GWEI, max_fee_per_gas=GWEI + 77)])

    assert await client.ask("eth_maxPriorityFeePerGas") == hex(77)


async def test_tiny_tips_and_the_miners_own_say_nothing(client: Client, node: FakeNode) -> None:
    """The last suggestion stands in for such a block."""
    node.chain.append(paying(1, 0))
    node.chain.append(paying(5 * GWEI, 5 * GWEI, 5 * GWEI, sender=MINER))

    assert await client.ask("eth_maxPriorityFeePerGas") == hex(1_000_000)


async def test_the_suggestion_is_capped(client: Client, node: FakeNode) -> None:
    """500 gwei."""
    node.chain.append(paying(900 * GWEI))

    assert await client.ask("eth_maxPriorityFeePerGas") == hex(500 * GWEI)


async def test_the_suggestion_is_made_once_per_head(client: Client, node: FakeNode) -> None:
    """And of a new head only the new block is read."""
    node.chain.append(paying(10))
    node.chain.append(paying(20))
    await client.ask("eth_maxPriorityFeePerGas")
    reads = node.chain.reads
    await client.ask("eth_maxPriorityFeePerGas")

    assert node.chain.reads == reads
    node.chain.append(paying(30))
    assert await client.ask("eth_maxPriorityFeePerGas") == hex(20)
    assert node.chain.reads == reads + 1


async def test_the_sample_is_bounded(node: FakeNode) -> None:
    """Blocks that say one thing count less, so up to twice as many are read."""
    client = Client(node, CallSettings(sample_blocks=4))
    for _ in range(40):
        node.chain.append(paying(10))
    await client.ask("eth_maxPriorityFeePerGas")

    assert 4 <= node.chain.reads <= 8


async def test_base_fees_of_the_next_block(client: Client) -> None:
    """For transactions and for blobs."""
    assert await client.ask("eth_baseFee") == hex(GWEI)
    assert await client.ask("eth_blobBaseFee") == "0x2"


def blocks_with_gas(node: FakeNode) -> None:
    """Block 1: half full, tips 30 (10,000 gas), 10 (20,000), 20 (70,000). Block 2: empty."""
    receipts = [FakeReceipt(gas_used=gas) for gas in (10_000, 20_000, 70_000)]
    node.chain.append(paying(30, 10, 20), receipts, gas_used=15_000_000)
    node.chain.blocks[-1] = (node.chain.blocks[-1][0], tuple(receipts))
    node.chain.append(gas_used=0)


async def test_fee_history(client: Client, node: FakeNode) -> None:
    """Base fees have one entry more than blocks; the order of keys is geth's."""
    blocks_with_gas(node)

    history = await client.ask("eth_feeHistory", "0x2", "latest", [])

    assert history == {
        "oldestBlock": "0x1",
        "baseFeePerGas": [hex(GWEI)] * 3,
        "gasUsedRatio": [0.5, 0],
        "baseFeePerBlobGas": ["0x1", "0x1", "0x2"],
        "blobGasUsedRatio": [0, 0],
    }
    assert isinstance(history, dict)
    assert list(history) == [
        "oldestBlock",
        "baseFeePerGas",
        "gasUsedRatio",
        "baseFeePerBlobGas",
        "blobGasUsedRatio",
    ]


async def test_whole_ratios_are_written_without_a_point(client: Client, node: FakeNode) -> None:
    """As Go writes them."""
    blocks_with_gas(node)

    history = await client.ask("eth_feeHistory", "0x2", "latest", [])

    assert isinstance(history, dict)
    assert [type(ratio) for ratio in history["gasUsedRatio"]] == [float, int]
    assert [type(ratio) for ratio in history["blobGasUsedRatio"]] == [int, int]


async def test_rewards_are_percentiles_of_gas(client: Client, node: FakeNode) -> None:
    """Cheapest gas first; an empty block rewards nothing."""
    receipts = [FakeReceipt(gas_used=gas) for gas in (10_000, 20_000, 70_000)]
    node.chain.append(paying(30, 10, 20), receipts)
    node.chain.append()

    history = await client.ask("eth_feeHistory", 2, "latest", [0, 20, 21, 90, 91, 100])

    assert isinstance(history, dict)
    assert history["reward"] == [
        [hex(tip) for tip in (10, 10, 20, 20, 30, 30)],
        ["0x0"] * 6,
    ]
    assert list(history)[:2] == ["oldestBlock", "reward"]


@pytest.mark.parametrize(
    ("params", "oldest", "count"),
    [
        (["0x5", "latest", []], "0x0", 3),
        (["5", "0x1", []], "0x0", 2),
        ([1, "earliest", []], "0x0", 1),
        (["0x1", "pending", []], "0x2", 1),
        (["0xffff", "safe", []], "0x0", 3),
    ],
)
async def test_the_range_is_cut_to_the_chain(
    client: Client, node: FakeNode, params: list[Json], oldest: str, count: int
) -> None:
    """More blocks than there are give those there are."""
    node.chain.append()
    node.chain.append()
    history = await client.ask("eth_feeHistory", *params)

    assert isinstance(history, dict)
    assert (history["oldestBlock"], len(history["gasUsedRatio"]), len(history["baseFeePerGas"])) == (
        oldest,
        count,
        count + 1,
    )


async def test_no_blocks_have_no_history(client: Client) -> None:
    """geth's answer to a count of zero."""
    assert await client.ask("eth_feeHistory", "0x0", "latest", []) == {
        "oldestBlock": "0x0",
        "gasUsedRatio": None,
    }


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (["0x1", "0x9", []], -32000, "request beyond head block: requested 9, head 0"),
        (["0x1", "latest", [1] * 101], -32000, "invalid reward percentile: over the query limit 100"),
        (["0x1", "latest", [101]], -32000, "invalid reward percentile: 101.000000"),
        (["0x1", "latest", [-1]], -32000, "invalid reward percentile: -1.000000"),
        (["0x1", "latest", [50, 20]], -32000, "invalid reward percentile: #0:50.000000 >= #1:20.000000"),
        (["0x1", "latest", [20, 20]], -32000, "invalid reward percentile: #0:20.000000 >= #1:20.000000"),
        (["0x1", "latest"], -32602, "missing value for required argument 2"),
        (["one", "latest", []], -32602, 'invalid argument 0: invalid hex or decimal integer "one"'),
    ],
)
async def test_impossible_histories_are_refused_in_geths_words(
    client: Client, params: list[Json], code: int, message: str
) -> None:
    """Percentiles ascend within 0..100."""
    assert await client.fail("eth_feeHistory", *params) == (code, message, None)
