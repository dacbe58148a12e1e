"""Transactions through the boundary: types of the attributes, vectors, agreement with eth-account and the wallet."""

from typing import Any

import pytest
from eth_account import Account
from hexbytes import HexBytes
from hypothesis import given
from hypothesis import strategies as st

from parallelpool import _core, wallet
from tests.parallel_vectors import CHAIN_ID, Refused, Vector, each_refused, each_vector

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SENDER = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")
RECIPIENT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TYPE = wallet.PARALLEL_TX_TYPE

WORKERS = _core.Workers(2)


def _decode(raw: bytes, chain_id: int = CHAIN_ID, tx_type: int | None = TYPE) -> _core.Transaction:
    [decoded] = _core.decode_transactions(WORKERS, [raw], chain_id, tx_type)
    assert isinstance(decoded, _core.Transaction), decoded
    return decoded


def _refuse(raw: bytes, tx_type: int | None = TYPE) -> _core.DecodeRejection:
    [decoded] = _core.decode_transactions(WORKERS, [raw], CHAIN_ID, tx_type)
    assert isinstance(decoded, _core.DecodeRejection), decoded
    return decoded


def _signed(**fields: Any) -> bytes:
    complete = {"chainId": CHAIN_ID, "nonce": 3, "gas": 50_000, "to": RECIPIENT, "value": 7, **fields}
    return bytes(Account.sign_transaction(complete, KEY).raw_transaction)


# ------------------------------------------------------------------ vectors


@each_vector
def test_a_vector_decodes_to_what_it_says(vector: Vector) -> None:
    """
    Fields, hashes, sender, tag and EVM input of every vector come out of the raw bytes.
    """
    fields = vector.fields
    tx_type, chain_id = int(fields["type"], 16), int(fields["chainId"], 16)

    decoded = _decode(vector.raw, chain_id, tx_type)

    assert decoded.is_parallel
    assert (decoded.type, decoded.chain_id) == (tx_type, chain_id)
    assert (decoded.hash, decoded.signing_hash) == (vector.hash, vector.signing_hash)
    assert (decoded.sender, decoded.sender_error) == (vector.sender, None)
    assert (decoded.v, decoded.r, decoded.s) == (vector.v, vector.r, vector.s)
    assert (decoded.tag, decoded.evm_input) == (vector.tag, vector.evm_input)
    assert decoded.raw == decoded.network_raw == vector.raw
    for ours, name in {
        "nonce": "nonce",
        "max_priority_fee_per_gas": "maxPriorityFeePerGas",
        "max_fee_per_gas": "maxFeePerGas",
        "gas_limit": "gas",
        "value": "value",
    }.items():
        assert getattr(decoded, ours) == int(fields[name], 16), name
    assert decoded.to == (HexBytes(fields["to"]) if fields["to"] else None)
    assert decoded.data == HexBytes(fields["data"])
    assert decoded.access_list == tuple(
        (HexBytes(entry["address"]), tuple(HexBytes(slot) for slot in entry["storageKeys"]))
        for entry in fields["accessList"]
    )


@each_vector
def test_a_vector_is_charged_for_its_whole_data(vector: Vector) -> None:
    """
    Intrinsic gas and floor count the tag, on every network of the vector.
    """
    tx_type, chain_id = int(vector.fields["type"], 16), int(vector.fields["chainId"], 16)
    decoded = _decode(vector.raw, chain_id, tx_type)

    for network, due in vector.charges.items():
        rules = _core.Rules.of_network(network, chain_id=chain_id, parallel_tx_type=tx_type)
        assert rules.charges(decoded) == (due["intrinsic"], due["floor"]), network
        assert rules.sender(decoded) == vector.sender


@each_refused
def test_a_refused_vector_is_answered_in_its_words(refused: Refused) -> None:
    """
    Malformed bytes are rejections; a bad signature is a transaction without a sender.
    """
    [decoded] = _core.decode_transactions(WORKERS, [refused.raw], CHAIN_ID, TYPE)

    if isinstance(decoded, _core.DecodeRejection):
        assert decoded.message == refused.error
    else:
        assert decoded.sender == b""
        assert f"invalid sender: {decoded.sender_error}" == refused.error


@each_vector
def test_the_type_is_refused_where_the_chain_has_it_off(vector: Vector) -> None:
    """
    Without a parallel type the same bytes are an unknown type, in geth's words; before London a decoded one is.
    """
    tx_type, chain_id = int(vector.fields["type"], 16), int(vector.fields["chainId"], 16)
    rejection = _refuse(vector.raw, None)

    assert (rejection.kind, rejection.message) == ("type_not_supported", "transaction type not supported")
    berlin = _core.Rules.of_network("Berlin", chain_id=chain_id, parallel_tx_type=tx_type)
    assert berlin.parallel_tx_type is None
    assert berlin.static_error(_decode(vector.raw, chain_id, tx_type)) == (
        "type_not_supported",
        "transaction type not supported",
    )


# ------------------------------------------------------------------ agreement with the wallet

_NUMBER_64 = st.integers(0, 2**64 - 1)
_NUMBER_256 = st.integers(0, 2**256 - 1)
_FEES = st.tuples(_NUMBER_256, _NUMBER_256).map(sorted)


@st.composite
def transactions(draw: st.DrawFn) -> wallet.ParallelTransaction:
    """Any parallel transaction that a wallet can build."""
    tip, fee = draw(_FEES)
    tag = draw(st.sampled_from([b"", b"PARALLEL", b"SEQUENTIAL", b"PARALLE"]))
    slots = st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple)
    entry = st.tuples(st.binary(min_size=20, max_size=20), slots)
    return wallet.ParallelTransaction(
        chain_id=draw(_NUMBER_64),
        nonce=draw(_NUMBER_64),
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=fee,
        gas_limit=draw(_NUMBER_64),
        to=draw(st.none() | st.binary(min_size=20, max_size=20)),
        value=draw(_NUMBER_256),
        data=tag + draw(st.binary(max_size=300)),
        access_list=tuple(draw(st.lists(entry, max_size=3))),
    )


@given(transaction=transactions(), key=st.binary(min_size=31, max_size=31))
def test_wallet_and_engine_agree_on_every_transaction(
    transaction: wallet.ParallelTransaction, key: bytes
) -> None:
    """
    What the wallet signs, the engine decodes to the same fields, hashes, sender, tag and EVM input.
    """
    signed = transaction.sign(b"\x01" + key)

    decoded = _decode(signed.raw_transaction, transaction.chain_id)

    assert decoded.sender == bytes(HexBytes(signed.sender))
    assert (decoded.hash, decoded.signing_hash) == (signed.hash, transaction.signing_hash)
    assert (decoded.tag, decoded.evm_input) == (transaction.tag, transaction.evm_input)
    assert wallet.decode(decoded.raw) == signed
    for name in ("nonce", "max_fee_per_gas", "gas_limit", "to", "value", "data", "access_list"):
        assert getattr(decoded, name) == getattr(transaction, name), name


@given(transaction=transactions(), damage=st.data())
def test_wallet_and_engine_refuse_the_same_bytes(
    transaction: wallet.ParallelTransaction, damage: st.DataObject
) -> None:
    """
    After one byte is changed, put in or taken out, either both sides refuse, or both see the same transaction.
    """
    raw = bytearray(transaction.sign(KEY).raw_transaction)
    at = damage.draw(st.integers(0, len(raw) - 1))
    byte = damage.draw(st.binary(min_size=1, max_size=1))
    raw[at : at + damage.draw(st.integers(0, 1))] = damage.draw(st.sampled_from([b"", byte]))

    [decoded] = _core.decode_transactions(WORKERS, [bytes(raw)], transaction.chain_id, TYPE)
    try:
        by_wallet = wallet.decode(bytes(raw))
        sender = bytes(HexBytes(by_wallet.sender))
    except wallet.WalletError:
        # The wallet also refuses what no pool takes: a tip above the fee cap.
        assert (
            isinstance(decoded, _core.DecodeRejection)
            or decoded.sender_error is not None
            or decoded.max_priority_fee_per_gas > decoded.max_fee_per_gas
        )
    else:
        assert isinstance(decoded, _core.Transaction)
        assert decoded.hash == by_wallet.hash
        if by_wallet.transaction.chain_id == transaction.chain_id:
            assert decoded.sender == sender
        else:
            assert decoded.sender_error is not None


# ------------------------------------------------------------------ the other types

_DYNAMIC = {"maxFeePerGas": 9, "maxPriorityFeePerGas": 2}
_LIST = {"accessList": [{"address": RECIPIENT, "storageKeys": ["0x" + "07" * 32]}]}


def _authorization() -> dict[str, Any]:
    signed = Account.from_key(KEY).sign_authorization({"chainId": CHAIN_ID, "address": RECIPIENT, "nonce": 5})
    fields: dict[str, Any] = signed.model_dump(by_alias=True)
    return fields


@pytest.mark.parametrize(
    ("tx_type", "fields"),
    [
        (0, {"gasPrice": 9}),
        (1, {"gasPrice": 9, "type": 1, **_LIST}),
        (2, {**_DYNAMIC, **_LIST}),
        (3, {**_DYNAMIC, "type": 3, "maxFeePerBlobGas": 4, "blobVersionedHashes": [b"\x01" * 32]}),
        (4, {**_DYNAMIC, "type": 4, "authorizationList": [_authorization()]}),
    ],
)
def test_each_ethereum_type_decodes_as_eth_account_signed_it(tx_type: int, fields: dict[str, Any]) -> None:
    """
    Attributes that a type has are the signed ones, those that it lacks are neutral.
    """
    raw = _signed(**fields)
    decoded = _decode(raw)

    assert (decoded.type, decoded.is_parallel, decoded.tag) == (tx_type, False, None)
    assert (decoded.sender, decoded.nonce, decoded.value) == (SENDER, 3, 7)
    assert decoded.chain_id == CHAIN_ID
    assert decoded.max_fee_per_gas == 9
    assert decoded.max_priority_fee_per_gas == (9 if tx_type < 2 else 2)
    assert decoded.max_fee_per_blob_gas == (4 if tx_type == 3 else 0)
    assert decoded.blob_versioned_hashes == ((b"\x01" * 32,) if tx_type == 3 else ())
    assert decoded.cost == 9 * 50_000 + 7 + (4 << 17 if tx_type == 3 else 0)
    assert decoded.raw == raw
    assert decoded.size == len(raw)
    if "accessList" in fields:
        assert decoded.access_list == ((bytes(HexBytes(RECIPIENT)), (b"\x07" * 32,)),)


def test_an_authorization_names_its_authority() -> None:
    """
    The signer of the tuple is recovered; a tuple that nobody can have signed has none.
    """
    good = _authorization()
    bad = {**good, "r": 0}
    raw = _signed(**_DYNAMIC, type=4, authorizationList=[good, bad])

    first, second = _decode(raw).authorization_list

    assert (first.authority, second.authority) == (SENDER, None)
    assert (first.chain_id, first.address, first.nonce) == (CHAIN_ID, HexBytes(RECIPIENT), 5)
    assert (first.y_parity, first.r, first.s) == (good["yParity"], good["r"], good["s"])


def test_an_unprotected_transaction_has_no_chain_id() -> None:
    """
    A legacy transaction without EIP-155 is valid on every chain.
    """
    fields = {"nonce": 0, "gasPrice": 1, "gas": 21_000, "to": RECIPIENT, "value": 1}
    decoded = _decode(bytes(Account.sign_transaction(fields, KEY).raw_transaction))

    assert decoded.chain_id is None
    assert decoded.v in (27, 28)
    assert decoded.sender == SENDER


def test_a_tag_in_front_of_another_types_data_stays_there() -> None:
    """
    For types 0 to 4 the tag is a hint for grouping; the EVM sees the bytes unchanged.
    """
    decoded = _decode(_signed(**_DYNAMIC, data=b"PARALLEL\x01"))

    assert decoded.tag == "PARALLEL"
    assert decoded.evm_input == decoded.data == b"PARALLEL\x01"


# ------------------------------------------------------------------ the boundary


def test_attributes_have_the_types_of_the_stub() -> None:
    """
    stubtest cannot see what an attribute returns, so it is looked at here.
    """
    decoded = _decode(_signed(**_DYNAMIC, **_LIST))
    expected = {
        bytes: ["hash", "signing_hash", "sender", "to", "data", "evm_input", "raw", "network_raw"],
        int: ["type", "chain_id", "nonce", "gas_limit", "max_fee_per_gas", "max_priority_fee_per_gas"],
        tuple: ["access_list", "blob_versioned_hashes", "authorization_list"],
        type(None): ["tag", "sender_error", "sidecar_version"],
        bool: ["is_parallel"],
    }
    expected[int] += ["max_fee_per_blob_gas", "value", "v", "r", "s", "size", "cost"]

    for kind, names in expected.items():
        for name in names:
            assert type(getattr(decoded, name)) is kind, name
    public = {name for name in dir(_core.Transaction) if not name.startswith("_")}
    assert public == {name for names in expected.values() for name in names}


def test_transactions_are_equal_by_hash_and_read_only() -> None:
    """
    Two objects of the same bytes are one key in a set; nothing can be assigned.
    """
    first, second = _decode(_signed(gasPrice=9)), _decode(_signed(gasPrice=9))

    assert first == second
    assert len({first, second, _decode(_signed(gasPrice=10))}) == 2
    assert first != first.hash
    with pytest.raises(AttributeError):
        first.nonce = 1  # type: ignore[misc]


def test_one_bad_item_leaves_the_others_alone() -> None:
    """
    A list comes back whole and in order, the failure of an item standing in its place.
    """
    good = _signed(gasPrice=9)
    items = [good if index % 3 else b"\xc0" * index for index in range(500)]

    answers = _core.decode_transactions(WORKERS, items, CHAIN_ID, TYPE)

    assert len(answers) == 500
    for index, answer in enumerate(answers):
        assert isinstance(answer, _core.Transaction if index % 3 else _core.DecodeRejection), index


@pytest.mark.parametrize("wrong", [[bytearray(b"\x01")], ["0x00"], [None], b"\x01\x02"])
def test_only_bytes_are_taken(wrong: Any) -> None:
    """
    What somebody could change meanwhile, or what is text, is refused at the door.
    """
    with pytest.raises(TypeError):
        _core.decode_transactions(WORKERS, wrong, CHAIN_ID, TYPE)


def test_a_cost_beyond_256_bits_is_still_a_number() -> None:
    """
    Gas times fee cap can be wider than any balance; the rules refuse it and the number is exact.
    """
    decoded = _decode(_signed(maxFeePerGas=2**255, maxPriorityFeePerGas=1))

    assert decoded.cost == 2**255 * 50_000 + 7
    error = _core.Rules.of_network("London", chain_id=CHAIN_ID).static_error(decoded)
    assert error is not None
    assert error[0] == "cost_overflow"


def test_rules_answer_for_their_fork() -> None:
    """
    Limits and activations are those of the network; unknown names are refused.
    """
    osaka, amsterdam = _core.Rules.of_network("Osaka"), _core.Rules.of_network("Amsterdam")

    assert (osaka.fork, osaka.chain_id, osaka.parallel_tx_type) == ("Osaka", 1, None)
    assert (osaka.max_init_code_size, amsterdam.max_init_code_size) == (49_152, 131_072)
    assert (osaka.max_transaction_gas, amsterdam.max_transaction_gas) == (1 << 24, None)
    assert osaka.blob_schedule == (6, 9, 5_007_716)
    assert osaka.is_active("Prague")
    assert not osaka.is_active("Amsterdam")
    with pytest.raises(_core.CoreInvalidArgument, match="no fork is named"):
        osaka.is_active("Atlantis")
    with pytest.raises(_core.CoreInvalidArgument, match="no network is named"):
        _core.Rules.of_network("Atlantis")


@given(raw=st.binary(max_size=200))
def test_no_bytes_make_the_decoder_fail(raw: bytes) -> None:
    """
    Any bytes are a transaction or a rejection with a class and a text.
    """
    [answer] = _core.decode_transactions(WORKERS, [raw], CHAIN_ID, TYPE)

    if isinstance(answer, _core.DecodeRejection):
        assert answer.kind
        assert answer.message
    else:
        assert answer.network_raw == raw
