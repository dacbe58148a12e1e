"""`parallel_executeBatches`, the batch size, and the statistics, on the real engine."""

import pytest

from rpc.errors import Json
from rpc.server import RpcServer
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.parallel_rig import (
    dev_account,
    send,
    transfers,
)
from tests.rpc.senders import signed


async def test_batches_are_executed_as_a_block(dev: Dev) -> None:
    """All of them, compared with serial execution."""
    hashes = await send(dev, *transfers(4))

    dry = await dev.ask("parallel_executeBatches", {"dryRun": True, "compare": True})
    assert (dry["blockHash"], dry["gasUsed"]) == (None, hex(4 * 21_000))
    assert await dev.ask("eth_blockNumber") == "0x0"
    done = await dev.ask("parallel_executeBatches", {"compare": True})

    assert sorted(done["hashes"]) == sorted(hashes)
    assert done["leftOut"] == []
    assert done["parallelMs"] > 0
    assert done["serialMs"] > 0
    block = await dev.ask("eth_getBlockByHash", done["blockHash"], False)
    assert (block["transactions"], block["number"]) == (done["hashes"], "0x1")
    assert (await dev.ask("parallel_batchStatistics"))["lastExecution"]["hashes"] == done["hashes"]


async def test_named_batches_are_executed_alone(dev: Dev, counter: str) -> None:
    """The others stay in the pool; a name that is not on offer is refused."""
    await send(
        dev, *[signed(dev_account(index), to=counter, gas=100_000) for index in range(2)], *transfers(5)[2:]
    )
    offer = await dev.ask("parallel_getBatches")
    chosen = offer["batches"][0]

    done = await dev.ask("parallel_executeBatches", {"batchIds": [chosen["batchId"]]})

    assert sorted(done["hashes"]) == sorted(chosen["transactions"])
    assert "serialMs" not in done
    left = 5 - len(chosen["transactions"])
    assert (await dev.ask("txpool_status"))["pending"] == hex(left)
    assert await dev.fail("parallel_executeBatches", {"batchIds": [chosen["batchId"]]}) == (
        3004,
        f"unknown batch {chosen['batchId']}",
        None,
    )


async def test_nothing_to_execute_is_no_block(dev: Dev) -> None:
    """The answer is empty, the chain stays."""
    done = await dev.ask("parallel_executeBatches")

    assert (done["blockHash"], done["hashes"]) == (None, [])
    assert await dev.ask("eth_blockNumber") == "0x0"


async def test_the_batch_size_can_be_set_within_its_bounds(dev: Dev) -> None:
    """From 64 to 256."""
    assert await dev.ask("parallel_setBatchSize", "0x100") is True
    assert (await dev.ask("parallel_status"))["batchSize"] == "0x100"
    for size, got in (("0x3f", 63), ("0x101", 257)):
        assert await dev.fail("parallel_setBatchSize", size) == (
            -32602,
            f"invalid argument 0: batch size must be from 64 to 256, got {got}",
            None,
        )
    assert await dev.fail("parallel_setBatchSize", 100) == (
        -32602,
        "invalid argument 0: json: cannot unmarshal non-string into Go value of type hexutil.Uint64",
        None,
    )


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("parallel_setBatchSize", ["0x40"]),
        ("parallel_executeBatches", []),
        ("dev_mine", []),
        ("evm_mine", []),
    ],
)
async def test_operator_methods_are_for_operators(
    monkeypatch: pytest.MonkeyPatch, method: str, params: list[Json]
) -> None:
    """A caller from elsewhere is told that there is no such method."""
    monkeypatch.setattr(RpcServer, "_is_operator", lambda _server, _address: False)
    async with dev_node() as strict:
        assert await strict.fail(method, *params) == (
            -32601,
            f"the method {method} does not exist/is not available",
            None,
        )
        assert await strict.ask("parallel_status")


async def test_statistics_describe_the_offer(dev: Dev, counter: str) -> None:
    """Kinds, sizes and what is unknown."""
    await send(
        dev, *[signed(dev_account(index), to=counter, gas=100_000) for index in range(2)], *transfers(5)[2:]
    )

    statistics = await dev.ask("parallel_batchStatistics")

    assert int(statistics["parallelizable"], 16) + int(statistics["sequential"], 16) == 5
    assert int(statistics["batches"], 16) >= 2
    assert statistics["unknown"] == "0x0"
    assert statistics["blocks"] == "0x1"
    assert statistics["batchSize"] == "0x40"
