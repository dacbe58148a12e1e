"""Cutting a stream into JSON values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.value_stream import MessageTooLarge, ValueStream

DOCUMENTS = st.recursive(
    st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda document: isinstance(document, list | dict))


def cut(chunks: list[bytes], limit: int = 1_000) -> list[bytes]:
    """All values of a stream."""
    stream, values = ValueStream(limit), []
    for chunk in chunks:
        stream.feed(chunk)
        while (value := stream.next_value()) is not None:
            values.append(value)
    return values


@pytest.mark.parametrize(
    ("chunks", "values"),
    [
        ([b'{"a":1}\n{"b":2}\n'], [b'{"a":1}', b'{"b":2}']),
        ([b'{"a":1}{"b":2}'], [b'{"a":1}', b'{"b":2}']),
        ([b'{"a"', b':"}', b'"}'], [b'{"a":"}"}']),
        ([b'["\\', b'"]"]'], [b'["\\"]"]']),
        ([b'["\\\\"]'], [b'["\\\\"]']),
        ([b"\n \r\n"], []),
        ([b"1 [2]\n"], [b"1", b"[2]"]),
        ([b"nonsense\n"], [b"nonsense"]),
        ([b"}[1]"], [b"}", b"[1]"]),
        ([b'"text" []'], [b'"text"', b"[]"]),
    ],
)
def test_values_are_cut_where_their_brackets_close(chunks: list[bytes], values: list[bytes]) -> None:
    """Newlines between values are not needed, and brackets in strings do not count."""
    assert cut(chunks) == values


def test_an_unfinished_value_is_the_rest() -> None:
    """What has no end yet stays in the buffer."""
    stream = ValueStream(100)
    stream.feed(b'[1] {"a"')

    assert (stream.next_value(), stream.next_value(), stream.rest()) == (b"[1]", None, b'{"a"')


@pytest.mark.parametrize("chunks", [[b"[" + b"1" * 200 + b"]"], [b"[" + b"1" * 200]])
def test_a_value_above_the_limit_is_refused(chunks: list[bytes]) -> None:
    """Finished or not, it ends the stream."""
    with pytest.raises(MessageTooLarge):
        cut(chunks, limit=100)


@given(st.lists(DOCUMENTS, max_size=4), st.integers(1, 7))
def test_any_values_survive_any_chunking(documents: list[object], size: int) -> None:
    """The cuts do not depend on where the chunks end."""
    stream = "".join(json.dumps(document) for document in documents).encode()
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]

    assert [json.loads(value) for value in cut(chunks, limit=100_000)] == documents
