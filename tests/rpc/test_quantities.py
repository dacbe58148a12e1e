"""Hex in, as strict as geth, and in its words."""

from collections.abc import Callable

import pytest

from rpc import quantities
from rpc.errors import Json
from rpc.quantities import Unfit, WrongType

ADDRESS = "common.Address"
HASH = "common.Hash"


def unmarshal(problem: str, go_type: str) -> str:
    """The text that Go's decoder puts around a problem."""
    return f"json: cannot unmarshal {problem} into Go value of type {go_type}"


@pytest.mark.parametrize(
    ("convert", "given", "expected"),
    [
        (quantities.uint64, "0x0", 0),
        (quantities.uint64, "0xffffffffffffffff", 2**64 - 1),
        (quantities.uint64, "0XaB", 171),
        (quantities.uint64, "", 0),
        (quantities.big, "0x" + "f" * 64, 2**256 - 1),
        (quantities.wide, "0x" + "f" * 64, 2**256 - 1),
        (quantities.index, "0x10", 16),
        (quantities.data, "0x", b""),
        (quantities.data, "", b""),
        (quantities.data, "0x00fF", b"\x00\xff"),
        (quantities.data, "0X00ff", b"\x00\xff"),
        (quantities.address, "0x" + "aB" * 20, b"\xab" * 20),
        (quantities.hash32, "0x" + "00" * 32, bytes(32)),
        (quantities.hex_or_decimal, "0x10", 16),
        (quantities.hex_or_decimal, "10", 10),
        (quantities.hex_or_decimal, 10, 10),
        (quantities.hex_or_decimal, "", 0),
        (quantities.text, "x", "x"),
        (quantities.text, None, ""),
        (quantities.boolean, True, True),
        (quantities.boolean, None, False),
        (quantities.json_uint64, 5_000, 5_000),
        (quantities.number_list, [1, 2.5, None], [1.0, 2.5, 0.0]),
        (quantities.number_list, None, []),
        (quantities.text_list, ["0x1"], ["0x1"]),
    ],
)
def test_what_fits_is_converted(convert: Callable[[Json], object], given: Json, expected: object) -> None:
    """Each converter takes what geth's type takes."""
    assert convert(given) == expected


@pytest.mark.parametrize(
    ("convert", "given", "text"),
    [
        (quantities.uint64, "1", unmarshal("hex string without 0x prefix", "hexutil.Uint64")),
        (quantities.uint64, "0x", unmarshal('hex string "0x"', "hexutil.Uint64")),
        (quantities.uint64, "0x01", unmarshal("hex number with leading zero digits", "hexutil.Uint64")),
        (quantities.uint64, "0x1ffffffffffffffff", unmarshal("hex number > 64 bits", "hexutil.Uint64")),
        (quantities.uint64, "0xg", unmarshal("invalid hex string", "hexutil.Uint64")),
        (quantities.uint64, "0x1_0", unmarshal("invalid hex string", "hexutil.Uint64")),
        (quantities.uint64, "0x-1", unmarshal("invalid hex string", "hexutil.Uint64")),
        (quantities.uint64, "0x\u0661", unmarshal("invalid hex string", "hexutil.Uint64")),
        (quantities.uint64, 1, unmarshal("non-string", "hexutil.Uint64")),
        (quantities.uint64, None, unmarshal("non-string", "hexutil.Uint64")),
        (quantities.big, "0x1" + "0" * 64, unmarshal("hex number > 256 bits", "*hexutil.Big")),
        (quantities.big, {}, unmarshal("non-string", "*hexutil.Big")),
        (quantities.data, "0x0", unmarshal("hex string of odd length", "hexutil.Bytes")),
        (quantities.data, "00", unmarshal("hex string without 0x prefix", "hexutil.Bytes")),
        (quantities.data, "0xzz", unmarshal("invalid hex string", "hexutil.Bytes")),
        (quantities.data, "0xaa bb", unmarshal("hex string of odd length", "hexutil.Bytes")),
        (quantities.data, "0xaa  bb", unmarshal("invalid hex string", "hexutil.Bytes")),
        (quantities.data, "0x  ", unmarshal("invalid hex string", "hexutil.Bytes")),
        (quantities.data, ["0x"], unmarshal("non-string", "hexutil.Bytes")),
        (quantities.address, "0x12", f"hex string has length 2, want 40 for {ADDRESS}"),
        (quantities.address, "", f"hex string has length 0, want 40 for {ADDRESS}"),
        (quantities.address, "aa" * 20, unmarshal("hex string without 0x prefix", ADDRESS)),
        (quantities.address, "0x123", unmarshal("hex string of odd length", ADDRESS)),
        (quantities.address, "0x" + "zz" * 20, unmarshal("invalid hex string", ADDRESS)),
        (quantities.address, 7, unmarshal("non-string", ADDRESS)),
        (quantities.hash32, "0x" + "00" * 33, f"hex string has length 66, want 64 for {HASH}"),
        (quantities.hash32, "10" * 32, unmarshal("hex string without 0x prefix", HASH)),
        (quantities.hex_or_decimal, "ten", 'invalid hex or decimal integer "ten"'),
        (quantities.hex_or_decimal, "-1", 'invalid hex or decimal integer "-1"'),
        (quantities.hex_or_decimal, {"x": ["y"]}, 'invalid hex or decimal integer "{\\"x\\":[\\"y\\"]}"'),
        (quantities.hex_or_decimal, 1.5, 'invalid hex or decimal integer "1.5"'),
        (quantities.wide, "0x", unmarshal('hex string "0x"', "*uint256.Int")),
        (quantities.variable_text, "0xg", "invalid hex string"),
        (quantities.variable_text, "0x1", "hex string of odd length"),
        (quantities.hex_or_decimal, True, 'invalid hex or decimal integer "true"'),
        (quantities.hex_or_decimal, str(2**64), f'invalid hex or decimal integer "{2**64}"'),
        (quantities.data, "0x\u0660\u0660", unmarshal("invalid hex string", "hexutil.Bytes")),
        (quantities.address, "0x" + "\u0660" * 40, unmarshal("invalid hex string", ADDRESS)),
        (quantities.text, 5, unmarshal("number", "string")),
        (quantities.subscription_id, 5, unmarshal("number", "rpc.ID")),
        (quantities.boolean, "true", unmarshal("string", "bool")),
        (quantities.json_uint64, "0x10", unmarshal("string", "uint64")),
        (quantities.json_uint64, -1, unmarshal("number -1", "uint64")),
        (quantities.json_uint64, 1.5, unmarshal("number 1.5", "uint64")),
        (quantities.number_list, ["1"], unmarshal("string", "float64")),
        (quantities.number_list, 1, unmarshal("number", "[]float64")),
        (quantities.text_list, "x", unmarshal("string", "[]string")),
    ],
)
def test_what_does_not_fit_is_refused_in_geths_words(
    convert: Callable[[Json], object], given: Json, text: str
) -> None:
    """The text names the problem and the Go type that it was read into."""
    with pytest.raises(Unfit) as caught:
        convert(given)

    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", "empty hex string"),
        ("2", "hex string without 0x prefix"),
        ("0x", 'hex string "0x"'),
        ("0x02", "hex number with leading zero digits"),
        ("0x1ffffffffffffffff", "hex number > 64 bits"),
        ("0x" + "g" * 40, "invalid hex string"),
    ],
)
def test_block_numbers_are_refused_without_a_type(given: str, text: str) -> None:
    """geth parses block parameters by hand, so the type is missing in its texts."""
    with pytest.raises(Unfit) as caught:
        quantities.block_number_text(given)

    assert str(caught.value) == text


def test_a_field_problem_names_the_outermost_struct_and_the_whole_path() -> None:
    """Go keeps the outer struct's name and joins the fields."""
    problem = WrongType("non-string", ADDRESS).within("AccessTuple", "address")

    outer = problem.within("TransactionArgs", "accessList")

    assert str(outer) == (
        "json: cannot unmarshal non-string into Go struct field TransactionArgs.accessList.address "
        f"of type {ADDRESS}"
    )
