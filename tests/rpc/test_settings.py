"""The configuration in the RPC's units."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from config.schema import NAMESPACES, NodeConfig
from rpc.settings import DEFAULT_MODULES, RpcSettings, client_version, settings_of


def test_the_defaults_are_those_of_the_configuration() -> None:
    """Two lists that must agree."""
    made = settings_of(NodeConfig(), version="1.2.3", ipc_path=None)

    assert frozenset(NAMESPACES) == DEFAULT_MODULES
    assert made == replace(RpcSettings(), client_version=client_version("1.2.3"))


def test_every_setting_is_taken_over() -> None:
    """Units: MiB become bytes, durations seconds, 0 the chain's id."""
    config = NodeConfig()
    config = replace(
        config,
        networkid=7,
        identity="east",
        http=replace(config.http, enabled=False),
        ws=replace(config.ws, port=1, api=("eth",), origins=("*",), rpcprefix="/ws"),
        rpc=replace(config.rpc, gascap=5, evmtimeout=timedelta(milliseconds=250), txfeecap=0.5),
        miner=replace(config.miner, gasprice=9),
        parallel=replace(config.parallel, operator="all"),
    )

    made = settings_of(config, version="1.2.3", ipc_path=Path("/x/geth.ipc"))

    assert (made.http, made.ipc_path, made.network_id, made.operator_anywhere) == (
        None,
        Path("/x/geth.ipc"),
        7,
        True,
    )
    assert made.websocket is not None
    assert (
        made.websocket.port,
        made.websocket.modules,
        made.websocket.origins,
        made.websocket.path_prefix,
    ) == (
        1,
        frozenset({"eth"}),
        ("*",),
        "/ws",
    )
    calls = made.calls
    assert (calls.gas_cap, calls.evm_timeout_s, calls.tx_fee_cap_ether, calls.initial_tip) == (
        5,
        0.25,
        0.5,
        9,
    )


def test_the_client_version_has_the_shape_that_tools_take_apart() -> None:
    """Name, identity, version, platform, language."""
    assert re.fullmatch(r"parallelpool/v1\.2\.3/\w+-\w+/python3\.\d+", client_version("1.2.3"))
    assert client_version("1.2.3", "east").startswith("parallelpool/east/v1.2.3/")
