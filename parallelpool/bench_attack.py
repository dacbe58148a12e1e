"""
The daemon under attack: what an honest sender and a reader notice of it, and how much memory it takes.

Ours alone, with its default limits and sealing off, one attack after another, some seconds each. Meanwhile honest
accounts send a transaction at a fair price every tenth of a second, and a probe asks for something cheap every few
milliseconds: what it waits is what the event loop makes everybody wait, and a little more.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from parallelpool import _core
from parallelpool.bench_daemons import CHAIN_ID, Peer, PeerFailure, genesis_of, peers

GWEI: Final = 10**9
CONNECTIONS: Final = 16
PROBE_S: Final = 0.005
HONEST_S: Final = 0.1
HONEST_ACCOUNTS: Final = 200
HONEST_EACH: Final = 8
"""Honest accounts send so many one after the other: whoever has more than `accountslots` pending may be cut back."""

COUNT: Final = 40_000
"""Hostile transactions of an attack at full scale: some seconds of them on two cores."""

LONGEST_S: Final = 15.0
"""An attack that has lasted so long is called off; what was sent counts."""

REQUESTS_AT_ONCE: Final = 4
"""Requests of each connection between two looks at the time."""

CHEAP: Final = b'{"jsonrpc":"2.0","id":1,"method":"net_version","params":[]}'

Signed = list[tuple[bytes, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attack."""

    attack: str
    sent: int
    seconds: float
    admitted: int
    refused: int
    probe_p50_ms: float
    probe_p99_ms: float
    probe_worst_ms: float
    honest_sent: int
    honest_admitted: int
    honest_p99_ms: float
    pooled: int
    """Pending and queued afterwards."""
    resident_bytes: int
    """Of the daemon afterwards."""


def measure(*, scale: float, seed: int) -> dict[str, Any]:
    """All attacks on one daemon. Raises PeerFailure where it does not answer."""
    count = max(200, int(COUNT * scale))
    honest = _signed(seed, HONEST_ACCOUNTS, HONEST_EACH, tip=50 * GWEI)
    attacks = _attacks(seed, count)
    senders = [sender for signed, _ in attacks.values() for sender, _ in signed]
    genesis = genesis_of([*(sender for sender, _ in honest), *senders])
    outcomes: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory(prefix="parallelpool-bench-") as folder,
        peers(Path(folder), genesis, ["parallelpool"], mining=False, has_limits=True) as (peer,),
    ):
        ready = iter([raw for _, raws in honest for raw in raws])
        for name, (_, bodies) in attacks.items():
            outcomes.append(_suffer(peer, name, bodies, lambda: next(ready)))
            _tell(outcomes[-1])
    return {"attacks": [asdict(outcome) for outcome in outcomes]}


def _signed(
    seed: int,
    senders: int,
    each: int,
    *,
    tip: int,
    steps: int = 1,
    data: int = 0,
    fee_cap: int = 1_000 * GWEI,
) -> Signed:
    return _core.bench_transfers(
        seed=seed,
        senders=senders,
        each=each,
        chain_id=CHAIN_ID,
        fee_cap=fee_cap,
        tip_cap=tip,
        tip_steps=steps,
        data=data,
    )


def _attacks(seed: int, count: int) -> dict[str, tuple[Signed, list[list[bytes]]]]:
    """Name -> accounts that must have money, bodies of each connection."""
    spam = _signed(seed + 1, count, 1, tip=1, steps=1_000)
    # Cheap enough for the cap on a transaction's fee.
    calldata = _signed(seed + 2, max(8, count // 200), 4, tip=2 * GWEI, data=120_000, fee_cap=100 * GWEI)
    prices = [GWEI * 111**step // 100**step for step in range(40)]
    storm = [_signed(seed + 3, max(8, count // 40), 1, tip=each, fee_cap=10 * each) for each in prices]
    future = _signed(seed + 4, max(16, count // 16), 17, tip=60 * GWEI)
    overdraft = _signed(seed + 5, 16, max(8, count // 16), tip=3 * GWEI)
    broken = [raw[:-40] + bytes(40) for _, raws in spam for raw in raws]
    return {
        "spam of many senders at the least price": (spam, _spread(raws[0] for _, raws in spam)),
        "huge call data": (calldata, _spread(raw for _, raws in calldata for raw in raws)),
        "storm of replacements": (storm[0], _spread(raws[0] for one in storm for _, raws in one)),
        "flood of far futures at a high price": (
            future,
            _spread(raw for _, raws in future for raw in raws[1:]),
        ),
        "long runs of few senders": (overdraft, _spread(raw for _, raws in overdraft for raw in raws)),
        "flood of broken signatures": ([], _spread(broken)),
        "flood of what is no transaction": ([], _spread(b"\x02" + raw[5:60] for raw in broken)),
    }


def _spread(raws: Iterable[bytes]) -> list[list[bytes]]:
    """A hundred in a request, over all connections."""
    calls = [
        b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x%b"]}' % raw.hex().encode()
        for raw in raws
    ]
    size = 100 if len(calls[0]) < 10_000 else 4
    requests = [b"[%b]" % b",".join(calls[start : start + size]) for start in range(0, len(calls), size)]
    return [requests[connection::CONNECTIONS] for connection in range(CONNECTIONS)]


def _suffer(peer: Peer, name: str, bodies: Sequence[Sequence[bytes]], honest: Callable[[], bytes]) -> Outcome:
    """Runs one attack with probe and honest sender beside it."""
    over = threading.Event()
    probed: list[float] = []
    admitted: list[float] = []
    sent = 0

    def probe() -> None:
        while not over.is_set():
            _, microseconds, results, _, _ = _core.bench_load(peer.address, [[CHEAP] * 20])
            assert results == len(microseconds), "the probe is answered"
            probed.extend(each / 1e6 for each in microseconds)
            time.sleep(PROBE_S)

    def send_honestly() -> None:
        nonlocal sent
        while not over.is_set():
            raw = honest()
            began = time.perf_counter()
            try:
                peer.call("eth_sendRawTransaction", "0x" + raw.hex())
                admitted.append(time.perf_counter() - began)
            except PeerFailure as error:
                print(f"honest transaction refused: {error}", file=sys.stderr)
            sent += 1
            time.sleep(HONEST_S)

    beside = [threading.Thread(target=probe), threading.Thread(target=send_honestly)]
    for thread in beside:
        thread.start()
    try:
        seconds, results, errors = _load(peer, bodies)
    finally:
        over.set()
        for thread in beside:
            thread.join()
    probed.sort()
    admitted.sort()
    return Outcome(
        attack=name,
        sent=results + errors,
        seconds=seconds,
        admitted=results,
        refused=errors,
        probe_p50_ms=_at(probed, 0.5),
        probe_p99_ms=_at(probed, 0.99),
        probe_worst_ms=_at(probed, 1.0),
        honest_sent=sent,
        honest_admitted=len(admitted),
        honest_p99_ms=_at(admitted, 0.99),
        pooled=peer.pooled(),
        resident_bytes=peer.resident_bytes(),
    )


def _load(peer: Peer, bodies: Sequence[Sequence[bytes]]) -> tuple[float, int, int]:
    """(seconds, results, errors) of the attack alone."""
    seconds, results, errors = 0.0, 0, 0
    for start in range(0, max(map(len, bodies)), REQUESTS_AT_ONCE):
        if seconds > LONGEST_S:
            break
        portion = [requests[start : start + REQUESTS_AT_ONCE] for requests in bodies]
        took_s, _, fresh_results, fresh_errors, _ = _core.bench_load(peer.address, [*filter(None, portion)])
        seconds, results, errors = seconds + took_s, results + fresh_results, errors + fresh_errors
    return seconds, results, errors


def _at(ascending: Sequence[float], share: float) -> float:
    """A quantile in milliseconds; 0 of nothing."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))] * 1e3 if ascending else 0.0


def _tell(outcome: Outcome) -> None:
    print(
        f"{outcome.attack:<40} {outcome.sent:>6} sent in {outcome.seconds:.1f} s, {outcome.admitted:>6} admitted; "
        f"probe p99 {outcome.probe_p99_ms:.1f} ms; honest {outcome.honest_admitted}/{outcome.honest_sent}; "
        f"{outcome.pooled} pooled, {outcome.resident_bytes / 2**20:.0f} MiB",
        file=sys.stderr,
    )
