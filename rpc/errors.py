"""
Errors of the RPC: every code and every text that is not a module's own stands here.

A method raises; the dispatcher turns what was raised into an error object by `error_object`. geth's words are
the interface: wallets match on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from parallelpool.chain import (
    BlockRefused,
    CoreAborted,
    CoreDivergence,
    CoreError,
    CoreInternalError,
    CoreInvalidArgument,
    GenesisError,
    StateUnavailable,
    StorageFailure,
    StoreRefused,
)
from parallelpool.engine import EngineBusy
from parallelpool.errors import DecodeError, PoolError
from parallelpool.producer import UnknownBatch

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What JSON can say. What a client sent is made of `list` and `dict`."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
DEFAULT_ERROR = -32000
"""Any error without a code of its own, all refusals of the pool among them."""
REQUEST_TIMED_OUT = -32002
RESPONSE_TOO_LARGE = -32003
EXECUTION_REVERTED = 3
VM_ERROR = -32015
"""A message of a simulated block failed other than by a revert."""
SYNC_TIMEOUT = 4
BLOCK_NOT_FOUND = -32001
PRUNED_HISTORY = 4444
CLIENT_LIMIT_EXCEEDED = -38026
STALE_HEAD = 3001
UNKNOWN_BATCH = 3004


class RpcError(Exception):
    """An answer of the error kind: code, message and, where a client needs it, data."""

    code: int = DEFAULT_ERROR

    def __init__(self, message: str, *, code: int | None = None, data: Json = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        if code is not None:
            self.code = code


class ParseError(RpcError):
    """The message is no JSON."""

    code = PARSE_ERROR


class InvalidRequest(RpcError):
    """JSON, but no call."""

    code = INVALID_REQUEST


class MethodNotFound(RpcError):
    """No such method, or not for this caller."""

    code = METHOD_NOT_FOUND

    def __init__(self, method: str) -> None:
        super().__init__(f"the method {method} does not exist/is not available")


class InvalidParams(RpcError):
    """The arguments do not fit the method."""

    code = INVALID_PARAMS


class NotificationsUnsupported(RpcError):
    """A subscription was asked for over HTTP."""

    code = METHOD_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("notifications not supported")


class SubscriptionNotFound(RpcError):
    """An unknown kind of subscription."""

    code = METHOD_NOT_FOUND

    def __init__(self, namespace: str, kind: str) -> None:
        super().__init__(f'no "{kind}" subscription in {namespace} namespace')


class RequestTimedOut(RpcError):
    """The time limit of the server ran out."""

    code = REQUEST_TIMED_OUT

    def __init__(self) -> None:
        super().__init__("request timed out")


class ResponseTooLarge(RpcError):
    """The answers of a batch grew above the limit."""

    code = RESPONSE_TOO_LARGE

    def __init__(self) -> None:
        super().__init__("response too large")


class HandlerCrashed(RpcError):
    """A bug in a method."""

    code = INTERNAL_ERROR

    def __init__(self) -> None:
        super().__init__("method handler crashed")


CODES: dict[type[Exception], int] = {
    PoolError: DEFAULT_ERROR,
    DecodeError: DEFAULT_ERROR,
    EngineBusy: DEFAULT_ERROR,
    UnknownBatch: UNKNOWN_BATCH,
    CoreAborted: DEFAULT_ERROR,
    StateUnavailable: DEFAULT_ERROR,
    BlockRefused: DEFAULT_ERROR,
    CoreInvalidArgument: DEFAULT_ERROR,
    GenesisError: INTERNAL_ERROR,
    StorageFailure: INTERNAL_ERROR,
    StoreRefused: INTERNAL_ERROR,
    CoreDivergence: INTERNAL_ERROR,
    CoreInternalError: INTERNAL_ERROR,
    CoreError: INTERNAL_ERROR,
}
"""Code of each refusal or failure that the node's parts may raise; the message is the error's own."""


def as_rpc_error(error: Exception) -> RpcError | None:
    """The answer to `error`; `None` for what is a bug in the method."""
    if isinstance(error, RpcError):
        return error
    for kind in type(error).__mro__:
        code = CODES.get(kind)
        if code is not None:
            return RpcError(str(error), code=code)
    return None


def error_object(error: RpcError) -> dict[str, Json]:
    """`code`, `message` and, if there is any, `data`."""
    answer: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        answer["data"] = error.data
    return answer
