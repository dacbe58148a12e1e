"""
Who calls: transport, address, what the transport offers, and where its subscriptions go.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias

from rpc.errors import Json

Transport: TypeAlias = Literal["http", "ws", "ipc"]


class NotificationSink(Protocol):
    """Where the notifications of a connection go."""

    @property
    def is_behind(self) -> bool:
        """Whether the client leaves so much unread that what can be told later should be."""

    def notify(self, message: bytes, /) -> None:
        """Queues one message. A client that does not read loses its connection, nobody waits for it."""


class Notifier(Protocol):
    """The subscriptions of one connection."""

    def subscribe(self, namespace: str, params: Json, /) -> str:
        """Begins a subscription and gives its id. Raises RpcError."""

    def unsubscribe(self, subscription_id: str, /) -> bool:
        """Raises RpcError for an unknown id."""

    def activate(self) -> None:
        """Lets the news of new subscriptions flow, once the answers with their ids are on their way."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One client, for the length of a request or a connection."""

    transport: Transport
    address: str
    """Of the peer; empty over IPC."""
    modules: frozenset[str] | None
    """Namespaces that the transport offers; `None`: all."""
    is_operator: bool
    """May use operator methods."""
    notifier: Notifier | None = None
    """`None` over HTTP."""
    time_limit_s: float | None = None
    """Longest time for an answer."""


@lru_cache(maxsize=4_096)
def is_loopback(address: str) -> bool:
    """Whether a peer's address is this machine's own; an IPv4 address in IPv6 clothes counts as itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback
