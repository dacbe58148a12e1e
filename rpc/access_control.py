"""
Who may talk to us: host names (DNS rebinding), origins of browsers (CORS, WebSocket).

In: header values. Out: yes or no, or the headers to answer with. The rules are geth's.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

ANY = "*"

MAX_AGE_S = 600
"""How long a browser may remember what a preflight said."""


class VirtualHosts:
    """The host names that requests may name. IP addresses and requests without a name always pass."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def allow(self, host: str | None) -> bool:
        """Whether a `Host` header is one of ours."""
        if not host or ANY in self._names:
            return True
        name = _without_port(host)
        return _is_ip_address(name) or name.lower() in self._names


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, _ = host.rpartition(":")
    return name if colon and ":" not in name else host


@lru_cache(maxsize=4_096)
def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------ CORS


class Cors:
    """Headers for browsers; without domains there are none and browsers keep pages out."""

    def __init__(self, domains: Sequence[str]) -> None:
        self._domains = frozenset(domain.lower() for domain in domains)

    @property
    def is_on(self) -> bool:
        """Whether there are rules at all."""
        return bool(self._domains)

    def headers(self, request: Mapping[str, str]) -> dict[str, str]:
        """For the answer to an actual request."""
        if not self.is_on:
            return {}
        headers = {"Vary": "Origin"}
        return headers | self._allowed_origin(request.get("Origin"))

    def preflight(self, request: Mapping[str, str]) -> dict[str, str] | None:
        """For the answer to a preflight; `None` if the request is none."""
        method = request.get("Access-Control-Request-Method")
        if not self.is_on or method is None:
            return None
        headers = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        allowed = self._allowed_origin(request.get("Origin"))
        if not allowed or method.upper() not in ("GET", "POST"):
            return headers
        headers |= allowed
        headers["Access-Control-Allow-Methods"] = method.upper()
        if asked := request.get("Access-Control-Request-Headers"):
            headers["Access-Control-Allow-Headers"] = asked
        headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
        return headers

    def _allowed_origin(self, origin: str | None) -> dict[str, str]:
        if origin is None:
            return {}
        if ANY in self._domains:
            return {"Access-Control-Allow-Origin": ANY}
        if any(_matches(domain, origin.lower()) for domain in self._domains):
            return {"Access-Control-Allow-Origin": origin}
        return {}


def _matches(domain: str, origin: str) -> bool:
    """Equal, or equal around the one `*` that a domain may have."""
    start, wildcard, end = domain.partition(ANY)
    if not wildcard:
        return domain == origin
    return len(origin) >= len(start) + len(end) and origin.startswith(start) and origin.endswith(end)


# ------------------------------------------------------------------ WebSocket origins


class Origins:
    """The origins that may open a WebSocket. A request without the header comes from no browser and passes."""

    def __init__(self, rules: Sequence[str]) -> None:
        given = [rule for rule in rules if rule]
        self._rules = given or ["http://localhost", f"http://{socket.gethostname()}"]

    def allow(self, origin: str | None) -> bool:
        """Whether an `Origin` header is one of ours."""
        if origin is None or ANY in self._rules:
            return True
        return any(_rule_allows(rule, origin) for rule in self._rules)


def _rule_allows(rule: str, origin: str) -> bool:
    """Scheme, host and port are compared as far as the rule has them."""
    wanted, given = _parts(rule), _parts(origin)
    if wanted is None or given is None:
        return False
    return all(not want or want == have for want, have in zip(wanted, given, strict=True))


def _parts(origin: str) -> tuple[str, str, str] | None:
    """(scheme, host, port), empty where absent; `None` for what is no origin."""
    text = origin.lower()
    try:
        split = urlsplit(text if "://" in text else f"//{text}")
        port = split.port
    except ValueError:
        return None
    return split.scheme, split.hostname or "", "" if port is None else str(port)
