"""Opening the chain of a data directory: what cannot be opened is said in words."""

from pathlib import Path

import pytest
import pytest_asyncio

from config import NodeConfig
from parallelpool import embedded
from parallelpool.chain import CoreInternalError, StorageFailure, Workers
from parallelpool.errors import StartFailure
from tests.node_rig import node, raw_transfer, send


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


@pytest_asyncio.fixture
async def stored(tmp_path: Path) -> tuple[NodeConfig, bytes, bytes]:
    """A data directory whose head has one transaction; the header's encoding and the transaction's."""
    raw = raw_transfer(0, 0)
    async with node("manual", datadir=tmp_path) as started:
        await send(started, raw)
        header = await started.producer.seal()
    return NodeConfig(datadir=tmp_path), header.raw, raw


@pytest.mark.parametrize("lost", ["missing", "empty"])
async def test_a_chain_that_is_lost_is_not_begun_anew(
    stored: tuple[NodeConfig, bytes, bytes], lost: str
) -> None:
    """The journal tells that there was one; it says what to do, and with the journal away a new chain begins."""
    config, _, _ = stored
    assert config.datadir is not None
    store = config.datadir / "chain" / "chain.redb"
    if lost == "missing":
        store.unlink()
    else:
        store.write_bytes(b"")

    with pytest.raises(StartFailure, match=rf"chain\.redb is {lost}, .* move the journal away") as refused:
        embedded.open_chain(config, Workers(1))

    journals = list(config.datadir.glob(f"{config.txpool.journal}.*"))
    assert journals
    assert all(path.name in str(refused.value) for path in journals)
    for path in journals:
        path.rename(path.with_name(f"aside-{path.name}"))
    chain = embedded.open_chain(config, Workers(1))
    try:
        assert chain.head().number == 0
    finally:
        chain.close()


def test_an_empty_file_without_a_journal_is_a_first_start(tmp_path: Path) -> None:
    """As a first start leaves it that was killed before anything was stored."""
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "chain.redb").write_bytes(b"")
    chain = embedded.open_chain(NodeConfig(datadir=tmp_path), Workers(1))
    try:
        assert chain.head().number == 0
    finally:
        chain.close()


async def test_a_damaged_head_is_refused(stored: tuple[NodeConfig, bytes, bytes]) -> None:
    """Its hash is counted again at the start: nothing is built on a header that was never sealed."""
    config, header, _ = stored
    damage(config, header)

    with pytest.raises(StartFailure, match="storage: header 1 is damaged"):
        embedded.open_chain(config, Workers(1))


async def test_a_damaged_transaction_is_not_served(stored: tuple[NodeConfig, bytes, bytes]) -> None:
    """An error, and never a block that was not mined."""
    config, _, transaction = stored
    damage(config, transaction)
    chain = embedded.open_chain(config, Workers(1))
    try:
        with pytest.raises(StorageFailure, match=r"stored transaction 0x\w+ is damaged"):
            chain.block_by_number(1)
    finally:
        chain.close()


def damage(config: NodeConfig, written: bytes) -> None:
    """Turns a bit in the last byte of what was written, wherever it stands in the store."""
    assert config.datadir is not None
    store = config.datadir / "chain" / "chain.redb"
    content = store.read_bytes()
    assert written in content
    store.write_bytes(content.replace(written, written[:-1] + bytes([written[-1] ^ 1])))
