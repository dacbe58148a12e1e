"""
Hex in and out, as strict as geth's `hexutil` and in its words.

In: JSON values as the parser gave them. Out: `int` and `bytes` of checked size; hex text ends here. What does not
fit raises `Unfit`, whose text names the Go type that a geth client would have seen.
"""

from __future__ import annotations

import json
from typing import Final

from rpc.errors import Json

MAX_UINT64: Final = 2**64 - 1
MAX_INT64: Final = 2**63 - 1


class Unfit(Exception):
    """A value that does not fit its type. `str()` is geth's text."""


class WrongType(Unfit):
    """
    The kind that Go reports with the type it could not fill.

    Inside an object the text also names the path of the field, which the object's reader adds.
    """

    def __init__(self, problem: str, go_type: str) -> None:
        super().__init__(problem, go_type)
        self.problem = problem
        self.go_type = go_type
        self.path: tuple[str, ...] = ()

    def within(self, *path: str) -> WrongType:
        """The same problem seen from the object around it: struct name first, then the field."""
        inner = WrongType(self.problem, self.go_type)
        inner.path = (*path, *self.path[1:])
        return inner

    def __str__(self) -> str:
        if self.path:
            field = ".".join(self.path)
            return (
                f"json: cannot unmarshal {self.problem} into Go struct field {field} of type {self.go_type}"
            )
        return f"json: cannot unmarshal {self.problem} into Go value of type {self.go_type}"


def json_kind(value: Json) -> str:
    """How Go calls the kind of a JSON value."""
    match value:
        case str():
            return "string"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


# ------------------------------------------------------------------ in: numbers


def _number_digits(text: str) -> tuple[str, str | None]:
    """(digits, problem) of a hex number."""
    if text[:2] not in ("0x", "0X"):
        return "", "hex string without 0x prefix"
    digits = text[2:]
    if not digits:
        return "", 'hex string "0x"'
    if digits[0] == "0" and len(digits) > 1:
        return "", "hex number with leading zero digits"
    return digits, None


def _parse_number(text: str, bits: int) -> tuple[int, str | None]:
    """(value, problem)."""
    digits, problem = _number_digits(text)
    if problem is not None:
        return 0, problem
    if len(digits) > bits // 4:
        return 0, f"hex number > {bits} bits"
    if not _is_hex(digits):
        return 0, "invalid hex string"
    return int(digits, 16), None


def _is_hex(digits: str) -> bool:
    """Whether all characters are ASCII hex digits: `int` would take underscores, signs and other scripts."""
    return not digits.strip("0123456789abcdefABCDEF")


def _quantity(value: Json, bits: int, go_type: str) -> int:
    if not isinstance(value, str):
        raise WrongType("non-string", go_type)
    if not value:
        return 0
    number, problem = _parse_number(value, bits)
    if problem is not None:
        raise WrongType(problem, go_type)
    return number


def uint64(value: Json) -> int:
    """A hex quantity of at most 64 bits."""
    return _quantity(value, 64, "hexutil.Uint64")


def index(value: Json) -> int:
    """A hex quantity that counts positions."""
    return _quantity(value, 64, "hexutil.Uint")


def big(value: Json) -> int:
    """A hex quantity of at most 256 bits."""
    return _quantity(value, 256, "*hexutil.Big")


def wide(value: Json) -> int:
    """The same as `big`, under the name of the type that geth has in signatures."""
    return _quantity(value, 256, "*uint256.Int")


def block_number_text(text: str) -> int:
    """
    The number in a block parameter.

    geth reports its problems bare, without the name of a type, and looks at the digits before it counts them.
    """
    if not text:
        raise Unfit("empty hex string")
    digits, problem = _number_digits(text)
    if problem is None and not _is_hex(digits):
        problem = "invalid hex string"
    if problem is None and len(digits) > 16:
        problem = "hex number > 64 bits"
    if problem is not None:
        raise Unfit(problem)
    return int(digits, 16)


def hex_or_decimal(value: Json) -> int:
    """A count given as hex, as decimal text or as a JSON number (geth's `HexOrDecimal64`)."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        raise Unfit(f"invalid hex or decimal integer {_quoted(_json_text(value))}")
    if not text:
        return 0
    digits, base = (text[2:], 16) if text[:2] in ("0x", "0X") else (text, 10)
    valid = bool(digits) and (_is_hex(digits) if base == 16 else digits.isascii() and digits.isdigit())
    if not valid or (number := int(digits, base)) > MAX_UINT64:
        raise Unfit(f"invalid hex or decimal integer {_quoted(text)}")
    return number


def _json_text(value: Json) -> str:
    """What was given, as far as a parsed value still tells."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _quoted(text: str) -> str:
    """A text as Go's `%q` writes it."""
    return json.dumps(text, ensure_ascii=False)


# ------------------------------------------------------------------ in: bytes


def _parse_bytes(text: str) -> tuple[bytes, str | None]:
    """(bytes, problem); an empty text is no bytes, as in geth."""
    if not text:
        return b"", None
    if text[:2] not in ("0x", "0X"):
        return b"", "hex string without 0x prefix"
    if len(text) % 2:
        return b"", "hex string of odd length"
    digits = text[2:]
    if not _is_hex(digits):
        return b"", "invalid hex string"
    return bytes.fromhex(digits), None


def data(value: Json) -> bytes:
    """Bytes of any length."""
    if not isinstance(value, str):
        raise WrongType("non-string", "hexutil.Bytes")
    # The plain case first, since every raw transaction comes through here. `fromhex` skips white space and takes
    # nothing else that is no digit, so the length tells whether the text was clean.
    try:
        decoded = bytes.fromhex(value[2:]) if value[:2] == "0x" else b""
    except ValueError:
        decoded = b""
    if decoded and 2 * len(decoded) + 2 == len(value):
        return decoded
    decoded, problem = _parse_bytes(value)
    if problem is not None:
        raise WrongType(problem, "hexutil.Bytes")
    return decoded


def variable_text(text: str) -> bytes:
    """Bytes of any length but none at all; problems are reported bare, a wrong digit before a missing one."""
    if not text:
        raise Unfit("empty hex string")
    if text[:2] in ("0x", "0X") and not _is_hex(text[2:]):
        raise Unfit("invalid hex string")
    decoded, problem = _parse_bytes(text)
    if problem is not None:
        raise Unfit(problem)
    return decoded


def fixed_text(text: str, size: int, name: str) -> bytes:
    """Exactly `size` bytes; problems are reported bare, as for map keys."""
    decoded, problem = _fixed(text, size, name)
    if problem is not None:
        raise Unfit(problem)
    return decoded


def _fixed(text: str, size: int, name: str) -> tuple[bytes, str | None]:
    if text and text[:2] not in ("0x", "0X"):
        return b"", "hex string without 0x prefix"
    digits = text[2:]
    if len(digits) % 2:
        return b"", "hex string of odd length"
    if len(digits) != 2 * size:
        raise Unfit(f"hex string has length {len(digits)}, want {2 * size} for {name}")
    if not _is_hex(digits):
        return b"", "invalid hex string"
    return bytes.fromhex(digits), None


def _fixed_data(value: Json, size: int, go_type: str) -> bytes:
    if not isinstance(value, str):
        raise WrongType("non-string", go_type)
    decoded, problem = _fixed(value, size, go_type)
    if problem is not None:
        raise WrongType(problem, go_type)
    return decoded


def address(value: Json) -> bytes:
    """20 bytes; any letter case, as geth takes it."""
    return _fixed_data(value, 20, "common.Address")


def hash32(value: Json) -> bytes:
    """32 bytes."""
    return _fixed_data(value, 32, "common.Hash")


# ------------------------------------------------------------------ in: plain JSON


def text(value: Json) -> str:
    """A JSON string."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise WrongType(json_kind(value), "string")


def subscription_id(value: Json) -> str:
    """The id of a filter or a subscription (geth's `rpc.ID`)."""
    if isinstance(value, str):
        return value
    raise WrongType(json_kind(value), "rpc.ID")


def boolean(value: Json) -> bool:
    """A JSON bool."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    raise WrongType(json_kind(value), "bool")


def json_uint64(value: Json) -> int:
    """A JSON number, not hex (the timeout of `eth_sendRawTransactionSync`)."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UINT64:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise WrongType(f"number {value}", "uint64")
    if value is None:
        return 0
    raise WrongType(json_kind(value), "uint64")


def number_list(value: Json) -> list[float]:
    """A JSON array of numbers; `null` is the empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongType(json_kind(value), "[]float64")
    numbers: list[float] = []
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | float | None):
            raise WrongType(json_kind(item), "float64")
        numbers.append(float(item or 0))
    return numbers


def text_list(value: Json) -> list[str]:
    """A JSON array of strings; `null` is the empty list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongType(json_kind(value), "[]string")
    return [text(item) for item in value]


# ------------------------------------------------------------------ out


def to_data(octets: bytes) -> str:
    """`0x` and two digits a byte."""
    return "0x" + octets.hex()


to_quantity = hex
"""`0x` and no leading zeros: what Python's `hex` writes for an int that is not negative."""
