"""JSON text in, as Go's decoder takes it."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.errors import Json
from rpc.json_text import MAX_DEPTH, SCAN_LIMIT, JsonCut, JsonSyntaxError, encode, scan_value, whole_value

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b" \r\n\t[1,2] ", [1, 2]),
        (b'"\\ud800"', "\ufffd"),
        (b'"\xff"', "\ufffd"),
        (b'{"id":18446744073709551616}', {"id": 18446744073709551616}),
    ],
)
def test_a_whole_value_is_read(octets: bytes, value: Json) -> None:
    """White space around it does not matter, and bad text is replaced as Go replaces it."""
    assert whole_value(octets) == value


@pytest.mark.parametrize(
    "number",
    ["1.50", "1e2", "1e400", "-0.0", "18446744073709551616", "123456789012345678901234567890", "9" * 5_000],
)
def test_an_id_is_given_back_as_it_was_written(number: str) -> None:
    """A float would round it, or be no number at all."""
    alone = whole_value(b'{"id":%b}' % number.encode())
    listed = whole_value(b'[5,{"id":%b}]' % number.encode())

    assert isinstance(alone, dict)
    assert isinstance(listed, list)
    assert encode(alone["id"]) == encode(listed[1]["id"]) == number.encode()


@pytest.mark.parametrize("number", [0, -1, 2**63, 2**64 - 1, -(2**63)])
def test_integers_of_64_bits_are_integers(number: int) -> None:
    """Also where another id of the message is none."""
    value = whole_value(json.dumps([{"id": 1.5}, {"id": number}]).encode())

    assert isinstance(value, list)
    assert (type(value[1]["id"]), value[1]["id"]) == (int, number)


def test_a_long_message_is_read_once() -> None:
    """Above the limit an id is what a float makes of it."""
    value = whole_value(b'{"id":1.50,"params":["%b"]}' % (b"a" * SCAN_LIMIT))

    assert isinstance(value, dict)
    assert encode(value["id"]) == b"1.5"


@pytest.mark.parametrize("octets", [b"", b" ", b"\n\t\r "])
def test_nothing_is_the_end_of_the_stream(octets: bytes) -> None:
    """An empty body is no error object."""
    with pytest.raises(EOFError):
        whole_value(octets)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        (b"'a'", "invalid character '\\'' looking for beginning of value"),
        (b"nonsense", "invalid character 'o' in literal null (expecting 'u')"),
        (b"tru!", "invalid character '!' in literal true (expecting 'e')"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'"a\nb"', "invalid character '\\n' in string literal"),
        (b'"a\x01b"', "invalid character '\\x01' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"[01]", "invalid character '1' after array element"),
        (b"}", "invalid character '}' looking for beginning of value"),
        (b"[1}", "invalid character '}' after array element"),
        (b"\x00", "invalid character '\\x00' looking for beginning of value"),
        ("é".encode(), "invalid character 'Ã' looking for beginning of value"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
        (b'{"a":1} trailing', "invalid character 't' after top-level value"),
        (b'{"a":1}{"b":2}', "invalid character '{' after top-level value"),
        (b"[1] ]", "invalid character ']' after top-level value"),
        (b"1 2", "invalid character '2' after top-level value"),
        (b"truex", "invalid character 'x' after top-level value"),
        (b"[" * (MAX_DEPTH + 1), "invalid character '[' exceeded max depth"),
    ],
)
def test_malformed_text_is_refused_in_gos_words(octets: bytes, text: str) -> None:
    """WebSocket and IPC clients of geth see these texts."""
    with pytest.raises(JsonSyntaxError) as caught:
        whole_value(octets)

    assert str(caught.value) == text


@pytest.mark.parametrize("octets", [b"{", b'{"a":', b'"abc', b"[1,", b"tru"])
def test_a_cut_text_is_told_apart(octets: bytes) -> None:
    """On a stream that is the end of the client, in a frame a mistake."""
    with pytest.raises(JsonCut, match=r"^unexpected end of JSON input$"):
        whole_value(octets)


def test_an_integer_of_thousands_of_digits_is_a_number() -> None:
    """Python's limit on integer texts is none of JSON's."""
    value = whole_value(b"[" + b"1" * 10_000 + b"]")

    assert isinstance(value, list)
    assert str(value[0]) == "1" * 10_000


def test_a_long_malformed_text_is_refused_without_being_scanned() -> None:
    """The scanner is slow, so that megabytes of junk must not reach it."""
    with pytest.raises(JsonSyntaxError):
        whole_value(b"[" + b"1," * 500_000)


@given(DOCUMENTS, st.booleans())
def test_the_scanner_finds_the_end_of_any_value(document: Json, pretty: bool) -> None:
    """For every JSON text, the end of the text is the end of the value."""
    text = json.dumps(document, indent=1 if pretty else None)

    # A number has no end of its own: a space ends it.
    assert scan_value(text + " x", 0) == len(text)


@given(st.binary(max_size=60))
def test_no_text_crashes_the_reader(octets: bytes) -> None:
    """Any bytes are a value, a refusal, or nothing."""
    with suppress(JsonSyntaxError, EOFError):
        whole_value(octets)
