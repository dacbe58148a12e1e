"""
How fast daemons take transactions in: ours, geth and anvil on one machine, with one client and one set of bytes.

`admission` lets none of them make blocks and counts what stands in the pool afterwards; `end_to_end` lets each make
blocks as it does for developers and ends with the last receipt. All daemons run all the time; each scenario goes to
each in turn, and who begins changes from round to round. Ours answers when a transaction is on disk, the others before.
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
from parallelpool.bench_daemons import CHAIN_ID, Peer, PeerFailure, genesis_of, peers

PEERS: Final = ("parallelpool", "geth", "anvil")

QUIET_S: Final = 20.0
"""geth's first seconds are busy with itself."""

GWEI: Final = 10**9
RECEIPT_WAIT_S: Final = 60.0


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
            bodies = _bodies([raw for _, raws in signed for raw in raws], way)
            for peer in _in_turn(running, number):
                samples.append(_sample(peer, way, number, bodies, len(signed)))
                _tell(samples[-1])
        versions = {peer.name: peer.version for peer in running}
    return {
        "versions": versions,
        "samples": [asdict(each) | {"rate": each.rate} for each in samples],
        "summary": _summary(samples),
    }


def _bodies(raws: Sequence[bytes], way: Way) -> list[list[bytes]]:
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


def _in_turn(running: Sequence[Peer], number: int) -> Iterator[Peer]:
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


# ------------------------------------------------------------------ end to end


def end_to_end(*, rounds: int, scale: float, seed: int, names: Sequence[str] = PEERS) -> dict[str, Any]:
    """
    Signed bytes in, receipts out.

    `throughput`: from the first byte sent to the moment when every sender's last receipt can be read, 8 connections
    with 100 in a request. `latency`: one after the other, from sending to receipt.
    """
    count = max(80, int(8_000 * scale))
    sets = [
        _core.bench_transfers(
            seed=seed + number,
            senders=count,
            each=1,
            chain_id=CHAIN_ID,
            fee_cap=1_000 * GWEI,
            tip_cap=2 * GWEI,
        )
        for number in range(2 * rounds)
    ]
    genesis = genesis_of(sender for signed in sets for sender, _ in signed)
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="parallelpool-bench-") as folder,
        peers(Path(folder), genesis, names, mining=True) as running,
    ):
        time.sleep(QUIET_S * min(1.0, scale * 10))
        for number in range(rounds):
            many = [raw for _, raws in sets[2 * number] for raw in raws]
            few = [raw for _, raws in sets[2 * number + 1] for raw in raws][:50]
            for peer in _in_turn(running, number):
                seconds = _until_all_receipts(peer, many)
                latencies = sorted(_receipt_latency(peer, raw) for raw in few)
                rows.append(
                    {
                        "peer": peer.name,
                        "round": number,
                        "transactions": len(many),
                        "seconds": seconds,
                        "rate": len(many) / seconds,
                        "receiptLatencyMs": [each * 1e3 for each in latencies],
                        "medianReceiptLatencyMs": median(latencies) * 1e3,
                    }
                )
                print(
                    f"{peer.name:<13} {len(many)} transactions, {rows[-1]['rate']:>7,.0f} tx/s to the last receipt, "
                    f"one alone {rows[-1]['medianReceiptLatencyMs']:.1f} ms",
                    file=sys.stderr,
                )
        versions = {peer.name: peer.version for peer in running}
    return {"versions": versions, "samples": rows}


def _until_all_receipts(peer: Peer, raws: Sequence[bytes]) -> float:
    way = Way(100, 8, len(raws))
    began = time.perf_counter()
    _, _, results, _, first_error = _core.bench_load(peer.address, _bodies(raws, way))
    if results != len(raws):
        raise PeerFailure(f"{peer.name} refused {len(raws) - results}: {first_error!r}")
    missing = [_core.keccak256(raw) for raw in raws]
    while missing:
        if time.perf_counter() - began > RECEIPT_WAIT_S:
            raise PeerFailure(f"{peer.name}: {len(missing)} receipts did not come")
        # Blocks come in order: while the last receipt is not there, the others are not asked for.
        if _has_receipts(peer, missing[-1:])[0]:
            found = _has_receipts(peer, missing)
            missing = [tx_hash for tx_hash, is_there in zip(missing, found, strict=True) if not is_there]
        else:
            time.sleep(0.002)
    return time.perf_counter() - began


def _has_receipts(peer: Peer, hashes: Sequence[bytes]) -> list[bool]:
    """Whether each has one; asked in batches over four connections."""
    found: list[bool] = []
    for start in range(0, len(hashes), 500):
        chunk = hashes[start : start + 500]
        found.extend(answer is not None for answer in peer.call_all("eth_getTransactionReceipt", chunk))
    return found


def _receipt_latency(peer: Peer, raw: bytes) -> float:
    began = time.perf_counter()
    tx_hash = peer.call("eth_sendRawTransaction", "0x" + raw.hex())
    while peer.call("eth_getTransactionReceipt", tx_hash) is None:
        if time.perf_counter() - began > RECEIPT_WAIT_S:
            raise PeerFailure(f"{peer.name}: a receipt did not come")
    return time.perf_counter() - began
