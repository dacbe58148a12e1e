"""
What a setting's value must satisfy beyond its type.

A check stands in the field's annotation; its `problem` says in words what is wrong with a value, or `None`. For
a list it is asked about each item. Its `allows` is for people.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from config.duration import duration_text

HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?\Z"
)
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*://)?[^\s/,]+\Z", re.IGNORECASE)
PREFIX = re.compile(r"/[!-~]*\Z")


@runtime_checkable
class Check(Protocol):
    """One condition on a value."""

    @property
    def allows(self) -> str:
        """What is allowed, in a few words; empty where the type says it all."""

    def problem(self, value: object, /) -> str | None:
        """What is wrong with `value`; `None` if nothing is."""


def _text(bound: float | timedelta) -> str:
    if isinstance(bound, timedelta):
        return duration_text(bound)
    if isinstance(bound, int) and bound >= 2**31 and (bound + 1).bit_count() == 1:
        return f"2^{bound.bit_length()}-1"
    return str(bound)


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included."""

    low: int | float | timedelta
    high: int | float | timedelta

    @property
    def allows(self) -> str:
        return f"{_text(self.low)} to {_text(self.high)}"

    def problem(self, value: object, /) -> str | None:
        assert isinstance(value, int | float | timedelta)
        if value < self.low:  # type: ignore[operator]  # bounds are of the field's own type
            return f"must be at least {_text(self.low)}, got {_text(value)}"
        if value > self.high:  # type: ignore[operator]
            return f"must be at most {_text(self.high)}, got {_text(value)}"
        return None


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address of this machine. Names other than `localhost` are not looked up."""

    @property
    def allows(self) -> str:
        return "an IP address or localhost"

    def problem(self, value: object, /) -> str | None:
        if value == "localhost":
            return None
        try:
            ipaddress.ip_address(str(value))
        except ValueError:
            return f"must be an IP address or localhost, got {value!r}"
        return None


@dataclass(frozen=True, slots=True)
class HostName:
    """A host name without a port, or `*`."""

    @property
    def allows(self) -> str:
        return "host names without a port, or *"

    def problem(self, value: object, /) -> str | None:
        if value == "*" or HOST_NAME.match(str(value)):
            return None
        return f"must be a host name without a port, or *, got {value!r}"


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin as browsers send it, with or without a scheme, or `*`."""

    @property
    def allows(self) -> str:
        return "origins such as https://app.example, or *"

    def problem(self, value: object, /) -> str | None:
        if ORIGIN.match(str(value)):
            return None
        return f"must be an origin such as https://app.example, or *, got {value!r}"


@dataclass(frozen=True, slots=True)
class Namespace:
    """One of the JSON-RPC namespaces that exist."""

    known: tuple[str, ...]

    @property
    def allows(self) -> str:
        return ", ".join(self.known)

    def problem(self, value: object, /) -> str | None:
        if value in self.known:
            return None
        return f"no namespace {value!r}, there are {', '.join(self.known)}"


@dataclass(frozen=True, slots=True)
class PathPrefix:
    """The beginning of a URL's path, or nothing."""

    @property
    def allows(self) -> str:
        return "empty, or a path that begins with /"

    def problem(self, value: object, /) -> str | None:
        if value == "" or PREFIX.match(str(value)):
            return None
        return f"must be empty or a path that begins with /, got {value!r}"


@dataclass(frozen=True, slots=True)
class SecondsAllowed:
    """Not a condition: a duration that may be written as a plain number of seconds too."""

    @property
    def allows(self) -> str:
        return ""

    def problem(self, value: object, /) -> str | None:
        del value
        return None
