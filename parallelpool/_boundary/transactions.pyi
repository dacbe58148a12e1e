"""Transactions, their decoding, and the rules they stand under."""

from collections.abc import Sequence
from typing import final

@final
class Workers:
    """The engine's threads. Make one per process and hand it to everything."""

    def __new__(cls, threads: int = 0, /) -> Workers:
        """`threads` workers, the calling thread included; 0 means one per CPU."""
    @property
    def threads(self) -> int: ...

@final
class Authorization:
    """One EIP-7702 authorization tuple."""

    @property
    def chain_id(self) -> int: ...
    @property
    def address(self) -> bytes: ...
    @property
    def nonce(self) -> int: ...
    @property
    def y_parity(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...
    @property
    def authority(self) -> bytes | None:
        """The recovered signer; `None` where the signature does not recover."""

@final
class Transaction:
    """A decoded transaction. Immutable, hashable by its hash, shared with the engine without a copy."""

    @property
    def hash(self) -> bytes: ...
    @property
    def signing_hash(self) -> bytes: ...
    @property
    def sender(self) -> bytes:
        """20 bytes, recovered from the signature; empty exactly if `sender_error` is set."""
    @property
    def sender_error(self) -> str | None:
        """Why no sender could be recovered, in geth's words without the `invalid sender: ` in front."""
    @property
    def type(self) -> int: ...
    @property
    def is_parallel(self) -> bool:
        """Whether the type byte is the chain's parallel type."""
    @property
    def tag(self) -> str | None:
        """`"PARALLEL"`, `"SEQUENTIAL"` or `None`: what `data` begins with. A hint."""
    @property
    def chain_id(self) -> int | None:
        """`None` for a legacy transaction without replay protection."""
    @property
    def nonce(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def max_fee_per_gas(self) -> int:
        """For types 0 and 1 the gas price."""
    @property
    def max_priority_fee_per_gas(self) -> int:
        """For types 0 and 1 the gas price."""
    @property
    def max_fee_per_blob_gas(self) -> int: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def value(self) -> int: ...
    @property
    def data(self) -> bytes:
        """The whole data field, a tag included."""
    @property
    def evm_input(self) -> bytes:
        """What the EVM sees: `data`, for the parallel type without its one leading tag."""
    @property
    def access_list(self) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]: ...
    @property
    def blob_versioned_hashes(self) -> tuple[bytes, ...]: ...
    @property
    def authorization_list(self) -> tuple[Authorization, ...]: ...
    @property
    def v(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...
    @property
    def raw(self) -> bytes:
        """Canonical encoding, without a blob sidecar."""
    @property
    def network_raw(self) -> bytes:
        """Network form: `raw` wrapped with the blob sidecar, where one came along; else `raw`."""
    @property
    def sidecar_version(self) -> int | None:
        """0 (EIP-4844) or 1 (EIP-7594); `None` without a sidecar."""
    @property
    def size(self) -> int:
        """Length of `raw`."""
    @property
    def cost(self) -> int:
        """Most that the sender can be charged: gas x fee cap + value + blob gas x blob fee cap."""
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class DecodeRejection:
    """Bytes that are no transaction."""

    @property
    def kind(self) -> str:
        """Stable class of the failure."""
    @property
    def message(self) -> str:
        """geth's text."""

def decode_transactions(
    workers: Workers,
    raw: Sequence[bytes],
    chain_id: int,
    parallel_tx_type: int | None,
    /,
) -> list[Transaction | DecodeRejection]:
    """Decodes and recovers each item on all workers. A blob transaction may carry its sidecar."""

@final
class Rules:
    """The rules of one block."""

    @staticmethod
    def of_network(network: str, /, *, chain_id: int = 1, parallel_tx_type: int | None = None) -> Rules:
        """The rules at the genesis of a network of the public tests: `"Frontier"` ... `"Amsterdam"`, `"BPO1"`, ...

        Raises CoreInvalidArgument on an unknown name.
        """
    @property
    def fork(self) -> str:
        """Name as in Ethereum's documents: `"Osaka"`."""
    @property
    def chain_id(self) -> int: ...
    @property
    def parallel_tx_type(self) -> int | None: ...
    @property
    def max_init_code_size(self) -> int | None: ...
    @property
    def max_transaction_gas(self) -> int | None:
        """EIP-7825 cap, where it holds."""
    @property
    def blob_schedule(self) -> tuple[int, int, int] | None:
        """(target, max, base fee update fraction) from Cancun on."""
    def is_active(self, fork: str, /) -> bool:
        """Whether `fork` (`"Berlin"`, `"London"`, ...) is active. Raises on an unknown name."""
    def charges(self, transaction: Transaction, /) -> tuple[int, int]:
        """(intrinsic gas, calldata floor), both counted on the whole data; the floor is 0 where none holds."""
    def sender(self, transaction: Transaction, /) -> bytes | None:
        """The sender by the signature rules of this fork; `None` where they refuse the signature.

        Forks before Spurious Dragon know no replay protection, and Frontier accepts a high s.
        """
    def static_error(self, transaction: Transaction, /) -> tuple[str, str] | None:
        """(class, geth's text) of the first rule that the transaction breaks on its own, without state."""
