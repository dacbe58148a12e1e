"""Access sets, batches and conflicts."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.blocks import BuiltBlock
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
        """In rising trust: `unknown`, `tag`, `list`, `history`, `probe`, `transfer`, `template`, `trace`."""
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
        """Whether the source's word is enough to run beside others: `transfer`, `template` or `trace`."""
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
    """Chosen transactions, arranged into batches."""

    @property
    def candidates(self) -> tuple[bytes, ...]:
        """Hashes of the chosen transactions; all indices point here."""
    @property
    def batches(self) -> tuple[Batch, ...]:
        """In commit order; each candidate stands in exactly one."""
    @property
    def withheld(self) -> bool:
        """More exists, but budgets, fees or exclusions kept it back."""
    @property
    def critical_path_gas(self) -> int:
        """Predicted gas of the longest way through the batches along `after`, on cores without number."""
    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Connected components of conflicts, indices into the candidates. Worked out when first asked for."""
    @property
    def dependencies(self) -> tuple[tuple[int, ...], ...]:
        """
        For each candidate, those that run before it and that it follows directly; of conflicts at most 256, the latest.

        One of unknown access follows all before it and is followed by all behind it. Worked out when first asked for.
        """

@final
class BatchBuilder:
    """
    The pool's executable transactions by what they touch, kept by deltas and planned from.

    Numbered deltas and heads must follow one another: the first is 1. What was given in one delta or in many
    makes no difference. Safe to call from any thread; `build` lets other Python threads run.
    """

    def __new__(cls) -> BatchBuilder: ...
    def __len__(self) -> int: ...
    def __contains__(self, tx_hash: bytes, /) -> bool: ...
    @property
    def sequence(self) -> int:
        """Number of the last delta or head taken; 0 at first."""
    def apply(
        self,
        sequence: int,
        /,
        *,
        removed: Sequence[bytes] = ...,
        added: Sequence[tuple[Transaction, int, AccessSet | None]] = ...,
        access_sets: Sequence[AccessSet] = ...,
    ) -> int:
        """
        Takes a change of the pool, in this order: out, in, newly found access sets.

        Returns how many of the access sets say something else than those held.

        `added` are (transaction, arrival, access set or None while nothing is known); arrivals rise with admission and decide at equal tips. One with the sender and nonce of a held one takes its place. Unknown hashes are passed over. Raises
        CoreInvalidArgument for a number that does not follow, and takes nothing then.
        """
    def change_head(
        self, sequence: int, /, *, base_fee: int | None, balances: Sequence[bytes] | None = None
    ) -> None:
        """
        A new head: the base fee of the block to come, and the accounts whose balances it changed (None: any).

        Raises CoreInvalidArgument for a number that does not follow, and takes nothing then.
        """
    def build(
        self,
        chain: Chain,
        parent_hash: bytes,
        beneficiary: bytes,
        /,
        *,
        batch_size: int,
        min_batch_size: int = 2,
        strategy: str = "tip",
        at_base_fee: int | None = None,
        max_gas: int | None = None,
        max_blob_gas: int | None = None,
        max_bytes: int | None = None,
        max_transactions: int | None = None,
        min_tip: int = 0,
        senders: Sequence[bytes] = ...,
        exclude_transactions: Sequence[bytes] = ...,
        exclude_addresses: Sequence[bytes] = ...,
        exclude_locations: Sequence[tuple[bytes, bytes]] = ...,
    ) -> BatchPlan:
        """
        Chooses transactions under the budgets and arranges them by `commutative-balance-v1`.

        `strategy`: `tip`, `width`, `latency` (all chosen by tip) or `fifo`. `at_base_fee` counts tips at another
        base fee than the head's. Reads debited accounts at the chain's head for escrow. `parent_hash` enters the
        batch ids. Raises CoreInvalidArgument.
        """
    def hottest(
        self, limit: int, /, *, by: str
    ) -> list[tuple[bytes, str | None, bytes | None, int, int, int, int, int]]:
        """
        Where most transactions must keep an order, `by` `address` or `slot`, most first.

        (address, field, slot, readers, changers, writers, queue, waiting gas); field and slot are None by address.
        """
    def dependencies(
        self, tx_hash: bytes, limit: int, /
    ) -> list[tuple[bytes, bytes, str, bytes | None, str, str]] | None:
        """
        Better paid held transactions that this one must follow, the nearest first, each with one reason.

        (hash of the other, address, field, slot, kind there, kind here); None if it is not held or cannot pay the base fee.
        """
    def conflicts(
        self, access_set: AccessSet, sender: bytes | None, limit: int, /
    ) -> tuple[list[tuple[bytes, bytes, str, bytes | None, str, str]], int]:
        """
        Held transactions of other senders that conflict with an access set, held or not.

        (at most `limit` rows as `dependencies` gives them, how many transactions conflict).
        """

@final
class AdaptiveSize:
    """
    A batch size from 64 to 256 that follows what execution observed.

    16 more while at most 1 % of the executions of parallel batches were in vain and the longest way through the
    dependencies took at most a quarter of the gas; half of it above 3 %. Blocks with fewer than 64 transactions in
    parallel batches change nothing.
    """

    def __new__(cls, size: int, /) -> AdaptiveSize: ...
    @property
    def size(self) -> int:
        """Transactions that close a batch now."""
    def observe(self, plan: BatchPlan, built: BuiltBlock, /) -> int:
        """Learns what became of a plan as a block; returns the size from now on."""

@final
class BatchVerification:
    """What was found out about a batch."""

    @property
    def is_valid(self) -> bool:
        """No conflict, escrow holds, all members can be executed, their accesses are known, no order differs."""
    @property
    def conflicts(self) -> tuple[tuple[bytes, bytes, bytes, str, bytes | None, str, str], ...]:
        """(hash a, hash b, address, field, slot, kind in a, kind in b), by the places of a and b."""
    @property
    def conflict_count(self) -> int:
        """How many there are, listed or not."""
    @property
    def shortfalls(self) -> tuple[tuple[bytes, int, int, tuple[bytes, ...]], ...]:
        """(address, wei there, wei that the members together may need, their hashes): escrow does not hold."""
    @property
    def invalid(self) -> tuple[tuple[bytes, str], ...]:
        """(hash, geth's reason) of members that could not be executed in the given order."""
    @property
    def unknown(self) -> tuple[bytes, ...]:
        """Members of which a run alone could not tell what they touch."""
    @property
    def orders(self) -> int:
        """Orders executed."""
    @property
    def divergence(self) -> tuple[list[int], bytes | None, str] | None:
        """
        (order, transaction, what) of the first order that gave something else than the given one.

        `what` is `validity`, `status`, `gas`, `logs` or `state`; no transaction where only the state differed.
        """
    @property
    def gas_used(self) -> int:
        """In the given order."""
    @property
    def post_state_digest(self) -> bytes:
        """Keccak of what the given order changed; `docs/batching.md` has the encoding."""

def verify_batch(
    chain: Chain,
    beneficiary: bytes,
    transactions: Sequence[Transaction],
    /,
    *,
    orders: int = 4,
    seed: int = 0,
    gas_cap: int = 60_000_000,
    max_conflicts: int = 4096,
) -> BatchVerification:
    """
    Holds transactions against the promise of a parallel batch, on the state of the head.

    Runs each alone and then all in `orders` orders: as given, reversed, then shuffled by `seed`. Executes at most
    `orders + 1` times the batch's declared gas. Raises CoreInvalidArgument if that is more than `gas_cap`, or if a
    transaction is there twice.
    """

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
