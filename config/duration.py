"""
Durations as geth (Go) writes them: `3h0m0s`, `500ms`, `1.5s`.

In and out are `timedelta`, whole microseconds; what is finer is refused, not rounded.
"""

import re
from datetime import timedelta
from fractions import Fraction

UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}
"""Nanoseconds of each unit."""

PART = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|ms|s|m|h)")
LONGEST_NS = 2**63 - 1
"""Go's longest duration, about 292 years."""


def parse_duration(text: str) -> timedelta:
    """Raises ValueError with what is wrong in words."""
    wrong = ValueError(f"must be a duration such as 3h0m0s or 500ms, got {text!r}")
    if text == "0":
        return timedelta(0)
    total_ns = Fraction(0)
    position = 0
    while position < len(text):
        part = PART.match(text, position)
        if part is None or part[1] in ("", "."):
            raise wrong
        total_ns += Fraction(part[1]) * UNITS_NS[part[2]]
        position = part.end()
    if position == 0:
        raise wrong
    if total_ns > LONGEST_NS:
        raise ValueError(f"is too long a duration: {text!r}")
    microseconds = total_ns / 1_000
    if microseconds.denominator != 1:
        raise ValueError(f"is finer than a microsecond: {text!r}")
    return timedelta(microseconds=int(microseconds))


def duration_text(duration: timedelta) -> str:
    """As Go prints it: `1h0m0s`, `1m30s`, `1.5s`, `500ms`, `250µs`, `0s`."""
    microseconds = duration // timedelta(microseconds=1)
    if microseconds == 0:
        return "0s"
    if microseconds < 1_000:
        return f"{microseconds}µs"
    if microseconds < 1_000_000:
        return f"{_decimal(microseconds, 1_000)}ms"
    minutes, rest = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(rest, 1_000_000)}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(amount: int, unit: int) -> str:
    """`amount / unit` in decimal digits without trailing zeros; `unit` is a power of ten."""
    whole, rest = divmod(amount, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
