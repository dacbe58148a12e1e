"""
How settings hang together: defaults that follow other settings, and combinations that cannot be.

Values come in by the settings' names. `derive` fills in only what was not given; `contradictions` changes nothing.
"""

import ipaddress
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

Values = Mapping[str, Any]  # values are as different as the schema's fields
Problem = str | None

HOME: Final = Path("~/.parallelpool")
IPC_NAME: Final = "parallelpool.ipc"
IPC_PATH_LIMIT: Final = 107
"""Bytes that a Unix socket's path may have."""


def derive(values: Values, given: Collection[str]) -> dict[str, Any]:
    """The values with defaults that follow others filled in, and paths made absolute."""
    derived = dict(values)
    for name in ("http.addr", "ws.addr", "metrics.addr"):
        if derived[name] == "localhost":
            derived[name] = "127.0.0.1"
    for name in ("addr", "port"):
        if f"ws.{name}" not in given:
            derived[f"ws.{name}"] = derived[f"http.{name}"]
    if "datadir" not in given and not derived["dev"]:
        derived["datadir"] = _home()
    for name in ("datadir", "genesis", "log.file"):
        if derived[name] is not None:
            derived[name] = derived[name].absolute()
    derived["ipcpath"] = _ipc_path(derived["ipcpath"], derived["datadir"], derived["ipcdisable"])
    if derived["dev.period"] > timedelta(0) and "dev.mine" not in given:
        derived["dev.mine"] = "interval"
    return derived


def _home() -> Path | None:
    try:
        return HOME.expanduser()
    except RuntimeError:  # pathlib's, for a user without a home
        return None


def _ipc_path(path: Path | None, datadir: Path | None, is_disabled: bool) -> Path | None:
    if path is None:
        return datadir / IPC_NAME if datadir is not None and not is_disabled else None
    if path.name == str(path) and datadir is not None:
        return datadir / path
    return path.absolute()


def contradictions(values: Values, given: Collection[str], broken: Collection[str]) -> Iterator[str]:
    """Each combination that cannot be, as a sentence; none that involves a setting with a bad value."""
    for names, rule in RULES:
        if not set(names) & set(broken):
            problem = rule(values, given)
            if problem is not None:
                yield problem


def _period_and_mode(values: Values, given: Collection[str]) -> Problem:
    has_period = values["dev.period"] > timedelta(0)
    if values["dev.mine"] == "interval" and not has_period:
        return "--dev.mine interval needs a --dev.period above 0"
    if values["dev.mine"] != "interval" and has_period:
        return f"--dev.period is for --dev.mine interval, not {values['dev.mine']}"
    return None


def _batch_sizes(values: Values, given: Collection[str]) -> Problem:
    smallest, size = values["parallel.minbatchsize"], values["parallel.batchsize"]
    if smallest > size:
        return f"--parallel.minbatchsize {smallest} is above --parallel.batchsize {size}"
    return None


def _ipc(values: Values, given: Collection[str]) -> Problem:
    if values["ipcdisable"]:
        return "--ipcdisable and --ipcpath exclude each other" if "ipcpath" in given else None
    path = values["ipcpath"]
    if path is not None and len(bytes(path)) > IPC_PATH_LIMIT:
        return f"--ipcpath: {path} is longer than {IPC_PATH_LIMIT} bytes, name a shorter one or give --ipcdisable"
    return None


def _waiting_times(values: Values, given: Collection[str]) -> Problem:
    if values["rpc.txsync.defaulttimeout"] > values["rpc.txsync.maxtimeout"]:
        return "--rpc.txsync.defaulttimeout is above --rpc.txsync.maxtimeout"
    return None


def _http_and_ws(values: Values, given: Collection[str]) -> Problem:
    same = values["http.addr"] == values["ws.addr"]
    return None if same else _clash(values, "http", "ws")


def _http_and_metrics(values: Values, given: Collection[str]) -> Problem:
    return _clash(values, "http", "metrics")


def _ws_and_metrics(values: Values, given: Collection[str]) -> Problem:
    if values["http"] and values["ws.port"] == values["http.port"]:
        return None  # said of HTTP already
    return _clash(values, "ws", "metrics")


def _clash(values: Values, first: str, second: str) -> Problem:
    """Both listen on one port and their addresses overlap."""
    port = values[f"{first}.port"]
    if not (values[first] and values[second]) or port == 0 or port != values[f"{second}.port"]:
        return None
    addresses = [ipaddress.ip_address(values[f"{name}.addr"]) for name in (first, second)]
    if addresses[0] != addresses[1] and not any(address.is_unspecified for address in addresses):
        return None
    return (
        f"--{first}.port and --{second}.port are both {port}"
        f" on overlapping addresses {addresses[0]} and {addresses[1]}"
    )


def _genesis(values: Values, given: Collection[str]) -> Problem:
    path = values["genesis"]
    return f"--genesis: no such file: {path}" if path is not None and not _is(path, stat.S_ISREG) else None


def _datadir(values: Values, given: Collection[str]) -> Problem:
    path = values["datadir"]
    if path is None:
        return None if values["dev"] else "--datadir: is needed, since this user has no home directory"
    if _is(path, stat.S_ISREG):
        return f"--datadir: is not a directory: {path}"
    return None


def _log_file(values: Values, given: Collection[str]) -> Problem:
    path = values["log.file"]
    if path is not None and (_is(path, stat.S_ISDIR) or not _is(path.parent, stat.S_ISDIR)):
        return f"--log.file: no file can be made there: {path}"
    return None


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether something of `kind` stands at `path` as far as we may see."""
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


RULES: Final[tuple[tuple[tuple[str, ...], Callable[[Values, Collection[str]], Problem]], ...]] = (
    (("dev.mine", "dev.period"), _period_and_mode),
    (("parallel.batchsize", "parallel.minbatchsize"), _batch_sizes),
    (("ipcpath", "ipcdisable", "datadir"), _ipc),
    (("rpc.txsync.defaulttimeout", "rpc.txsync.maxtimeout"), _waiting_times),
    (("http", "http.addr", "http.port", "ws", "ws.addr", "ws.port"), _http_and_ws),
    (("http", "http.addr", "http.port", "metrics", "metrics.addr", "metrics.port"), _http_and_metrics),
    (
        ("http", "ws", "http.port", "ws.addr", "ws.port", "metrics", "metrics.addr", "metrics.port"),
        _ws_and_metrics,
    ),
    (("genesis",), _genesis),
    (("datadir",), _datadir),
    (("log.file",), _log_file),
)
"""(settings involved, rule): what is asked of the values once each is right by itself."""
