"""The price order at the boundary: what it refuses, and that it says so as exceptions of the engine."""

import pytest

from parallelpool import _core
from tests.factories import Key, legacy, typed

A, B = Key(1), Key(2)


def test_what_is_there_twice_or_not_at_all_is_refused() -> None:
    """Put twice, removed twice, moved when gone, put back when not taken."""
    order = _core.PriceOrder()
    tx = legacy(A, 0)
    order.put(tx, 0, True)
    with pytest.raises(_core.CoreInvalidArgument, match="in the order already"):
        order.put(tx, 1, True)
    with pytest.raises(_core.CoreInvalidArgument, match="not in the order"):
        order.put_back(tx.hash)
    order.remove(tx.hash)
    for call in (order.remove, order.put_back):
        with pytest.raises(_core.CoreInvalidArgument, match="not in the order"):
            call(tx.hash)
    with pytest.raises(_core.CoreInvalidArgument, match="not in the order"):
        order.set_executable(tx.hash, True)

    assert (len(order), order.find_fault()) == (0, None)


def test_sizes_of_arguments_are_checked() -> None:
    """Hashes of 32 bytes, prices of 256 bits."""
    order = _core.PriceOrder()
    with pytest.raises(_core.CoreInvalidArgument):
        order.remove(b"short")
    with pytest.raises(_core.CoreInvalidArgument):
        order.reprice(-1)
    with pytest.raises(_core.CoreInvalidArgument):
        order.reprice(2**256)
    order.reprice(2**256 - 1)

    assert order.base_fee == 2**256 - 1


def test_best_ones_come_in_portions() -> None:
    """Three, two at a time; the queued one is not among them, and after a change reading on is refused."""
    order = _core.PriceOrder()
    best = [typed(A, 0, cap=9, tip=9), typed(B, 0, cap=5, tip=5), typed(A, 1, cap=3, tip=3)]
    for arrival, tx in enumerate(best):
        order.put(tx, arrival, True)
    order.put(typed(B, 4, cap=8, tip=8), 3, False)
    reading = order.best_first(1, min_tip=0, gas_cap=None, without=[])
    first, rest, end = reading.take(2), reading.take(2), reading.take(2)
    without = order.best_first(1, min_tip=0, gas_cap=None, without=[A.address]).take(9)
    order.reprice(2)

    assert first + rest == [tx.hash for tx in best]
    assert end == []
    assert without == [best[1].hash]
    with pytest.raises(_core.CoreInvalidArgument, match="changed while it was read"):
        reading.take(1)
