"""
How fast daemons take transactions in: ours, geth and anvil on one machine, with one client and one set of bytes.

None of them makes blocks; what stands in the pool afterwards is counted. All daemons run all the time; each scenario
goes to each in turn, and who begins changes from round to round. Ours answers when a transaction is on disk, the others
before.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from parallelpool import _core
from parallelpool.bench_daemons import CHAIN_ID, Peer, genesis_of, peers

PEERS: Final = ("parallelpool", "geth", "anvil")

QUIET_S: Final = 20.0
"""geth's first seconds are busy with itself."""

GWEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class Way:
    """How transactions are sent."""

    per_request: int
    """1: alone; more: a JSON-RPC batch."""
    connections: int
    transactions: int
    """Of one sample, at full scale."""


WAYS: Final = (Way(1, 1, 2_000), Way(1, 32, 20_000), Way(100, 1, 10_000), Way(100, 8, 20_000))


@dataclass(frozen=True, slots=True)
class Sample:
    """One daemon, one way, one round."""

    peer: str
    per_request: int
    connections: int
    round: int
    sent: int
    accepted: int
    """By the pool's own count afterwards."""
    errors: int
    seconds: float
    p50_us: int
    """Of a request."""
    p99_us: int
    cpu_us: float
    """Processor time of the daemon for each accepted transaction."""
    resident_bytes: int
    first_error: str | None

    @property
    def rate(self) -> float:
        """Accepted transactions a second."""
        return self.accepted / self.seconds


def admission(*, rounds: int, scale: float, seed: int, names: Sequence[str] = PEERS) -> dict[str, Any]:
    """Samples of all ways. Raises PeerFailure where a daemon does not start or answer."""
    plan = [(number, way) for number in range(rounds) for way in WAYS]
    sets = [
        _core.bench_transfers(
            seed=seed + place,
            senders=max(way.connections, int(way.transactions * scale)),
            each=1,
            chain_id=CHAIN_ID,
            fee_cap=100 * GWEI,
            tip_cap=GWEI,
            tip_steps=1_000,
        )
        for place, (_, way) in enumerate(plan)
    ]
    genesis = genesis_of(sender for signed in sets for sender, _ in signed)
    samples: list[Sample] = []
    with (
        tempfile.TemporaryDirectory(prefix="parallelpool-bench-") as folder,
        peers(Path(folder), genesis, names, mining=False) as running,
    ):
        time.sleep(QUIET_S * min(1.0, scale * 10))
        for (number, way), signed in zip(plan, sets, strict=True):
            bodies = bodies_of([raw for _, raws in signed for raw in raws], way)
            for peer in in_turn(running, number):
                samples.append(_sample(peer, way, number, bodies, len(signed)))
                _tell(samples[-1])
        versions = {peer.name: peer.version for peer in running}
    return {
        "versions": versions,
        "samples": [asdict(each) | {"rate": each.rate} for each in samples],
        "summary": _summary(samples),
    }


def bodies_of(raws: Sequence[bytes], way: Way) -> list[list[bytes]]:
    """The bodies of each connection."""
    calls = [
        b'{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x%b"]}'
        % (number, raw.hex().encode())
        for number, raw in enumerate(raws)
    ]
    if way.per_request > 1:
        starts = range(0, len(calls), way.per_request)
        calls = [b"[%b]" % b",".join(calls[start : start + way.per_request]) for start in starts]
    return [calls[connection :: way.connections] for connection in range(way.connections)]


def in_turn(running: Sequence[Peer], number: int) -> Iterator[Peer]:
    """Each once; who begins changes with the number."""
    for place in range(len(running)):
        yield running[(number + place) % len(running)]


def _sample(peer: Peer, way: Way, number: int, bodies: Sequence[Sequence[bytes]], sent: int) -> Sample:
    before, cpu = peer.pooled(), peer.cpu_seconds()
    seconds, latencies, _, errors, first_error = _core.bench_load(peer.address, bodies)
    cpu = peer.cpu_seconds() - cpu
    accepted = peer.pooled() - before
    latencies.sort()
    return Sample(
        peer=peer.name,
        per_request=way.per_request,
        connections=way.connections,
        round=number,
        sent=sent,
        accepted=accepted,
        errors=errors,
        seconds=seconds,
        p50_us=latencies[len(latencies) // 2],
        p99_us=latencies[len(latencies) * 99 // 100],
        cpu_us=cpu / max(accepted, 1) * 1e6,
        resident_bytes=peer.resident_bytes(),
        first_error=None if first_error is None else first_error[:300].decode(errors="replace"),
    )


def _tell(sample: Sample) -> None:
    print(
        f"{sample.peer:<13} {sample.per_request:>3} per request, {sample.connections:>2} connections: "
        f"{sample.accepted:>6} of {sample.sent:>6} accepted, {sample.rate:>7,.0f} tx/s, "
        f"p50 {sample.p50_us / 1e3:.2f} ms, p99 {sample.p99_us / 1e3:.2f} ms, {sample.cpu_us:.0f} us CPU/tx",
        file=sys.stderr,
    )


def _summary(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """For each way the median rate of each daemon, and the median over the rounds of ours over theirs."""
    rows: list[dict[str, Any]] = []
    for way in WAYS:
        of_way = [
            each
            for each in samples
            if (each.per_request, each.connections) == (way.per_request, way.connections)
        ]
        names = list(dict.fromkeys(each.peer for each in of_way))
        rates = {name: [each.rate for each in of_way if each.peer == name] for name in names}
        ours = rates.get("parallelpool", [])
        ratios = {
            name: median(one / other for one, other in zip(ours, theirs, strict=True))
            for name, theirs in rates.items()
            if ours and name != "parallelpool"
        }
        rows.append(
            {
                "perRequest": way.per_request,
                "connections": way.connections,
                "medianRate": {name: median(each) for name, each in rates.items()},
                "oursOver": ratios,
            }
        )
    return rows
