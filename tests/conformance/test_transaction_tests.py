"""
The public TransactionTests: raw bytes, and what each fork makes of them.

Per fork either hash, sender and intrinsic gas, or an exception. Names of exceptions assume an order of checks
(and two orders occur in the files), so an exception is held to the class of our refusal.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from parallelpool import _core
from tests.public_data import fixture_files

CHAIN_ID = 1

_SHAPE = {
    "wrong_length",
    "truncated",
    "too_many_elements",
    "too_few_elements",
    "wrong_kind",
    "trailing_bytes",
}
_SIGNATURE = {"invalid_signature", "chain_id_too_wide"}
"""Before replay protection a v that carries a chain id is an invalid v."""

CLASSES: Mapping[str, set[str]] = {
    # Shape of the encoding.
    "ADDRESS_TOO_LONG": {"wrong_length"},
    "ADDRESS_TOO_SHORT": {"wrong_length"},
    "RLP_ERROR_EOF": {"truncated"},
    "RLP_ERROR_SIZE": _SHAPE,
    "RLP_ERROR_SIZE_LEADING_ZEROS": {"non_canonical_size"},
    "RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG": {"wrong_length"},
    "RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_SHORT": {"wrong_length"},
    "RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG": {"wrong_length"},
    "RLP_INVALID_ACCESS_LIST_STORAGE_TOO_SHORT": {"wrong_length"},
    "RLP_INVALID_DATA": {"wrong_kind"},
    "RLP_INVALID_GASLIMIT": {"wrong_kind"},
    "RLP_INVALID_HEADER": {"wrong_kind"},
    "RLP_INVALID_NONCE": {"wrong_kind"},
    "RLP_INVALID_SIGNATURE_R": {"wrong_kind"},
    "RLP_INVALID_SIGNATURE_S": {"wrong_kind"},
    "RLP_INVALID_TO": {"wrong_kind"},
    "RLP_INVALID_VALUE": {"wrong_kind"},
    "RLP_LEADING_ZEROS_BASEFEE": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_DATA_SIZE": {"non_canonical_size"},
    "RLP_LEADING_ZEROS_GASLIMIT": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_GASPRICE": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_NONCE": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_NONCE_SIZE": {"non_canonical_size"},
    "RLP_LEADING_ZEROS_PRIORITY_FEE": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_R": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_S": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_V": {"non_canonical_integer"},
    "RLP_LEADING_ZEROS_VALUE": {"non_canonical_integer"},
    "RLP_TOO_FEW_ELEMENTS": {"too_few_elements"},
    "RLP_TOO_MANY_ELEMENTS": {"too_many_elements"},
    # Width of the fields.
    "GASLIMIT_OVERFLOW": {"integer_too_wide"},
    "GASPRICE_OVERFLOW": {"fee_cap_too_wide"},
    "NONCE_OVERFLOW": {"integer_too_wide"},
    "PRIORITY_OVERFLOW": {"tip_cap_too_wide"},
    "VALUE_OVERFLOW": {"value_too_wide"},
    # Rules. Whether the fork knows the type is asked after decoding, which may already have failed.
    "EC_RECOVERY_FAIL": {"unrecoverable_signature"},
    "GASLIMIT_PRICE_PRODUCT_OVERFLOW": {"cost_overflow"},
    "INITCODE_SIZE_EXCEEDED": {"init_code_size"},
    "INTRINSIC_GAS_TOO_LOW": {"intrinsic_gas"},
    "INVALID_CHAINID": {"chain_id", "chain_id_too_wide"},
    "INVALID_SIGNATURE_VRS": _SIGNATURE,
    "NONCE_IS_MAX": {"nonce_max"},
    "NONCE_TOO_BIG": {"nonce_max"},
    "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS": {"tip_above_fee_cap"},
    "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2": {"tip_above_fee_cap"},
    "TYPE_NOT_SUPPORTED": {"type_not_supported", "fee_cap_too_wide", "tip_cap_too_wide"} | _SHAPE,
}
"""
Exception name (after `TransactionException.`) -> the classes of ours that it can be. A name that is missing
here fails the test.
"""


@pytest.fixture(scope="module")
def workers() -> _core.Workers:
    """One worker: the lists are short."""
    return _core.Workers(1)


@pytest.mark.parametrize("path", fixture_files("transaction_tests", "*.json"))
def test_each_fork_makes_of_the_bytes_what_the_file_says(path: Path, workers: _core.Workers) -> None:
    """
    Outcome, hash, sender, intrinsic gas and class of error agree for every test and every fork of the file.
    """
    tests = json.loads(path.read_text())

    assert tests
    for name, test in tests.items():
        [decoded] = _core.decode_transactions(workers, [_bytes(test["txbytes"])], CHAIN_ID, None)
        assert test["result"]
        for fork, expected in test["result"].items():
            found = _outcome(decoded, _core.Rules.of_network(fork))
            _compare(expected, found, f"{name} under {fork}")


def _outcome(decoded: _core.Transaction | _core.DecodeRejection, rules: _core.Rules) -> dict[str, Any]:
    if isinstance(decoded, _core.DecodeRejection):
        return {"refusal": decoded.kind}
    intrinsic_gas, _ = rules.charges(decoded)
    if (error := rules.static_error(decoded)) is not None:
        return {"refusal": error[0], "intrinsicGas": intrinsic_gas}
    return {"hash": decoded.hash, "sender": rules.sender(decoded), "intrinsicGas": intrinsic_gas}


def _compare(expected: dict[str, str], found: dict[str, Any], where: str) -> None:
    intrinsic_gas = int(expected["intrinsicGas"], 16)
    if "exception" not in expected:
        assert found == {
            "hash": _bytes(expected["hash"]),
            "sender": _bytes(expected["sender"]),
            "intrinsicGas": intrinsic_gas,
        }, where
        return
    name = expected["exception"].removeprefix("TransactionException.")
    assert found.get("refusal") in CLASSES[name], f"{where}: {found} for {name}"
    if intrinsic_gas and "intrinsicGas" in found:
        # Refused, yet decoded: the file says what would have been due.
        assert found["intrinsicGas"] == intrinsic_gas, where


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
