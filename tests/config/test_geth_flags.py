"""geth's flags: each is taken or refused with the reason, none is ignored."""

import pytest

from config.options import options
from config.refused import FAMILIES, REASONS, refusal
from tests.config.settings import load_words, problems

GETH_FLAGS = """
txpool.locals txpool.nolocals txpool.journal txpool.rejournal txpool.pricelimit txpool.pricebump
txpool.accountslots txpool.globalslots txpool.accountqueue txpool.globalqueue txpool.lifetime
blobpool.datadir blobpool.datacap blobpool.pricebump blobpool.fetchprobability
miner.gasprice miner.gaslimit miner.recommit
http http.addr http.port http.api http.corsdomain http.vhosts http.rpcprefix
ws ws.addr ws.port ws.api ws.origins ws.rpcprefix ipcdisable ipcpath
authrpc.addr authrpc.port authrpc.vhosts authrpc.jwtsecret
rpc.gascap rpc.evmtimeout rpc.txfeecap rpc.allow-unprotected-txs rpc.batch-request-limit
rpc.batch-response-max-size rpc.http-body-limit rpc.logquerylimit rpc.rangelimit
rpc.txsync.defaulttimeout rpc.txsync.maxtimeout rpc.telemetry rpc.telemetry.endpoint
gpo.blocks gpo.percentile gpo.maxprice gpo.ignoreprice
metrics metrics.addr metrics.port metrics.influxdb metrics.influxdb.endpoint metrics.influxdbv2
pprof pprof.addr pprof.port datadir networkid identity verbosity
log.format log.vmodule vmodule log.json log.file log.rotate log.maxsize log.maxbackups log.maxage log.compress
config dev dev.period dev.gaslimit datadir.minfreedisk
""".split()
"""Every flag of geth's that the fact sheet on its pool, RPC servers and operation lists."""

SUPPORTED = {option.name for option in options()} | {"config"}


@pytest.mark.parametrize("name", GETH_FLAGS)
def test_every_flag_of_geth_is_taken_or_refused_with_a_reason(name: str) -> None:
    """
    Not even a flag that would change nothing is passed over.
    """
    assert (name in SUPPORTED) != (refusal(name) is not None)


@pytest.mark.parametrize("name", [name for name in GETH_FLAGS if name not in SUPPORTED])
def test_a_refused_flag_says_why_and_takes_its_value_along(name: str) -> None:
    """
    One mistake is one message: the value behind the flag is not taken for a command.
    """
    reason = refusal(name)

    assert problems([f"--{name}", "1"]) == (f"--{name}: not supported: {reason}",)
    assert problems([f"--{name}=1"]) == (f"--{name}: not supported: {reason}",)


def test_a_refused_setting_is_refused_from_the_environment_too() -> None:
    """
    The variable's name leads to the same reason.
    """
    (problem,) = problems([], {"PARALLELPOOL_BLOBPOOL_DATACAP": "1"})

    assert problem == "PARALLELPOOL_BLOBPOOL_DATACAP: not supported: blob transactions are not pooled yet"


def test_what_is_refused_is_not_offered() -> None:
    """
    The table of refusals and the schema do not overlap.
    """
    assert not set(REASONS) & SUPPORTED
    assert not [name for name in SUPPORTED for beginning in FAMILIES if name.startswith(beginning)]


def test_a_usual_geth_command_line_works() -> None:
    """
    What operators have in their unit files carries over.
    """
    loaded = load_words(
        "--datadir /var/lib/x --http --http.addr 0.0.0.0 --http.port 8545 --http.api eth,net,web3,txpool"
        " --http.corsdomain * --http.vhosts * --ws --ws.addr 0.0.0.0 --ws.port 8546 --ws.origins *"
        " --txpool.globalslots 10000 --txpool.lifetime 1h30m --metrics --metrics.addr 0.0.0.0 --verbosity 3".split()
    )

    assert loaded.ws.port == 8_546
    assert loaded.txpool.globalslots == 10_000
