"""
What may differ between geth and us, each with its reason and with what must hold where it is met.

Everything else is an error. A difference that is never met in the long run is one too: then it is none any more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """What a submission was answered: a hash, or an error's code and text."""

    tx_hash: str | None
    code: int | None = None
    text: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """From a JSON-RPC answer."""
        if "error" in answer:
            return cls(None, answer["error"]["code"], answer["error"]["message"])
        return cls(answer["result"])


class Difference(Enum):
    """A difference with its reason."""

    DROPPED_AT_ONCE = "geth answers a hash for what its background run drops in the same moment; we say so"
    NO_BLOBS = "geth asks its blob pool; this pool takes no blob transactions"
    WIDE_FEE_CAP = (
        "geth multiplies numbers of any width for its fee cap; ours end at 256 bits, refused as by the pool"
    )
    WIDE_CHAIN_ID = "a chain id beyond 256 bits is not written out: that takes quadratic time"
    GAP_IN_PENDING = (
        "after a reorg geth's pending list may have a gap; what stands behind it is not executable"
    )

    @property
    def moves(self) -> Mapping[str, int]:
        """By how much geth's meters go beyond ours each time."""
        return {"txpool_invalid": -1} if self in (Difference.NO_BLOBS, Difference.WIDE_FEE_CAP) else {}


WIDE = re.compile(r"a number of \d+ bytes")
NARROW = re.compile(r"(?<= have )\d{70,}")


def permitted(ours: Answer, theirs: Answer, *, is_in_geth: bool) -> Difference | None:
    """The difference that two unequal answers are; `None` if they must not differ. `is_in_geth`: geth pools it now."""
    refused = ours.text
    if (
        theirs.tx_hash is not None
        and refused in ("txpool is full", "transaction underpriced")
        and not is_in_geth
    ):
        return Difference.DROPPED_AT_ONCE
    if refused == "transaction type not supported: tx type 3 not supported by this pool":
        return Difference.NO_BLOBS
    if refused == "max fee per gas higher than 2^256-1" and (theirs.text or "").startswith("tx fee ("):
        return Difference.WIDE_FEE_CAP
    if WIDE.sub("", refused or "") == NARROW.sub("", theirs.text or ""):
        return Difference.WIDE_CHAIN_ID
    return None


Transactions = dict[str, dict[str, Any]]
"""Account -> nonce -> transaction."""


def resettled(content: Mapping[str, Transactions], next_nonces: Mapping[str, int]) -> dict[str, Transactions]:
    """
    The same transactions, pending where all lower nonces from the account's (`next_nonces`) on are there.

    What geth's pool itself would say once every account had been touched.
    """
    settled: dict[str, Transactions] = {"pending": {}, "queued": {}}
    for name in sorted(content["pending"].keys() | content["queued"].keys()):
        pooled = content["pending"].get(name, {}) | content["queued"].get(name, {})
        end = next_nonces[name.lower()]
        while str(end) in pooled:
            end += 1
        for nonce in sorted(pooled):
            side = settled["pending" if int(nonce) < end else "queued"]
            side.setdefault(name, {})[nonce] = pooled[nonce]
    return settled


def with_gaps(content: Mapping[str, Transactions], settled: Mapping[str, Transactions]) -> list[str]:
    """Accounts that have transactions pending in `content` which stand behind a gap."""
    return [
        name
        for name, transactions in settled["queued"].items()
        if transactions.keys() & content["pending"].get(name, {}).keys()
    ]
