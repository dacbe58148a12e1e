"""
`parallel_isParallelizable` and `parallel_analyzeTransactionData`: what we think of one transaction, and why.

Tag (what the sender says), prediction (what we think) and outcome (what execution saw) are kept apart: a tag
PARALLEL makes nothing parallelizable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from rpc.backend import Backend
from rpc.call_object import CallObject, call_object, check_call, check_type, to_request
from rpc.errors import Json, RpcError
from rpc.known_signatures import KNOWN
from rpc.namespaces.parallel_tagging import TAGS
from rpc.quantities import data, to_data, to_quantity

if TYPE_CHECKING:
    from parallelpool.access import AccessSet
    from parallelpool.chain import Rules
    from parallelpool.transaction import Transaction
    from rpc.backend import Verdict

SHOWN_CONFLICTS: Final = 64
"""Conflicts named in one verdict."""

DELEGATION: Final = bytes.fromhex("ef0100")
"""In front of the address that an account's code delegates to (EIP-7702)."""

Subject: TypeAlias = "bytes | CallObject"


def subject(value: Json) -> Subject:
    """A hash, the bytes of a transaction, or a transaction object."""
    return data(value) if isinstance(value, str) else call_object(value)


class Verdicts:
    """Opinions on single transactions."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._chain = backend.chain

    async def is_parallelizable(self, asked: Subject) -> Json:
        """Whether the transaction could run beside all others that are pending, with the reasons against it."""
        if isinstance(asked, CallObject):
            check_call(asked, self._chain.chain_id)
            check_type(asked, self._chain.parallel_tx_type)
            request = to_request(asked, parallel_tx_type=self._chain.parallel_tx_type)
            verdict, tag = await self._backend.batches.verdict(request), tag_of(asked.payload)
        else:
            transaction = await self._transaction(asked)
            verdict, tag = await self._backend.batches.verdict(transaction), transaction.tag
        reasons = [*_tag_reasons(tag), *_knowledge_reasons(verdict.access_set)]
        reasons += [_conflict_reason(conflict) for conflict in verdict.conflicts[:SHOWN_CONFLICTS]]
        return {
            "parallelizable": verdict.is_parallelizable and tag != "SEQUENTIAL",
            "tag": tag,
            "prediction": _prediction(verdict.access_set),
            "reasons": reasons,
            "conflicts": to_quantity(len(verdict.conflicts)),
            "comparedWith": to_quantity(verdict.compared_with),
        }

    async def analyze_transaction_data(self, octets: bytes, to: bytes | None) -> Json:
        """What the data of a transaction says, what it would touch on the head, and which tag that speaks for."""
        tag = tag_of(octets)
        evm_input = octets[len(tag) :] if tag is not None else octets
        selector = evm_input[:4] if to is not None and len(evm_input) >= 4 else None
        head = self._chain.head()
        rules = self._chain.rules_at(head.number, head.timestamp)
        view: dict[str, Json] = {
            "tag": tag,
            "size": to_quantity(len(octets)),
            "input": to_data(evm_input),
            "inputSize": to_quantity(len(evm_input)),
            "selector": to_data(selector) if selector is not None else None,
            "signature": KNOWN.get(selector) if selector is not None else None,
            "zeroBytes": to_quantity(octets.count(0)),
            "nonzeroBytes": to_quantity(len(octets) - octets.count(0)),
            "calldataGas": to_quantity(_calldata_gas(octets, rules)),
            "tagGas": to_quantity(_calldata_gas(TAGS[tag], rules) if tag is not None else 0),
        }
        if to is not None:
            view |= await self._target(to)
        message = to_request(CallObject(to=to, input=evm_input), parallel_tx_type=None)
        verdict = await self._backend.batches.verdict(message)
        return view | {
            "prediction": _prediction(verdict.access_set),
            "conflicts": to_quantity(len(verdict.conflicts)),
            "comparedWith": to_quantity(verdict.compared_with),
            "recommendation": _recommendation(verdict),
        }

    async def _transaction(self, asked: bytes) -> Transaction:
        """The signed transaction that is meant. Raises RpcError for an unknown hash, DecodeError."""
        if len(asked) != 32:
            return await self._backend.ingress.decode(asked)
        pooled = self._backend.pool.get(asked)
        if pooled is None:
            raise RpcError(f"transaction {to_data(asked)} is not in the pool")
        return pooled

    async def _target(self, to: bytes) -> dict[str, Json]:
        code = await self._chain.code(to)
        is_delegated = len(code) == 23 and code.startswith(DELEGATION)
        return {
            "isContract": bool(code) and not is_delegated,
            "delegate": to_data(code[3:]) if is_delegated else None,
        }


def tag_of(octets: bytes) -> str | None:
    """The tag that the bytes begin with."""
    return next((word for word, tag in TAGS.items() if octets.startswith(tag)), None)


def _recommendation(verdict: Verdict) -> Json:
    """The tag that the prediction speaks for, and why; none where nothing is known."""
    access_set = verdict.access_set
    if not access_set.is_known:
        return {"tag": None, "reason": "its accesses are not known: it goes sequential whatever its tag"}
    if verdict.conflicts:
        return {"tag": "SEQUENTIAL", "reason": _conflict_reason(verdict.conflicts[0])["message"]}
    if access_set.succeeded is False:
        return {
            "tag": None,
            "reason": "it fails for an account without anything: its real sender may touch more",
        }
    return {"tag": "PARALLEL", "reason": f"no conflict with {verdict.compared_with} pending transactions"}


def _calldata_gas(octets: bytes, rules: Rules) -> int:
    zeros = octets.count(0)
    return 4 * zeros + (16 if rules.is_active("Istanbul") else 68) * (len(octets) - zeros)


def _prediction(access_set: AccessSet) -> dict[str, Json]:
    return {
        "source": access_set.source,
        "known": access_set.is_known,
        "succeeded": access_set.succeeded,
        "gasUsed": to_quantity(access_set.gas_used),
        "accesses": [
            {
                "address": to_data(account),
                "field": field,
                "slot": to_data(slot) if slot is not None else None,
                "kind": kind,
            }
            for account, field, slot, kind in access_set.accesses
        ],
        "debits": [
            {"address": to_data(account), "amount": to_quantity(amount)}
            for account, amount in access_set.debits
        ],
    }


def _tag_reasons(tag: str | None) -> list[Json]:
    if tag != "SEQUENTIAL":
        return []
    return [{"kind": "tag", "message": "the sender asks for sequential execution"}]


def _knowledge_reasons(access_set: AccessSet) -> list[Json]:
    if access_set.is_known:
        return []
    return [
        {"kind": "unknown", "message": "its accesses are not known: pre-execution could not run or gave up"}
    ]


def _conflict_reason(conflict: tuple[bytes, bytes, str, bytes | None, str, str]) -> dict[str, Json]:
    other, account, field, slot, theirs, ours = conflict
    place = field if slot is None else f"{field} {to_data(slot)}"
    return {
        "kind": "conflict",
        "with": to_data(other),
        "address": to_data(account),
        "field": field,
        "slot": to_data(slot) if slot is not None else None,
        "theirs": theirs,
        "ours": ours,
        "message": f"{ours} of {place} of {to_data(account)}, where {to_data(other)} has a {theirs}",
    }
