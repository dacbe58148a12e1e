"""The explain command: files, stored blocks, its report and its JSON."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from config import NodeConfig
from parallelpool.errors import StartFailure
from parallelpool.explain import ExplainOptions, main
from tests.node_rig import node, raw_transfer, send
from tests.public_data import fixture_folder

# Holds both a chain of transactions over a token's slots and plenty of strangers' transactions.
FILE = "19932703.json.gz"


def explained(config: NodeConfig, *blocks: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON of a command that succeeds."""
    assert main(config, ExplainOptions(blocks, threads=2, as_json=True)) == 0
    parsed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return parsed


def test_a_real_block_has_its_figures_under_three_models(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Chains grow shorter from model to model, and every limit is within its cores.
    """
    path = fixture_folder("mainnet") / FILE
    document = json.loads(gzip.decompress(path.read_bytes()))["block"]

    (block,) = explained(NodeConfig(), str(path), capsys=capsys)

    count = len(document["transactions"])
    assert block["transactions"] == count
    assert block["gasUsed"] == int(document["gasUsed"], 16)
    assert block["executions"] == count + block["conflicts"]
    assert len(block["aborts"]) == block["conflicts"]
    assert block["cpuMs"] > 0
    assert [model["model"] for model in block["models"]] == [
        "plain",
        "commutative-balances",
        "predicted-nonces",
    ]
    lengths = [len(model["longestChain"]) for model in block["models"]]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1] > 1
    for model in block["models"]:
        assert all(
            1 <= limit["inBlockOrder"] <= limit["bound"] <= limit["cores"] for limit in model["limits"]
        )
        assert sum(1 for own in model["dependencies"] if not own) == model["independent"]
        chain = [link["transaction"] for link in model["longestChain"]]
        assert all(earlier in model["dependencies"][later] for earlier, later in pairwise(chain))
    assert block["models"][-1]["contended"][0]["location"]["name"].startswith("WETH slot 0x")


def test_the_report_names_transactions_locations_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What people read: the block, its execution, the models side by side, hot locations, the longest chain.
    """
    path = fixture_folder("mainnet") / FILE
    assert main(NodeConfig(), ExplainOptions([str(path)], threads=2, top=3)) == 0
    printed = capsys.readouterr().out

    assert "Block 19932703 (Cancun), 143 transactions" in printed
    for words in (
        "busy",
        "thrown away",
        "predicted nonces",
        "32 cores at most",
        "gas behind",
        "WETH slot 0x",
    ):
        assert words in printed
    longest = printed[printed.index("Longest chain") :].splitlines()
    assert longest[1].startswith("  tx ")
    assert " after the one above by " in longest[2]


async def test_a_stored_block_is_explained_from_the_data_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The daemon is stopped; the block is executed again on the state of its parent.
    """
    async with node("manual", datadir=tmp_path) as started:
        for sender in range(3):
            await send(started, raw_transfer(sender, 0, to=b"\x99" * 20))
            await send(started, raw_transfer(sender, 1, to=b"\x99" * 20))
        await started.producer.seal()
        await started.producer.seal()
    capsys.readouterr()

    block, empty = explained(NodeConfig(datadir=tmp_path), "1", "2", capsys=capsys)

    plain, _, ours = block["models"]
    assert (block["transactions"], empty["transactions"]) == (6, 0)
    assert len(plain["longestChain"]) == 6
    assert plain["contended"][0]["location"]["name"] == "balance of 0x" + "99" * 20
    assert (ours["independent"], ours["parallelismByGas"]) == (6, 6.0)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("1", "lies beyond the head, 0"),
        ("0", "the genesis block"),
        ("nothing.json", "^explain: cannot read nothing.json: No such file or directory$"),
    ],
)
async def test_what_cannot_be_explained_is_said(tmp_path: Path, block: str, reason: str) -> None:
    """
    A wrong number or file ends the command with its reason.
    """
    async with node("manual", datadir=tmp_path):
        pass
    with pytest.raises(StartFailure, match=reason):
        main(NodeConfig(datadir=tmp_path), ExplainOptions([block]))


def test_no_chain_is_begun_for_an_explanation(tmp_path: Path) -> None:
    """
    A data directory that is not there stays so.
    """
    with pytest.raises(StartFailure, match="there is no chain in"):
        main(NodeConfig(datadir=tmp_path / "absent"), ExplainOptions(["1"]))

    assert not (tmp_path / "absent").exists()
