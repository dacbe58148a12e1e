"""The start: what the banner says, and every way in which a daemon must not start."""

import copy
import json
import socket
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from parallelpool.chain import dev_genesis
from tests.e2e import daemon as daemons
from tests.e2e.conftest import Start
from tests.e2e.daemon import Daemon, refused_start
from tests.e2e.signing import ETHER, accounts

Document = dict[str, Any]
NOBODY = "0x" + "11" * 20


def test_the_banner_shows_accounts_and_addresses_that_are_true(start: Start) -> None:
    """Ten accounts with keys and what they own, the chain id, and addresses that answer."""
    node = start("--dev.mine", "manual")

    for index, account in enumerate(accounts()):
        assert f"({index}) {account.address} (10,000.0000 ETH)" in node.banner
        assert f"({index}) 0x{bytes(account.key).hex()}" in node.banner
        assert node.number("eth_getBalance", account.address, "latest") == 10_000 * ETHER
    assert (node.shown("Chain id"), node.shown("Head")) == ("31337", "block 0")
    assert (node.shown("Data"), Path(node.shown("IPC")).is_socket()) == (str(node.datadir), True)
    assert node.websocket_url == node.http_url.replace("http", "ws")
    assert node.number("eth_chainId") == 31_337
    assert "parallel_txpool_pending" in node.page("/metrics")


def test_the_banner_takes_a_path_as_it_is(tmp_path: Path) -> None:
    """A long data directory, with brackets and spaces in its name, stands whole on one line."""
    datadir = tmp_path / "a [bold]name[/] with spaces" / ("long " * 12).strip()
    with daemons.running(datadir, "--ipcdisable") as node:
        assert node.shown("Data") == str(datadir)


def test_other_genesis_other_accounts(tmp_path: Path) -> None:
    """On a chain that does not fund the well-known accounts no key is shown."""
    genesis = json.loads(dev_genesis())
    genesis["config"]["chainId"] = 4_242
    genesis["alloc"] = {NOBODY: {"balance": "0x1"}}
    path = written(tmp_path, genesis)

    with daemons.running(tmp_path / "data", "--genesis", str(path)) as node:
        assert (node.shown("Chain id"), node.number("eth_chainId")) == ("4242", 4_242)
        assert "Private keys" not in node.banner
        assert node.number("eth_getBalance", NOBODY, "latest") == 1


def test_settings_come_from_file_environment_and_flags(tmp_path: Path) -> None:
    """Flags win over the environment, the environment wins over the file."""
    config = tmp_path / "settings.toml"
    config.write_text('[parallel]\nbatchsize = 100\n[dev]\nmine = "instant"\n[txpool]\npricelimit = 7\n')
    node = daemons.start(
        tmp_path / "data",
        "--dev.mine",
        "manual",
        environment={
            "PARALLELPOOL_CONFIG": str(config),
            "PARALLELPOOL_PARALLEL_BATCHSIZE": "128",
            "PARALLELPOOL_DEV_MINE": "interval",
        },
    )
    try:
        assert node.call("parallel_status")["batchSize"] == "0x80"
        assert node.shown("Sealing").startswith("manual")
    finally:
        assert node.stop() == 0


# ------------------------------------------------------------------ refused: exit 1, the world is in the way


def test_a_data_directory_in_use_is_refused(manual: Daemon) -> None:
    """The second daemon says which process has it, and the first goes on."""
    code, words = refused_start(manual.datadir)

    assert code == 1
    assert words.strip() == (
        f"parallelpool: {manual.datadir} is in use by another parallelpool (pid {manual.process.pid})"
    )
    assert manual.number("eth_blockNumber") == 0


@pytest.mark.parametrize("flag", ["--http.port", "--metrics.port"])
def test_a_taken_port_is_refused(tmp_path: Path, flag: str) -> None:
    """The words name the address; nothing stays locked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = refused_start(tmp_path / "data", flag, str(port))

    assert code == 1
    assert f"('127.0.0.1', {port})" in words or f"127.0.0.1:{port}" in words
    assert "in use" in words
    assert "Traceback" not in words
    with daemons.running(tmp_path / "data"):
        pass


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The words say what stands there."""
    (tmp_path / "data").write_text("a file")

    code, words = refused_start(tmp_path / "data")

    assert code in (1, 2)
    assert str(tmp_path / "data") in words
    assert "Traceback" not in words


def test_another_genesis_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """The words name both, and the data can be opened with its own genesis afterwards."""
    genesis = json.loads(dev_genesis())
    genesis["timestamp"] = "0x1"
    with daemons.running(tmp_path / "data", "--dev.mine", "manual") as node:
        first = node.call("eth_getBlockByNumber", "0x0", False)["hash"]

    code, words = refused_start(tmp_path / "data", "--genesis", str(written(tmp_path, genesis)))

    assert (code, first in words, "genesis" in words) == (1, True, True)
    with daemons.running(tmp_path / "data", "--dev.mine", "manual") as node:
        assert node.call("eth_getBlockByNumber", "0x0", False)["hash"] == first


# ------------------------------------------------------------------ refused: exit 2, the words make no sense


def written(folder: Path, document: object) -> Path:
    """A genesis file with this content."""
    path = folder / "genesis.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def without(key: str) -> Callable[[Document], object]:
    """The dev genesis without a key."""
    return lambda genesis: {name: value for name, value in genesis.items() if name != key}


def with_config(**changes: object) -> Callable[[Document], object]:
    """The dev genesis with other values in `config`."""
    return lambda genesis: genesis | {"config": genesis["config"] | changes}


def with_account(address: str, account: object) -> Callable[[Document], object]:
    """The dev genesis with one account more."""
    return lambda genesis: genesis | {"alloc": genesis["alloc"] | {address: account}}


BAD_GENESIS: Mapping[str, tuple[Callable[[Document], object], str]] = {
    "empty": (lambda _: b"", "not JSON"),
    "cut": (lambda genesis: json.dumps(genesis).encode()[:-1], "not JSON"),
    "deep": (lambda _: b"[" * 100_000, "not JSON"),
    "no config": (without("config"), "config: missing"),
    "chain id 0": (with_config(chainId=0), "config.chainId: must not be 0"),
    "forks out of order": (
        with_config(osakaTime=1, pragueTime=5),
        "config.osakaTime: 1 is before pragueTime at 5",
    ),
    "taken type": (with_config(parallelTxType=2), "config.parallelTxType: 2 is not in 5..=127"),
    "no blob schedule": (with_config(blobSchedule={}), "config.blobSchedule.cancun: missing"),
    "short address": (with_account("0x11", {"balance": "0x1"}), "alloc.0x11: not an address"),
    "huge balance": (with_account(NOBODY, {"balance": hex(2**256)}), "is above 2^256 - 1"),
    "misspelt key": (with_account(NOBODY, {"balance": "0x0", "noncee": "0x0"}), "noncee: unknown key"),
}


@pytest.mark.parametrize("name", BAD_GENESIS)
def test_a_bad_genesis_is_refused(tmp_path: Path, name: str) -> None:
    """Exit 2, the place in the document and what is wrong with it, nothing made on disk."""
    change, said = BAD_GENESIS[name]
    document = change(copy.deepcopy(json.loads(dev_genesis())))

    code, words = refused_start(tmp_path / "data", "--genesis", str(written(tmp_path, document)))

    assert (code, "--genesis: " in words, said in words) == (2, True, True), words
    assert "Traceback" not in words
    assert not list((tmp_path / "data").glob("*.redb"))


def test_a_missing_genesis_is_refused(tmp_path: Path) -> None:
    """Exit 2 with the path."""
    code, words = refused_start(tmp_path / "data", "--genesis", str(tmp_path / "absent.json"))

    assert (code, str(tmp_path / "absent.json") in words) == (2, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--http.porrt", "1"), "--http.port"),
        (("--http.port", "seven"), "--http.port"),
        (("--dev.mine", "sometimes"), "--dev.mine"),
        (("--parallel.batchsize", "63"), "--parallel.batchsize"),
        (("--config", "/nowhere/at/all.toml"), "/nowhere/at/all.toml"),
        (("--nodiscover",), "there is no peer-to-peer network here"),
        (("--dev.mine", "instant", "--dev.period", "2s"), "--dev.period"),
        (("frobnicate",), "invalid command: 'frobnicate'"),
    ],
)
def test_bad_flags_are_refused(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    """Exit 2, the flag and what is wrong with it; the data directory is not made."""
    code, words = refused_start(tmp_path / "data", *flags)

    assert (code, said in words) == (2, True), words
    assert "Traceback" not in words
    assert not (tmp_path / "data").exists()


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Of flags, environment and file."""
    config = tmp_path / "settings.toml"
    config.write_text("[txpool]\nglobalslots = -1\n")
    assert tomllib.loads(config.read_text())

    code, words = refused_start(
        tmp_path / "data",
        "--http.port",
        "x",
        "--config",
        str(config),
        environment={"PARALLELPOOL_DEV_MINE": "never"},
    )

    assert code == 2
    for name in ("3 problems", "--http.port", "globalslots", "PARALLELPOOL_DEV_MINE"):
        assert name in words
