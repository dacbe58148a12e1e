"""Host names, CORS and WebSocket origins."""

import socket

import pytest

from rpc.access_control import Cors, Origins, VirtualHosts


@pytest.mark.parametrize(
    ("names", "host", "allowed"),
    [
        (("localhost",), "localhost", True),
        (("localhost",), "LocalHost:8545", True),
        (("localhost",), "127.0.0.1:8545", True),
        (("localhost",), "[::1]:8545", True),
        (("localhost",), "[::1]", True),
        (("localhost",), "::1", True),
        (("localhost",), "8.8.8.8", True),
        (("localhost",), "", True),
        (("localhost",), None, True),
        (("localhost",), "evil.example", False),
        (("localhost",), "localhost.evil.example:8545", False),
        (("localhost",), "localhost:", True),
        (("Node.Example",), "node.example:80", True),
        ((), "localhost", False),
        (("*",), "evil.example", True),
    ],
)
def test_virtual_hosts(names: tuple[str, ...], host: str | None, allowed: bool) -> None:
    """IP addresses and requests without a name always pass; names must be listed."""
    assert VirtualHosts(names).allow(host) is allowed


@pytest.mark.parametrize(
    ("rules", "origin", "allowed"),
    [
        ((), None, True),
        ((), "http://localhost", True),
        ((), "http://localhost:3000", True),
        ((), f"http://{socket.gethostname()}", True),
        ((), "https://localhost", False),
        ((), "http://evil.example", False),
        (("*",), "http://evil.example", True),
        (("example.com",), "https://example.com:8443", True),
        (("https://example.com",), "http://example.com", False),
        (("https://example.com:8443",), "https://example.com:8443", True),
        (("https://example.com:8443",), "https://example.com", False),
        (("https://EXAMPLE.com",), "https://example.COM", True),
        (("http://localhost",), "http://localhost.evil.example", False),
        (("http://localhost",), "http://[broken", False),
        (("http://localhost",), "null", False),
    ],
)
def test_websocket_origins(rules: tuple[str, ...], origin: str | None, allowed: bool) -> None:
    """Scheme, host and port are compared as far as the rule gives them."""
    assert Origins(rules).allow(origin) is allowed


def test_cors_is_silent_without_domains() -> None:
    """No headers: browsers keep pages out."""
    cors = Cors(())

    assert cors.headers({"Origin": "http://a.example"}) == {}
    assert cors.preflight({"Origin": "http://a.example", "Access-Control-Request-Method": "POST"}) is None


@pytest.mark.parametrize(
    ("domains", "origin", "allowed"),
    [
        (("*",), "http://a.example", "*"),
        (("http://a.example",), "http://a.example", "http://a.example"),
        (("http://*.example",), "http://b.example", "http://b.example"),
        (("http://a.example",), "http://b.example", None),
    ],
)
def test_cors_names_the_allowed_origin(domains: tuple[str, ...], origin: str, allowed: str | None) -> None:
    """A wildcard may stand for all, or within one domain."""
    assert Cors(domains).headers({"Origin": origin}).get("Access-Control-Allow-Origin") == allowed


def test_a_preflight_is_answered_with_what_is_allowed() -> None:
    """Methods POST and GET, any header, ten minutes."""
    headers = Cors(("http://a.example",)).preflight(
        {
            "Origin": "http://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
    )

    assert headers == {
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "Access-Control-Allow-Origin": "http://a.example",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": "600",
    }


def test_a_preflight_for_another_method_allows_nothing() -> None:
    """The answer has no allowing headers."""
    headers = Cors(("*",)).preflight(
        {"Origin": "http://a.example", "Access-Control-Request-Method": "DELETE"}
    )

    assert headers is not None
    assert "Access-Control-Allow-Origin" not in headers
