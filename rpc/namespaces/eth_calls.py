"""
`eth_`: simulation of a message: call, gas estimate, access list.

In: a call object, a block, overrides. Out: the engine's outcome in geth's words. A revert has code 3 and the
returned bytes as data; any other failure has the plain code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpc.backend import Backend
from rpc.block_reference import LATEST, BlockReference, block_reference, require_header
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
from rpc.errors import EXECUTION_REVERTED, Json, RpcError
from rpc.fee_defaults import SuggestTip, with_default_fees
from rpc.method import Method, MethodTable
from rpc.parameters import optional, required
from rpc.quantities import to_data, to_quantity
from rpc.settings import CallSettings
from rpc.views import access_list

if TYPE_CHECKING:
    from parallelpool.chain import CallOutcome, CallRequest

UNLIMITED_GAS: Final = 2**63 - 1
"""In place of a cap that is off."""

UNLIMITED_MS: Final = 2**32 - 1
"""In place of a time limit that is off."""

ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
"""Of Solidity's `Error(string)`."""

PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")
"""Of Solidity's `Panic(uint256)`."""

PANIC_REASONS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
"""Solidity's panic codes in geth's words."""


class CallMethods:
    """Simulation on the state of a block."""

    def __init__(self, backend: Backend, settings: CallSettings, suggest_tip: SuggestTip) -> None:
        self._chain = backend.chain
        self._suggest_tip = suggest_tip
        self.gas_cap = settings.gas_cap or UNLIMITED_GAS
        self.timeout_ms = int(settings.evm_timeout_s * 1_000) or UNLIMITED_MS

    def table(self) -> MethodTable:
        """Rows of the method table."""
        simulation = required(call_object) + optional(block_reference, state_override, block_override)
        return {
            "eth_call": Method(self.call, simulation),
            "eth_estimateGas": Method(self.estimate_gas, simulation),
            "eth_createAccessList": Method(
                self.create_access_list, required(call_object) + optional(block_reference, state_override)
            ),
        }

    async def call(
        self,
        call: CallObject,
        block: BlockReference | None,
        state: StateOverride | None,
        overrides: BlockOverride | None,
    ) -> Json:
        """What the message returns."""
        request, number = self._prepare(call, block, state, overrides)
        outcome = await self._chain.call(request, number, self.gas_cap, self.timeout_ms)
        raise_failure(outcome)
        return to_data(outcome.output)

    async def estimate_gas(
        self,
        call: CallObject,
        block: BlockReference | None,
        state: StateOverride | None,
        overrides: BlockOverride | None,
    ) -> Json:
        """Gas with which the message succeeds."""
        request, number = self._prepare(call, block, state, overrides)
        return to_quantity(await self.estimate(request, number))

    async def create_access_list(
        self, call: CallObject, block: BlockReference | None, state: StateOverride | None
    ) -> Json:
        """Accounts and slots that the message touches. A failure of the message is part of the answer."""
        if call.offers_fees:
            call = await self._with_default_fees(call, block or LATEST)
        request, number = self._prepare(call, block, state, None)
        outcome = await self._chain.create_access_list(request, number, self.gas_cap, self.timeout_ms)
        if outcome.message_error is not None:
            raise RpcError(outcome.message_error)
        answer: dict[str, Json] = {"accessList": access_list(outcome.access_list)}
        if not outcome.success:
            answer["error"] = outcome.error
        answer["gasUsed"] = to_quantity(outcome.gas_used)
        return answer

    async def _with_default_fees(self, call: CallObject, block: BlockReference) -> CallObject:
        """The fees as geth completes them where a caller named any."""
        if block.number == "pending":
            base_fee = self._chain.next_base_fee()
            blob_base_fee = self._chain.blob_base_fee(following=True)
        else:
            header = require_header(self._chain, block)
            base_fee = header.base_fee_per_gas
            blob_base_fee = self._chain.blob_base_fee(header.number)
        return await with_default_fees(call, base_fee, blob_base_fee, self._suggest_tip)

    # -- for other namespaces

    async def estimate(self, request: CallRequest, number: int | None) -> int:
        """Gas with which the message succeeds. Raises RpcError in geth's words."""
        gas, outcome = await self._chain.estimate_gas(request, number, self.gas_cap, self.timeout_ms)
        if not gas:
            raise_failure(outcome)
        assert gas, "without gas the outcome is a failure"
        return gas

    def _prepare(
        self,
        call: CallObject,
        block: BlockReference | None,
        state: StateOverride | None,
        overrides: BlockOverride | None,
    ) -> tuple[CallRequest, int | None]:
        """The engine's request and the block to run it on; `None`: as the next block on the head."""
        reference = block or LATEST
        number = None if reference.number == "pending" else require_header(self._chain, reference).number
        check_call(call, self._chain.chain_id)
        request = to_request(
            call, parallel_tx_type=self._chain.parallel_tx_type, state=state, block=overrides
        )
        return request, number


def raise_failure(outcome: CallOutcome) -> None:
    """Raises RpcError in geth's words, which are the engine's, if the message was refused or did not succeed."""
    if outcome.message_error is not None:
        raise RpcError(outcome.message_error)
    if outcome.reverted:
        reason = revert_reason(outcome.output)
        message = "execution reverted" if reason is None else f"execution reverted: {reason}"
        raise RpcError(message, code=EXECUTION_REVERTED, data=to_data(outcome.output))
    if not outcome.success:
        raise RpcError(outcome.error or "execution failed")


def revert_reason(output: bytes) -> str | None:
    """
    What the revert data says in Solidity's two standard errors; `None` for anything else.

    Source: geth accounts/abi/abi.go, UnpackRevert.
    """
    selector, body = output[:4], output[4:]
    if selector == PANIC_SELECTOR and len(body) >= 32:
        code = int.from_bytes(body[:32], "big")
        return PANIC_REASONS.get(code, f"unknown panic code: {hex(code)}")
    if selector != ERROR_SELECTOR or len(body) < 64:
        return None
    offset = int.from_bytes(body[:32], "big")
    if offset + 32 > len(body):
        return None
    size = int.from_bytes(body[offset : offset + 32], "big")
    start = offset + 32
    if start + size > len(body):
        return None
    return body[start : start + size].decode("utf-8", errors="replace")
