"""Pool, journal and news in step: what is shown when, restarts, and a journal that fails."""

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from parallelpool.admission import Admission, RestoreReport
from parallelpool.errors import (
    AlreadyKnown,
    JournalError,
    NotDurable,
    PoolError,
    ReplacementUnderpriced,
    StartFailure,
)
from parallelpool.events import (
    DropReason,
    Event,
    EventBus,
    Feed,
    TransactionAdmitted,
    TransactionDropped,
    TransactionsPromoted,
    TransactionsQueued,
)
from parallelpool.journal import Disk
from parallelpool.transaction import Transaction
from tests.deadline import until
from tests.factories import ETHER, FakeChain, Key, decode, legacy, limits
from tests.invariants import assert_pool

A, B = Key(1), Key(2)


@dataclass
class Refusal:
    """Stands for bytes that are no transaction."""

    message: str
    kind: str = "malformed"


class EngineDecoder:
    """The engine's decoder without its lane; hashes in `unreadable` are no transactions to it."""

    def __init__(self) -> None:
        self.unreadable: set[bytes] = set()

    async def decode(self, raw: bytes, /) -> Transaction:
        return decode([raw])[0]

    async def decode_all(self, raw: Sequence[bytes], /) -> Sequence[Transaction | Refusal]:
        await asyncio.sleep(0)
        return [Refusal("type off") if tx.hash in self.unreadable else tx for tx in decode(raw)]


class SlowDisk:
    """A disk whose syncs wait for `gate`, and fail with `failing`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.failing: int | None = None
        self.failing_names: tuple[str, ...] = ()

    @property
    def disk(self) -> Disk:
        return Disk(sync=self._sync)

    def _sync(self, file: int) -> None:
        assert self.gate.wait(30)
        if self.failing is not None:
            raise OSError(self.failing, os.strerror(self.failing))
        if self.failing_names and Path(f"/proc/self/fd/{file}").readlink().name.endswith(self.failing_names):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(file)


class Daemon:
    """Admission over a chain and a folder that outlive it."""

    def __init__(self, datadir: Path | None, **changed_limits: int | str) -> None:
        self.chain = FakeChain()
        self.chain.fund(A, B, balance=100 * ETHER)
        self.datadir = datadir
        self.limits = limits(**changed_limits)
        self.decoder = EngineDecoder()
        self.disk = SlowDisk()

    @asynccontextmanager
    async def run(self) -> AsyncIterator["Run"]:
        """One run of the daemon."""
        events = EventBus()
        kinds = (TransactionAdmitted, TransactionsPromoted, TransactionsQueued, TransactionDropped)
        with events.subscribe(*kinds, capacity=10_000) as feed:
            admission = Admission(self.limits, self.chain, events, self.decoder, self.datadir)
            async with admission.serving(disk=self.disk.disk) as report:
                yield Run(admission, report, feed)


@dataclass
class Run:
    """What a test sees of a running daemon."""

    admission: Admission
    report: RestoreReport
    feed: Feed[Event]

    async def submit(self, *transactions: Transaction) -> list[PoolError | None]:
        """Submits all in one call."""
        answers = await self.admission.submit_all(transactions, local=True)
        assert_pool(self.admission.pool)
        return answers

    def content(self) -> list[str]:
        """`pending A0 1` for each pooled transaction: place, sender and nonce, price."""
        lines: list[str] = []
        for place, by_sender in zip(("pending", "queued"), self.admission.pool.content(), strict=True):
            for transactions in by_sender.values():
                lines.extend(f"{place} {name(tx)} {tx.max_fee_per_gas}" for tx in transactions)
        return sorted(lines)

    def news(self) -> list[str]:
        """What was told since the last question."""
        return [line for event in self.feed.drain() for line in told(event)]


def name(tx: Transaction) -> str:
    """Sender and nonce."""
    return f"{'A' if tx.sender == A.address else 'B'}{tx.nonce}"


def told(event: Event) -> list[str]:
    """An event in words."""
    match event:
        case TransactionAdmitted(pooled):
            return [f"admitted {name(pooled.transaction)}"]
        case TransactionsPromoted(transactions):
            return [f"promoted {name(tx)}" for tx in transactions]
        case TransactionsQueued(transactions):
            return [f"queued {name(tx)}" for tx in transactions]
        case TransactionDropped(departure):
            return [f"dropped {departure.nonce} {departure.reason.name}"]
        case _:
            raise AssertionError(event)


# ------------------------------------------------------------------ order


async def test_without_a_journal_all_is_immediate() -> None:
    """Nothing is held, and the news are out when the answer is."""
    async with Daemon(None).run() as run:
        answers = await run.submit(legacy(A, 0), legacy(A, 2), legacy(A, 0))

        assert [str(answer) for answer in answers] == ["None", "None", "already known"]
        assert run.content() == ["pending A0 1", "queued A2 1"]
        assert run.news() == ["admitted A0", "admitted A2", "promoted A0", "queued A2"]


async def test_nothing_shows_before_it_is_synced(tmp_path: Path) -> None:
    """While the sync runs the transaction is in no view, count of nonces, event or answer; afterwards in all."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        pool = run.admission.pool
        daemon.disk.gate.clear()
        submitting = asyncio.create_task(run.submit(legacy(A, 0), legacy(A, 1), legacy(B, 3)))
        await until(lambda: pool.statistics().held == 3)
        before = (run.content(), pool.nonce(A.address), list(pool.pending_best(0)), run.news())
        unseen = [pool.get(tx.hash) for tx in (legacy(A, 0), legacy(B, 3))]
        done = submitting.done()
        daemon.disk.gate.set()
        answers = await submitting

        assert before == ([], 0, [], [])
        assert (unseen, done) == ([None, None], False)
        assert answers == [None, None, None]
        assert run.content() == ["pending A0 1", "pending A1 1", "queued B3 1"]
        assert pool.nonce(A.address) == 2


async def test_a_replaced_one_shows_until_the_other_is_synced(tmp_path: Path) -> None:
    """Replacing takes effect for readers in one step; its sender's later nonces stay visible throughout."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        pool = run.admission.pool
        await run.submit(legacy(A, 0), legacy(A, 1))
        run.news()
        daemon.disk.gate.clear()
        submitting = asyncio.create_task(run.submit(legacy(A, 0, price=5)))
        await until(lambda: pool.statistics().held == 1)
        during = (run.content(), pool.nonce(A.address), [name(tx) for tx in pool.pending_best(0)], run.news())
        old_is_there = pool.get(legacy(A, 0).hash) is not None
        again = asyncio.create_task(run.submit(legacy(A, 0, price=7)))
        await until(lambda: pool.statistics().held == 1 and pool.statistics().meters.pending_replace == 2)
        still = run.content()
        daemon.disk.gate.set()
        await asyncio.gather(submitting, again)

        assert during == (["pending A0 1", "pending A1 1"], 2, ["A0", "A1"], [])
        assert old_is_there
        assert still == ["pending A0 1", "pending A1 1"]
        assert run.content() == ["pending A0 7", "pending A1 1"]
        assert pool.get(legacy(A, 0).hash) is None


async def test_what_stands_behind_an_unseen_one_waits_for_readers(tmp_path: Path) -> None:
    """A gap filled but not synced yet is still a gap in every view."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        pool = run.admission.pool
        await run.submit(legacy(A, 0), legacy(A, 2))
        daemon.disk.gate.clear()
        submitting = asyncio.create_task(run.submit(legacy(A, 1)))
        await until(lambda: pool.statistics().held == 1)
        during = (run.content(), pool.nonce(A.address), [name(tx) for tx in pool.pending_best(0)])
        daemon.disk.gate.set()
        await submitting

        assert during == (["pending A0 1", "queued A2 1"], 1, ["A0"])
        assert run.content() == ["pending A0 1", "pending A1 1", "pending A2 1"]


async def test_already_known_is_answered_when_it_is_true_for_good(tmp_path: Path) -> None:
    """The same bytes again, while the first are being synced: the refusal waits for the same sync."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        daemon.disk.gate.clear()
        first = asyncio.create_task(run.submit(legacy(A, 0)))
        second = asyncio.create_task(run.submit(legacy(A, 0)))
        await until(lambda: run.admission.pool.statistics().meters.known == 1)
        await asyncio.sleep(0)
        early = second.done()
        daemon.disk.gate.set()

        assert await first == [None]
        assert isinstance((await second)[0], AlreadyKnown)
        assert not early


async def test_submit_raises_the_refusal(tmp_path: Path) -> None:
    """One at a time, as the RPC does it."""
    async with Daemon(tmp_path).run() as run:
        await run.admission.submit(legacy(A, 0))
        with pytest.raises(ReplacementUnderpriced, match="replacement transaction underpriced"):
            await run.admission.submit(legacy(A, 0, gas=90_000))


# ------------------------------------------------------------------ restart


async def test_a_restart_keeps_the_pool(tmp_path: Path) -> None:
    """Content, order of arrival, origin, time of arrival and departures are what they were."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(B, 0), legacy(A, 1))
        await run.admission.submit(legacy(A, 0), local=False)
        await run.submit(legacy(A, 4), legacy(B, 0, price=2), legacy(B, 1))
        before = run.content()
        order = [name(tx) for tx in run.admission.pool.pending_best(0)]
        facts = [(each.hash, each.is_local, each.received_at) for each in run.admission.pool.pooled()]
    async with daemon.run() as run:
        pool = run.admission.pool
        departure = pool.drop_record(legacy(B, 0).hash)

        assert run.content() == before
        assert [name(tx) for tx in pool.pending_best(0)] == order
        assert [(each.hash, each.is_local, each.received_at) for each in pool.pooled()] == facts
        assert (run.report.read, run.report.restored, run.report.dropped) == (5, 5, {})
        assert departure is not None
        assert (departure.reason, departure.replaced_by) == (DropReason.REPLACED, legacy(B, 0, price=2).hash)
        assert run.news() == []


async def test_a_replaced_first_nonce_does_not_cost_the_followers(tmp_path: Path) -> None:
    """A long run of executable ones comes back whole though its first came last into the journal."""
    daemon = Daemon(tmp_path, accountqueue=3)
    async with daemon.run() as run:
        await run.submit(*(legacy(A, nonce) for nonce in range(20)))
        await run.submit(legacy(A, 0, price=2))
    async with daemon.run() as run:
        assert run.report.restored == 20
        assert len(run.admission.pool.pending_of(A.address)) == 20


async def test_what_the_chain_took_meanwhile_is_known_as_mined(tmp_path: Path) -> None:
    """A crash between block and journal: the transaction does not come back, and its place is known."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0), legacy(A, 1), legacy(B, 0), legacy(B, 1))
    daemon.chain.mine(legacy(A, 0), legacy(B, 0, price=9))
    daemon.decoder.unreadable.add(legacy(B, 1).hash)
    async with daemon.run() as run:
        pool = run.admission.pool
        records = [pool.drop_record(tx.hash) for tx in (legacy(A, 0), legacy(B, 0), legacy(B, 1))]

        assert run.content() == ["pending A1 1"]
        assert [record and record.reason.name for record in records] == [
            "MINED",
            "SUPERSEDED",
            "REFUSED_AT_RESTART",
        ]
        assert records[0] is not None
        assert records[0].block_number == 1
        assert records[2] is not None
        assert records[2].detail == "type off"
        assert run.report.dropped.total() == 3


async def test_what_left_does_not_come_back(tmp_path: Path) -> None:
    """Mined, expired, removed: after a restart they are departures with their reasons."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0), legacy(A, 1), legacy(B, 0))
        daemon.chain.mine(legacy(A, 0))
        run.admission.pool.reset()
        run.admission.pool.remove(run.admission.pool.pending_of(B.address)[0].hash)
    async with daemon.run() as run:
        pool = run.admission.pool

        assert run.content() == ["pending A1 1"]
        assert {departure.reason for departure in pool.departures()} == {DropReason.MINED, DropReason.REMOVED}


async def test_an_empty_name_keeps_nothing(tmp_path: Path) -> None:
    """`--txpool.journal=` is geth's way to have none."""
    daemon = Daemon(tmp_path)
    daemon.limits = type(daemon.limits)(journal="")
    async with daemon.run() as run:
        await run.submit(legacy(A, 0))

    assert not any(tmp_path.iterdir())  # noqa: ASYNC240  a folder in memory


# ------------------------------------------------------------------ a failing journal


async def test_a_failed_sync_leaves_the_pool_as_it_was(tmp_path: Path) -> None:
    """Newcomers are out again, what they replaced is back, and the news tell nothing of them."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        pool = run.admission.pool
        await run.submit(legacy(A, 0), legacy(A, 1), legacy(B, 1))
        before = run.content()
        run.news()
        daemon.disk.gate.clear()
        submitting = asyncio.create_task(
            run.submit(legacy(A, 0, price=5), legacy(A, 2), legacy(B, 0), legacy(A, 1, gas=90_000))
        )
        await until(lambda: pool.statistics().held == 3)
        daemon.disk.failing = errno.EIO
        daemon.disk.gate.set()
        answers = await submitting
        assert_pool(pool)
        later = await run.submit(legacy(B, 0))

        assert [type(answer) for answer in answers] == [
            NotDurable,
            NotDurable,
            NotDurable,
            ReplacementUnderpriced,
        ]
        assert run.content() == before
        assert pool.drop_record(legacy(A, 0).hash) is None
        assert [type(answer) for answer in later] == [NotDurable]
        failed = run.admission.failure
        assert failed is not None
        assert "promoted" not in "".join(run.news())
        with pytest.raises(JournalError):
            await run.admission.compact()
        daemon.disk.failing = None
        await run.admission.compact()

        assert run.admission.failure is None
        assert await run.submit(legacy(A, 2)) == [None]
    async with daemon.run() as run:
        assert run.content() == sorted([*before, "pending A2 1"])


async def test_mined_ones_leave_although_the_journal_fails(tmp_path: Path) -> None:
    """A failing disk stops admissions, not the chain; after recovery the journal knows."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0), legacy(A, 1), legacy(B, 0))
        run.news()
        daemon.disk.failing = errno.ENOSPC
        daemon.chain.mine(legacy(A, 0))
        run.admission.pool.reset()
        await until(lambda: run.admission.failure is not None)
        daemon.chain.mine(legacy(B, 0))
        run.admission.pool.reset()
        news = run.news()
        daemon.disk.failing = None
        await run.admission.compact()

        assert news == ["dropped 0 MINED", "dropped 0 MINED"]
        assert run.content() == ["pending A1 1"]
    async with daemon.run() as run:
        assert run.content() == ["pending A1 1"]
        assert len(run.admission.pool.departures()) == 2


async def test_a_stop_with_a_failing_journal_is_a_stop(tmp_path: Path) -> None:
    """The daemon says in its log that the pool could not be kept, and ends in order."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0))
        daemon.disk.failing = errno.EIO
        assert [type(answer) for answer in await run.submit(legacy(A, 1))] == [NotDurable]
    daemon.disk.failing = None
    async with daemon.run() as run:
        assert "pending A0 1" in run.content()


def write_version(folder: Path, version: int) -> None:
    """Makes the only log say that it is of another version."""
    (log,) = folder.glob("*.log")
    content = bytearray(log.read_bytes())
    content[16:18] = version.to_bytes(2, "big")
    log.write_bytes(content)


async def test_a_foreign_journal_stops_the_start(tmp_path: Path) -> None:
    """Written by a newer program: the daemon says so instead of losing what is in it."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0))
    write_version(tmp_path, 9)

    with pytest.raises(StartFailure, match="version 9, this program reads version 1"):
        async with daemon.run():
            pass


async def test_a_disk_too_full_to_rewrite_does_not_stop_the_start(tmp_path: Path) -> None:
    """The pool is back from the old files, and what comes then is behind them."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0))
    daemon.disk.failing_names = (".unfinished",)
    async with daemon.run() as run:
        assert run.content() == ["pending A0 1"]
        assert await run.submit(legacy(A, 1)) == [None]
    daemon.disk.failing_names = ()
    async with daemon.run() as run:
        assert run.content() == ["pending A0 1", "pending A1 1"]


def only_log(folder: Path) -> Path:
    """The journal's log."""
    (path,) = folder.glob("*.log")
    return path


def put_log(folder: Path, content: bytes) -> None:
    """A log with this content in the place of the whole journal."""
    path = only_log(folder)
    for file in folder.glob("transactions.rlp.*"):
        file.unlink()
    path.write_bytes(content)


async def test_a_damaged_journal_is_warned_of(tmp_path: Path) -> None:
    """With the bytes that belong to no record; an undamaged one is no warning."""
    daemon = Daemon(tmp_path)
    async with daemon.run() as run:
        await run.submit(legacy(A, 0), legacy(A, 1))
    kept = only_log(tmp_path).read_bytes().rstrip(b"\0")
    told: list[list[str]] = []
    for content in (kept, kept[:-1]):
        put_log(tmp_path, content)
        with capture_logs() as entries:
            async with daemon.run() as run:
                pass
        told.append([entry["event"] for entry in entries if entry["log_level"] == "warning"])
        assert run.report.restored == 2 - len(told[-1])

    assert told == [[], ["journal of the pool is torn or damaged"]]
