"""
`debug_`: transactions, blocks and messages run again and told by one of geth's tracers.

In: geth's `TraceConfig`. Out: the tracer's JSON as the engine wrote it, in pieces. Runs are bounded in time, their text
in bytes; a caller who goes away ends them. JavaScript tracers are refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from config.duration import PART, UNITS_NS
from parallelpool.chain import Cancellation
from rpc.backend import Backend
from rpc.block_reference import (
    LATEST,
    BlockNumber,
    BlockReference,
    block_number,
    block_reference,
    find_header,
    header_by_number,
)
from rpc.call_object import (
    BlockOverride,
    CallObject,
    StateOverride,
    block_override,
    call_object,
    check_call,
    state_override,
    to_request,
)
from rpc.errors import Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_calls import UNLIMITED_GAS
from rpc.parameters import Fields, optional, required
from rpc.quantities import Unfit, WrongType, boolean, data, hash32, index, json_kind, text
from rpc.settings import MIB, CallSettings
from rpc.streamed import Streamed

if TYPE_CHECKING:
    from parallelpool.chain import TraceOrder, TracerRow

DEFAULT_TIMEOUT_MS: Final = 5_000
"""geth's, for each transaction."""

LONGEST_TIMEOUT_MS: Final = 2**32 - 1

TEXT_LIMIT: Final = 256 * MIB
"""Bytes of one answer. geth has no bound of its own."""

OPTIONS: Final = {
    "callTracer": ("native.callTracerConfig", {"onlyTopCall": "only_top_call", "withLog": "with_log"}),
    "flatCallTracer": (
        "native.flatCallTracerConfig",
        {"convertParityErrors": "convert_parity_errors", "includePrecompiles": "include_precompiles"},
    ),
    "prestateTracer": (
        "native.PrestateTracerConfig",
        {
            "diffMode": "diff_mode",
            "disableCode": "disable_code",
            "disableStorage": "disable_storage",
            "includeEmpty": "include_empty",
        },
    ),
    "4byteTracer": ("native.fourByteTracerConfig", {}),
    "noopTracer": ("native.noopTracerConfig", {}),
}
"""geth's tracers but for `muxTracer`: the Go type of their options, and the engine's name of each."""

WITHOUT_OPTIONS: Final = frozenset({"4byteTracer", "noopTracer"})
"""geth does not look at what these are given."""

Result = tuple[str | None, list[bytes]]


@dataclass(frozen=True, slots=True)
class TraceConfig:
    """What a caller wants to be told, not yet looked at further than its types."""

    memory: bool
    stack: bool
    storage: bool
    return_data: bool
    limit: int
    tracer: str | None
    timeout: str | None
    options: Json


@dataclass(frozen=True, slots=True)
class TraceCallConfig:
    """The same for a message, with what it shall see."""

    trace: TraceConfig
    state: StateOverride | None
    block: BlockOverride | None
    tx_index: int | None


# ------------------------------------------------------------------ in


def trace_config(value: Json) -> TraceConfig:
    """geth's `TraceConfig`."""
    return _trace_fields(Fields(value, "tracers.TraceConfig"))


def trace_call_config(value: Json) -> TraceCallConfig:
    """geth's `TraceCallConfig`."""
    fields = Fields(value, "tracers.TraceCallConfig")
    return TraceCallConfig(
        trace=_trace_fields(fields),
        state=fields.take("StateOverrides", state_override),
        block=fields.take("BlockOverrides", block_override),
        tx_index=fields.take("TxIndex", index),
    )


def _trace_fields(fields: Fields) -> TraceConfig:
    return TraceConfig(
        memory=fields.take("EnableMemory", boolean) or False,
        stack=not fields.take("DisableStack", boolean),
        storage=not fields.take("DisableStorage", boolean),
        return_data=fields.take("EnableReturnData", boolean) or False,
        limit=fields.take("Limit", _go_int) or 0,
        tracer=fields.take("Tracer", text),
        timeout=fields.take("Timeout", text),
        options=fields.take("TracerConfig", _as_given),
    )


def _go_int(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType(json_kind(value), "int")
    if not -(2**63) <= value < 2**63:
        raise WrongType(f"number {value}", "int")
    return value


def _as_given(value: Json) -> Json:
    return value


def timeout_ms(given: str | None) -> int:
    """A Go duration in whole milliseconds, those begun included. Raises RpcError in Go's words."""
    if given is None:
        return DEFAULT_TIMEOUT_MS
    unsigned = given.removeprefix("-").removeprefix("+")
    if unsigned == "0":
        return 0
    parts = PART.findall(unsigned)
    if not parts or "".join(map("".join, parts)) != unsigned or any(part[0] in ("", ".") for part in parts):
        problem = "missing unit in" if re.fullmatch(r"[0-9]*\.?[0-9]+|[0-9]+\.", unsigned) else "invalid"
        raise RpcError(f'time: {problem} duration "{given}"')
    if given.startswith("-"):
        return 0
    nanoseconds = sum(float(number) * UNITS_NS[unit] for number, unit in parts)
    return min(-int(-nanoseconds // 1_000_000), LONGEST_TIMEOUT_MS)


def tracer_row(config: TraceConfig) -> TracerRow:
    """The engine's form. Raises RpcError for options that do not fit and for tracers that are not built in."""
    if config.tracer is None:
        wanted = {
            "memory": config.memory,
            "stack": config.stack,
            "storage": config.storage,
            "return_data": config.return_data,
        }
        return ("structLogger", [name for name, is_on in wanted.items() if is_on], config.limit, [])
    try:
        return _named_tracer(config.tracer, config.options)
    except Unfit as problem:
        raise RpcError(str(problem)) from problem


def _named_tracer(name: str, options: Json) -> TracerRow:
    if name == "muxTracer":
        if options is not None and not isinstance(options, dict):
            raise WrongType(json_kind(options), "map[string]json.RawMessage")
        members = sorted((options or {}).items())
        return (name, [], 0, [(member, _named_tracer(member, given)) for member, given in members])
    if name not in OPTIONS:
        known = ", ".join([*OPTIONS, "muxTracer"])
        raise RpcError(f"JavaScript tracers are not supported; the tracers are {known}")
    if name in WITHOUT_OPTIONS:
        return (name, [], 0, [])
    go_type, names = OPTIONS[name]
    fields = Fields(options, go_type)
    on = [engine_name for option, engine_name in names.items() if fields.take(option, boolean)]
    if "diff_mode" in on and "include_empty" in on:
        raise RpcError("cannot use diffMode with includeEmpty")
    return (name, on, 0, [])


# ------------------------------------------------------------------ the methods


class TracingMethods:
    """geth's `debug_trace…`."""

    def __init__(self, backend: Backend, settings: CallSettings, text_limit: int = TEXT_LIMIT) -> None:
        self._chain = backend.chain
        self._gas_cap = settings.gas_cap or UNLIMITED_GAS
        self._text_limit = text_limit

    def table(self) -> MethodTable:
        """Rows of the method table."""
        config = optional(trace_config)
        return {
            "debug_traceTransaction": Method(self.trace_transaction, required(hash32) + config),
            "debug_traceBlockByNumber": Method(self.trace_block_by_number, required(block_number) + config),
            "debug_traceBlockByHash": Method(self.trace_block_by_hash, required(hash32) + config),
            "debug_traceBlock": Method(self.trace_block, required(data) + config),
            "debug_traceCall": Method(
                self.trace_call, required(call_object) + optional(block_reference, trace_call_config)
            ),
        }

    async def trace_transaction(self, tx_hash: bytes, config: TraceConfig | None) -> Streamed:
        """A mined transaction."""
        location = self._chain.transaction_location(tx_hash)
        if location is None:
            raise RpcError("transaction not found")
        number, position = location
        return await self._told(config, lambda order: self._chain.trace_transaction(number, position, order))

    async def trace_block_by_number(self, number: BlockNumber, config: TraceConfig | None) -> Streamed:
        """All transactions of a block."""
        if number == "pending":
            raise RpcError("pending block is not available")
        header = header_by_number(self._chain, number)
        if header is None:
            raise RpcError(f"block #{number} not found")
        return await self._told(config, lambda order: self._chain.trace_block(header.number, order))

    async def trace_block_by_hash(self, block_hash: bytes, config: TraceConfig | None) -> Streamed:
        """All transactions of a block."""
        header = self._chain.header_by_hash(block_hash)
        if header is None:
            raise RpcError(f"block 0x{block_hash.hex()} not found")
        return await self._told(config, lambda order: self._chain.trace_block(header.number, order))

    async def trace_block(self, raw: bytes, config: TraceConfig | None) -> Streamed:
        """All transactions of a block that the caller sent, on its parent's state."""
        return await self._told(config, lambda order: self._chain.trace_raw_block(raw, order))

    async def trace_call(
        self, call: CallObject, block: BlockReference | None, config: TraceCallConfig | None
    ) -> Streamed:
        """A message on the state after a block, or in the middle of it."""
        reference = block or LATEST
        if reference.number == "pending":
            raise RpcError("tracing on top of pending is not supported")
        header = find_header(self._chain, reference)
        if header is None:
            name = (
                f"#{reference.number}" if reference.block_hash is None else f"0x{reference.block_hash.hex()}"
            )
            raise RpcError(f"block {name} not found")
        config = config or trace_call_config({})
        check_call(call, self._chain.chain_id)
        request = to_request(
            call,
            parallel_tx_type=self._chain.parallel_tx_type,
            state=config.state,
            block=config.block,
        )
        number, tx_index = header.number, config.tx_index
        return await self._told(
            config.trace,
            lambda order: self._chain.trace_call(request, number, tx_index, self._gas_cap, order),
        )

    async def _told(
        self, config: TraceConfig | None, trace: Callable[[TraceOrder], Coroutine[Any, Any, Result]]
    ) -> Streamed:
        config = config or trace_config({})
        cancellation = Cancellation()
        order = (tracer_row(config), timeout_ms(config.timeout), self._text_limit, cancellation)
        try:
            refusal, pieces = await trace(order)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise
        if refusal is not None:
            raise RpcError(refusal)
        return Streamed(_one_by_one(pieces))


async def _one_by_one(pieces: list[bytes]) -> AsyncIterator[bytes]:
    """The pieces in order, each dropped once it was given away; others get their turn in between."""
    pieces.reverse()
    while pieces:
        yield pieces.pop()
        await asyncio.sleep(0)
