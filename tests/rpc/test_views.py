"""Objects of the engine as geth's JSON: presence and order of fields. The recorded answers cover the rest."""

from dataclasses import replace

import pytest

from rpc import views
from rpc.views import Place
from tests.rpc.fakes import (
    GWEI,
    FakeReceipt,
    FakeTransaction,
    account,
    as_receipt,
    as_transaction,
    word,
)

PLACE = Place(block_hash=word(7), block_number=9, block_timestamp=108, base_fee=GWEI, index=3)

ALWAYS = ["blockHash", "blockNumber", "blockTimestamp", "from", "gas", "gasPrice"]
DYNAMIC = ["maxFeePerGas", "maxPriorityFeePerGas"]
MIDDLE = ["hash", "input", "nonce", "to", "transactionIndex", "value", "type"]


@pytest.mark.parametrize(
    ("tx_type", "chain_id", "fields"),
    [
        (0, None, [*ALWAYS, *MIDDLE, "v", "r", "s"]),
        (0, 1, [*ALWAYS, *MIDDLE, "chainId", "v", "r", "s"]),
        (1, 1, [*ALWAYS, *MIDDLE, "accessList", "chainId", "v", "r", "s", "yParity"]),
        (2, 1, [*ALWAYS, *DYNAMIC, *MIDDLE, "accessList", "chainId", "v", "r", "s", "yParity"]),
        (
            3,
            1,
            [
                *ALWAYS,
                *DYNAMIC,
                "maxFeePerBlobGas",
                *MIDDLE,
                "accessList",
                "chainId",
                "blobVersionedHashes",
                "v",
                "r",
                "s",
                "yParity",
            ],
        ),
        (
            4,
            1,
            [
                *ALWAYS,
                *DYNAMIC,
                *MIDDLE,
                "accessList",
                "chainId",
                "authorizationList",
                "v",
                "r",
                "s",
                "yParity",
            ],
        ),
        (5, 1, [*ALWAYS, *DYNAMIC, *MIDDLE, "accessList", "chainId", "v", "r", "s", "yParity"]),
    ],
)
def test_each_type_has_its_fields_in_geths_order(
    tx_type: int, chain_id: int | None, fields: list[str]
) -> None:
    """Pending and mined have the same; the parallel type looks like a dynamic fee one."""
    tx = as_transaction(FakeTransaction(type=tx_type, chain_id=chain_id))

    assert list(views.transaction(tx)) == fields
    assert list(views.transaction(tx, PLACE)) == fields
    assert views.transaction(tx)["type"] == hex(tx_type)


@pytest.mark.parametrize(
    ("tx_type", "tip", "cap", "base_fee", "price"),
    [
        (2, 5, 100, 10, 15),
        (2, 5, 12, 10, 12),
        (5, 5, 100, 10, 15),
        (0, 50, 50, 10, 50),
        (2, 5, 100, None, 100),
    ],
)
def test_the_price_of_a_mined_transaction_is_what_was_paid(
    tx_type: int, tip: int, cap: int, base_fee: int | None, price: int
) -> None:
    """Of a pending one it is the most that may be."""
    tx = as_transaction(
        FakeTransaction(type=tx_type, max_priority_fee_per_gas=tip, max_fee_per_gas=cap, hash=word(1))
    )

    assert views.transaction(tx, replace(PLACE, base_fee=base_fee))["gasPrice"] == hex(price)
    assert views.transaction(tx)["gasPrice"] == hex(cap)


def test_a_pending_transaction_has_no_place() -> None:
    """Null, and not absent; a mined one has all four."""
    tx = as_transaction(FakeTransaction(to=None))
    pending, mined = views.transaction(tx), views.transaction(tx, PLACE)
    places = ("blockHash", "blockNumber", "blockTimestamp", "transactionIndex")

    assert [pending[name] for name in places] == [None] * 4
    assert [mined[name] for name in places] == ["0x" + word(7).hex(), "0x9", "0x6c", "0x3"]
    assert pending["to"] is None


def test_a_receipt_says_status_or_state_root() -> None:
    """Before Byzantium there was no status."""
    tx = as_transaction(FakeTransaction())
    now = views.receipt(as_receipt(FakeReceipt(success=False)), tx, PLACE, 0, None)
    then = views.receipt(as_receipt(FakeReceipt(state_root=word(5))), tx, PLACE, 0, None)

    assert (now["status"], "root" in now) == ("0x0", False)
    assert (then["root"], "status" in then) == ("0x" + word(5).hex(), False)
    assert list(now) == sorted(now)


def test_a_blob_receipt_names_gas_and_price() -> None:
    """Others do not have the fields."""
    outcome = as_receipt(FakeReceipt(blob_gas_used=131_072, contract_address=account(1)))
    blob = views.receipt(outcome, as_transaction(FakeTransaction(type=3)), PLACE, 0, 7)
    plain = views.receipt(outcome, as_transaction(FakeTransaction(type=2)), PLACE, 0, 7)

    assert (blob["blobGasUsed"], blob["blobGasPrice"]) == ("0x20000", "0x7")
    assert not {"blobGasUsed", "blobGasPrice"} & set(plain)
    assert plain["contractAddress"] == "0x" + account(1).hex()
