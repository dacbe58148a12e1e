"""
What the RPC is configured with: the daemon's configuration in the units that the RPC counts in.

Defaults are those of the configuration; a test compares them.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from config.schema import HttpConfig, NodeConfig, WsConfig

MIB: Final = 1024 * 1024

DEFAULT_MODULES: Final = frozenset({"eth", "net", "web3", "txpool", "parallel", "dev", "evm", "debug"})
"""Namespaces offered on our own chain."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The HTTP endpoint (`--http.*`)."""

    address: str = "127.0.0.1"
    port: int = 8545
    modules: frozenset[str] = DEFAULT_MODULES
    virtual_hosts: tuple[str, ...] = ("localhost",)
    """Host names taken besides IP addresses; `*` is any."""
    cors_domains: tuple[str, ...] = ()
    """Origins that browsers may call from; none: no CORS headers."""
    path_prefix: str = ""
    """Requests whose path begins so are served; empty: exactly `/`."""
    body_limit: int = 5 * MIB
    """Bytes (`--rpc.http-body-limit`)."""
    read_timeout_s: float = 30.0
    """For the headers, and again for the body."""
    write_timeout_s: float = 30.0
    """For the answer; a call gets a tenth of a second less."""
    idle_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """The WebSocket endpoint (`--ws.*`); the same address and port as HTTP share one listener."""

    address: str = "127.0.0.1"
    port: int = 8545
    modules: frozenset[str] = DEFAULT_MODULES
    origins: tuple[str, ...] = ()
    """Allowed `Origin` headers; none: `http://localhost` and this host's name. `*` is any."""
    path_prefix: str = ""
    message_limit: int = 32 * MIB
    """Bytes of one incoming message; more closes the connection."""
    ping_interval_s: float = 30.0


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Bounds of methods (`--rpc.*`, `--gpo.*`)."""

    gas_cap: int = 50_000_000
    """Gas of a simulated call; 0 is no cap."""
    evm_timeout_s: float = 5.0
    """Of a simulated call; 0 is none."""
    tx_fee_cap_ether: float = 1.0
    """Highest fee of a submitted transaction; 0 is no cap."""
    allow_unprotected_txs: bool = False
    """Take transactions without replay protection."""
    sync_default_timeout_s: float = 20.0
    sync_max_timeout_s: float = 60.0
    """Bounds of `eth_sendRawTransactionSync`."""
    log_query_limit: int = 1_000
    """Addresses, and topics per position, of a log query; 0 is no bound."""
    block_range_limit: int = 0
    """Blocks of a log query; 0 is no bound."""
    log_result_limit: int = 100_000
    """Logs of one answer."""
    sample_blocks: int = 20
    """Blocks that the tip suggestion looks at."""
    sample_percentile: int = 60
    max_suggested_tip: int = 500_000_000_000
    """Wei per gas."""
    ignored_tip: int = 2
    """Wei per gas; lower tips say nothing."""
    initial_tip: int = 1_000_000
    """Wei per gas; suggested while blocks say nothing."""


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """All of it; an endpoint that is `None` is off."""

    http: HttpSettings | None = field(default_factory=HttpSettings)
    websocket: WebSocketSettings | None = field(default_factory=WebSocketSettings)
    ipc_path: Path | None = None
    calls: CallSettings = field(default_factory=CallSettings)
    batch_request_limit: int = 1_000
    batch_response_max_size: int = 25_000_000
    operator_anywhere: bool = False
    """Operator methods for every caller (`--parallel.operator=all`), not only for IPC and loopback."""
    client_version: str = "parallelpool"
    """What `web3_clientVersion` says."""
    network_id: int | None = None
    """What `net_version` says; `None`: the chain id."""


# ------------------------------------------------------------------ from the configuration


def settings_of(config: NodeConfig, *, version: str, ipc_path: Path | None) -> RpcSettings:
    """The settings that a configuration means; `ipc_path` is the resolved socket, `None` for none."""
    return RpcSettings(
        http=_http_settings(config) if config.http.enabled else None,
        websocket=_websocket_settings(config.ws) if config.ws.enabled else None,
        ipc_path=ipc_path,
        calls=_call_settings(config),
        batch_request_limit=config.rpc.batch_request_limit,
        batch_response_max_size=config.rpc.batch_response_max_size,
        operator_anywhere=config.parallel.operator == "all",
        client_version=client_version(version, config.identity),
        network_id=config.networkid or None,
    )


def _http_settings(config: NodeConfig) -> HttpSettings:
    http: HttpConfig = config.http
    return HttpSettings(
        address=http.addr,
        port=http.port,
        modules=frozenset(http.api),
        virtual_hosts=http.vhosts,
        cors_domains=http.corsdomain,
        path_prefix=http.rpcprefix,
        body_limit=config.rpc.http_body_limit * MIB,
    )


def _websocket_settings(ws: WsConfig) -> WebSocketSettings:
    return WebSocketSettings(
        address=ws.addr,
        port=ws.port,
        modules=frozenset(ws.api),
        origins=ws.origins,
        path_prefix=ws.rpcprefix,
    )


def _call_settings(config: NodeConfig) -> CallSettings:
    rpc, gpo = config.rpc, config.gpo
    return CallSettings(
        gas_cap=rpc.gascap,
        evm_timeout_s=rpc.evmtimeout.total_seconds(),
        tx_fee_cap_ether=rpc.txfeecap,
        allow_unprotected_txs=rpc.allow_unprotected_txs,
        sync_default_timeout_s=rpc.txsync.defaulttimeout.total_seconds(),
        sync_max_timeout_s=rpc.txsync.maxtimeout.total_seconds(),
        log_query_limit=rpc.logquerylimit,
        block_range_limit=rpc.rangelimit,
        sample_blocks=gpo.blocks,
        sample_percentile=gpo.percentile,
        max_suggested_tip=gpo.maxprice,
        ignored_tip=gpo.ignoreprice,
        initial_tip=config.miner.gasprice,
    )


def client_version(version: str, identity: str = "") -> str:
    """`name[/identity]/vVERSION/os-machine/language`, the shape that tools take apart."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    name = f"parallelpool/{identity}" if identity else "parallelpool"
    return f"{name}/v{version}/{sys.platform}-{machine}/{python}"
