"""The vectors of `docs/eip-parallel-transaction.md`, for the tests of the wallet and of the engine."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.public_data import REPOSITORY


@dataclass(frozen=True, slots=True)
class Vector:
    """One valid transaction, and what follows from it."""

    name: str
    private_key: str
    fields: dict[str, Any]
    """JSON-RPC notation, `type` and `chainId` included."""
    signing_hash: bytes
    v: int
    r: int
    s: int
    raw: bytes
    hash: bytes
    sender: bytes
    tag: str | None
    evm_input: bytes
    charges: dict[str, dict[str, int]]
    """Network -> `intrinsic` and `floor`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes that are no valid parallel transaction on the chain of the vectors."""

    name: str
    raw: bytes
    error: str


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


_DOCUMENT = json.loads((REPOSITORY / "tests/vectors/parallel_transaction.json").read_text())

CHAIN_ID: int = _DOCUMENT["chainId"]

VECTORS = [
    Vector(
        name=entry["name"],
        private_key=entry["privateKey"],
        fields=entry["fields"],
        signing_hash=_bytes(entry["signingHash"]),
        v=entry["v"],
        r=int(entry["r"], 16),
        s=int(entry["s"], 16),
        raw=_bytes(entry["raw"]),
        hash=_bytes(entry["hash"]),
        sender=_bytes(entry["sender"]),
        tag=entry["tag"],
        evm_input=_bytes(entry["evmInput"]),
        charges=entry["charges"],
    )
    for entry in _DOCUMENT["transactions"]
]

REFUSED = [Refused(entry["name"], _bytes(entry["raw"]), entry["error"]) for entry in _DOCUMENT["refused"]]

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
each_refused = pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
