"""
One row of the method table: a handler, what it is called with, and how the dispatcher treats it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rpc.parameters import Signature


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the method table."""

    handler: Callable[..., object]
    """Gets the converted parameters, gives what JSON can say, or a coroutine of it."""
    signature: Signature = ()
    is_operator: bool = False
    """Only for operators: IPC and loopback, unless configured wider."""
    wants_caller: bool = False
    """Gets the caller before the parameters."""
    is_hot: bool = False
    """Called without jsonrpcserver in between; a test proves that the answers are the same."""
    outlives_caller: bool = False
    """Goes on when its caller is gone or its time is up: half of it would leave the node half changed."""
    is_pipelined: bool = False
    """
    The handler gives an awaitable, and has begun the work then: neighbours in a batch are begun in order and wait
    together. What is shown is one hash.
    """
    take_all: Callable[[Sequence[Any]], Awaitable[Sequence[Exception | None]]] | None = None
    """The same work for many whose parameters others have read: why each was refused, `None` if it was not."""
    show: Callable[[Any], object] | None = None
    """Makes what the handler gives, in the end, into what JSON can say."""


MethodTable: TypeAlias = Mapping[str, Method]
