"""
One setting's value: from the text of a flag or variable, from TOML, and back to both.

All functions raise ValueError with what is wrong in words; the caller adds which setting it is about.
"""

import math
import re
import types
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from config.checks import SecondsAllowed
from config.duration import duration_text, parse_duration
from config.options import Option
from parallelpool.primitives import Address

TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Go's flags take as booleans, and so geth."""

INTEGER = re.compile(r"-?(0|[1-9][0-9]*|0[xX][0-9a-fA-F]+)\Z")
ADDRESS = re.compile(r"(0[xX])?[0-9a-fA-F]{40}\Z")
LONGEST_INTEGER = 100
"""Digits; more is no setting, and expensive to read."""


def from_text(option: Option, text: str) -> object:
    """The value that `text`, from the command line or the environment, stands for."""
    item_type = list_item(option)
    if item_type is None:
        return _checked(option, _scalar_from_text(option, option.type, text))
    items = [item.strip() for item in text.split(",")] if text.strip() else []
    if "" in items:
        raise ValueError(f"has an empty item: {text!r}")
    return tuple(_checked(option, _scalar_from_text(option, item_type, item)) for item in items)


def from_toml(option: Option, value: object) -> object:
    """The value that a TOML value stands for; its TOML type must fit."""
    item_type = list_item(option)
    if item_type is None:
        return _checked(option, _scalar_from_toml(option, option.type, value))
    if not isinstance(value, list):
        raise ValueError(f"must be a list, got {_toml_name(value)}")
    return tuple(_checked(option, _scalar_from_toml(option, item_type, item)) for item in value)


def to_toml(value: object) -> str:
    """A value as TOML; not for `None`, which TOML cannot say."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(to_toml(item) for item in value)}]"
    return _quoted(to_text(value))


def to_text(value: object) -> str:
    """A value as on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, tuple):
        return ",".join(to_text(item) for item in value)
    return str(value)


def list_item(option: Option) -> Any:  # a type expression, as in Option.type
    """The type of a list's items; `None` where the option is no list."""
    return get_args(option.type)[0] if get_origin(option.type) is tuple else None


def _checked(option: Option, value: object) -> object:
    for check in option.checks:
        problem = check.problem(value)
        if problem is not None:
            raise ValueError(problem)
    return value


def _scalar_from_text(option: Option, kind: Any, text: str) -> object:
    if kind is timedelta and _allows_seconds(option) and text.isascii() and text.isdecimal():
        return _seconds(int(text[:LONGEST_INTEGER]))
    if get_origin(kind) is Literal:
        return _choice(kind, text)
    return TEXT_READERS[kind](text)


def _scalar_from_toml(option: Option, kind: Any, value: object) -> object:
    if kind is timedelta and _allows_seconds(option) and type(value) is int:
        return _seconds(value)
    if kind is float and type(value) is int:
        return float(value)
    expected = {bool: bool, int: int, float: float}.get(kind, str)
    if type(value) is not expected:
        raise ValueError(f"must be {TOML_NAMES[expected]}, got {_toml_name(value)}")
    if isinstance(value, str):
        return _scalar_from_text(option, kind, value)
    return _finite(value) if isinstance(value, float) else value


def _allows_seconds(option: Option) -> bool:
    return any(isinstance(check, SecondsAllowed) for check in option.checks)


def _seconds(number: int) -> timedelta:
    if number < 0:
        raise ValueError(f"must be at least 0s, got {number}")
    return parse_duration(f"{number}s")


def _boolean(text: str) -> bool:
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"must be true or false, got {text!r}")


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER or not INTEGER.match(text):
        raise ValueError(f"must be a whole number, got {_short(text)!r}")
    return int(text, 0)


def _number(text: str) -> float:
    try:
        return _finite(float(text))
    except ValueError:
        raise ValueError(f"must be a number, got {_short(text)!r}") from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, got {number}")
    return number


def _string(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"has unprintable characters: {text!r}")
    return text


def _path(text: str) -> Path:
    if not text:
        raise ValueError("must not be empty")
    if "\0" in text:
        raise ValueError(f"is no path: {text!r}")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # pathlib's, for a user without a home
        raise ValueError(f"is no path: {text!r}: {error}") from None
    return path.absolute() if "/" in text else path  # a bare name is left for where it belongs


def _address(text: str) -> Address:
    if not ADDRESS.match(text):
        raise ValueError(f"must be an address of 40 hexadecimal digits, got {_short(text)!r}")
    return Address(bytes.fromhex(text[-40:]))


def _choice(kind: Any, text: str) -> str:
    choices = get_args(kind)
    if text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, got {_short(text)!r}")
    return text


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_INTEGER else f"{text[:LONGEST_INTEGER]}..."


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _toml_name(value: object) -> str:
    return TOML_NAMES.get(type(value), "a date or time")


TEXT_READERS: dict[Any, Callable[[str], object]] = {
    bool: _boolean,
    int: _integer,
    float: _number,
    str: _string,
    Path: _path,
    timedelta: parse_duration,
    Address: _address,
}

TOML_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
    types.NoneType: "nothing",
}
