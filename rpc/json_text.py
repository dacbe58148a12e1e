"""
JSON text in, as Go's decoder takes it; JSON text out.

`whole_value` reads a text that is one value. The plain case is one call of orjson; only what orjson refuses goes
through the scanner, which finds either the end of the value or the words in which Go refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Self

import orjson

from rpc.errors import Json

MAX_DEPTH = 512
"""Nesting above this is refused: deeper than any call needs, and within what every reader behind us takes."""

SCAN_LIMIT = 65_536
"""Malformed texts above this many bytes are refused without looking for Go's words: the scanner is slow."""

MAX_DIGITS = 20
"""Of an integer of 64 bits, with its sign."""

WHITE_SPACE = " \t\r\n"


class JsonSyntaxError(ValueError):
    """No JSON. `str()` is the text of Go's decoder."""


class JsonCut(JsonSyntaxError):
    """The text ends within a value."""

    def __init__(self) -> None:
        super().__init__("unexpected end of JSON input")


class WrittenNumber(float):
    """A number that a float may only come near to; `text` is how it was written."""

    text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """A number that JSON allows."""
        number = cls(text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


def whole_value(octets: bytes) -> Json:
    """
    The JSON value that `octets` are.

    An `id` that is no integer of 64 bits is a `WrittenNumber`, as it must be given back as it came.

    Raises EOFError if there is nothing, JsonSyntaxError if it is malformed or if anything follows it.
    """
    try:
        value: Json = orjson.loads(octets)
    except orjson.JSONDecodeError as problem:
        if len(octets) > SCAN_LIMIT:
            raise JsonSyntaxError(str(problem)) from problem
        return _whole_value_slowly(octets)
    if len(octets) <= SCAN_LIMIT and _has_wide_id(value):
        return _read(octets.decode())
    return value


def _has_wide_id(message: Json) -> bool:
    if type(message) is dict:
        return type(message.get("id")) is float
    return type(message) is list and any(type(each) is dict and _has_wide_id(each) for each in message)


def _whole_value_slowly(octets: bytes) -> Json:
    text = octets.decode("utf-8", errors="replace")
    start = _skip_white_space(text, 0)
    if start == len(text):
        raise EOFError
    end = scan_value(text, start)
    behind = _skip_white_space(text, end)
    if behind < len(text):
        raise _unexpected(text[behind], "after top-level value")
    # Lone surrogates are legal for Go; the standard library reads them.
    return _without_surrogates(_read(text[start:end]))


def _read(text: str) -> Json:
    value: Json = json.loads(text, parse_int=_integer, parse_float=WrittenNumber.of)
    return value


def _integer(text: str) -> int | WrittenNumber:
    """As orjson has them, which knows 64 bits."""
    if len(text) > MAX_DIGITS or not -(2**63) <= (number := int(text)) < 2**64:
        return WrittenNumber.of(text)
    return number


def encode(value: object) -> bytes:
    """Compact JSON. Raises TypeError for what has no JSON form."""
    return value.text.encode() if type(value) is WrittenNumber else orjson.dumps(value)


def _without_surrogates(value: Json) -> Json:
    """Go reads a lone surrogate as U+FFFD."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {str(_without_surrogates(key)): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value


# ------------------------------------------------------------------ the scanner


def scan_value(text: str, start: int) -> int:
    """
    Index behind the JSON value that begins at `start`.

    Raises JsonSyntaxError in the words of Go's `encoding/json`, JsonCut if the text ends too soon.
    """
    position = start
    closers: list[str] = []
    while True:
        position = _skip_white_space(text, position)
        character = _at(text, position)
        if character in "{[":
            closers.append("}" if character == "{" else "]")
            if len(closers) > MAX_DEPTH:
                raise _unexpected(character, "exceeded max depth")
            position = _skip_white_space(text, position + 1)
            if _at(text, position) != closers[-1]:
                if character == "{":
                    position = _scan_key(text, position, first=True)
                continue
            closers.pop()
            position += 1
        else:
            position = _scan_scalar(text, position)
        position, more = _scan_after_value(text, position, closers)
        if not more:
            return position


def _scan_after_value(text: str, position: int, closers: list[str]) -> tuple[int, bool]:
    """Closes what ends here; (where the next value begins, whether there is one)."""
    while closers:
        position = _skip_white_space(text, position)
        character = _at(text, position)
        if character == closers[-1]:
            closers.pop()
            position += 1
        elif character == ",":
            position = _skip_white_space(text, position + 1)
            if closers[-1] == "}":
                position = _scan_key(text, position, first=False)
            return position, True
        else:
            place = "object key:value pair" if closers[-1] == "}" else "array element"
            raise _unexpected(character, f"after {place}")
    return position, False


def _scan_key(text: str, position: int, *, first: bool) -> int:
    """Index behind the colon of a key that begins at `position`."""
    character = _at(text, position)
    if character != '"':
        raise _unexpected(character, "looking for beginning of object key string")
    position = _skip_white_space(text, _scan_string(text, position))
    if (character := _at(text, position)) != ":":
        raise _unexpected(character, "after object key")
    return position + 1


def _scan_scalar(text: str, position: int) -> int:
    character = _at(text, position)
    if character == '"':
        return _scan_string(text, position)
    if character == "-" or _is_digit(character):
        return _scan_number(text, position)
    for literal in ("true", "false", "null"):
        if character == literal[0]:
            return _scan_literal(text, position, literal)
    raise _unexpected(character, "looking for beginning of value")


def _scan_literal(text: str, position: int, literal: str) -> int:
    for offset, expected in enumerate(literal):
        if (character := _at(text, position + offset)) != expected:
            raise _unexpected(character, f"in literal {literal} (expecting {_quote(expected)})")
    return position + len(literal)


def _scan_string(text: str, position: int) -> int:
    position += 1
    while (character := _at(text, position)) != '"':
        if character < " ":
            raise _unexpected(character, "in string literal")
        position += 1
        if character == "\\":
            escape = _at(text, position)
            position += 1
            if escape == "u":
                position = _take(text, position, 4, _is_hex_digit, "in \\u hexadecimal character escape")
            elif escape not in '"\\/bfnrt':
                raise _unexpected(escape, "in string escape code")
    return position + 1


def _scan_number(text: str, position: int) -> int:
    if text[position] == "-":
        position += 1
        if not _is_digit(character := _at(text, position)):
            raise _unexpected(character, "in numeric literal")
    if text[position] == "0":
        position += 1
    else:
        position = _skip_digits(text, position)
    if text[position : position + 1] == ".":
        position = _take(text, position + 1, 1, _is_digit, "after decimal point in numeric literal")
        position = _skip_digits(text, position)
    if text[position : position + 1] in ("e", "E"):
        position += 1
        if _at(text, position) in "+-":
            position += 1
        position = _take(text, position, 1, _is_digit, "in exponent of numeric literal")
        position = _skip_digits(text, position)
    return position


def _take(text: str, position: int, count: int, accept: Callable[[str], bool], place: str) -> int:
    """Index behind `count` accepted characters."""
    for offset in range(count):
        if not accept(character := _at(text, position + offset)):
            raise _unexpected(character, place)
    return position + count


def _skip_digits(text: str, position: int) -> int:
    while position < len(text) and _is_digit(text[position]):
        position += 1
    return position


def _skip_white_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in WHITE_SPACE:
        position += 1
    return position


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"


def _is_hex_digit(character: str) -> bool:
    return character in "0123456789abcdefABCDEF"


def _at(text: str, position: int) -> str:
    """The character there. Raises JsonCut at the end of the text."""
    if position >= len(text):
        raise JsonCut
    return text[position]


def _unexpected(character: str, place: str) -> JsonSyntaxError:
    return JsonSyntaxError(f"invalid character {_quote(character)} {place}")


def _quote(character: str) -> str:
    """A character as Go quotes it in these texts."""
    if character == "'":
        return "'\\''"
    if character == '"':
        return "'\"'"
    escapes = {
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\b": "\\b",
        "\f": "\\f",
        "\a": "\\a",
        "\v": "\\v",
        "\\": "\\\\",
    }
    if character in escapes:
        return f"'{escapes[character]}'"
    if character < " ":
        return f"'\\x{ord(character):02x}'"
    # Go's scanner works on bytes: of a character beyond ASCII it names the first one.
    first = character.encode("utf-8", "surrogatepass")[0]
    if first == 0x7F:
        return "'\\x7f'"
    return f"'{chr(first)}'" if chr(first).isprintable() else f"'\\u{first:04x}'"
