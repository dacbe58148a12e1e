"""
`eth_`: blocks of messages, simulated one on the other (`eth_simulateV1`).

In: geth's `simOpts`, the block to begin on. Out: whole blocks, each with what its messages returned. Whether
numbers grow, what a message may spend and in which words a series is refused is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rpc.backend import Backend
from rpc.block_reference import LATEST, BlockReference, block_reference, require_header
from rpc.call_object import (
    BlockOverride,
    CallObject,
    StateOverride,
    block_fields,
    call_object,
    contradiction,
    engine_overrides,
    state_override,
    to_request,
)
from rpc.errors import EXECUTION_REVERTED, VM_ERROR, Json, RpcError
from rpc.method import Method, MethodTable
from rpc.namespaces.eth_calls import UNLIMITED_GAS, UNLIMITED_MS, revert_reason
from rpc.parameters import Fields, list_of, optional, required
from rpc.quantities import address, boolean, hash32, to_data, to_quantity, uint64
from rpc.settings import CallSettings
from rpc.views import Place, block, log

if TYPE_CHECKING:
    from parallelpool.chain import Block, SeriesRow, SimulatedBlock, SimulatedCall

Withdrawal: TypeAlias = tuple[int, int, bytes, int]
"""(index, validator index, address, gwei)."""


@dataclass(frozen=True, slots=True)
class BlockStateCalls:
    """One block as the caller wants it."""

    overrides: BlockOverride
    beacon_root: bytes | None
    withdrawals: list[Withdrawal] | None
    state: StateOverride
    calls: list[CallObject]


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The whole request."""

    blocks: list[BlockStateCalls]
    trace_transfers: bool
    validation: bool
    full_transactions: bool


# ------------------------------------------------------------------ in


def simulation_options(value: Json) -> SimulationOptions:
    """geth's `simOpts`."""
    fields = Fields(value, "ethapi.simOpts")
    return SimulationOptions(
        blocks=fields.take("BlockStateCalls", list_of(_block, "[]ethapi.simBlock")) or [],
        trace_transfers=fields.take("TraceTransfers", boolean) or False,
        validation=fields.take("Validation", boolean) or False,
        full_transactions=fields.take("ReturnFullTransactions", boolean) or False,
    )


def _block(value: Json) -> BlockStateCalls:
    fields = Fields(value, "ethapi.simBlock")
    overrides, beacon_root, withdrawals = fields.take("BlockOverrides", _overrides) or ({}, None, None)
    return BlockStateCalls(
        overrides,
        beacon_root,
        withdrawals,
        state=fields.take("StateOverrides", state_override) or [],
        calls=fields.take("Calls", list_of(call_object, "[]ethapi.TransactionArgs")) or [],
    )


def _overrides(value: Json) -> tuple[BlockOverride, bytes | None, list[Withdrawal] | None]:
    fields = Fields(value, "override.BlockOverrides")
    return (
        block_fields(fields),
        fields.take("BeaconRoot", hash32),
        fields.take("Withdrawals", list_of(_withdrawal, "types.Withdrawals")),
    )


def _withdrawal(value: Json) -> Withdrawal:
    fields = Fields(value, "types.Withdrawal")
    return (
        fields.take("index", uint64) or 0,
        fields.take("validatorIndex", uint64) or 0,
        fields.take("address", address) or bytes(20),
        fields.take("amount", uint64) or 0,
    )


# ------------------------------------------------------------------ the method


class SimulateMethods:
    """Simulation of whole blocks."""

    def __init__(self, backend: Backend, settings: CallSettings) -> None:
        self._chain = backend.chain
        self._gas_cap = settings.gas_cap or UNLIMITED_GAS
        self._timeout_ms = int(settings.evm_timeout_s * 1_000) or UNLIMITED_MS

    def table(self) -> MethodTable:
        """Rows of the method table."""
        signature = required(simulation_options) + optional(block_reference)
        return {"eth_simulateV1": Method(self.simulate, signature)}

    async def simulate(self, options: SimulationOptions, base: BlockReference | None) -> Json:
        """The blocks in order. Raises RpcError in geth's words where one of them cannot be made."""
        header = require_header(self._chain, base or LATEST)
        refusal, blocks = await self._chain.simulate(
            [self._row(wanted) for wanted in options.blocks],
            header.number,
            options.validation,
            options.trace_transfers,
            self._gas_cap,
            self._timeout_ms,
        )
        if refusal is not None:
            code, message = refusal
            raise RpcError(message, code=code)
        return [_simulated_block(simulated, full=options.full_transactions) for simulated in blocks]

    def _row(self, wanted: BlockStateCalls) -> SeriesRow:
        chain_id, tx_type = self._chain.chain_id, self._chain.parallel_tx_type
        calls = [
            to_request(call, parallel_tx_type=tx_type, words=contradiction(call, chain_id))
            for call in wanted.calls
        ]
        state = engine_overrides(wanted.state)
        return wanted.overrides or None, wanted.beacon_root, wanted.withdrawals, state, calls


# ------------------------------------------------------------------ out


def _simulated_block(simulated: SimulatedBlock, *, full: bool) -> Json:
    made = simulated.block
    view = block(made, full=full)
    view["calls"] = [_call(call, made, index) for index, call in enumerate(simulated.calls)]
    return dict(sorted(view.items()))


def _call(call: SimulatedCall, made: Block, index: int) -> dict[str, Json]:
    outcome = call.outcome
    place, tx_hash = Place.of(made.header, index), made.transactions[index].hash
    view: dict[str, Json] = {
        "returnData": to_data(outcome.output if outcome.success else b""),
        "logs": [log(entry, place, tx_hash, number) for number, entry in call.logs],
        "gasUsed": to_quantity(outcome.gas_used),
        "maxUsedGas": to_quantity(call.peak_gas),
        "status": to_quantity(int(outcome.success)),
    }
    if outcome.reverted:
        reason = revert_reason(outcome.output)
        message = "execution reverted" if reason is None else f"execution reverted: {reason}"
        view["error"] = {"message": message, "code": EXECUTION_REVERTED, "data": to_data(outcome.output)}
    elif not outcome.success:
        view["error"] = {"message": outcome.error, "code": VM_ERROR}
    return view
