"""
Offers of batches to callers: looked at once, waited for, or asked for again.

In: a request of the published schema. Out: the answer as JSON. A look takes nothing away from anybody. A long poll
ends when there is something new to say, and never later than asked for. An answer stays known under its request id
for a while, so that a caller who lost it gets the very same again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from parallelpool.events import HeadChanged, TransactionDropped, TransactionsPromoted
from rpc.backend import Backend
from rpc.errors import InvalidParams, Json
from rpc.namespaces.parallel_batch_request import BatchRequest, check_binding
from rpc.namespaces.parallel_batches import offer_view
from rpc.quantities import to_data

if TYPE_CHECKING:
    from rpc.caller import Caller

COALESCE_S: Final = 0.05
"""Changes of the pool that come within this time are looked at together."""

REMEMBERED_S: Final = 60.0
REMEMBERED_ANSWERS: Final = 64
"""How long, and how many, answers stay known under their request id."""

MARGIN_S: Final = 1.0
"""A long poll ends so long before the server would give up on the call."""

View: TypeAlias = dict[str, Json]


@dataclass(frozen=True, slots=True)
class _Remembered:
    request: BatchRequest
    answer: asyncio.Task[View]
    until: float


class Offers:
    """What callers are told of the batches on offer."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._remembered: OrderedDict[tuple[str, bytes], _Remembered] = OrderedDict()

    async def look(self, request: BatchRequest) -> View:
        """The batches on offer now. Raises RpcError if the caller builds on another block than the head."""
        chain = self._backend.chain
        check_binding(request, chain)
        offer = await self._backend.batches.current(request.selection)
        # The head may have moved while the offer was made.
        check_binding(request, chain)
        base_fee = chain.next_base_fee(offer.parent.number)
        return offer_view(offer, request, chain_id=chain.chain_id, base_fee=base_fee)

    async def get(self, caller: Caller, request: BatchRequest) -> View:
        """The answer to `parallel_getBatches`: at once, after a while, or the one that was given before."""
        if request.request_id is None:
            return await self._wait(caller, request)
        key = (request.consumer_id, request.request_id)
        now = asyncio.get_running_loop().time()
        self._forget(now)
        held = self._remembered.get(key)
        if held is None:
            answer = asyncio.get_running_loop().create_task(self._wait(caller, request))
            held = self._remembered[key] = _Remembered(request, answer, now + REMEMBERED_S)
        elif held.request != request:
            raise InvalidParams(f"requestId {to_data(key[1])} was used for another request")
        try:
            return await asyncio.shield(held.answer)
        except Exception:
            # A refusal is no answer to keep: the same request may do on the next head.
            if self._remembered.get(key) is held:
                del self._remembered[key]
            raise

    async def _wait(self, caller: Caller, request: BatchRequest) -> View:
        wait_s = request.wait_s
        if caller.time_limit_s is not None:
            wait_s = min(wait_s, caller.time_limit_s - MARGIN_S)
        if wait_s <= 0:
            return await self.look(request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        kinds = (HeadChanged, TransactionsPromoted, TransactionDropped)
        with self._backend.events.subscribe(*kinds, capacity=1) as feed:
            answer = await self.look(request)
            while not _is_worth_telling(answer, request) and await feed.wait_next(deadline - loop.time()):
                await asyncio.sleep(max(0.0, min(COALESCE_S, deadline - loop.time())))
                feed.drain()
                answer = await self.look(request)
        return answer

    def _forget(self, now: float) -> None:
        """Drops the oldest answers beyond age and number; one that is still being waited for goes on unseen."""
        while self._remembered:
            oldest = next(iter(self._remembered.values()))
            if oldest.until > now and len(self._remembered) < REMEMBERED_ANSWERS:
                return
            self._remembered.popitem(last=False)


def _is_worth_telling(answer: View, request: BatchRequest) -> bool:
    """
    Whether a caller who is willing to wait should hear this.

    Whoever knows a state waits for another one; whoever brings a budget, for enough to fill it; anybody else, for
    the first batch.
    """
    if request.if_none_match is not None:
        return not answer["notModified"]
    batches = answer["batches"]
    if request.has_budget:
        return bool(answer["filtered"]) and bool(batches)
    return bool(batches)
