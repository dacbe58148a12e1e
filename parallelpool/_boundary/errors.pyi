"""Failures that cross the boundary."""

class CoreError(Exception):
    """Base of all engine errors. `kind` is one of `error_kinds()`."""

    kind: str

class GenesisError(CoreError):
    """The genesis document cannot be used; the message lists every problem."""

class StorageFailure(CoreError):
    """The store could not be opened, read or written."""

class StoreRefused(CoreError):
    """The data directory is locked, of another schema, or of another genesis."""

class StateUnavailable(CoreError):
    """A state could not be read, or is not kept."""

class BlockRefused(CoreError):
    """A block was refused. The message is `block N refused: reason`."""

class CoreInvalidArgument(CoreError):
    """An argument makes no sense."""

class CoreAborted(CoreError):
    """The work was cancelled or ran past its deadline: `execution aborted (timeout = 5s)`."""

class CoreDivergence(CoreError):
    """Parallel and serial execution disagreed. Always a bug; nothing was committed."""

class CoreInternalError(CoreError):
    """A panic in the engine, caught at the boundary. Always a bug; the engine stays usable."""

def error_kinds() -> tuple[str, ...]:
    """Names of all error kinds, `internal` (a caught panic) last."""
