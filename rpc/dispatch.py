"""
From the bytes of a request to the bytes of its answer.

In: a message and its caller. Out: the answer, or `None` if nothing is to be said. Single calls run through
jsonrpcserver on our own method table; envelope, batches, limits and texts are geth's. The items of a batch
are executed one after the other and answered in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import CoroutineType

import structlog
from jsonrpcserver import JsonRpcError, Result, Success, async_dispatch_to_serializable

from rpc.caller import Caller
from rpc.envelope import (
    Call,
    Refused,
    check_method_name,
    read_message,
    stream_result,
    write_error,
    write_result,
)
from rpc.errors import (
    INTERNAL_ERROR,
    HandlerCrashed,
    InvalidRequest,
    Json,
    MethodNotFound,
    NotificationsUnsupported,
    RequestTimedOut,
    ResponseTooLarge,
    RpcError,
    as_rpc_error,
)
from rpc.json_text import encode, whole_value
from rpc.method import Method, MethodTable
from rpc.parameters import Signature, parse_parameters, required
from rpc.quantities import subscription_id
from rpc.streamed import Streamed

log = structlog.get_logger("parallelpool.rpc")

PIPELINED_RESULT_BYTES = 68
"""Encoded size of a pipelined method's result: one hash in quotes."""

UNSUBSCRIBE: Signature = required(subscription_id)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch; 0 is none."""

    requests: int = 1_000
    response_bytes: int = 25_000_000


@dataclass(frozen=True, slots=True)
class Begun:
    """A pipelined call that is under way without a task of its own."""

    call: Call
    caller: Caller
    outcome: asyncio.Future[object] | RpcError
    """Of the work; or why none was begun."""
    began: float
    """Of `time.perf_counter`."""


class Dispatcher:
    """Serves messages from a fixed table of methods."""

    def __init__(self, methods: MethodTable, limits: BatchLimits) -> None:
        self._methods = dict(methods)
        self._limits = limits
        self._unfinished: set[asyncio.Task[object]] = set()
        self._served = {name: self._for_jsonrpcserver(name) for name in methods}
        self.calls: Counter[str] = Counter()
        """Calls by method since the start; unknown methods count as the empty name."""
        self.failures: Counter[int] = Counter()
        """Error answers by code since the start."""

    async def respond(self, octets: bytes, caller: Caller) -> bytes | Streamed | None:
        """
        The answer to the message that `octets` are.

        Raises JsonSyntaxError if it is no JSON, EOFError if it is empty: what to say then is the transport's matter.
        """
        return await self.respond_to(whole_value(octets), caller)

    async def respond_to(self, message: Json, caller: Caller) -> bytes | Streamed | None:
        """The answer to one parsed message; `None` if it wants none."""
        if isinstance(message, list):
            return await self._respond_to_batch(message, caller)
        return await self._respond_to_single(message, caller)

    # -- single calls

    async def _respond_to_single(self, message: Json, caller: Caller) -> bytes | Streamed | None:
        call = read_message(message)
        if call is None:
            return None
        if isinstance(call, Refused):
            return self._refuse(call)
        if caller.time_limit_s is None:
            return await self._serve(call, caller)
        try:
            async with asyncio.timeout(caller.time_limit_s):
                return await self._serve(call, caller)
        except TimeoutError:
            return self._error(call, RequestTimedOut())

    async def _serve(self, call: Call, caller: Caller) -> bytes | Streamed | None:
        """Executes one call and writes its answer, and one line about it to the log."""
        began = time.perf_counter()
        code = 0
        answer: bytes | Streamed | None
        try:
            answer = _written(call, await self._execute(call, caller))
        except RpcError as error:
            code = error.code
            answer = self._error(call, error)
        except TypeError as problem:
            log.exception("result has no JSON form", method=call.method)
            code = INTERNAL_ERROR
            answer = self._error(call, RpcError(str(problem), code=code))
        tell(call.method, caller.transport, caller.address, code, began)
        return answer

    def begin(self, message: Json, caller: Caller) -> Begun | None:
        """
        Begins a message that is one pipelined call, without a task; `None` for any other message.

        `end` gives the answer when the outcome is there. Its time is for who waits to limit, by a RequestTimedOut in
        place of the outcome.
        """
        if type(message) is not dict or not self._is_pipelined(message.get("method")):
            return None
        call = read_message(message)
        if not isinstance(call, Call):
            return None
        return Begun(call, caller, self._begin(call, caller), time.perf_counter())

    def end(self, begun: Begun) -> bytes | None:
        """The answer to what `begin` has begun, and one line about it to the log."""
        answer, code = self._end(begun.call, begun.outcome)
        tell(begun.call.method, begun.caller.transport, begun.caller.address, code, begun.began)
        return answer

    def takes_all(self, name: str, modules: frozenset[str] | None) -> bool:
        """Whether `take_all` serves this method, for callers who are offered these namespaces."""
        method = self._methods.get(name)
        is_offered = modules is None or name.partition("_")[0] in modules
        return method is not None and method.take_all is not None and is_offered

    async def take_all(
        self, name: str, given: Sequence[object], time_limit_s: float | None
    ) -> list[RpcError | None]:
        """
        Serves calls of a method whose parameters were read by others: the error that each is answered with, if any.

        Raises CancelledError where who does the work is being closed.
        """
        take_all = self._methods[name].take_all
        assert take_all is not None, "the method takes many"
        self.calls[name] += len(given)
        try:
            async with asyncio.timeout(time_limit_s):
                outcomes = await take_all(given)
            refusals = [None if each is None else _refusal(name, each) for each in outcomes]
        except TimeoutError:
            refusals = [RequestTimedOut() for _ in given]
        except Exception as error:  # noqa: BLE001 - becomes the answer, as in `_run`
            refusals = [_refusal(name, error) for _ in given]
        for refusal in refusals:
            if refusal is not None:
                self.failures[refusal.code] += 1
        return refusals

    def _is_pipelined(self, name: Json) -> bool:
        method = self._methods.get(name) if isinstance(name, str) else None
        return method is not None and method.is_pipelined

    async def _execute(self, call: Call, caller: Caller) -> object:
        """The method's result. Raises RpcError."""
        if call.method.endswith("_subscribe"):
            return self._subscribe(call, caller)
        if call.method.endswith("_unsubscribe"):
            return self._unsubscribe(call, caller)
        method = self._find(call.method, caller)
        if method.is_hot:
            return await self._run(call.method, method, caller, call.params)
        return await self._dispatch(call, caller)

    def _find(self, name: str, caller: Caller) -> Method:
        """The row of the table, if this caller may use it."""
        check_method_name(name)
        method = self._methods.get(name)
        if method is None or not _offers(caller, name) or (method.is_operator and not caller.is_operator):
            self.calls[""] += 1
            raise MethodNotFound(name)
        self.calls[name] += 1
        return method

    async def _run(self, name: str, method: Method, caller: Caller, params: Json) -> object:
        """Converts the parameters and calls the method. Raises RpcError, and nothing else."""
        values = parse_parameters(params, method.signature)
        if method.wants_caller:
            values.insert(0, caller)
        try:
            result = method.handler(*values)
            if isinstance(result, asyncio.Future):
                result = await result
            elif isinstance(result, CoroutineType):
                result = await (self._to_the_end(result) if method.outlives_caller else result)
            return result if method.show is None else method.show(result)
        except Exception as error:
            raise _refusal(name, error) from error

    async def _to_the_end(self, work: Coroutine[object, object, object]) -> object:
        task = asyncio.get_running_loop().create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Waits for what outlived its callers."""
        if self._unfinished:
            await asyncio.wait(self._unfinished)

    async def _dispatch(self, call: Call, caller: Caller) -> object:
        """The same through jsonrpcserver, which knows the params as one opaque argument."""
        request: dict[str, object] = {"method": call.method, "params": [call.params], "id": 0}
        reply = await async_dispatch_to_serializable(
            request, self._served, context=caller, deserializer=_unchanged, validator=_unchanged
        )
        assert isinstance(reply, dict), "a request with an id gets one reply"
        if (error := reply.get("error")) is not None:
            raise RpcError(error["message"], code=error["code"], data=error.get("data"))
        return reply["result"]

    def _for_jsonrpcserver(self, name: str) -> Callable[[Caller, Json], Awaitable[Result]]:
        async def serve(caller: Caller, params: Json) -> Result:
            try:
                return Success(await self._run(name, self._methods[name], caller, params))
            except RpcError as error:
                raise JsonRpcError(error.code, error.message, error.data) from error

        return serve

    # -- subscriptions

    def _subscribe(self, call: Call, caller: Caller) -> str:
        if caller.notifier is None:
            raise NotificationsUnsupported
        check_method_name(call.method)
        namespace = call.method.removesuffix("_subscribe")
        if not _offers(caller, call.method):
            raise MethodNotFound(call.method)
        return caller.notifier.subscribe(namespace, call.params)

    def _unsubscribe(self, call: Call, caller: Caller) -> bool:
        (subscription_id,) = parse_parameters(call.params, UNSUBSCRIBE)
        assert isinstance(subscription_id, str), "the parameter is a text"
        if caller.notifier is None:
            raise RpcError("subscription not found")
        return caller.notifier.unsubscribe(subscription_id)

    # -- batches

    async def _respond_to_batch(self, messages: list[Json], caller: Caller) -> bytes | None:
        if not messages:
            return write_error(None, InvalidRequest("empty batch"))
        asked = [read_message(message) for message in messages]
        if self._limits.requests and len(asked) > self._limits.requests:
            first_id = next(
                (call.id for call in asked if isinstance(call, Call) and not call.is_notification), None
            )
            return b"[%b]" % write_error(first_id, InvalidRequest("batch too large"))
        calls = [call for call in asked if call is not None]
        answers: list[bytes | None] = []
        try:
            async with asyncio.timeout(caller.time_limit_s):
                await self._serve_in_order(calls, caller, answers)
        except TimeoutError:
            answers += [self._fail(call, RequestTimedOut()) for call in calls[len(answers) :]]
        except ResponseTooLarge as error:
            answers += [self._fail(call, error) for call in calls[len(answers) :]]
        said = [answer for answer in answers if answer is not None]
        return b"[%b]" % b",".join(said) if said else None

    async def _serve_in_order(
        self, calls: list[Call | Refused], caller: Caller, answers: list[bytes | None]
    ) -> None:
        """Appends one answer per call. Raises ResponseTooLarge where the rest is not to be executed."""
        budget = self._limits.response_bytes
        spent = 0
        while len(answers) < len(calls):
            together = self._run_of_pipelined(calls, len(answers))
            if budget and spent + len(together) * PIPELINED_RESULT_BYTES > budget:
                together = together[:1]
            if len(together) > 1:
                fresh = await self._serve_together(together, caller)
            else:
                call = calls[len(answers)]
                fresh = [await self._serve_whole(call, caller)]
            answers += fresh
            spent += sum(len(answer) for answer in fresh if answer is not None)
            if budget and spent > budget and len(answers) < len(calls):
                raise ResponseTooLarge

    async def _serve_whole(self, call: Call | Refused, caller: Caller) -> bytes | None:
        """The answer in one piece, as the limit of a batch wants it."""
        answer = self._refuse(call) if isinstance(call, Refused) else await self._serve(call, caller)
        return await answer.joined() if isinstance(answer, Streamed) else answer

    async def _serve_together(self, calls: list[Call], caller: Caller) -> list[bytes | None]:
        """As `_serve` for each, all begun before the first is waited for; without a task for each."""
        begun = [self._begin(call, caller) for call in calls]
        waiting = [each for each in begun if isinstance(each, asyncio.Future) and not each.done()]
        if waiting:
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError:
                for each in waiting:
                    each.cancel()
                raise
        return [self._end(call, each)[0] for call, each in zip(calls, begun, strict=True)]

    def _begin(self, call: Call, caller: Caller) -> asyncio.Future[object] | RpcError:
        """The work of a pipelined call, begun; or why not."""
        try:
            method = self._find(call.method, caller)
            values = parse_parameters(call.params, method.signature)
            begun = method.handler(*values)
            assert isinstance(begun, Awaitable), "a pipelined method gives an awaitable"
            return asyncio.ensure_future(begun)
        except Exception as error:  # noqa: BLE001 - becomes the answer, as in `_run`
            return _refusal(call.method, error)

    def _end(self, call: Call, begun: asyncio.Future[object] | RpcError) -> tuple[bytes | None, int]:
        """The answer to a pipelined call whose work has ended, and its code; 0 is success."""
        if isinstance(begun, RpcError):
            return self._error(call, begun), begun.code
        try:
            result = begun.result()
            show = self._methods[call.method].show
            shown = encode(result if show is None else show(result))
        except Exception as error:  # noqa: BLE001 - becomes the answer, as in `_run`
            refusal = _refusal(call.method, error)
            return self._error(call, refusal), refusal.code
        return None if call.is_notification else write_result(call.id, shown), 0

    def _run_of_pipelined(self, calls: list[Call | Refused], start: int) -> list[Call]:
        """The calls from `start` on that may wait together."""
        together: list[Call] = []
        for call in calls[start:]:
            if not isinstance(call, Call) or not self._is_pipelined(call.method):
                break
            together.append(call)
        return together

    # -- refusals

    def _refuse(self, refused: Refused) -> bytes:
        error = InvalidRequest("invalid request")
        self.failures[error.code] += 1
        return write_error(refused.id, error)

    def _error(self, call: Call, error: RpcError) -> bytes | None:
        self.failures[error.code] += 1
        return None if call.is_notification else write_error(call.id, error)

    def _fail(self, call: Call | Refused, error: RpcError) -> bytes | None:
        return self._refuse(call) if isinstance(call, Refused) else self._error(call, error)


def tell(method: str, transport: str, peer: str, code: int, began: float) -> None:
    """One line about a call that has been served; `began` is of `time.perf_counter`."""
    log.debug(
        "request served",
        method=method[:64],
        code=code,
        transport=transport,
        peer=peer,
        duration_ms=round((time.perf_counter() - began) * 1e3, 3),
    )


def _written(call: Call, result: object) -> bytes | Streamed | None:
    """The answer around a result. Raises TypeError for what has no JSON form."""
    if isinstance(result, Streamed):
        return None if call.is_notification else stream_result(call.id, result)
    encoded = encode(result)
    return None if call.is_notification else write_result(call.id, encoded)


def _refusal(name: str, error: Exception) -> RpcError:
    """The answer to what a handler raised; a bug is told to the log and not to the caller."""
    answer = as_rpc_error(error)
    if answer is None:
        log.exception("method handler crashed", method=name)  # noqa: LOG004 - called while it is handled
        return HandlerCrashed()
    if answer.code == INTERNAL_ERROR:
        log.error("engine failed", method=name, error=str(error))
    return answer


def _offers(caller: Caller, method: str) -> bool:
    """Whether the caller's transport offers the method's namespace."""
    namespace = method.partition("_")[0]
    return caller.modules is None or namespace in caller.modules or namespace == "rpc"


def _unchanged(message: object) -> object:
    return message
