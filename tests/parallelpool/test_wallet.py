"""The wallet: vectors, keys of every kind, refusals, and the text that describes the format."""

import doctest
import json
from typing import Any

import pytest
from eth_account import Account

from parallelpool import wallet
from parallelpool.wallet import WalletError
from tests.parallel_vectors import VECTORS, Refused, Vector, each_refused, each_vector
from tests.public_data import REPOSITORY

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
MNEMONIC = "test test test test test test test test test test test junk"

FIELDS: dict[str, Any] = {
    "type": "0x5",
    "chainId": 31337,
    "nonce": "0x0",
    "maxPriorityFeePerGas": 1,
    "maxFeePerGas": 2,
    "gas": 21_000,
    "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "value": 3,
}


# ------------------------------------------------------------------ vectors


@each_vector
def test_a_vector_is_signed_to_its_bytes(vector: Vector) -> None:
    """
    Key and fields of a vector give its signature, raw bytes and hashes, digit for digit.
    """
    signed = wallet.sign(vector.fields, vector.private_key)

    assert signed.transaction.signing_hash == vector.signing_hash
    assert (signed.v, signed.r, signed.s) == (vector.v, vector.r, vector.s)
    assert (signed.raw_transaction, signed.hash) == (vector.raw, vector.hash)
    assert (signed.transaction.tag, signed.transaction.evm_input) == (vector.tag, vector.evm_input)


@each_vector
def test_a_vector_decodes_to_its_fields_and_its_sender(vector: Vector) -> None:
    """
    The raw bytes alone give back everything that was signed, and who signed it.
    """
    tx_type = int(vector.fields["type"], 16)
    signed = wallet.decode(vector.raw, tx_type)

    assert signed.transaction == wallet.build(vector.fields)
    assert bytes.fromhex(signed.sender[2:]) == vector.sender
    assert wallet.recover(f"0x{vector.raw.hex()}", tx_type) == signed.sender


@each_refused
def test_a_refused_vector_is_no_transaction_of_that_chain(refused: Refused) -> None:
    """
    What the engine refuses, the wallet refuses too, or shows to be another chain's.
    """
    try:
        signed = wallet.decode(refused.raw)
    except WalletError:
        return
    assert "invalid chain id" in refused.error
    assert signed.transaction.chain_id == 1


# ------------------------------------------------------------------ the text

TEXT = (REPOSITORY / "docs" / "eip-parallel-transaction.md").read_text()


@pytest.mark.parametrize("vector", VECTORS[:4], ids=lambda vector: vector.name)
def test_the_text_shows_the_vectors_as_they_are(vector: Vector) -> None:
    """
    The examples printed in the text are those that the tests use.
    """
    for shown in (vector.raw, vector.hash, vector.signing_hash, vector.sender):
        assert f"0x{shown.hex()}" in TEXT
    assert vector.name in TEXT


def test_the_examples_of_the_module_run() -> None:
    """
    What the module's head shows is what happens.
    """
    assert doctest.testmod(wallet, raise_on_error=True).attempted >= 4


def test_the_examples_of_the_guide_run() -> None:
    """
    Each Python example of `docs/wallet.md` that needs no node runs as it stands.
    """
    result = doctest.testfile(
        str(REPOSITORY / "docs" / "wallet.md"), module_relative=False, raise_on_error=True
    )
    assert result.attempted >= 8


# ------------------------------------------------------------------ keys


def test_every_kind_of_key_signs_the_same() -> None:
    """
    A private key as hex or bytes, an account, a keystore and a mnemonic are one signer.
    """
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_key(KEY)
    keystore = json.loads(json.dumps(account.encrypt("password", iterations=2)))
    keys: list[wallet.SigningKey] = [
        KEY,
        bytes.fromhex(KEY[2:]),
        account,
        Account.from_key(Account.decrypt(keystore, "password")),
        Account.from_mnemonic(MNEMONIC),
    ]

    raw = {bytes(wallet.sign(FIELDS, key).raw_transaction) for key in keys}

    assert len(raw) == 1
    assert wallet.recover(raw.pop()) == ADDRESS


def test_a_signature_of_another_account_is_refused() -> None:
    """
    `from` names the account that must sign.
    """
    assert wallet.sign({**FIELDS, "from": ADDRESS.lower()}, KEY).sender == ADDRESS
    with pytest.raises(WalletError, match="is not the account of the key"):
        wallet.sign({**FIELDS, "from": FIELDS["to"]}, KEY)


# ------------------------------------------------------------------ tags


@pytest.mark.parametrize("data", [b"", b"\xa9\x05\x9c\xbb", b"PARALLE", b"parallel"])
@pytest.mark.parametrize("tag", ["PARALLEL", "SEQUENTIAL"])
def test_a_tag_is_put_on_once_and_taken_off_whole(data: bytes, tag: wallet.Tag) -> None:
    """
    The EVM sees the data without its tag, however often it was tagged.
    """
    once = wallet.tagged(data, tag)

    assert once == tag.encode() + data
    assert wallet.split_tag(once) == (tag, data)
    assert wallet.tagged(wallet.tagged(data, "SEQUENTIAL"), tag) == once


def test_an_unknown_tag_is_refused() -> None:
    """
    There are two tags.
    """
    with pytest.raises(WalletError, match="tag: want one of PARALLEL, SEQUENTIAL"):
        wallet.tagged(b"", "MAYBE")  # type: ignore[arg-type]


# ------------------------------------------------------------------ building


def test_the_answer_of_tag_transaction_is_signed_as_it_comes() -> None:
    """
    `null` for a creation and the note about the tagging are understood.
    """
    answer: dict[str, Any] = {
        "type": "0x5",
        "chainId": "0x7a69",
        "nonce": "0x1",
        "maxPriorityFeePerGas": "0x1",
        "maxFeePerGas": "0x2",
        "gas": "0xc350",
        "to": None,
        "value": "0x0",
        "data": "0x504152414c4c454c6001",
        "accessList": [],
        "tagging": {"tag": "PARALLEL", "tagged": True, "filled": ["gas"], "reason": None},
    }

    transaction = wallet.build(answer)

    assert (transaction.to, transaction.evm_input, transaction.gas_limit) == (None, b"\x60\x01", 50_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gasPrice": 1}, "unknown fields: gasPrice"),
        ({"nonce": None}, "missing fields: nonce"),
        ({"nonce": -1}, "nonce: want an integer of 64 bits, not -1"),
        ({"nonce": 2**64}, "nonce: want an integer of 64 bits"),
        ({"nonce": True}, "nonce: want an integer or 0x-hex, not True"),
        ({"nonce": "1"}, "nonce: want an integer or 0x-hex, not '1'"),
        ({"nonce": "0x"}, "nonce: want an integer or 0x-hex, not '0x'"),
        ({"value": 2**256}, "value: want an integer of 256 bits"),
        ({"value": 1.5}, "value: want an integer or 0x-hex, not 1.5"),
        ({"maxPriorityFeePerGas": 3}, "max_priority_fee_per_gas: higher than max_fee_per_gas"),
        ({"to": "0x7099"}, "to: want 20 bytes"),
        ({"to": ""}, "to: want bytes or 0x-hex, not ''"),
        ({"to": "0x"}, "to: want 20 bytes"),
        ({"data": "0x123"}, "data: want bytes or 0x-hex"),
        ({"data": "hello"}, "data: want bytes or 0x-hex"),
        ({"data": "0x01", "input": "0x02"}, "data: differs from input"),
        ({"accessList": [{"address": "0x00"}]}, "accessList: want a list of"),
        ({"accessList": [{"address": ADDRESS, "storageKeys": ["0x01"]}]}, "access_list: want 32 bytes"),
        ({"type": 2}, "tx_type: want 5 to 127, not 2"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    """
    Nothing is guessed and nothing is repaired: the message says which field and why.
    """
    with pytest.raises(WalletError) as refusal:
        wallet.build({**FIELDS, **change})

    assert str(refusal.value).startswith(message)


def test_data_and_input_are_two_names_of_one_field() -> None:
    """
    Either may be given, or both if they are equal.
    """
    one, other = wallet.build({**FIELDS, "data": "0x01"}), wallet.build({**FIELDS, "input": b"\x01"})
    both = wallet.build({**FIELDS, "data": "0x01", "input": "0x01"})

    assert one == other == both


def test_a_signature_that_no_node_takes_cannot_be_held() -> None:
    """
    v, r and s are checked where they come in.
    """
    signed = wallet.sign(FIELDS, KEY)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

    for v, r, s in [
        (2, signed.r, signed.s),
        (signed.v, 0, signed.s),
        (1 - signed.v, signed.r, order - signed.s),
    ]:
        with pytest.raises(WalletError, match="signature"):
            wallet.SignedParallelTransaction(signed.transaction, v, r, s)
