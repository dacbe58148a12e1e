"""JSON-RPC over HTTP, WebSocket and IPC."""
