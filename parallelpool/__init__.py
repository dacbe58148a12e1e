"""
parallelpool: a geth-compatible parallel transaction pool daemon.

Run it with `python -m parallelpool`; wallets import `parallelpool.wallet`, programs `parallelpool.client`.
The native engine must be of the same version as this package.
"""

try:
    from parallelpool import _core
except ImportError as error:
    if "partially initialized" not in str(error) and "_core" not in str(error):
        raise
    raise ImportError("the engine parallelpool._core is not built: run `make build`") from error

__all__ = ["__version__"]

__version__ = "0.1.0"

if _core.__version__ != __version__:
    raise ImportError(
        f"parallelpool {__version__} needs an engine of the same version, found {_core.__version__}: run `make build`"
    )
