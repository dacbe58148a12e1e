"""
Reads a genesis document in geth's form; what it says is judged by the engine.

In: a path. Out: the document's bytes, with the chain's parallel transaction type if the configuration sets one.
"""

import json
from pathlib import Path
from typing import Any, Final

from parallelpool.errors import ConfigurationError

TYPE_KEY: Final = "parallelTxType"
"""In the document's `config`: the type byte of parallel transactions."""


def read_genesis(path: Path) -> bytes:
    """Raises ConfigurationError if the file cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--genesis: cannot read {path}: {error.strerror}"]) from error


def with_parallel_type(document: bytes, tx_type: int | None) -> bytes:
    """
    `document` with the type byte of parallel transactions set to `tx_type`; as it is for `None`.

    Raises ConfigurationError if the document is no JSON object with an object `config`.
    """
    if tx_type is None:
        return document
    try:
        genesis: Any = json.loads(document)  # the engine checks the rest of it
    except ValueError as error:
        raise ConfigurationError([f"--genesis: is not JSON: {error}"]) from error
    if not isinstance(genesis, dict) or not isinstance(genesis.get("config"), dict):
        raise ConfigurationError(["--genesis: must be an object with an object `config`"])
    genesis["config"][TYPE_KEY] = tx_type
    return json.dumps(genesis).encode()
