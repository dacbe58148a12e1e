"""Messages that nobody signed."""

from collections.abc import Sequence
from typing import TypeAlias, final

from parallelpool._boundary.blocks import Block, Log

_Slots: TypeAlias = Sequence[tuple[bytes, bytes]]
_StateOverride: TypeAlias = tuple[
    bytes, int | None, int | None, bytes | None, _Slots | None, _Slots | None, bytes | None
]
"""(address, nonce, balance, code, state, state difference, where its precompile answers instead)."""

@final
class CallRequest:
    """A message to simulate. Omitted fields take geth's defaults for `eth_call`."""

    def __new__(
        cls,
        *,
        sender: bytes | None = None,
        to: bytes | None = None,
        data: bytes = ...,
        value: int | None = None,
        gas: int | None = None,
        gas_price: int | None = None,
        max_fee_per_gas: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        max_fee_per_blob_gas: int | None = None,
        nonce: int | None = None,
        access_list: Sequence[tuple[bytes, Sequence[bytes]]] | None = None,
        blob_versioned_hashes: Sequence[bytes] = ...,
        authorization_list: Sequence[tuple[int, bytes, int, int, int, int]] = ...,
        tx_type: int | None = None,
        contradiction: str | None = None,
        state_overrides: Sequence[_StateOverride] = ...,
        block_overrides: dict[str, int | bytes] | None = None,
    ) -> CallRequest:
        """
        `authorization_list`: (chain id, address, nonce, parity, r, s) each. `contradiction`: words that a series ends with
        when the message's turn comes.

        `state_overrides`: `state` replaces all slots, the difference patches some. `block_overrides`: `number`, `time`, `gas_limit`, `fee_recipient`,
        `prev_randao`, `base_fee`, `blob_base_fee`, `difficulty`.
        """

@final
class CallOutcome:
    """What a simulated message did."""

    @property
    def success(self) -> bool: ...
    @property
    def reverted(self) -> bool:
        """Ended by REVERT; `output` is its data."""
    @property
    def output(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def error(self) -> str | None:
        """geth's words for a failure: `out of gas`, `execution reverted`, `invalid opcode: INVALID`."""
    @property
    def message_error(self) -> str | None:
        """The message could not be applied at all (funds, nonce, fee, intrinsic gas): geth's words."""
    @property
    def access_list(self) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
        """Touched accounts and slots; only filled by `create_access_list`."""

@final
class SimulatedCall:
    """What a message of a series did."""

    @property
    def outcome(self) -> CallOutcome: ...
    @property
    def peak_gas(self) -> int:
        """Gas before refunds, at least the floor."""
    @property
    def logs(self) -> tuple[tuple[int, Log], ...]:
        """Logs with their numbers in the block; moves of ether among them where they were asked for."""

@final
class SimulatedBlock:
    """A block of a series. Its transactions are not signed."""

    @property
    def block(self) -> Block: ...
    @property
    def calls(self) -> tuple[SimulatedCall, ...]: ...
