"""JSON-RPC over HTTP, WebSocket and IPC."""

from rpc.backend import Backend
from rpc.server import RpcServer
from rpc.settings import CallSettings, HttpSettings, RpcSettings, WebSocketSettings

__all__ = ["Backend", "CallSettings", "HttpSettings", "RpcServer", "RpcSettings", "WebSocketSettings"]
