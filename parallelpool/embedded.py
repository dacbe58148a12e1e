"""
Opens the embedded chain that a configuration describes: which genesis, where, how durable.

Refusals of the engine become a StartFailure that says what to do; a bad genesis document is a configuration
error with all its problems.
"""

import glob
from pathlib import Path
from typing import Final

from config import NodeConfig
from config.genesis import read_genesis, with_parallel_type
from parallelpool.chain import (
    CoreChain,
    CoreInternalError,
    GenesisError,
    StorageFailure,
    StoreRefused,
    Workers,
    dev_genesis,
)
from parallelpool.errors import ConfigurationError, StartFailure

STORE_FILE: Final = Path("chain", "chain.redb")
"""In the data directory."""


def open_chain(config: NodeConfig, workers: Workers) -> CoreChain:
    """
    The chain in the data directory, in memory without one.

    Raises ConfigurationError for a genesis that cannot be used, StartFailure for a store that cannot.
    """
    document = read_genesis(config.genesis) if config.genesis is not None else dev_genesis()
    document = with_parallel_type(document, config.parallel.txtype)
    datadir = config.datadir
    try:
        if datadir is not None:
            datadir.mkdir(parents=True, exist_ok=True)
            _check_not_lost(datadir, config.txpool.journal)
        return CoreChain.open(document, str(datadir) if datadir is not None else None, workers)
    except OSError as error:
        raise StartFailure(f"cannot use {datadir}: {error.strerror}") from error
    except GenesisError as error:
        raise ConfigurationError([f"--genesis: {error}"]) from error
    except (StoreRefused, StorageFailure) as error:
        raise StartFailure(str(error)) from error
    except CoreInternalError as error:
        # The store's own code gives up in a panic on some pages that are not what it wrote.
        raise StartFailure(
            f"cannot open the chain in {datadir}: {error}; its files may be damaged"
        ) from error


def _check_not_lost(datadir: Path, journal: str) -> None:
    """
    Raises StartFailure where the pool's journal is there and the chain's file is not, or is empty.

    The journal begins after the chain, so there was one. Beginning another without a word would answer with the
    genesis balances, and take back into the pool what was mined. May raise OSError.
    """
    store = datadir / STORE_FILE
    if not journal or (store.exists() and store.stat().st_size > 0):
        return
    kept = sorted(
        path.name
        for ending in ("log", "snapshot")
        for path in datadir.glob(f"{glob.escape(journal)}.*.{ending}")
    )
    if kept:
        raise StartFailure(
            f"{store} is {'empty' if store.exists() else 'missing'}, but the pool's journal beside it is that of a "
            f"chain ({', '.join(kept)}): put the chain's file back, or move the journal away to begin a new chain"
        )
