"""Envelope, errors and batches, against a dispatcher with a small table."""

import asyncio
import json
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from rpc.caller import Caller
from rpc.dispatch import BatchLimits, Dispatcher
from rpc.errors import Json
from rpc.method import Method
from rpc.streamed import Streamed
from tests.rpc.conftest import MODULES, Probe

HTTP = Caller("http", "127.0.0.1", MODULES, is_operator=True)
STRANGER = Caller("http", "192.0.2.1", MODULES, is_operator=False)


@pytest.fixture
def dispatcher(probe: Probe) -> Dispatcher:
    """A dispatcher with room for three items and a thousand bytes in a batch."""
    return Dispatcher(probe.table(), BatchLimits(requests=3, response_bytes=1_000))


async def ask(dispatcher: Dispatcher, message: Json, caller: Caller = HTTP) -> Json:
    """The parsed answer; `None` for silence."""
    answer = await dispatcher.respond(json.dumps(message).encode(), caller)
    if isinstance(answer, Streamed):
        answer = await answer.joined()
    return json.loads(answer) if answer is not None else None


def call(method: str, *params: Json, id: Json = 1) -> dict[str, Json]:  # noqa: A002 - the envelope's word
    """A request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": list(params)}


def error(code: int, message: str, id: Json = 1) -> dict[str, Json]:  # noqa: A002 - the envelope's word
    """An error answer."""
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}


INVALID = "invalid request"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"jsonrpc": "2.0", "id": 1}, error(-32600, INVALID)),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, error(-32600, INVALID)),
        ({"jsonrpc": "2.0", "id": 1, "method": ""}, error(-32600, INVALID)),
        ({"jsonrpc": "2.1", "id": 1, "method": "test_echo"}, error(-32600, INVALID)),
        ({"jsonrpc": 2.0, "id": 1, "method": "test_echo"}, error(-32600, INVALID)),
        ({"id": 1, "method": "test_echo"}, error(-32600, INVALID)),
        ({"id": 1}, error(-32600, INVALID)),
        ({}, error(-32600, INVALID, None)),
        ({"jsonrpc": "2.0", "id": {}, "method": "test_echo"}, error(-32600, INVALID, None)),
        ({"jsonrpc": "2.0", "id": [1], "method": "test_echo"}, error(-32600, INVALID, None)),
        (1, error(-32600, INVALID, None)),
        ("x", error(-32600, INVALID, None)),
        (None, error(-32600, INVALID, None)),
        (True, error(-32600, INVALID, None)),
        ([], error(-32600, "empty batch", None)),
        ([[]], [error(-32600, INVALID, None)]),
        ([1, None], [error(-32600, INVALID, None), error(-32600, INVALID, None)]),
        ({"jsonrpc": "2.0", "id": 1, "result": 5}, None),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}, None),
        ({"jsonrpc": "2.0", "id": 1, "error": None}, None),
        ({"jsonrpc": "2.0", "id": 1, "error": "x"}, None),
        (call("test_missing"), error(-32601, "the method test_missing does not exist/is not available")),
        (call("nothing"), error(-32601, "the method nothing does not exist/is not available")),
        (call("admin_peers"), error(-32601, "the method admin_peers does not exist/is not available")),
        (call("x" * 2049), error(-32600, "method name too long: 2049 > 2048")),
        (call("x" * 2048), error(-32601, f"the method {'x' * 2048} does not exist/is not available")),
        (call("eth_subscribe", "newHeads"), error(-32601, "notifications not supported")),
        (call("eth_unsubscribe", "0x1"), error(-32000, "subscription not found")),
        (call("test_echo"), error(-32602, "missing value for required argument 0")),
        (call("test_echo", "a", "0x1", 3), error(-32602, "too many arguments, want at most 2")),
        (
            {"jsonrpc": "2.0", "id": 1, "method": "test_echo", "params": {"said": "a"}},
            error(-32602, "non-array args"),
        ),
        (call("test_crash"), error(-32603, "method handler crashed")),
    ],
)
async def test_malformed_messages_are_answered_as_geth_does(
    dispatcher: Dispatcher, message: Json, answer: Json
) -> None:
    """Code, words and id of every way to get a message wrong."""
    assert await ask(dispatcher, message) == answer


@pytest.mark.parametrize("id", [0, 1, -5, 1.5, "", "abc", None, True])
async def test_any_scalar_id_is_echoed(dispatcher: Dispatcher, id: Json) -> None:  # noqa: A002
    """Also null, which is an id and no notification."""
    assert await ask(dispatcher, call("test_echo", "a", id=id)) == {
        "jsonrpc": "2.0",
        "id": id,
        "result": ["a", None],
    }


async def test_an_id_that_is_no_integer_is_echoed_to_the_letter(dispatcher: Dispatcher) -> None:
    """Clients compare ids as texts, or as integers of any width."""
    message = b'{"jsonrpc":"2.0","id":12345678901234567890123.50,"method":"test_echo","params":["a"]}'

    assert await dispatcher.respond(message, HTTP) == (
        b'{"jsonrpc":"2.0","id":12345678901234567890123.50,"result":["a",null]}'
    )


async def test_the_keys_of_an_answer_are_in_geths_order(dispatcher: Dispatcher) -> None:
    """Version, id, then result or error; code, message, data."""
    good = await dispatcher.respond(json.dumps(call("test_echo", "a")).encode(), HTTP)
    bad = await dispatcher.respond(json.dumps(call("test_fail")).encode(), HTTP)

    assert good == b'{"jsonrpc":"2.0","id":1,"result":["a",null]}'
    assert bad == b'{"jsonrpc":"2.0","id":1,"error":{"code":7,"message":"refused","data":"0x01"}}'


async def test_a_notification_is_executed_in_silence(dispatcher: Dispatcher, probe: Probe) -> None:
    """No id, no answer, not even to a failure."""
    assert await ask(dispatcher, {"jsonrpc": "2.0", "method": "test_note", "params": ["a"]}) is None
    assert await ask(dispatcher, {"jsonrpc": "2.0", "method": "test_fail"}) is None

    assert probe.order == ["a"]


async def test_a_batch_of_notifications_is_silent(dispatcher: Dispatcher, probe: Probe) -> None:
    """Nothing is answered, not even an empty list."""
    note: Json = {"jsonrpc": "2.0", "method": "test_note", "params": ["a"]}

    assert await ask(dispatcher, [note, note]) is None
    assert probe.order == ["a", "a"]


async def test_a_batch_is_executed_and_answered_in_order(dispatcher: Dispatcher, probe: Probe) -> None:
    """One after the other, junk answered in its place."""
    answers = await ask(dispatcher, [call("test_note", "a"), 5, call("test_note", "b", id="x")])

    assert probe.order == ["a", "b"]
    assert answers == [
        {"jsonrpc": "2.0", "id": 1, "result": True},
        error(-32600, INVALID, None),
        {"jsonrpc": "2.0", "id": "x", "result": True},
    ]


async def test_a_batch_item_waits_for_the_one_before(dispatcher: Dispatcher, probe: Probe) -> None:
    """Items do not run side by side."""
    batch: Json = [call("test_wait"), call("test_note", "after")]
    asking = asyncio.ensure_future(ask(dispatcher, batch))
    await asyncio.sleep(0)

    assert probe.order == []

    probe.released.set()
    await asking

    assert probe.order == ["after"]


async def test_pipelined_neighbours_wait_together_in_order(dispatcher: Dispatcher, probe: Probe) -> None:
    """They are begun in order, and answered in order."""
    answers = await ask(dispatcher, [call("test_pipelined", word) for word in "abc"])

    assert isinstance(answers, list)
    assert [answer["result"] for answer in answers] == ["a", "b", "c"]
    assert probe.order == ["begin a", "begin b", "begin c", "end a", "end b", "end c"]


async def test_other_calls_wait_for_pipelined_ones(dispatcher: Dispatcher, probe: Probe) -> None:
    """A later call sees what the earlier ones did."""
    await ask(dispatcher, [call("test_pipelined", "a"), call("test_note", "b"), call("test_pipelined", "c")])

    assert probe.order == ["begin a", "end a", "b", "begin c", "end c"]


async def test_a_batch_above_the_limit_is_refused_whole(dispatcher: Dispatcher, probe: Probe) -> None:
    """One error in a list, under the id of the first call."""
    note: Json = {"jsonrpc": "2.0", "method": "test_note", "params": ["a"]}

    calls = await ask(dispatcher, [note, call("test_note", "b", id=7), note, note])
    notes = await ask(dispatcher, [note] * 4)

    assert calls == [error(-32600, "batch too large", 7)]
    assert notes == [error(-32600, "batch too large", None)]
    assert probe.order == []


async def test_large_answers_end_a_batch(dispatcher: Dispatcher, probe: Probe) -> None:
    """The answer that goes over the limit is still given; the rest is not executed."""
    answers = await ask(
        dispatcher,
        [
            call("test_large", "0x400"),
            call("test_note", "a", id=2),
            {"jsonrpc": "2.0", "method": "test_note"},
        ],
    )

    assert isinstance(answers, list)
    assert answers[0]["result"] == "x" * 1024
    assert answers[1:] == [error(-32003, "response too large", 2)]
    assert probe.order == []


async def test_pipelined_calls_respect_the_size_limit(probe: Probe) -> None:
    """What the limit cuts off has not been executed."""
    tight = Dispatcher(probe.table(), BatchLimits(requests=10, response_bytes=100))

    answers = await ask(tight, [call("test_pipelined", word, id=word) for word in "abcd"])

    assert isinstance(answers, list)
    executed = [answer["id"] for answer in answers if "result" in answer]
    assert [line for line in probe.order if line.startswith("begin")] == [
        f"begin {word}" for word in executed
    ]
    assert [answer["error"]["message"] for answer in answers[len(executed) :]] == ["response too large"] * (
        4 - len(executed)
    )
    assert executed != list("abcd")


@pytest.mark.parametrize("method", ["test_wait", "test_echo"])
async def test_time_limits(dispatcher: Dispatcher, method: str) -> None:
    """A call beyond the server's time limit is answered so, alone and in a batch; the rest of the batch too."""
    hurried = Caller("http", "127.0.0.1", MODULES, is_operator=True, time_limit_s=0.5)
    late = error(-32002, "request timed out")

    if method == "test_wait":
        assert await ask(dispatcher, call("test_wait"), hurried) == late
    else:
        batch: Json = [call("test_echo", "a"), call("test_wait"), call("test_echo", "b")]
        assert await ask(dispatcher, batch, hurried) == [
            {"jsonrpc": "2.0", "id": 1, "result": ["a", None]},
            late,
            late,
        ]


async def test_some_work_outlives_its_caller(dispatcher: Dispatcher, probe: Probe) -> None:
    """The caller is told that time ran out; the work goes on, and a stop waits for it."""
    hurried = Caller("http", "127.0.0.1", MODULES, is_operator=True, time_limit_s=0.5)
    answer = await ask(dispatcher, call("test_finish"), hurried)
    stopping = asyncio.ensure_future(dispatcher.settle())
    await asyncio.sleep(0)

    assert answer == error(-32002, "request timed out")
    assert (probe.order, stopping.done()) == ([], False)

    probe.released.set()
    await stopping

    assert probe.order == ["finished"]


async def test_a_result_without_json_form_is_an_internal_error(dispatcher: Dispatcher) -> None:
    """The encoder's text is the message."""
    answer = await ask(dispatcher, call("test_unspeakable"))

    assert answer == error(-32603, "Type is not JSON serializable: set")


async def test_a_crash_is_logged_with_its_cause(dispatcher: Dispatcher) -> None:
    """The client learns nothing about the bug, the operator all."""
    with capture_logs() as logs:
        await ask(dispatcher, call("test_crash"))

    crashed = [line for line in logs if line["event"] == "method handler crashed"]
    assert [(line["log_level"], line["method"], line["exc_info"]) for line in crashed] == [
        ("error", "test_crash", True)
    ]


async def test_each_call_leaves_one_line(dispatcher: Dispatcher) -> None:
    """Method, code, transport, peer and duration."""
    with capture_logs() as logs:
        await ask(dispatcher, call("test_fail"))

    (line,) = [line for line in logs if line["event"] == "request served"]
    assert (line["method"], line["code"], line["transport"], line["peer"], line["log_level"]) == (
        "test_fail",
        7,
        "http",
        "127.0.0.1",
        "debug",
    )
    assert line["duration_ms"] >= 0


async def test_operator_methods_do_not_exist_for_strangers(dispatcher: Dispatcher) -> None:
    """The answer is that of an unknown method."""
    assert await ask(dispatcher, call("test_operate")) == {"jsonrpc": "2.0", "id": 1, "result": True}
    assert await ask(dispatcher, call("test_operate"), STRANGER) == error(
        -32601, "the method test_operate does not exist/is not available"
    )


async def test_only_offered_namespaces_exist(dispatcher: Dispatcher) -> None:
    """A transport serves the modules it was given, all if none were named."""
    narrow = Caller("http", "127.0.0.1", frozenset({"eth"}), is_operator=True)
    wide = Caller("ipc", "", None, is_operator=True)

    assert await ask(dispatcher, call("test_echo", "a"), narrow) == error(
        -32601, "the method test_echo does not exist/is not available"
    )
    assert await ask(dispatcher, call("test_echo", "a"), wide) == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": ["a", None],
    }


async def test_calls_and_failures_are_counted(dispatcher: Dispatcher) -> None:
    """By method and by code; unknown names do not fill the memory."""
    for message in (call("test_echo", "a"), call("test_fail"), call("made_up"), call("made_up_too"), {}):
        await ask(dispatcher, message)

    assert dict(dispatcher.calls) == {"test_echo": 1, "test_fail": 1, "": 2}
    assert dict(dispatcher.failures) == {7: 1, -32601: 2, -32600: 1}


@pytest.mark.parametrize(
    "params",
    [
        ["0x" + "aa" * 20],
        [],
        None,
        {},
        ["0x12"],
        ["0x" + "aa" * 20, 1],
        [None],
        [5],
    ],
)
async def test_the_short_way_answers_as_jsonrpcserver_does(probe: Probe, params: Json) -> None:
    """A hot method called directly and through jsonrpcserver gives the same bytes."""

    def dispatcher(change: Callable[[Method], Method]) -> Dispatcher:
        rows = {name: change(method) for name, method in probe.table().items()}
        return Dispatcher(rows, BatchLimits())

    def with_heat(*, hot: bool) -> Callable[[Method], Method]:
        return lambda method: Method(
            method.handler, method.signature, method.is_operator, method.wants_caller, is_hot=hot
        )

    for name in probe.table():
        if name in ("test_wait", "test_finish"):
            continue
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": params}).encode()
        short = await dispatcher(with_heat(hot=True)).respond(message, HTTP)
        long = await dispatcher(with_heat(hot=False)).respond(message, HTTP)

        assert short == long
