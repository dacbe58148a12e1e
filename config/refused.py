"""
geth's flags that are not offered here, each with the reason.

None is ignored: whoever brings a geth command line learns what of it does not hold.
"""

from typing import Final

NO_NETWORK: Final = "there is no peer-to-peer network here"
NO_BLOBS: Final = "blob transactions are not pooled yet"
NO_AUTH: Final = "there is no authenticated port yet"
NO_ROTATION: Final = "log files are not rotated here: leave that to logrotate or the service manager"
NO_KEYS: Final = "no keys are kept here: sign outside"
NO_PUBLIC_CHAIN: Final = "the chain is embedded: give its genesis by --genesis"

REASONS: Final[dict[str, str]] = {
    "bootnodes": NO_NETWORK,
    "cache": "the engine sizes its caches by itself",
    "datadir.minfreedisk": "free disk space is not watched here",
    "dev.gaslimit": "use --miner.gaslimit, and the genesis for the first block",
    "discovery.port": NO_NETWORK,
    "gcmode": "every past state is kept",
    "hoodi": NO_PUBLIC_CHAIN,
    "holesky": NO_PUBLIC_CHAIN,
    "keystore": NO_KEYS,
    "log.compress": NO_ROTATION,
    "log.json": "use --log.format json",
    "log.maxage": NO_ROTATION,
    "log.maxbackups": NO_ROTATION,
    "log.maxsize": NO_ROTATION,
    "log.rotate": NO_ROTATION,
    "log.vmodule": "there is one --verbosity for all modules",
    "mainnet": NO_PUBLIC_CHAIN,
    "maxpeers": NO_NETWORK,
    "mine": "use --dev.mine",
    "miner.recommit": "a block is built when it is sealed: see --dev.mine and --dev.period",
    "nat": NO_NETWORK,
    "nodiscover": NO_NETWORK,
    "password": NO_KEYS,
    "port": NO_NETWORK,
    "pprof": "there is no profiling server here",
    "pprof.addr": "there is no profiling server here",
    "pprof.port": "there is no profiling server here",
    "sepolia": NO_PUBLIC_CHAIN,
    "syncmode": NO_NETWORK,
    "txpool.locals": "no account's transactions are preferred",
    "txpool.nolocals": "it always holds: every refusal is answered, no transaction is treated as local",
    "unlock": NO_KEYS,
    "upstream": "following another node is not offered yet",
    "vmodule": "there is one --verbosity for all modules",
}

FAMILIES: Final[dict[str, str]] = {
    "authrpc": NO_AUTH,
    "blobpool": NO_BLOBS,
    "metrics.influxdb": "metrics are read from /metrics, not pushed",
    "override.": "forks follow from the genesis",
    "rpc.telemetry": "there is no OpenTelemetry export here",
}
"""By the beginning of the name."""


def refusal(name: str) -> str | None:
    """Why the geth flag `name` (without dashes in front) is refused; `None` for a name that geth has not."""
    if name in REASONS:
        return REASONS[name]
    return next((reason for beginning, reason in FAMILIES.items() if name.startswith(beginning)), None)
