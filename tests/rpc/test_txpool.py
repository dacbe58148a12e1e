"""The pool's content as geth shows it."""

import pytest

from rpc.namespaces import txpool
from rpc.views import to_checksum
from tests.rpc.client import Client
from tests.rpc.fakes import FakeNode, FakeTransaction, word

# From EIP-55.
ALICE = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
BOB = bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359")
ALICE_NAME = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BOB_NAME = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


@pytest.fixture
def client(node: FakeNode) -> Client:
    """Alice: pending 2, 9, 10, queued 12. Bob: pending creation 0."""
    node.pool.pending = {
        BOB: [FakeTransaction(sender=BOB, hash=word(1), to=None, value=5, gas_limit=7, max_fee_per_gas=9)],
        ALICE: [FakeTransaction(sender=ALICE, nonce=nonce, hash=word(nonce), to=BOB) for nonce in (2, 9, 10)],
    }
    node.pool.queued = {ALICE: [FakeTransaction(sender=ALICE, nonce=12, hash=word(12))]}
    return Client(node)


@pytest.mark.parametrize(("address", "name"), [(ALICE, ALICE_NAME), (BOB, BOB_NAME)])
def test_addresses_are_checksummed(address: bytes, name: str) -> None:
    """The examples of EIP-55."""
    assert to_checksum(address) == name


async def test_content_is_keyed_by_checksummed_address_and_decimal_nonce(client: Client) -> None:
    """Keys are sorted as text, so nonce 10 stands before 2; addresses inside are lower case."""
    content = await client.ask("txpool_content")

    assert isinstance(content, dict)
    assert list(content) == ["pending", "queued"]
    pending = content["pending"]
    assert list(pending) == [ALICE_NAME, BOB_NAME]
    assert list(pending[ALICE_NAME]) == ["10", "2", "9"]
    assert pending[ALICE_NAME]["10"]["nonce"] == "0xa"
    assert pending[ALICE_NAME]["10"]["from"] == ALICE_NAME.lower()
    assert pending[ALICE_NAME]["10"]["blockHash"] is None
    assert list(content["queued"][ALICE_NAME]) == ["12"]


async def test_an_empty_pool_has_both_parts(node: FakeNode) -> None:
    """Empty objects, not null."""
    assert await Client(node).ask("txpool_content") == {"pending": {}, "queued": {}}


async def test_content_from_one_sender(client: Client) -> None:
    """Somebody unknown has nothing."""
    content = await client.ask("txpool_contentFrom", ALICE_NAME)

    assert isinstance(content, dict)
    assert (list(content["pending"]), list(content["queued"])) == (["10", "2", "9"], ["12"])
    assert await client.ask("txpool_contentFrom", "0x" + "00" * 20) == {"pending": {}, "queued": {}}


async def test_inspect_gives_one_line_each(client: Client) -> None:
    """The price is the fee cap; a creation is named so."""
    lines = await client.ask("txpool_inspect")

    assert isinstance(lines, dict)
    assert lines["pending"][BOB_NAME] == {"0": "contract creation: 5 wei + 7 gas × 9 wei"}
    assert lines["pending"][ALICE_NAME]["2"] == f"{BOB_NAME}: 0 wei + 21000 gas × 3000000000 wei"


async def test_status_counts(client: Client) -> None:
    """As quantities."""
    assert await client.ask("txpool_status") == {"pending": "0x4", "queued": "0x1"}


async def test_large_pools_are_rendered_in_slices(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses change nothing in the answer."""
    whole = await client.ask("txpool_content")
    monkeypatch.setattr(txpool, "SLICE", 1)

    assert await client.ask("txpool_content") == whole
