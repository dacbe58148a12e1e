"""The price order over a whole pool: who leaves a full one, who is taken into a block next."""

from collections.abc import Sequence
from typing import final

from parallelpool._boundary.transactions import Transaction

@final
class PriceOrder:
    """
    All transactions of a pool by what they pay; one table for eviction and for reading best first.

    Raises CoreInvalidArgument for a transaction that is or is not there when it should not or should be.
    """

    def __new__(cls) -> PriceOrder: ...
    def __len__(self) -> int: ...
    def __contains__(self, tx_hash: bytes, /) -> bool: ...
    def reprice(self, base_fee: int | None, /) -> None:
        """A new head: `base_fee` (wei per gas) is that of the block to come."""
    @property
    def base_fee(self) -> int | None:
        """Of the block to come, wei per gas."""
    def put(self, transaction: Transaction, arrival: int, is_executable: bool, /) -> None:
        """Takes a recovered transaction in. At equal price the lower arrival is better."""
    def set_executable(self, tx_hash: bytes, is_executable: bool, /) -> None:
        """An executable one takes the place of another one with its sender and nonce."""
    def remove(self, tx_hash: bytes, /) -> None: ...
    def is_underpriced(self, fee_cap: int, tip_cap: int, /) -> bool:
        """Whether nothing here pays less; an equal price is not less."""
    def take_cheapest(self, slots: int, /) -> list[bytes] | None:
        """
        Hashes of the cheapest that together have `slots`; `None` if there are not enough.

        They are still here; each must be removed, or put back.
        """
    def put_back(self, tx_hash: bytes, /) -> None:
        """Undoes `take_cheapest` for one of those it gave."""
    def above_gas(self, gas_limit: int, /) -> list[bytes]:
        """Hashes of those that need more gas."""
    def best_first(
        self, base_fee: int | None, /, *, min_tip: int, gas_cap: int | None, without: Sequence[bytes]
    ) -> BestFirst:
        """
        Begins to read the executable ones as a producer takes them.

        A sender is cut at his first that does not cover `base_fee`, pays less than `min_tip` above it (both wei per gas)
        or needs more gas than `gas_cap`. Those of the senders `without` are left out.
        """
    def find_fault(self) -> str | None:
        """What is inconsistent here: for tests. Costs as much as the pool is large."""

@final
class BestFirst:
    """A place in the best-first order of one state of the pool."""

    def take(self, count: int, /) -> list[bytes]:
        """Hashes of the next best; fewer than `count` at the end. Raises CoreInvalidArgument after a change."""
