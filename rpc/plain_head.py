"""
Heads of HTTP requests that are plain: a POST of JSON to the path served, with headers that change no answer.

In: the bytes before a request's body. Out: what is needed to answer it, or `None` for a head that is for a real parser.
Whatever is taken here has one meaning only: no header twice, no folding, no chunks, no upgrade, no close.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER: Final = re.compile(rb"([A-Za-z-]+): ([!-~](?:[ -~]*[!-~])?)")
HOST: Final = re.compile(rb"[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?")
LENGTH: Final = re.compile(rb"[1-9][0-9]{0,8}")
PATH: Final = re.compile(r"/|(?:/[A-Za-z0-9_]+)+")

INDIFFERENT: Final = frozenset({b"user-agent", b"accept", b"accept-language", b"sec-fetch-mode"})

LONGEST: Final = 1_024
"""Bytes of a plain head."""

REMEMBERED: Final = 1_024
"""Heads. Those of one client differ in the body's length, if at all."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a plain head says."""

    length: int
    """Of the body; above 0."""
    takes_gzip: bool


class PlainHeads:
    """Reads heads, each spelling once."""

    def __init__(self, path: str, takes: Callable[[str, int], bool]) -> None:
        """`takes` says of a host and a body's length whether the endpoint lets them pass."""
        self._request_line = f"POST {path} HTTP/1.1".encode() if PATH.fullmatch(path) else b""
        self._takes = takes
        self._known: dict[bytes, Head | None] = {}

    def read(self, octets: bytes) -> Head | None:
        """What a head, without its empty line, says; `None` if it is not plain."""
        try:
            return self._known[octets]
        except KeyError:
            pass
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        head = self._known[octets] = self._read(octets)
        return head

    def _read(self, octets: bytes) -> Head | None:
        line, *lines = octets.split(b"\r\n")
        if not line or line != self._request_line:
            return None
        headers: dict[bytes, bytes] = {}
        for each in lines:
            header = HEADER.fullmatch(each)
            if header is None or (name := header[1].lower()) in headers:
                return None
            headers[name] = header[2]
        return self._meaning(headers)

    def _meaning(self, headers: dict[bytes, bytes]) -> Head | None:
        host, length = headers.pop(b"host", b""), headers.pop(b"content-length", b"")
        encodings = headers.pop(b"accept-encoding", b"")
        if (
            headers.pop(b"content-type", b"") != b"application/json"
            or headers.pop(b"connection", b"keep-alive") != b"keep-alive"
            or not headers.keys() <= INDIFFERENT
            or not HOST.fullmatch(host)
            or not LENGTH.fullmatch(length)
            or not self._takes(host.decode(), int(length))
        ):
            return None
        return Head(int(length), b"gzip" in encodings)
