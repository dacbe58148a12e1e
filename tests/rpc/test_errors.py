"""The table of error codes."""

import inspect

import pytest

from parallelpool import chain, errors
from parallelpool.chain import CoreError, CoreInternalError, StateUnavailable
from parallelpool.errors import DecodeError, PoolError
from rpc.errors import CODES, RpcError, as_rpc_error, error_object


def test_every_engine_error_has_a_code() -> None:
    """The classes that the chain's module names are those of the table."""
    named = {
        value for value in vars(chain).values() if inspect.isclass(value) and issubclass(value, CoreError)
    }

    assert {kind for kind in CODES if issubclass(kind, CoreError)} == named


def test_every_refusal_of_the_pool_has_the_plain_code() -> None:
    """Also of classes that the table does not name: they inherit."""
    refusals = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, PoolError)
    ]
    assert len(refusals) > 20

    for kind in refusals:
        refusal = kind.__new__(kind)
        if "__str__" not in vars(kind):
            answer = as_rpc_error(refusal)

            assert answer is not None
            assert (answer.code, answer.message) == (-32000, kind.message)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DecodeError("typed transaction too short", "too_short"), -32000),
        (StateUnavailable("no state"), -32000),
        (CoreInternalError("panic"), -32603),
        (RpcError("text", code=3001), 3001),
    ],
)
def test_an_error_is_told_in_its_own_words(error: Exception, code: int) -> None:
    """The table gives the code and nothing else."""
    answer = as_rpc_error(error)

    assert answer is not None
    assert (answer.code, answer.message) == (code, str(error))


@pytest.mark.parametrize("error", [AssertionError("a bug"), KeyError("a bug"), ValueError("a bug")])
def test_a_bug_has_no_answer_of_its_own(error: Exception) -> None:
    """The dispatcher says that the handler crashed."""
    assert as_rpc_error(error) is None


def test_data_is_left_out_where_there_is_none() -> None:
    """As geth does."""
    assert error_object(RpcError("text")) == {"code": -32000, "message": "text"}
    assert error_object(RpcError("text", data="0x")) == {"code": -32000, "message": "text", "data": "0x"}
