"""JSON text in, as Go's decoder takes it."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.errors import Json
from rpc.json_text import MAX_DEPTH, JsonSyntaxError, first_value, scan_value

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
        (b'{"a":1} trailing', {"a": 1}),
        (b'{"a":1}{"b":2}', {"a": 1}),
        (b"[1] ]", [1]),
        (b'"\\ud800"', "\ufffd"),
        (b'"\xff"', "\ufffd"),
        (b"1 2", 1),
        (b"truex", True),
        (b'{"id":18446744073709551616} x', {"id": 18446744073709551616}),
    ],
)
def test_the_first_value_is_read(octets: bytes, value: Json) -> None:
    """What follows the first value does not matter, and bad text is replaced as Go replaces it."""
    assert first_value(octets) == value


@pytest.mark.parametrize("octets", [b"", b" ", b"\n\t\r "])
def test_nothing_is_the_end_of_the_stream(octets: bytes) -> None:
    """An empty body is no error object."""
    with pytest.raises(EOFError):
        first_value(octets)


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
        (b"{", "unexpected EOF"),
        (b'{"a":', "unexpected EOF"),
        (b'"abc', "unexpected EOF"),
        (b"[1,", "unexpected EOF"),
        (b"[" * (MAX_DEPTH + 1), "exceeded max depth"),
    ],
)
def test_malformed_text_is_refused_in_gos_words(octets: bytes, text: str) -> None:
    """WebSocket and IPC clients of geth see these texts."""
    with pytest.raises(JsonSyntaxError) as caught:
        first_value(octets)

    assert str(caught.value) == text


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    """Python's limit on integer texts is a refusal, not a crash."""
    with pytest.raises(JsonSyntaxError):
        first_value(b"[" + b"1" * 10_000 + b"] x")


def test_a_long_malformed_text_is_refused_without_being_scanned() -> None:
    """The scanner is slow, so that megabytes of junk must not reach it."""
    with pytest.raises(JsonSyntaxError):
        first_value(b"[" + b"1," * 500_000)


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
        first_value(octets)
