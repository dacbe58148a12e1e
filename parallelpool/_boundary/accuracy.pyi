"""How good predictions are."""

from typing import TypeAlias, final

from parallelpool._boundary.replaying import ReplayBlock
from parallelpool._boundary.transactions import Workers

_Tally: TypeAlias = tuple[int, int, int, int, int, int, int, int, int]
_Batches: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]

@final
class Accuracy:
    """Replays blocks in order: predicts each on the state before it, holds that against what it did, and learns."""

    def __new__(cls, gas: int, /) -> Accuracy:
        """Runs ahead of need get at most `gas`; nothing is learned yet."""
    @property
    def templates(self) -> int:
        """Templates learned so far."""
    def take(self, workers: Workers, block: ReplayBlock, /) -> BlockAccuracy:
        """Raises CoreError for a block that cannot be executed."""

@final
class BlockAccuracy:
    """One block's tallies."""

    @property
    def transactions(self) -> int: ...
    @property
    def sources(self) -> list[tuple[str, _Tally]]:
        """
        (source, tally) of each source that had an answer.

        A tally: transactions with an answer, with all of it exact, with exactly the right slots, with at least all that was used; slots right, missed, extra; transactions with a conflict that the answers miss; nanoseconds.
        """
    @property
    def ahead(self) -> _Tally:
        """What is found ahead of need about all of them: a transfer where that follows from the state, else a run."""
    @property
    def token_calls(self) -> int:
        """Calls of contracts with the selector of transfer, transferFrom or approve."""
    @property
    def token_templates(self) -> _Tally:
        """Templates on those calls."""
    @property
    def token_probes(self) -> _Tally:
        """Probes of code that no earlier block called, on those calls."""
    @property
    def batches(self) -> _Batches:
        """
        Batches made of the answers: those in which nobody reads what an earlier one wrote, their transactions, those of them in conflict; the same of later batches; sequential transactions; blocks executed in parallel with the serial result, and with another one; transactions that are not valid in this order.
        """
