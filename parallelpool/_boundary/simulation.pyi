"""Messages that nobody signed."""

from collections.abc import Sequence
from typing import final

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
        state_overrides: Sequence[
            tuple[
                bytes,
                int | None,
                int | None,
                bytes | None,
                Sequence[tuple[bytes, bytes]] | None,
                Sequence[tuple[bytes, bytes]] | None,
            ]
        ] = ...,
        block_overrides: dict[str, int | bytes] | None = None,
    ) -> CallRequest:
        """
        `authorization_list`: (chain id, address, nonce, parity, r, s) each.

        `state_overrides`: (address, nonce, balance, code, state, state difference) each; `state` replaces all
        slots, the difference patches some. `block_overrides`: `number`, `time`, `gas_limit`, `fee_recipient`,
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
