"""Access sets, batches and conflicts."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.chain import Chain
from parallelpool._boundary.transactions import Transaction

@final
class AccessSet:
    """
    What a transaction is expected to read and write: a hint.

    Execution decides; a wrong set costs time, never state.
    """

    @property
    def hash(self) -> bytes:
        """The transaction."""
    @property
    def source(self) -> str:
        """In rising trust: `unknown`, `tag`, `list`, `history`, `transfer`, `template`, `trace`."""
    @property
    def confidence(self) -> float:
        """0 to 1: share of such predictions in which every access is expected to be right."""
    @property
    def gas_used(self) -> int:
        """Gas of the predicted run; the gas limit where unknown."""
    @property
    def succeeded(self) -> bool | None: ...
    @property
    def is_known(self) -> bool:
        """Whether the source claims to name every access: `transfer`, `template` or `trace`."""
    @property
    def accesses(self) -> tuple[tuple[bytes, str, bytes | None, str], ...]:
        """(address, field, slot, kind): field is `nonce`, `balance`, `code` or `storage`, kind `read`, `write`, `credit` or `debit`."""
    @property
    def debits(self) -> tuple[tuple[bytes, int], ...]:
        """(address, wei that must be there): escrow."""

@final
class Batch:
    """Transactions that may run in any order or at once (parallel), or must run one by one (sequential)."""

    @property
    def batch_id(self) -> bytes:
        """keccak256(rlp([version, chainId, parentHash, kind, [txHash...]]))."""
    @property
    def kind(self) -> str:
        """`parallel` or `sequential`."""
    @property
    def members(self) -> tuple[int, ...]:
        """Indices into the candidates."""
    @property
    def after(self) -> tuple[int, ...]:
        """Indices of batches of this plan that must be committed before."""
    @property
    def gas_limit(self) -> int: ...
    @property
    def predicted_gas(self) -> int: ...
    @property
    def critical_path_gas(self) -> int: ...

@final
class BatchPlan:
    """A list of candidates arranged into batches."""

    @property
    def batches(self) -> tuple[Batch, ...]: ...
    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Connected components, indices into the candidates."""
    @property
    def dependencies(self) -> tuple[tuple[int, ...], ...]:
        """For each candidate, earlier ones that it depends on."""

def plan_batches(
    chain: Chain,
    parent_hash: bytes,
    beneficiary: bytes,
    transactions: Sequence[Transaction],
    access_sets: Sequence[AccessSet],
    /,
    *,
    batch_size: int,
    min_batch_size: int = 2,
) -> BatchPlan:
    """
    Arranges candidates (in execution order) into batches by the conflict model `commutative-balance-v1`.

    `parent_hash` enters the batch ids; whoever observes the balance of `beneficiary` observes every fee. Reads the debited accounts' balances at the head for escrow. A tag SEQUENTIAL or an unknown access set makes
    a transaction sequential; a tag PARALLEL or an access list alone proves nothing.
    """

def find_conflicts(
    first: Sequence[AccessSet], second: AccessSet, /
) -> list[tuple[bytes, bytes, str, bytes | None, str, str]]:
    """(hash of one of `first`, address, field, slot, kind there, kind in `second`) for each conflict of `second`."""
