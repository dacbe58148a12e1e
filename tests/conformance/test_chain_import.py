"""
A public chain through all forks: imported with every root, serially and in parallel, exported again to the byte.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from config import NodeConfig
from parallelpool import _core
from parallelpool.blockfiles import export_file, import_files
from parallelpool.embedded import open_chain
from parallelpool.errors import StartFailure
from parallelpool.execution import ExecutionMode
from tests.public_data import fixture_folder


def configuration(datadir: Path, mode: ExecutionMode) -> NodeConfig:
    """A node on the public chain's genesis."""
    config = NodeConfig(datadir=datadir, genesis=fixture_folder("rpc-compat") / "genesis.json")
    return replace(config, execution=replace(config.execution, mode=mode))


@pytest.mark.parametrize("mode", ["serial", "parallel"])
def test_every_block_of_every_fork_is_imported_with_its_roots(tmp_path: Path, mode: ExecutionMode) -> None:
    """
    From Frontier to the newest fork; a root that differs would refuse its block.
    """
    config = configuration(tmp_path / "data", mode)
    source = fixture_folder("rpc-compat") / "chain.rlp"
    copy = tmp_path / "copy.rlp"

    assert import_files(config, [source]) == 0
    assert import_files(config, [source]) == 0, "a second import finds all blocks there"
    assert export_file(config, copy, None, None) == 0
    assert copy.read_bytes() == source.read_bytes()


def test_a_bad_block_is_refused_by_number_and_reason_and_those_before_it_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A flipped bit in the state root of a block in the middle ends the import there.
    """
    config = configuration(tmp_path / "data", "auto")
    blocks = _core.split_blocks((fixture_folder("rpc-compat") / "chain.rlp").read_bytes())
    bad = len(blocks) // 2
    at = blocks[bad].index(_state_root(blocks[bad]))
    blocks[bad] = blocks[bad][:at] + bytes([blocks[bad][at] ^ 1]) + blocks[bad][at + 1 :]
    broken = tmp_path / "broken.rlp"
    broken.write_bytes(b"".join(blocks))

    assert import_files(config, [broken]) == 1
    assert f"block {bad + 1} refused: invalid merkle root" in capsys.readouterr().err
    chain = open_chain(config, _core.Workers(1))
    assert chain.head().number == bad
    chain.close()


def test_bytes_that_are_no_blocks_are_refused_before_anything_is_stored(tmp_path: Path) -> None:
    """
    The refusal names the file.
    """
    nonsense = tmp_path / "nonsense.rlp"
    nonsense.write_bytes(b"\xff" * 100)

    with pytest.raises(StartFailure, match=r"nonsense\.rlp"):
        import_files(configuration(tmp_path / "data", "auto"), [nonsense])


def _state_root(raw: bytes) -> bytes:
    """The state root of an RLP block, found by its place: after parent hash, ommers hash and beneficiary."""
    header = raw.index(b"\xa0")  # parent hash: the first 32-byte string of the block
    return raw[header + 33 + 33 + 21 + 1 : header + 33 + 33 + 21 + 33]


def test_export_beyond_the_head_is_refused(tmp_path: Path) -> None:
    """
    Nothing is written.
    """
    config = configuration(tmp_path / "data", "auto")
    open_chain(config, _core.Workers(1)).close()

    for first, last, named in ((1, 5, 5), (7, None, 7), (None, None, 1)):
        with pytest.raises(StartFailure, match=f"block {named} lies beyond the head, 0"):
            export_file(config, tmp_path / "out.rlp", first, last)
    assert not (tmp_path / "out.rlp").exists()


def test_no_chain_is_begun_for_an_export(tmp_path: Path) -> None:
    """
    A wrong data directory stays as it is.
    """
    with pytest.raises(StartFailure, match="there is no chain in"):
        export_file(configuration(tmp_path / "data", "auto"), tmp_path / "out.rlp", None, None)
    assert list(tmp_path.iterdir()) == []
