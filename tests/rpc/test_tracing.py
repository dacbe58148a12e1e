"""Tracers, beyond what is held against geth: what they tell is what the block did, bounds, and who goes away."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from parallelpool.chain import CallRequest, Cancellation, CoreAborted, TraceOrder
from rpc.call_object import call_object
from rpc.errors import Json, RpcError
from rpc.namespaces.debug_tracing import TracingMethods, timeout_ms, trace_call_config
from rpc.settings import CallSettings
from tests.eels.chains import BLOCKS, RandomChain
from tests.rpc.dev_node import Dev, dev_node
from tests.rpc.fakes import FakeNode
from tests.rpc.senders import ALICE, parallel, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = "60s"
LOOP = "0x5b5f56"
CODE = "0x" + "c0" * 20
LOOPING: dict[str, Json] = {CODE: {"code": LOOP}}
CALLS: dict[str, Json] = {"tracer": "callTracer", "tracerConfig": {"withLog": True}, "timeout": PATIENCE}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """A node at the end of a random chain through all forks since the merge."""
    random_chain = RandomChain(5)
    blocks = b"".join(random_chain.blocks())
    genesis = tmp_path_factory.mktemp("tracing") / "genesis.json"
    genesis.write_text(json.dumps(random_chain.genesis))
    async with dev_node(genesis, blocks) as dev:
        yield dev


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev() -> AsyncIterator[Dev]:
    """A node one block above its genesis."""
    async with dev_node() as node:
        await node.ask("dev_mine")
        yield node


def logs_of(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The logs of a frame and those inside, in no order."""
    yield from call.get("logs", [])
    for inner in call.get("calls", []):
        yield from logs_of(inner)


async def test_what_is_told_is_what_the_block_did(chain: Dev) -> None:
    """Gas, success, return data and logs of each transaction, as in its receipt."""
    failed = logged = 0
    for number in range(1, BLOCKS + 1):
        receipts = await chain.ask("eth_getBlockReceipts", hex(number))
        calls = await chain.ask("debug_traceBlockByNumber", hex(number), CALLS)
        steps = await chain.ask("debug_traceBlockByNumber", hex(number), {"timeout": PATIENCE})
        assert len(receipts) == len(calls) == len(steps)
        for receipt, call, step in zip(receipts, calls, steps, strict=True):
            assert call["txHash"] == step["txHash"] == receipt["transactionHash"]
            assert call["result"]["gasUsed"] == receipt["gasUsed"]
            assert step["result"]["gas"] == int(receipt["gasUsed"], 16)
            has_failed = receipt["status"] == "0x0"
            assert step["result"]["failed"] == ("error" in call["result"]) == has_failed
            logs = sorted(logs_of(call["result"]), key=lambda log: int(log["index"], 16))
            fields = ("address", "topics", "data")
            expected = [[log[field] for field in fields] for log in receipt["logs"]]
            assert [[log[field] for field in fields] for log in logs] == expected
            failed += has_failed
            logged += len(logs)

    assert failed > 0
    assert logged > 0


async def test_a_parallel_transaction_is_traced_without_its_tag(dev: Dev) -> None:
    """As the EVM saw it, with the gas that all of its data cost."""
    nonce = int(await dev.ask("eth_getTransactionCount", ALICE.address, "latest"), 16)
    raw = parallel(nonce=nonce, data=bytes.fromhex("a9059cbb"))
    tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + raw.hex())
    await dev.ask("dev_mine")
    receipt = await dev.ask("eth_getTransactionReceipt", tx_hash)

    call = await dev.ask("debug_traceTransaction", tx_hash, CALLS)

    assert receipt["type"] == "0x5"
    assert call["input"] == "0xa9059cbb"
    assert call["gasUsed"] == receipt["gasUsed"]


async def test_a_pooled_transaction_is_not_there_yet(dev: Dev) -> None:
    """Only mined ones are traced."""
    nonce = int(await dev.ask("eth_getTransactionCount", ALICE.address, "latest"), 16)
    tx_hash = await dev.ask("eth_sendRawTransaction", "0x" + signed(nonce=nonce).hex())

    assert await dev.fail("debug_traceTransaction", tx_hash) == (-32000, "transaction not found", None)
    assert await dev.fail("debug_traceBlockByNumber", "pending") == (
        -32000,
        "pending block is not available",
        None,
    )
    await dev.ask("dev_mine")
    assert (await dev.ask("debug_traceTransaction", tx_hash, {"timeout": PATIENCE}))["gas"] == 21_000


async def test_a_trace_ends_when_its_time_is_over(dev: Dev) -> None:
    """With geth's words."""
    config: dict[str, Json] = {"timeout": "1ms", "disableStack": True, "stateOverrides": LOOPING}

    assert await dev.fail("debug_traceCall", {"to": CODE}, "latest", config) == (
        -32000,
        "execution timeout",
        None,
    )


async def test_a_trace_has_so_many_bytes_and_no_more(dev: Dev) -> None:
    """Neither steps nor calls are kept beyond the bound."""
    calls_itself = bytes.fromhex("5b5f5f5f5f5f305af15f56")
    request = CallRequest(
        to=bytes.fromhex(CODE[2:]),
        gas=5_000_000,
        state_overrides=[(bytes.fromhex(CODE[2:]), None, None, calls_itself, None, None, None)],
    )
    for tracer in ("structLogger", "callTracer", "flatCallTracer"):
        order: TraceOrder = ((tracer, [], 0, []), 60_000, 50_000, Cancellation())

        refusal, pieces = await dev.chain.trace_call(request, 1, None, 0, order)

        assert refusal == "trace is larger than 50000 bytes"
        assert pieces == []


async def test_a_trace_that_was_called_off_ends(dev: Dev) -> None:
    """Long before its gas or its time is over."""
    code = bytes.fromhex(LOOP[2:])
    request = CallRequest(
        to=bytes.fromhex(CODE[2:]),
        state_overrides=[(bytes.fromhex(CODE[2:]), None, None, code, None, None, None)],
    )
    cancellation = Cancellation()
    cancellation.cancel()
    order: TraceOrder = (("noopTracer", [], 0, []), 2**32 - 1, 2**30, cancellation)

    with pytest.raises(CoreAborted):
        await dev.chain.trace_call(request, 1, None, 0, order)


class WaitingChain:
    """A chain whose traces are never done; keeps the last order."""

    def __init__(self, dev: Dev) -> None:
        self._chain = dev.chain
        self.asked = asyncio.Event()
        self.order: TraceOrder | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def trace_call(self, *arguments: Any) -> tuple[str | None, list[bytes]]:
        """Waits for ever."""
        self.order = arguments[-1]
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing wakes it")


async def test_who_goes_away_calls_the_trace_off(dev: Dev) -> None:
    """The request's end reaches the engine."""
    backend = FakeNode().backend
    waiting = WaitingChain(dev)
    object.__setattr__(backend, "chain", waiting)
    methods = TracingMethods(backend, CallSettings())
    task = asyncio.create_task(
        methods.trace_call(call_object({"to": CODE}), None, trace_call_config({"stateOverrides": LOOPING}))
    )
    await waiting.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert waiting.order is not None
    code = bytes.fromhex(LOOP[2:])
    request = CallRequest(
        to=bytes.fromhex(CODE[2:]),
        state_overrides=[(bytes.fromhex(CODE[2:]), None, None, code, None, None, None)],
    )
    with pytest.raises(CoreAborted):
        await dev.chain.trace_call(request, 1, None, 0, waiting.order)


@pytest.mark.parametrize("tracer", ["{step: function() {}}", "", "opcount", "prestatetracer"])
async def test_javascript_is_refused(dev: Dev, tracer: str) -> None:
    """And so is every name that geth would take for JavaScript."""
    code, words, _ = await dev.fail("debug_traceBlockByNumber", "0x1", {"tracer": tracer})

    assert code == -32000
    assert words.startswith("JavaScript tracers are not supported; the tracers are callTracer, ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, 5_000), ("10s", 10_000), ("1m30s", 90_000), ("1.5ms", 2), ("20ns", 1), ("0", 0), ("-3s", 0)],
)
async def test_timeouts_are_read_as_go_reads_them(given: str | None, expected: int) -> None:
    """In milliseconds, those begun included."""
    assert timeout_ms(given) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("soon", 'time: invalid duration "soon"'),
    ],
)
async def test_other_timeouts_are_refused_as_by_go(given: str, words: str) -> None:
    """In its words."""
    with pytest.raises(RpcError, match=words):
        timeout_ms(given)
