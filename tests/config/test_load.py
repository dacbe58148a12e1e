"""From the four sources to one configuration."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.genesis import read_genesis, with_parallel_type
from config.options import options
from config.reference import config_toml
from parallelpool.errors import ConfigurationError
from tests.config.settings import load_toml, load_words, problems, toml_problems

# ------------------------------------------------------------------ precedence


def test_each_source_beats_the_ones_before(tmp_path: Path) -> None:
    """
    Defaults < TOML < environment < flags, for each setting by itself.
    """
    path = tmp_path / "node.toml"
    path.write_text("[txpool]\nglobalslots = 1\naccountslots = 1\nglobalqueue = 1\n")
    environment = {"PARALLELPOOL_TXPOOL_ACCOUNTSLOTS": "2", "PARALLELPOOL_TXPOOL_GLOBALQUEUE": "2"}

    loaded = load_words(["--config", str(path), "--txpool.globalqueue", "3"], environment).txpool

    assert (loaded.accountqueue, loaded.globalslots, loaded.accountslots, loaded.globalqueue) == (64, 1, 2, 3)


def test_the_environment_may_name_the_file_and_a_flag_beats_it(tmp_path: Path) -> None:
    """
    PARALLELPOOL_CONFIG is --config by its variable.
    """
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("networkid = 1")
    second.write_text("networkid = 2")

    assert load_words([], {"PARALLELPOOL_CONFIG": str(first)}).networkid == 1
    assert load_words(["--config", str(second)], {"PARALLELPOOL_CONFIG": str(first)}).networkid == 2


def test_the_last_of_several_flags_wins() -> None:
    """
    A repeated flag is no error, as in geth; wrapper scripts rely on it.
    """
    assert load_words(["--http.port", "1000", "--http.port=2000"]).http.port == 2_000


def test_a_bad_value_is_an_error_even_where_it_is_overridden(tmp_path: Path) -> None:
    """
    A stronger source does not hide a mistake in a weaker one.
    """
    path = tmp_path / "node.toml"
    path.write_text("[http]\nport = 99999\n")

    found = problems(["--config", str(path), "--http.port", "1000"])

    assert found == (f"{path}: [http] port: must be at most 65535, got 99999",)


# ------------------------------------------------------------------ notation


@pytest.mark.parametrize(
    "words",
    [["--http.port", "1234"], ["--http.port=1234"], ["-http.port=1234"], ["-http.port", "0x4d2"]],
)
def test_flags_are_read_as_geth_reads_them(words: list[str]) -> None:
    """
    A value follows a blank or an equals sign, one dash is as good as two, numbers may be hexadecimal.
    """
    assert load_words(words).http.port == 1_234


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["--http"], True), (["--http=false"], False), (["--http=0"], False), (["--http=T"], True), ([], True)],
)
def test_switches_take_their_value_after_an_equals_sign(words: list[str], *, expected: bool) -> None:
    """
    A switch alone is true; Go's spellings of booleans are taken.
    """
    assert load_words(words).http.enabled is expected


def test_lists_are_written_with_commas() -> None:
    """
    Items are trimmed, and an empty text is the empty list.
    """
    loaded = load_words(["--http.api", "eth, net ,web3", "--http.corsdomain", "", "--http.vhosts", "*"])

    assert loaded.http.api == ("eth", "net", "web3")
    assert loaded.http.corsdomain == ()
    assert loaded.http.vhosts == ("*",)


@pytest.mark.parametrize("text", [f"0x{'aB' * 20}", "ab" * 20, f"0X{'AB' * 20}"])
def test_addresses_become_bytes(text: str) -> None:
    """
    With 0x or without, in any case.
    """
    assert load_words(["--miner.etherbase", text]).miner.etherbase == b"\xab" * 20


@pytest.mark.parametrize(("text", "seconds"), [("2", 2), ("500ms", 0.5), ("1m", 60)])
def test_the_period_is_a_duration_or_whole_seconds(text: str, seconds: float) -> None:
    """
    geth's --dev.period is a number of seconds; a duration is finer.
    """
    assert load_words(["--dev.period", text]).dev.period == timedelta(seconds=seconds)


def test_toml_says_the_same_as_flags(tmp_path: Path) -> None:
    """
    Keys are the flag names, a section's own flag is `enabled`, dashes stay.
    """
    loaded = load_toml(
        tmp_path,
        """
        verbosity = 4
        [http]
        enabled = false
        api = ["eth"]
        [rpc]
        batch-request-limit = 7
        txfeecap = 2
        [rpc.txsync]
        maxtimeout = "2m"
        [dev]
        period = 3
        """,
    )

    assert loaded.verbosity == 4
    assert loaded.http.enabled is False
    assert loaded.http.api == ("eth",)
    assert loaded.rpc.batch_request_limit == 7
    assert loaded.rpc.txfeecap == 2.0
    assert loaded.rpc.txsync.maxtimeout == timedelta(minutes=2)
    assert loaded.dev.period == timedelta(seconds=3)


# ------------------------------------------------------------------ defaults that follow


def test_websocket_follows_http_until_it_is_told_otherwise() -> None:
    """
    Moving HTTP moves WebSocket; naming WebSocket's port alone leaves its address following.
    """
    moved = load_words(["--http.addr", "0.0.0.0", "--http.port", "9545"])
    apart = load_words(["--http.port", "9545", "--ws.port", "9546"])

    assert (moved.ws.addr, moved.ws.port) == ("0.0.0.0", 9_545)
    assert (apart.ws.addr, apart.ws.port) == ("127.0.0.1", 9_546)


def test_localhost_is_the_loopback_address() -> None:
    """
    geth's `localhost` and the address that it stands for share one port.
    """
    loaded = load_words(["--http.addr", "localhost", "--ws.addr", "127.0.0.1"])

    assert loaded.http.addr == loaded.ws.addr == "127.0.0.1"


def test_a_period_implies_sealing_by_interval() -> None:
    """
    --dev.period alone is enough, and says the same as both.
    """
    assert load_words(["--dev.period", "2"]) == load_words(["--dev.period", "2", "--dev.mine", "interval"])
    assert load_words(["--dev.period", "2"]).dev.mine == "interval"


def test_data_stay_in_memory_only_with_dev_and_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without --dev the home directory is used; a named directory counts with --dev too.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert load_words([]).datadir == tmp_path / ".parallelpool"
    assert load_words([]).ipcpath == tmp_path / ".parallelpool" / "parallelpool.ipc"
    assert load_words(["--dev"]).datadir is None
    assert load_words(["--dev"]).ipcpath is None
    assert load_words(["--dev", "--datadir", "here"]).datadir == tmp_path / "here"


def test_a_bare_socket_name_stands_in_the_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As geth; a path with a slash counts from the working directory.
    """
    monkeypatch.chdir(tmp_path)

    assert load_words(["--datadir", "d", "--ipcpath", "p.ipc"]).ipcpath == tmp_path / "d" / "p.ipc"
    assert load_words(["--datadir", "d", "--ipcpath", "./p.ipc"]).ipcpath == tmp_path / "p.ipc"
    assert load_words(["--datadir", "d", "--ipcdisable"]).ipcpath is None


def test_a_home_directory_is_asked_for_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A user without one (in a container) gets a sentence, not a traceback.
    """
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)

    assert problems([]) == ("--datadir: is needed, since this user has no home directory",)
    assert load_words(["--dev"]).datadir is None


# ------------------------------------------------------------------ bad flags

BAD_FLAGS = [
    (["--http.port", "70000"], "--http.port: must be at most 65535, got 70000"),
    (["--http.port", "-1"], "--http.port: must be at least 0, got -1"),
    (["--http.port", "80.5"], "--http.port: must be a whole number, got '80.5'"),
    (["--http.port", "010"], "--http.port: must be a whole number, got '010'"),
    (["--http.port", "٣"], "--http.port: must be a whole number, got '٣'"),
    (["--http.port", "1" * 5_000], f"--http.port: must be a whole number, got '{'1' * 100}...'"),
    (["--http.port="], "--http.port: must be a whole number, got ''"),
    (["--http.port"], "--http.port: flag needs an argument"),
    (["--http.port", "--ws"], "--http.port: flag needs an argument"),
    (["--http.prot", "1"], "--http.prot: flag provided but not defined, did you mean --http.port?"),
    (["--nonsense"], "--nonsense: flag provided but not defined"),
    (["--http=maybe"], "--http: must be true or false, got 'maybe'"),
    (["--http", "false"], "--http: write --http=false"),
    (["--http.addr", "example.org"], "--http.addr: must be an IP address or localhost, got 'example.org'"),
    (["--http.addr", "1.2.3.4.5"], "--http.addr: must be an IP address or localhost, got '1.2.3.4.5'"),
    (["--http.vhosts", "a b"], "--http.vhosts: must be a host name without a port, or *, got 'a b'"),
    (["--http.vhosts", "a:80"], "--http.vhosts: must be a host name without a port, or *, got 'a:80'"),
    (["--http.api", "eth,,net"], "--http.api: has an empty item: 'eth,,net'"),
    (["--http.rpcprefix", "rpc"], "--http.rpcprefix: must be empty or a path that begins with /, got 'rpc'"),
    (["--txpool.lifetime", "3"], "--txpool.lifetime: must be a duration such as 3h0m0s or 500ms, got '3'"),
    (["--txpool.lifetime", "0s"], "--txpool.lifetime: must be at least 1s, got 0s"),
    (["--txpool.pricelimit", "0"], "--txpool.pricelimit: must be at least 1, got 0"),
    (["--txpool.globalslots", "0"], "--txpool.globalslots: must be at least 1, got 0"),
    (["--txpool.pricebump", "-10"], "--txpool.pricebump: must be at least 1, got -10"),
    (
        ["--miner.etherbase", "0x12"],
        "--miner.etherbase: must be an address of 40 hexadecimal digits, got '0x12'",
    ),
    (["--parallel.batchsize", "63"], "--parallel.batchsize: must be at least 64, got 63"),
    (["--parallel.batchsize", "257"], "--parallel.batchsize: must be at most 256, got 257"),
    (["--parallel.txtype", "4"], "--parallel.txtype: must be at least 5, got 4"),
    (["--parallel.operator", "me"], "--parallel.operator: must be one of loopback, all, got 'me'"),
    (["--execution.mode", "fast"], "--execution.mode: must be one of auto, serial, parallel, got 'fast'"),
    (["--dev.mine", "never"], "--dev.mine: must be one of batch, instant, interval, manual, got 'never'"),
    (["--dev.period", "-2"], "--dev.period: must be a duration such as 3h0m0s or 500ms, got '-2'"),
    (["--verbosity", "6"], "--verbosity: must be at most 5, got 6"),
    (["--log.format", "xml"], "--log.format: must be one of auto, terminal, logfmt, json, got 'xml'"),
    (["--rpc.txfeecap", "nan"], "--rpc.txfeecap: must be a number, got 'nan'"),
    (["--rpc.txfeecap", "-0.5"], "--rpc.txfeecap: must be at least 0.0, got -0.5"),
    (["--identity", "a\nb"], "--identity: has unprintable characters: 'a\\nb'"),
    (["--datadir="], "--datadir: must not be empty"),
    (["--datadir", "a\0b"], "--datadir: is no path: 'a\\x00b'"),
    (["--http.api", "eth,admin"], "--http.api: no namespace 'admin', there are eth, net, web3, txpool,"),
]


@pytest.mark.parametrize(("words", "expected"), BAD_FLAGS, ids=lambda value: str(value)[:50])
def test_each_bad_flag_is_one_clear_problem(words: list[str], expected: str) -> None:
    """
    The problem names the flag, what is asked for, and what was given; nothing else is said.
    """
    (problem,) = problems(words)

    assert problem.startswith(expected)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    """
    File, environment, flags and combinations are reported together.
    """
    path = tmp_path / "node.toml"
    path.write_text('unknown = 1\n[http]\nport = "x"\n')

    found = problems(
        ["--config", str(path), "--verbosity", "9", "--bogus", "--dev.mine", "interval"],
        {"PARALLELPOOL_WS_PORT": "-5", "PARALLELPOOL_TXPOOL_GLOBALSLOT": "1", "OTHER": "ignored"},
    )

    assert found == (
        "--bogus: flag provided but not defined",
        f"{path}: unknown: no such setting",
        f"{path}: [http] port: must be a whole number, got a string",
        "PARALLELPOOL_TXPOOL_GLOBALSLOT: no such setting, did you mean PARALLELPOOL_TXPOOL_GLOBALSLOTS?",
        "PARALLELPOOL_WS_PORT: must be at least 0, got -5",
        "--verbosity: must be at most 5, got 9",
        "--dev.mine interval needs a --dev.period above 0",
    )


# ------------------------------------------------------------------ bad combinations

BAD_COMBINATIONS = [
    (["--dev.mine", "interval"], "--dev.mine interval needs a --dev.period above 0"),
    (
        ["--dev.mine", "manual", "--dev.period", "2"],
        "--dev.period is for --dev.mine interval, not manual",
    ),
    (
        ["--parallel.minbatchsize", "128"],
        "--parallel.minbatchsize 128 is above --parallel.batchsize 64",
    ),
    (["--ipcdisable", "--ipcpath", "x.ipc"], "--ipcdisable and --ipcpath exclude each other"),
    (
        ["--rpc.txsync.defaulttimeout", "2m"],
        "--rpc.txsync.defaulttimeout is above --rpc.txsync.maxtimeout",
    ),
    (["--metrics.port", "8545"], "--http.port and --metrics.port are both 8545"),
    (["--ws.port", "6060"], "--ws.port and --metrics.port are both 6060"),
    (["--ws.addr", "0.0.0.0"], "--http.port and --ws.port are both 8545"),
    (["--http=false", "--metrics.port", "8545"], "--ws.port and --metrics.port are both 8545"),
    (["--genesis", "/nowhere/genesis.json"], "--genesis: no such file: /nowhere/genesis.json"),
    (["--datadir", "/etc/hostname"], "--datadir: is not a directory: /etc/hostname"),
    (["--log.file", "/nowhere/x.log"], "--log.file: no file can be made there: /nowhere/x.log"),
    (["--ipcpath", f"/tmp/{'i' * 110}"], f"--ipcpath: /tmp/{'i' * 110} is longer than 107 bytes"),
]


@pytest.mark.parametrize(("words", "expected"), BAD_COMBINATIONS, ids=lambda value: str(value)[:50])
def test_settings_that_contradict_each_other_are_refused(words: list[str], expected: str) -> None:
    """
    Values that are right by themselves but not together are one problem.
    """
    (problem,) = problems(words)

    assert problem.startswith(expected)


@pytest.mark.parametrize(
    "words",
    [
        ["--http.port", "0", "--metrics.port", "0"],
        ["--metrics=false", "--http.port", "6060"],
        ["--metrics.addr", "127.0.0.2", "--metrics.port", "8545"],
        ["--http.addr", "127.0.0.2", "--ws.addr", "127.0.0.3"],
    ],
)
def test_addresses_that_do_not_meet_are_no_conflict(words: list[str]) -> None:
    """
    A free port, a switched off server and another address stand in nobody's way.
    """
    load_words(words)


# ------------------------------------------------------------------ bad files

BAD_TOML = [
    ("[http", "is not TOML: "),
    ("http = 1", "http: must be a table, as [http]"),
    ("[http]\nport = 1\nport = 2", "is not TOML: "),
    ("[http]\nport = '8545'", "[http] port: must be a whole number, got a string"),
    ("[http]\nport = true", "[http] port: must be a whole number, got true or false"),
    ("[http]\nport = 8545.0", "[http] port: must be a whole number, got a number"),
    ("[http]\nport = 65536", "[http] port: must be at most 65535, got 65536"),
    ("[http]\nprot = 1", "[http] prot: no such setting, did you mean [http] port?"),
    ("[http]\nenabled = 1", "[http] enabled: must be true or false, got a whole number"),
    ("[http]\napi = 'eth'", "[http] api: must be a list, got a string"),
    ("[http]\napi = ['eth', 1]", "[http] api: must be a string, got a whole number"),
    ("[http]\napi = ['eth', 'personal']", "[http] api: no namespace 'personal'"),
    ("[http]\naddr = 'nowhere'", "[http] addr: must be an IP address or localhost, got 'nowhere'"),
    ("[httpd]\nport = 1", "httpd: no such setting"),
    ("[txpool]\nlifetime = 10800000000000", "[txpool] lifetime: must be a string, got a whole number"),
    ("[txpool]\nlifetime = '3 hours'", "[txpool] lifetime: must be a duration such as 3h0m0s"),
    ("[txpool]\nlifetime = 2026-01-01", "[txpool] lifetime: must be a string, got a date or time"),
    ("[miner]\netherbase = '0xzz'", "[miner] etherbase: must be an address of 40 hexadecimal digits"),
    ("[txpool]\nglobalslots = {a = 1}", "[txpool] globalslots: must be a whole number, got a table"),
    ("[rpc]\ntxfeecap = inf", "[rpc] txfeecap: must be a finite number, got inf"),
    (
        "[rpc]\nbatch_request_limit = 1",
        "[rpc] batch_request_limit: no such setting, did you mean [rpc] batch-request-limit?",
    ),
    ("[rpc.txsync]\nmaxtimeout = '0s'", "[rpc.txsync] maxtimeout: must be at least 1ms, got 0s"),
    ("[rpc]\ntxsync = 5", "rpc.txsync: must be a table, as [rpc.txsync]"),
    ("[dev]\nmine = 'Batch'", "[dev] mine: must be one of batch, instant, interval, manual, got 'Batch'"),
    ("[dev]\nperiod = -1", "[dev] period: must be at least 0s, got -1"),
    ("verbosity = 'info'", "verbosity: must be a whole number, got a string"),
    ("[Eth.TxPool]\nGlobalSlots = 1", "[Eth]: geth's own TOML is not read, keys here are the flag names"),
    ("[authrpc]\nport = 1", "authrpc: not supported: there is no authenticated port yet"),
    ("config = 'other.toml'", "config: no such setting"),
    (b"identity = '\xff'", "is not UTF-8 text, byte 12"),
]


@pytest.mark.parametrize(("text", "expected"), BAD_TOML, ids=lambda value: str(value)[:40])
def test_each_bad_file_is_one_clear_problem(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """
    The problem names the file, section and key, what is asked for and what was given.
    """
    (problem,) = toml_problems(tmp_path, text)

    assert problem.startswith(expected)


def test_a_broken_file_is_named_with_the_place(tmp_path: Path) -> None:
    """
    The line of a syntax error is part of the message.
    """
    (problem,) = toml_problems(tmp_path, "verbosity = 3\nidentity = \n")

    assert "at line 2" in problem


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str) -> None:
    """
    A missing file and a directory are told apart from an empty file.
    """
    (problem,) = problems(["--config", str(tmp_path / name)])

    assert problem.startswith(f"--config: cannot read {tmp_path / name}: ")


# ------------------------------------------------------------------ the environment


def test_variables_of_others_are_left_alone() -> None:
    """
    What has not our prefix, and the tests' own variable, is no setting.
    """
    environment = {"GETH_HTTP_PORT": "x", "PATH": "x", "PARALLELPOOL_FIXTURES": "/x", "PARALLELPOOL": "x"}

    assert load_words([], environment) == load_words([])


def test_every_setting_can_come_from_the_environment() -> None:
    """
    The variable of each setting is known; a bad value names it.
    """
    for option in options():
        bad = "" if option.type is Path else "\x07"

        assert problems([], {option.variable: bad})[0].startswith(f"{option.variable}: ")


# ------------------------------------------------------------------ writing it down


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--dev"],
        ["--dev.period", "1500ms"],
        ["--ipcdisable", "--datadir", "some where/\u00e9\"quoted'\\"],
        ["--miner.etherbase", "0x" + "0a" * 20, "--rpc.txfeecap", "0.25", "--gpo.maxprice", str(2**256 - 1)],
        ["--http=false", "--ws.port", "9000", "--log.format", "json", "--log.file", "/tmp/x.log"],
        ["--parallel.txtype", "0x55", "--identity", 'a "name" \\ [x]'],
    ],
    ids=str,
)
def test_what_is_dumped_loads_to_the_same(tmp_path: Path, words: list[str]) -> None:
    """
    `dumpconfig` and `--config` are inverse.
    """
    loaded = load_words(words)

    assert load_toml(tmp_path, config_toml(loaded)) == loaded


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=30))
def test_any_identity_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """
    Quotes, backslashes and foreign letters are written so that TOML reads them back.
    """
    if not text.isprintable():
        return
    loaded = load_words([f"--identity={text}"])

    assert loaded.identity == text
    assert load_toml(tmp_path_factory.mktemp("round"), config_toml(loaded)).identity == text


# ------------------------------------------------------------------ genesis


def test_the_parallel_type_is_written_into_the_genesis(tmp_path: Path) -> None:
    """
    The setting replaces what the document says, and leaves it as it is where it is not set.
    """
    path = tmp_path / "genesis.json"
    path.write_text('{"config": {"chainId": 7, "parallelTxType": 5}, "alloc": {}}')
    document = read_genesis(path)

    assert with_parallel_type(document, None) == document
    assert b'"parallelTxType": 85' in with_parallel_type(document, 0x55)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"config": 1}', b"\xff", b"nonsense"])
def test_a_genesis_that_cannot_take_the_type_is_refused(document: bytes) -> None:
    """
    The problem is told as one of the configuration.
    """
    with pytest.raises(ConfigurationError, match="--genesis"):
        with_parallel_type(document, 5)


def test_a_genesis_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """
    A file that vanished between the check and the reading is a problem of the configuration too.
    """
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_genesis(tmp_path / "gone.json")
