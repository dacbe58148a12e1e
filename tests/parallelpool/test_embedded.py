"""Opening the chain of a data directory: what cannot be opened is said in words."""

from pathlib import Path

import pytest

from config import NodeConfig
from parallelpool import embedded
from parallelpool.chain import CoreInternalError, Workers
from parallelpool.errors import StartFailure


class Damaged:
    """In place of the engine's chain: a store on whose pages its own code panics."""

    @staticmethod
    def open(*_arguments: object) -> None:
        """Fails as the engine does."""
        raise CoreInternalError("engine panicked: internal error: entered unreachable code")


def test_a_store_that_panics_is_a_start_failure_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback for the operator, who has to look at his files."""
    monkeypatch.setattr(embedded, "CoreChain", Damaged)

    with pytest.raises(StartFailure, match=f"cannot open the chain in {tmp_path}: .*may be damaged"):
        embedded.open_chain(NodeConfig(datadir=tmp_path), Workers(1))


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_store_that_was_cut_is_refused(tmp_path: Path, kept: float) -> None:
    """By the engine's own words."""
    config = NodeConfig(datadir=tmp_path)
    embedded.open_chain(config, Workers(1)).close()
    store = tmp_path / "chain" / "chain.redb"
    store.write_bytes(store.read_bytes()[: int(store.stat().st_size * kept)])

    with pytest.raises(StartFailure, match=r"storage: .*corrupted"):
        embedded.open_chain(config, Workers(1))
