"""
From signed bytes to receipts: ours, geth and anvil on one machine, each making blocks as it does for developers.

All daemons run all the time, each is measured in turn, and who begins changes from round to round; all have the same
client. A receipt of ours is of a block that is synced, after its transaction was synced before the hash was answered.
geth's development chain stands on the same disk and is synced when geth pleases; anvil's is in memory.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from parallelpool import _core
from parallelpool.bench_admission import GWEI, PEERS, QUIET_S, Way, bodies_of, in_turn
from parallelpool.bench_daemons import CHAIN_ID, Connection, Peer, PeerFailure, genesis_of, peers

TOGETHER: Final = 8_000
"""Transactions of a round that are sent at once, at full scale."""

ALONE: Final = 50
"""Those of a round that are sent one after the other, for each way of waiting."""

ASKED_AT_ONCE: Final = 500
"""Receipts in one request."""

RECEIPT_WAIT_S: Final = 60.0
LOOK_S: Final = 0.002
"""Between two questions for the last receipt of many."""
ASK_S: Final = 0.000_25
"""Between two for the receipt of one: without a pause the questions would take the processors from the answer."""

CONDITIONS: Final = (
    "together: 8 connections with 100 submissions in a request, receipts over one connection, "
    f"{ASKED_AT_ONCE} in a request, until all are read; "
    f"alone: one connection, `asked` for the receipt with {ASK_S * 1e3:.2f} ms between questions, or `told` by "
    "eth_sendRawTransactionSync; "
    "parallelpool syncs each submission and each block, geth --dev has its chain on disk, anvil in memory"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One daemon, one round."""

    peer: str
    round: int
    transactions: int
    seconds: float
    """From the first byte sent to the last receipt read."""
    asked_ms: tuple[float, ...]
    """From sending one transaction to its receipt, which is asked for until it is there; ascending."""
    told_ms: tuple[float, ...]
    """The same, where the answer to the submission is the receipt."""

    @property
    def rate(self) -> float:
        """Transactions a second."""
        return self.transactions / self.seconds


def end_to_end(*, rounds: int, scale: float, seed: int, names: Sequence[str] = PEERS) -> dict[str, Any]:
    """Samples of all rounds and their medians. Raises PeerFailure where a daemon does not start or answer."""
    many = max(80, int(TOGETHER * scale))
    sets = [
        _core.bench_transfers(
            seed=seed + number,
            senders=many + 2 * ALONE,
            each=1,
            chain_id=CHAIN_ID,
            fee_cap=1_000 * GWEI,
            tip_cap=2 * GWEI,
        )
        for number in range(rounds)
    ]
    genesis = genesis_of(sender for signed in sets for sender, _ in signed)
    samples: list[Sample] = []
    print(CONDITIONS, file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="parallelpool-bench-") as folder,
        peers(Path(folder), genesis, names, mining=True) as running,
    ):
        time.sleep(QUIET_S * min(1.0, scale * 10))
        for number, signed in enumerate(sets):
            raws = [raw for _, raws in signed for raw in raws]
            for peer in in_turn(running, number):
                samples.append(_sample(peer, number, raws[: -2 * ALONE], raws[-2 * ALONE :]))
                _tell(samples[-1])
        versions = {peer.name: peer.version for peer in running}
    return {
        "versions": versions,
        "conditions": CONDITIONS,
        "samples": [asdict(each) | {"rate": each.rate} for each in samples],
        "summary": _summary(samples),
    }


def _sample(peer: Peer, number: int, together: Sequence[bytes], alone: Sequence[bytes]) -> Sample:
    with peer.connected() as connection:
        return Sample(
            peer=peer.name,
            round=number,
            transactions=len(together),
            seconds=_until_all_receipts(peer, connection, together),
            asked_ms=_each_alone(alone[:ALONE], lambda raw: _ask_for_receipt(connection, raw)),
            told_ms=_each_alone(alone[ALONE:], lambda raw: _be_told(connection, raw)),
        )


def _until_all_receipts(peer: Peer, connection: Connection, raws: Sequence[bytes]) -> float:
    way = Way(100, 8, len(raws))
    began = time.perf_counter()
    _, _, results, _, first_error = _core.bench_load(peer.address, bodies_of(raws, way))
    if results != len(raws):
        raise PeerFailure(f"{peer.name} refused {len(raws) - results}: {first_error!r}")
    missing = [_core.keccak256(raw) for raw in raws]
    while missing:
        if time.perf_counter() - began > RECEIPT_WAIT_S:
            raise PeerFailure(f"{peer.name}: {len(missing)} receipts did not come")
        # Blocks come in order: while the last receipt is not there, the others are not asked for.
        if _has_receipts(connection, missing[-1:])[0]:
            found = _has_receipts(connection, missing)
            missing = [tx_hash for tx_hash, is_there in zip(missing, found, strict=True) if not is_there]
        else:
            time.sleep(LOOK_S)
    return time.perf_counter() - began


def _has_receipts(connection: Connection, hashes: Sequence[bytes]) -> list[bool]:
    found: list[bool] = []
    for start in range(0, len(hashes), ASKED_AT_ONCE):
        answers = connection.call_all("eth_getTransactionReceipt", hashes[start : start + ASKED_AT_ONCE])
        found.extend(answer is not None for answer in answers)
    return found


def _each_alone(raws: Sequence[bytes], submit: Callable[[bytes], None]) -> tuple[float, ...]:
    """Milliseconds of each, ascending."""
    latencies: list[float] = []
    for raw in raws:
        began = time.perf_counter()
        submit(raw)
        latencies.append((time.perf_counter() - began) * 1e3)
    return tuple(sorted(latencies))


def _ask_for_receipt(connection: Connection, raw: bytes) -> None:
    tx_hash = connection.call("eth_sendRawTransaction", "0x" + raw.hex())
    end = time.perf_counter() + RECEIPT_WAIT_S
    while connection.call("eth_getTransactionReceipt", tx_hash) is None:
        if time.perf_counter() > end:
            raise PeerFailure(f"the receipt of {tx_hash} did not come")
        time.sleep(ASK_S)


def _be_told(connection: Connection, raw: bytes) -> None:
    receipt = connection.call("eth_sendRawTransactionSync", "0x" + raw.hex())
    if receipt["status"] != "0x1":
        raise PeerFailure(f"{receipt['transactionHash']} failed")


def _tell(sample: Sample) -> None:
    print(
        f"{sample.peer:<13} {sample.transactions} together {sample.rate:>7,.0f} tx/s, "
        f"alone asked {median(sample.asked_ms):.2f} ms, told {median(sample.told_ms):.2f} ms",
        file=sys.stderr,
    )


def _summary(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """For each daemon the medians over the rounds; of the latencies those of all rounds together."""
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(each.peer for each in samples):
        own = [each for each in samples if each.peer == name]
        rows.append(
            {
                "peer": name,
                "medianRate": median(each.rate for each in own),
                "medianAskedMs": median(latency for each in own for latency in each.asked_ms),
                "medianToldMs": median(latency for each in own for latency in each.told_ms),
            }
        )
    return rows
