"""
Cuts a stream of bytes into JSON values, without asking whether they are well-formed.

In: chunks as they come from a socket. Out: one value after the other, cut where its brackets close; newlines between
values are not needed. What is inside a value is the parser's matter.
"""

from __future__ import annotations

import re
from typing import Final

WHITE_SPACE: Final = re.compile(rb"[ \t\r\n]*")
BRACKET: Final = re.compile(rb'["{}\[\]]')
IN_STRING: Final = re.compile(rb'["\\]')
SCALAR_END: Final = re.compile(rb'[ \t\r\n{}\[\]",]')


class MessageTooLarge(Exception):
    """A value above the limit."""


class ValueStream:
    """A buffer of at most one unfinished value and the chunks behind it."""

    def __init__(self, limit: int) -> None:
        """`limit` bounds one value, in bytes."""
        self._limit = limit
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = False

    def feed(self, chunk: bytes) -> None:
        """Adds what came."""
        self._buffer += chunk

    def rest(self) -> bytes:
        """What is left without a whole value."""
        return bytes(self._buffer).strip()

    def next_value(self) -> bytes | None:
        """The next whole value, `None` if more must come. Raises MessageTooLarge."""
        if not self._position:
            match = WHITE_SPACE.match(self._buffer)
            assert match is not None, "the pattern matches nothing too"
            del self._buffer[: match.end()]
        end = self._find_end()
        if end is None:
            if len(self._buffer) > self._limit:
                raise MessageTooLarge
            return None
        if end > self._limit:
            raise MessageTooLarge
        value = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._position = self._depth = 0
        return value

    def _find_end(self) -> int | None:
        """Goes on from where it stopped; the index behind the value, if that is there yet."""
        if not self._buffer:
            return None
        if not self._position and self._buffer[0] not in b'{["':
            match = SCALAR_END.search(self._buffer, 1)
            return match.start() if match is not None else None
        while True:
            pattern = IN_STRING if self._in_string else BRACKET
            match = pattern.search(self._buffer, self._position)
            if match is None:
                self._position = max(self._position, len(self._buffer))
                return None
            if self._step(match.group()[0], match.end()):
                return self._position

    def _step(self, character: int, behind: int) -> bool:
        """Takes one structural character; whether the value ends with it."""
        self._position = behind
        if character == ord("\\"):
            self._position += 1
        elif character == ord('"'):
            self._in_string = not self._in_string
        else:
            self._depth += 1 if character in b"{[" else -1
        return self._depth <= 0 and not self._in_string
