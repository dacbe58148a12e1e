"""Positional parameters and objects by declaration."""

import pytest

from rpc.errors import InvalidParams, Json
from rpc.parameters import Fields, list_of, map_of, one_of, optional, parse_parameters, required
from rpc.quantities import Unfit, address, boolean, fixed_text, hash32, uint64

ALICE = "0x" + "aa" * 20
SIGNATURE = required(address, boolean) + optional(uint64)


@pytest.mark.parametrize(
    ("params", "values"),
    [
        ([ALICE, True], [b"\xaa" * 20, True, None]),
        ([ALICE, True, None], [b"\xaa" * 20, True, None]),
        ([ALICE, False, "0x5"], [b"\xaa" * 20, False, 5]),
    ],
)
def test_parameters_are_converted_in_order(params: Json, values: list[object]) -> None:
    """An optional parameter may be absent or null."""
    assert parse_parameters(params, SIGNATURE) == values


@pytest.mark.parametrize("params", [None, []])
def test_absent_params_are_no_params(params: Json) -> None:
    """`params` may be left out or null."""
    assert parse_parameters(params, optional(uint64)) == [None]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"address": ALICE}, "non-array args"),
        ("x", "non-array args"),
        (None, "missing value for required argument 0"),
        ([], "missing value for required argument 0"),
        ([ALICE], "missing value for required argument 1"),
        ([None, True], "missing value for required argument 0"),
        ([ALICE, None], "missing value for required argument 1"),
        ([ALICE, True, "0x1", 4], "too many arguments, want at most 3"),
        (["0x12", True], "invalid argument 0: hex string has length 2, want 40 for common.Address"),
        ([ALICE, 1], "invalid argument 1: json: cannot unmarshal number into Go value of type bool"),
        (
            [ALICE, True, "0x01"],
            (
                "invalid argument 2: json: cannot unmarshal hex number with leading zero digits "
                "into Go value of type hexutil.Uint64"
            ),
        ),
    ],
)
def test_wrong_params_are_refused_in_geths_words(params: Json, text: str) -> None:
    """The first problem decides, and all have the code of wrong params."""
    with pytest.raises(InvalidParams) as caught:
        parse_parameters(params, SIGNATURE)

    assert (caught.value.code, str(caught.value)) == (-32602, text)


def test_fields_reads_what_is_there() -> None:
    """Absent fields and null are `None`; fields nobody asks for are ignored."""
    fields = Fields({"gas": "0x5", "nonce": None, "unknown": 1}, "ethapi.TransactionArgs")

    assert fields.take("gas", uint64) == 5
    assert fields.take("nonce", uint64) is None
    assert fields.take("to", address) is None


def test_letter_case_of_fields_matters_as_little_as_to_go() -> None:
    """The exact name is taken first."""
    fields = Fields({"Gas": "0x5", "NONCE": "0x1", "nonce": "0x2"}, "ethapi.TransactionArgs")

    assert fields.take("gas", uint64) == 5
    assert fields.take("nonce", uint64) == 2


def test_letter_case_matters_in_our_own_requests() -> None:
    """A field that is spelled otherwise is an unknown one."""
    fields = Fields({"BatchSize": "0x40"}, "BatchRequest")
    fields.take("batchSize", uint64)

    with pytest.raises(Unfit, match=r'^unknown field "BatchSize"$'):
        fields.refuse_others()


def test_fields_of_null_are_none() -> None:
    """Go reads null into an empty struct."""
    assert Fields(None, "ethapi.TransactionArgs").take("gas", uint64) is None


@pytest.mark.parametrize(("value", "kind"), [([], "array"), ("x", "string"), (1, "number"), (True, "bool")])
def test_fields_refuses_what_is_no_object(value: Json, kind: str) -> None:
    """The text names the whole Go type."""
    with pytest.raises(Unfit) as caught:
        Fields(value, "ethapi.TransactionArgs")

    assert str(caught.value) == f"json: cannot unmarshal {kind} into Go value of type ethapi.TransactionArgs"


def test_a_wrong_field_is_named() -> None:
    """The struct's short name and the field stand in the text."""
    fields = Fields({"gas": 5}, "ethapi.TransactionArgs")

    with pytest.raises(Unfit) as caught:
        fields.take("gas", uint64)

    assert str(caught.value) == (
        "json: cannot unmarshal non-string into Go struct field TransactionArgs.gas of type hexutil.Uint64"
    )


def test_a_needed_field_is_missed_in_geths_words() -> None:
    """Generated Go decoders say which field is missing."""
    with pytest.raises(Unfit, match=r"^missing required field 'address' for AccessTuple$"):
        Fields({}, "types.AccessTuple").need("address", address)


def test_our_own_requests_refuse_unknown_fields() -> None:
    """A typo in a request of ours must not pass in silence."""
    fields = Fields({"batchSize": "0x40", "batchsize": "0x40"}, "BatchRequest")
    fields.take("batchSize", uint64)

    with pytest.raises(Unfit, match=r'^unknown field "batchsize"$'):
        fields.refuse_others()


def test_lists_and_maps_convert_their_items() -> None:
    """Items are converted in the order given."""
    key = "0x" + "bb" * 20

    assert list_of(uint64, "[]hexutil.Uint64")(["0x1", "0x2"]) == [1, 2]
    assert map_of(lambda name: fixed_text(name, 20, "Address"), hash32, "map")({key: "0x" + "00" * 32}) == [
        (b"\xbb" * 20, bytes(32))
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"0x12": "0x"}, "hex string has length 2, want 40 for Address"),
        ({"bb" * 20: "0x"}, "hex string without 0x prefix"),
        ([], "json: cannot unmarshal array into Go value of type override.StateOverride"),
    ],
)
def test_wrong_map_keys_are_refused_without_a_go_type(value: Json, text: str) -> None:
    """geth reads map keys as text, and its errors then name no type."""
    convert = map_of(lambda name: fixed_text(name, 20, "Address"), hash32, "override.StateOverride")

    with pytest.raises(Unfit) as caught:
        convert(value)

    assert str(caught.value) == text


def test_a_word_outside_the_choice_is_refused() -> None:
    """The text lists the words."""
    with pytest.raises(Unfit, match=r"^want one of tip, fifo$"):
        one_of("tip", "fifo")("fee")
