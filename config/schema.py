"""
All settings of the daemon, one frozen dataclass per subsystem.

A field's path is its flag, its TOML key and its environment variable: `txpool.globalslots` is
`--txpool.globalslots`, `globalslots` in `[txpool]`, and `PARALLELPOOL_TXPOOL_GLOBALSLOTS`. `enabled` is the
section's own flag (`--http`). An underscore is a dash outside Python. The types say what is allowed, the text
below a field says what it means; help and reference are made from both. Nothing here reads anything.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from config.checks import HostName, ListenAddress, Namespace, Origin, PathPrefix, Range, SecondsAllowed
from parallelpool.primitives import Address

LOOPBACK = "127.0.0.1"

NO_ADDRESS = Address(bytes(20))

NAMESPACES = ("eth", "net", "web3", "txpool", "parallel", "dev", "evm", "debug")
"""JSON-RPC namespaces that exist, all on by default: the chain is our own."""

Port: TypeAlias = Annotated[int, Range(0, 65_535)]
Durability: TypeAlias = Literal["fsync", "buffered", "none"]
SealingMode: TypeAlias = Literal["batch", "instant", "interval", "manual"]
ExecutionMode: TypeAlias = Literal["auto", "serial", "parallel"]


@dataclass(frozen=True, slots=True)
class DevConfig:
    """The embedded dev chain and its sealing."""

    enabled: bool = False
    """Keep the chain in memory, unless a data directory is named."""
    mine: SealingMode = "batch"
    """
    When blocks are sealed: `batch` once parallel.batchsize executable transactions wait or 500 ms after the
    first, `instant` on each transaction, `interval` every dev.period, `manual` only when asked.
    """
    period: Annotated[timedelta, Range(timedelta(0), timedelta(days=1)), SecondsAllowed()] = timedelta(0)
    """Time between blocks, as a duration or in whole seconds as geth; above 0 it implies dev.mine interval."""


@dataclass(frozen=True, slots=True)
class MinerConfig:
    """What the producer puts into block headers."""

    gaslimit: Annotated[int, Range(5_000, 2**63 - 1)] = 60_000_000
    """Gas limit that blocks move towards, by at most 1/1024 each. As geth."""
    gasprice: Annotated[int, Range(0, 2**256 - 1)] = 1_000_000
    """Wei per gas: the tip that is suggested while blocks say nothing. As geth."""
    etherbase: Address = NO_ADDRESS
    """Address that gets the tips."""


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """JSON-RPC over HTTP."""

    enabled: bool = True
    """Serve HTTP. geth: off; here on, since the address is loopback."""
    addr: Annotated[str, ListenAddress()] = LOOPBACK
    """Address to listen on: an IP address or `localhost`. As geth."""
    port: Port = 8545
    """0 takes any free port. As geth."""
    api: Annotated[tuple[str, ...], Namespace(NAMESPACES)] = NAMESPACES
    """Namespaces offered. geth: eth, net, web3."""
    corsdomain: Annotated[tuple[str, ...], Origin()] = ()
    """Origins that browsers may call from, `*` for any; empty sends no CORS headers. As geth."""
    vhosts: Annotated[tuple[str, ...], HostName()] = ("localhost",)
    """Host names that requests may ask for besides IP addresses, `*` for any. As geth."""
    rpcprefix: Annotated[str, PathPrefix()] = ""
    """Path that is served; empty is exactly `/`. As geth."""


@dataclass(frozen=True, slots=True)
class WsConfig:
    """JSON-RPC over WebSocket."""

    enabled: bool = True
    """Serve WebSocket. geth: off."""
    addr: Annotated[str, ListenAddress()] = LOOPBACK
    """Address to listen on; where it is not set it follows http.addr."""
    port: Port = 8545
    """Where it is not set it follows http.port: one port for both. geth: 8546."""
    api: Annotated[tuple[str, ...], Namespace(NAMESPACES)] = NAMESPACES
    """Namespaces offered. geth: eth, net, web3."""
    origins: Annotated[tuple[str, ...], Origin()] = ()
    """`Origin` headers that are taken, `*` for any; empty is this host by name. As geth."""
    rpcprefix: Annotated[str, PathPrefix()] = ""
    """Path that is served; empty is exactly `/`. As geth."""


@dataclass(frozen=True, slots=True)
class TxSyncConfig:
    """Bounds of eth_sendRawTransactionSync."""

    defaulttimeout: Annotated[timedelta, Range(timedelta(milliseconds=1), timedelta(hours=1))] = timedelta(
        seconds=20
    )
    """How long it waits unless told. As geth."""
    maxtimeout: Annotated[timedelta, Range(timedelta(milliseconds=1), timedelta(hours=1))] = timedelta(
        minutes=1
    )
    """Longest wait that a caller gets. As geth."""


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """Bounds of JSON-RPC calls, over every transport."""

    gascap: Annotated[int, Range(0, 2**64 - 1)] = 50_000_000
    """Gas of a simulated call; 0 is no cap. As geth."""
    evmtimeout: Annotated[timedelta, Range(timedelta(0), timedelta(hours=1))] = timedelta(seconds=5)
    """Time of a simulated call; 0 is no limit. As geth."""
    txfeecap: Annotated[float, Range(0.0, 1e9)] = 1.0
    """Ether: highest fee of a submitted transaction; 0 is no cap. As geth."""
    allow_unprotected_txs: bool = False
    """Take transactions without replay protection (EIP-155). As geth."""
    batch_request_limit: Annotated[int, Range(0, 1_000_000)] = 1_000
    """Requests in one JSON-RPC batch; 0 is no limit. As geth."""
    batch_response_max_size: Annotated[int, Range(0, 2**40)] = 25_000_000
    """Bytes answered to one JSON-RPC batch; 0 is no limit. As geth."""
    http_body_limit: Annotated[int, Range(1, 1_024)] = 5
    """MiB of one HTTP request. As geth."""
    logquerylimit: Annotated[int, Range(0, 1_000_000)] = 1_000
    """Addresses, and topics per position, of a log query; 0 is no limit. As geth."""
    rangelimit: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Blocks of a log query; 0 is no limit. As geth."""
    txsync: TxSyncConfig = field(default_factory=TxSyncConfig)


@dataclass(frozen=True, slots=True)
class GpoConfig:
    """The tip suggestion (geth's gas price oracle)."""

    blocks: Annotated[int, Range(1, 1_024)] = 20
    """Recent blocks looked at. As geth."""
    percentile: Annotated[int, Range(0, 100)] = 60
    """Percentile of their low tips. As geth."""
    maxprice: Annotated[int, Range(1, 2**256 - 1)] = 500_000_000_000
    """Wei per gas: highest suggestion. As geth."""
    ignoreprice: Annotated[int, Range(0, 2**256 - 1)] = 2
    """Wei per gas: lower tips say nothing. As geth."""


@dataclass(frozen=True, slots=True)
class TxPoolConfig:
    """The transaction pool. Values are geth's; where geth repairs a bad one with a warning, it is refused here."""

    journal: str = "transactions.rlp"
    """File of acknowledged transactions, relative to the data directory; empty keeps none. As geth."""
    rejournal: Annotated[timedelta, Range(timedelta(seconds=1), timedelta(days=365))] = timedelta(hours=1)
    """Time between two rewrites of the journal. As geth."""
    durability: Durability = "fsync"
    """
    What an answered transaction survives: `fsync` a power cut, `buffered` the end of the daemon (a power cut costs
    about the last second), `none` nothing, no journal is kept.
    """
    pricelimit: Annotated[int, Range(1, 2**256 - 1)] = 1
    """Wei per gas: lowest tip that is taken. As geth."""
    pricebump: Annotated[int, Range(1, 1_000_000)] = 10
    """Percent by which a replacement must pay more. As geth."""
    accountslots: Annotated[int, Range(1, 2**32 - 1)] = 16
    """Executable transactions that each account keeps when the pool is over its limit. As geth."""
    globalslots: Annotated[int, Range(1, 2**32 - 1)] = 5_120
    """Executable transactions over all accounts. geth: 4096 + 1024."""
    accountqueue: Annotated[int, Range(1, 2**32 - 1)] = 64
    """Non-executable transactions of one account. As geth."""
    globalqueue: Annotated[int, Range(1, 2**32 - 1)] = 1_024
    """Non-executable transactions over all accounts. As geth."""
    lifetime: Annotated[timedelta, Range(timedelta(seconds=1), timedelta(days=3_650))] = timedelta(hours=3)
    """How long an idle account's non-executable transactions are kept. As geth."""
    maxtxsize: Annotated[int, Range(1_024, 4 * 1_024 * 1_024)] = 131_072
    """Bytes of one transaction in canonical encoding. As geth, where it is fixed."""


@dataclass(frozen=True, slots=True)
class ParallelConfig:
    """Batches and the parallel transaction type."""

    batchsize: Annotated[int, Range(64, 256)] = 64
    """Transactions that close a batch."""
    minbatchsize: Annotated[int, Range(2, 256)] = 2
    """Smallest parallel batch; at most parallel.batchsize."""
    adaptive: bool = False
    """
    Let the batch size follow what execution observes: from parallel.batchsize on it grows while next to nothing is
    executed in vain and no chain of dependent transactions rules the block, and is halved when predictions fail.
    """
    txtype: Annotated[int, Range(5, 0x7F)] | None = None
    """Type byte of parallel transactions. Default: as the genesis says (`config.parallelTxType`)."""
    preexecgas: Annotated[int, Range(21_000, 2**32 - 1)] = 5_000_000
    """Gas of one run ahead of need; what takes more is of unknown access and goes sequential."""
    preexecshare: Annotated[float, Range(0.01, 1.0)] = 0.5
    """Part of all CPUs that runs ahead of need may take while nothing else wants them."""
    operator: Literal["loopback", "all"] = "loopback"
    """Who may call operator methods: IPC and loopback callers, or everybody."""


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """The engine."""

    mode: ExecutionMode = "auto"
    """`serial`, `parallel` (always speculative), or `auto`, which may choose serial for a small block."""
    workers: Annotated[int, Range(0, 1_024)] = 0
    """Threads of the engine; 0 is one per CPU."""
    selfcheck: Annotated[int, Range(0, 2**32 - 1)] = 256
    """One parallel block in so many is executed serially too and compared; 0 is never, 1 is always."""
    selfcheck_transfers: Annotated[int, Range(0, 2**32 - 1)] = 1_000
    """One plain transfer in so many that takes the short cut is executed by the EVM too and compared; 0 is never."""


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The metrics page."""

    enabled: bool = True
    """Serve `/metrics` and `/healthz`. geth: off."""
    addr: Annotated[str, ListenAddress()] = LOOPBACK
    """Address to listen on. As geth."""
    port: Port = 6060
    """0 takes any free port. As geth."""


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Log output."""

    format: Literal["auto", "terminal", "logfmt", "json"] = "auto"
    """`auto` is `terminal` on a terminal, else `json`. geth: terminal."""
    file: Path | None = None
    """File that log lines are appended to. Default: standard error. As geth."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The whole daemon."""

    datadir: Path | None = None
    """Directory of chain and pool. Default: `~/.parallelpool`, with `--dev` none: both stay in memory."""
    genesis: Path | None = None
    """Genesis document in geth's form. Default: the embedded dev chain's."""
    networkid: Annotated[int, Range(0, 2**63 - 1)] = 0
    """What net_version says; 0 is the chain id. As geth."""
    identity: str = ""
    """Inserted in the client version. As geth."""
    ipcdisable: bool = False
    """Serve no IPC socket. As geth."""
    ipcpath: Path | None = None
    """
    IPC socket; a bare name stands in the data directory. Default: `parallelpool.ipc`, without a data directory
    none.
    """
    verbosity: Annotated[int, Range(0, 5)] = 3
    """0 silent, 1 error, 2 warning, 3 info, 4 debug, 5 trace. As geth."""
    dev: DevConfig = field(default_factory=DevConfig)
    miner: MinerConfig = field(default_factory=MinerConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    ws: WsConfig = field(default_factory=WsConfig)
    rpc: RpcConfig = field(default_factory=RpcConfig)
    gpo: GpoConfig = field(default_factory=GpoConfig)
    txpool: TxPoolConfig = field(default_factory=TxPoolConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    log: LogConfig = field(default_factory=LogConfig)
