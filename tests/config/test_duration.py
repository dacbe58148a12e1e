"""Durations in Go's notation."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.duration import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        (".5s", timedelta(milliseconds=500)),
        ("2.s", timedelta(seconds=2)),
        ("3h0m0s", timedelta(hours=3)),
        ("1h0m0.000001s", timedelta(hours=1, microseconds=1)),
        ("250us", timedelta(microseconds=250)),
        ("250µs", timedelta(microseconds=250)),
        ("7000ns", timedelta(microseconds=7)),
        ("1m1m", timedelta(minutes=2)),
    ],
)
def test_go_notation_is_read(text: str, expected: timedelta) -> None:
    """
    Every unit, fractions, and sums of units are read as Go's ParseDuration reads them.
    """
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", ".s", "-5s", "+5s", "1d", "1 s", "1s ", "1h30", "1e3s", "0x1s", "1ss", "١s", "1.2.3s"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """
    A bare number, an unknown unit, a sign, a blank or a foreign digit is refused, and the message shows it.
    """
    with pytest.raises(ValueError, match="must be a duration such as") as caught:
        parse_duration(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"), [("1ns", "finer"), ("0.0000001s", "finer"), ("9999999h", "too long")]
)
def test_what_cannot_be_held_exactly_is_refused(text: str, words: str) -> None:
    """
    Fractions of a microsecond and more than Go's 292 years are refused, not rounded.
    """
    with pytest.raises(ValueError, match=words):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(0), "0s"),
        (timedelta(microseconds=7), "7µs"),
        (timedelta(milliseconds=1.5), "1.5ms"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=3), "3h0m0s"),
        (timedelta(days=2, microseconds=1), "48h0m0.000001s"),
    ],
)
def test_durations_are_written_as_go_writes_them(duration: timedelta, expected: str) -> None:
    """
    The text is Go's Duration.String.
    """
    assert duration_text(duration) == expected


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_written_durations_read_back(duration: timedelta) -> None:
    """
    Reading what was written gives the same duration.
    """
    assert parse_duration(duration_text(duration)) == duration
