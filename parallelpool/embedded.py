"""
Opens the embedded chain that a configuration describes: which genesis, where, how durable.

Refusals of the engine become a StartFailure that says what to do; a bad genesis document is a configuration
error with all its problems.
"""

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
