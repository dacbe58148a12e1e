"""The benchmarks of whole daemons, small and with ours alone: what they count is what happened. No figure is judged."""

import pytest

from parallelpool import bench_attack
from parallelpool.bench_admission import WAYS, admission
from parallelpool.bench_daemons import PeerFailure
from parallelpool.bench_e2e import ALONE, end_to_end
from parallelpool.bench_pool import plot

DEFAULT_ROOM = 5_120 + 1_024
"""`globalslots` and `globalqueue`."""


def test_admission_counts_what_stands_in_the_pool() -> None:
    """Every way of sending: all that was sent was accepted, by the pool's own count and by the answers."""
    measured = admission(rounds=1, scale=0.005, seed=1, names=("parallelpool",))
    samples = measured["samples"]

    assert [(each["per_request"], each["connections"]) for each in samples] == [
        (way.per_request, way.connections) for way in WAYS
    ]
    for each in samples:
        assert each["accepted"] == each["sent"] > 0
        assert (each["errors"], each["first_error"]) == (0, None)
        assert each["rate"] > 0
        assert each["resident_bytes"] > 0
    assert set(measured["versions"]) == {"parallelpool"}


def test_end_to_end_ends_with_every_receipt() -> None:
    """Eighty in requests of a hundred, and fifty alone for each way of waiting."""
    measured = end_to_end(rounds=1, scale=0.001, seed=2, names=("parallelpool",))
    (row,), (summary,) = measured["samples"], measured["summary"]

    assert row["transactions"] == 80
    for latencies, told in ((row["asked_ms"], "medianAskedMs"), (row["told_ms"], "medianToldMs")):
        assert len(latencies) == ALONE
        assert 0 < latencies[0] <= summary[told] <= latencies[-1]
    assert summary["medianRate"] == row["rate"] == 80 / row["seconds"]


def test_under_attack_the_honest_are_served_and_the_pool_keeps_its_limits() -> None:
    """Each attack: every honest transaction was admitted, and no more is pooled than the limits allow."""
    outcomes = bench_attack.measure(scale=0.005, seed=3)["attacks"]

    assert len(outcomes) == 7
    for each in outcomes:
        assert each["honest_admitted"] == each["honest_sent"] > 0, each["attack"]
        assert each["admitted"] + each["refused"] == each["sent"], each["attack"]
        assert each["pooled"] <= DEFAULT_ROOM, each["attack"]
    refused = {each["attack"]: each["refused"] == each["sent"] for each in outcomes}
    assert refused["flood of broken signatures"]
    assert refused["flood of what is no transaction"]
    admitted = {each["attack"]: each["admitted"] for each in outcomes}
    assert admitted["spam of many senders at the least price"] == 200
    # Connections overtake each other, so a dearer one may come first.
    assert 8 < admitted["storm of replacements"] <= 8 * 40
    assert admitted["huge call data"] > 0


def test_an_unknown_daemon_is_refused() -> None:
    """By name, with the known ones."""
    with pytest.raises(PeerFailure, match="none of parallelpool, geth, anvil"):
        admission(rounds=1, scale=0.005, seed=4, names=("erigon",))


def test_the_plot_has_a_point_for_each_size() -> None:
    """As SVG, with the figures beside the points."""
    points = [{"pooled": size, "admission_us": 12.5 + size / 1e6} for size in (1_000, 100_000)]
    drawn = plot(points)

    assert drawn.startswith("<svg")
    assert drawn.count("<circle") == 2
    assert "100,000" in drawn
    assert ">12.6<" in drawn
