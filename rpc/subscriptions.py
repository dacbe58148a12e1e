"""
Subscriptions of one connection (`eth_subscribe` and `parallel_subscribe`, WebSocket and IPC).

In: news. Out: notifications into the connection's outbox. All subscriptions end with their connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rpc import views
from rpc.caller import NotificationSink
from rpc.errors import InvalidParams, Json, RpcError, SubscriptionNotFound
from rpc.log_filter import LogFilter, check_future, check_size, is_in_range, log_filter
from rpc.namespaces.parallel_batch_request import BatchRequest
from rpc.namespaces.parallel_conflicts import ConflictRequest, conflict_request
from rpc.news import LogNews, News
from rpc.parallel_subscriptions import Contention, Departures, Heads, OfferedBatches, batch_filter
from rpc.parameters import Signature, optional, parse_parameters, required
from rpc.quantities import boolean, text, to_data
from rpc.subscription import Subscription

if TYPE_CHECKING:
    from parallelpool.chain import Header
    from parallelpool.transaction import Transaction
    from rpc.batch_news import BatchNews

HELD_SUBSCRIPTIONS: Final = 1_000
"""Subscriptions of one connection."""

ANY_NAME: Final = required(text)

KINDS: Final[dict[tuple[str, str], Signature]] = {
    ("eth", "newHeads"): ANY_NAME,
    ("eth", "logs"): ANY_NAME + required(log_filter),
    ("eth", "newPendingTransactions"): ANY_NAME + optional(boolean),
    ("eth", "syncing"): ANY_NAME,
    ("parallel", "heads"): ANY_NAME,
    ("parallel", "departures"): ANY_NAME,
    ("parallel", "batches"): ANY_NAME + optional(batch_filter),
    ("parallel", "conflicts"): ANY_NAME + optional(conflict_request),
}
"""What can be subscribed to, with its parameters. Our own chain never syncs, so `syncing` stays silent."""


class NewHeads(Subscription):
    """Tells each new header."""

    def head_added(self, header: Header, /) -> None:
        self._tell(views.new_head(header))


class NewLogs(Subscription):
    """Tells each new log that matches, and each that a reorg removed."""

    wants_logs = True

    def __init__(self, outbox: NotificationSink, wanted: LogFilter) -> None:
        super().__init__(outbox)
        self._wanted = wanted

    def logs_added(self, logs: Sequence[LogNews], /) -> None:
        for news in logs:
            if is_in_range(self._wanted, news.number) and self._wanted.matches(news.entry):
                self._tell(news.view)


class NewPendingTransactions(Subscription):
    """Tells each transaction that became executable."""

    def __init__(self, outbox: NotificationSink, *, full: bool) -> None:
        super().__init__(outbox)
        self._full = full

    def transactions_promoted(self, transactions: Sequence[Transaction], /) -> None:
        for tx in transactions:
            self._tell(views.transaction(tx) if self._full else to_data(tx.hash))


class ConnectionSubscriptions:
    """The notifier of one connection."""

    def __init__(
        self, news: News, batch_news: BatchNews, outbox: NotificationSink, *, log_query_limit: int
    ) -> None:
        self._news = news
        self._batch_news = batch_news
        self._outbox = outbox
        self._log_query_limit = log_query_limit
        self._held: dict[str, Subscription] = {}
        self._fresh: list[Subscription] = []

    def __len__(self) -> int:
        """Subscriptions held now."""
        return len(self._held)

    def subscribe(self, namespace: str, params: Json, /) -> str:
        """Begins a subscription and gives its id. Raises RpcError in geth's words."""
        kind = _kind_of(params)
        signature = KINDS.get((namespace, kind))
        if signature is None:
            raise SubscriptionNotFound(namespace, kind)
        _, *arguments = parse_parameters(params, signature)
        if len(self._held) >= HELD_SUBSCRIPTIONS:
            raise RpcError(f"too many subscriptions (limit {HELD_SUBSCRIPTIONS})")
        made = self._make(kind, arguments)
        self._held[made.id] = made
        self._fresh.append(made)
        if isinstance(made, OfferedBatches | Contention):
            self._batch_news.add(made)
        else:
            self._news.add(made)
        return made.id

    def unsubscribe(self, subscription_id: str, /) -> bool:
        """Ends a subscription. Raises RpcError if there is none."""
        ended = self._held.pop(subscription_id, None)
        if ended is None:
            raise RpcError("subscription not found")
        self._end(ended)
        return True

    def activate(self) -> None:
        """Lets the news of new subscriptions flow."""
        fresh, self._fresh = self._fresh, []
        for subscription in fresh:
            subscription.activate()

    def close(self) -> None:
        """Ends all subscriptions."""
        for subscription in self._held.values():
            self._end(subscription)
        self._held.clear()

    def _end(self, subscription: Subscription) -> None:
        if isinstance(subscription, OfferedBatches | Contention):
            self._batch_news.remove(subscription)
        else:
            self._news.remove(subscription)

    def _make(self, kind: str, arguments: list[object]) -> Subscription:
        match kind:
            case "newHeads":
                return NewHeads(self._outbox)
            case "logs":
                (wanted,) = arguments
                assert isinstance(wanted, LogFilter), "the kind's parameter is a filter"
                check_size(wanted, self._log_query_limit)
                check_future(wanted)
                return NewLogs(self._outbox, wanted)
            case "newPendingTransactions":
                return NewPendingTransactions(self._outbox, full=arguments == [True])
            case "heads":
                return Heads(self._outbox)
            case "departures":
                return Departures(self._outbox)
            case "batches":
                (request,) = arguments
                assert request is None or isinstance(request, BatchRequest), (
                    "the kind's parameter is a request"
                )
                return OfferedBatches(self._outbox, request or batch_filter({}))
            case "conflicts":
                (wanted,) = arguments
                assert wanted is None or isinstance(wanted, ConflictRequest), (
                    "the kind's parameter is a request"
                )
                return Contention(self._outbox, wanted or conflict_request({}))
            case _:
                return Subscription(self._outbox)


def _kind_of(params: Json) -> str:
    if not isinstance(params, list):
        raise InvalidParams("non-array args")
    if not params or not isinstance(params[0], str):
        raise InvalidParams("expected subscription name as first argument")
    return params[0]
