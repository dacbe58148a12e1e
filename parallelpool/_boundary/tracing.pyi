"""Transactions told by geth's tracers."""

from typing import TypeAlias, final

_TracerRow: TypeAlias = tuple[str, list[str], int, list[tuple[str, _TracerRow]]]
"""(name, options that are on, most bytes of steps, members of a `muxTracer` under their names)."""

@final
class Cancellation:
    """Ends traces that nobody waits for."""

    def __new__(cls) -> Cancellation: ...
    def cancel(self) -> None:
        """From any thread; a trace that is over takes no notice."""
