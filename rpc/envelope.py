"""
The JSON-RPC 2.0 envelope: what counts as a call, and how answers are written.

In: one JSON value. Out: a `Call`, an `InvalidRequest` with the id to answer under, or nothing for a message that
wants no answer. Answers are bytes with the keys in geth's order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rpc.errors import InvalidRequest, Json, RpcError, error_object
from rpc.json_text import encode
from rpc.streamed import Streamed

MAX_METHOD_NAME: Final = 2048
"""Bytes of a method's name."""

GO_ESCAPES: Final = tuple(
    (character.encode(), b"\\u%04x" % ord(character)) for character in "<>&\u2028\u2029"
)

NO_ID: Final = object()
"""In place of the id of a notification; `None` is the id `null`, which is answered."""


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed request."""

    id: Json | object
    """`NO_ID` for a notification."""
    method: str
    params: Json

    @property
    def is_notification(self) -> bool:
        """Executed, never answered."""
        return self.id is NO_ID


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that is no call; answered with `invalid request`."""

    id: Json


def read_message(message: Json) -> Call | Refused | None:
    """What a message asks for; `None` for a response, which geth drops in silence."""
    if not isinstance(message, dict):
        return Refused(None)
    given_id = message.get("id", NO_ID)
    has_valid_id = given_id is not NO_ID and not isinstance(given_id, dict | list)
    method = message.get("method")
    if message.get("jsonrpc") == "2.0":
        if isinstance(method, str) and method:
            if has_valid_id or given_id is NO_ID:
                return Call(given_id, method, message.get("params"))
        elif has_valid_id and method is None and message.get("params") is None and _is_answer(message):
            return None
    return Refused(message["id"] if has_valid_id else None)


def _is_answer(message: dict[str, Json]) -> bool:
    return "result" in message or "error" in message


def check_method_name(method: str) -> None:
    """Raises InvalidRequest if the name is too long."""
    if len(method) * 4 > MAX_METHOD_NAME and (size := len(method.encode())) > MAX_METHOD_NAME:
        raise InvalidRequest(f"method name too long: {size} > {MAX_METHOD_NAME}")


def write_result(call_id: Json | object, result: bytes) -> bytes:
    """An answer around an encoded result."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (encode(call_id), result)


def stream_result(call_id: Json | object, result: Streamed) -> Streamed:
    """An answer around a result in pieces."""
    return result.between(b'{"jsonrpc":"2.0","id":%b,"result":' % encode(call_id), b"}")


def write_error(call_id: Json | object, error: RpcError) -> bytes:
    """An answer around an error."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (encode(call_id), write_error_object(error))


def write_error_object(error: RpcError) -> bytes:
    """The inner part of it."""
    return _as_go(encode(error_object(error)))


def _as_go(text: bytes) -> bytes:
    """The same JSON with the characters escaped that Go escapes for the sake of HTML."""
    for character, escaped in GO_ESCAPES:
        if character in text:
            text = text.replace(character, escaped)
    return text
