"""`--txpool.durability`: what an answer waits for, and what is there after the end of the process."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from parallelpool.errors import JournalError, NotDurable
from parallelpool.journal import Disk, Journal
from parallelpool.journal_format import read_journal
from tests.deadline import until
from tests.factories import Key, legacy
from tests.parallelpool.test_admission import Daemon
from tests.parallelpool.test_journal import added, raws

A = Key(1)


def files(folder: Path) -> list[Path]:
    """What is in it."""
    return list(folder.iterdir())


async def test_buffered_answers_before_the_sync(tmp_path: Path) -> None:
    """The system has the record when the answer is given; the disk gets it when time says so."""
    daemon = Daemon(tmp_path, durability="buffered")
    async with daemon.run() as run:
        daemon.disk.gate.clear()  # a sync would wait for ever
        answers = await asyncio.wait_for(run.submit(legacy(A, 0)), 10)
        written = read_journal(tmp_path / "transactions.rlp")
        daemon.disk.gate.set()

    assert answers == [None]
    assert raws(written) == [legacy(A, 0).raw]


async def test_buffered_syncs_when_asked_and_at_the_end(tmp_path: Path) -> None:
    """One sync for all that was written since the last one, none for nothing."""
    synced: list[int] = []
    journal = Journal.open(tmp_path / "journal", is_buffered=True, disk=Disk(sync=synced.append))
    synced.clear()
    for number in range(3):
        await journal.durable(journal.append([added(number)]))
    before = len(synced)
    journal.sync()
    await until(lambda: len(synced) == 1)
    await journal.durable(journal.append([added(3)]))
    await journal.close()
    after = len(synced)

    assert (before, after) == (0, 2)
    assert len(raws(read_journal(tmp_path / "journal"))) == 4


async def test_asking_for_a_sync_without_news_costs_none(tmp_path: Path) -> None:
    """Neither where nothing was written, nor where every write is synced anyway."""
    for is_buffered in (True, False):
        synced: list[int] = []
        disk = Disk(sync=synced.append)
        journal = Journal.open(tmp_path / str(is_buffered), is_buffered=is_buffered, disk=disk)
        synced.clear()
        if not is_buffered:
            await journal.durable(journal.append([added(1)]))
        journal.sync()
        await journal.close()

        assert len(synced) == (0 if is_buffered else 1)


async def test_a_late_sync_that_fails_refuses_newcomers_and_keeps_the_old(tmp_path: Path) -> None:
    """What was answered stays in the pool and is in the next snapshot."""
    daemon = Daemon(tmp_path, durability="buffered")
    async with daemon.run() as run:
        await run.submit(legacy(A, 0))
        daemon.disk.failing = errno.EIO
        run.admission.sync()
        await until(lambda: run.admission.failure is not None)
        refused = await run.submit(legacy(A, 1))
        daemon.disk.failing = None
        await run.admission.compact()

        assert [type(answer) for answer in refused] == [NotDurable]
        assert run.content() == ["pending A0 1"]
        assert run.admission.failure is None
    async with daemon.run() as run:
        assert run.content() == ["pending A0 1"]


async def test_a_full_system_buffer_is_a_refusal_too(tmp_path: Path) -> None:
    """Where even the write fails, `buffered` takes the transaction out again, as `fsync` does."""
    is_full = False

    def write(file: int, view: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, view)

    journal = Journal.open(tmp_path / "journal", is_buffered=True, disk=Disk(write=write))
    is_full = True
    with pytest.raises(JournalError, match="No space left on device"):
        await journal.durable(journal.append([added(1)]))
    with pytest.raises(JournalError):
        await journal.close()


async def test_none_keeps_nothing(tmp_path: Path) -> None:
    """No file is written, and the next start finds an empty pool."""
    daemon = Daemon(tmp_path, durability="none")
    async with daemon.run() as run:
        assert await run.submit(legacy(A, 0)) == [None]
    async with daemon.run() as run:
        assert run.content() == []

    assert files(tmp_path) == []


async def test_none_takes_over_what_an_earlier_run_kept(tmp_path: Path) -> None:
    """Nothing acknowledged is lost by the change of the setting; from then on the files are gone."""
    await _run_once(tmp_path, "fsync")
    daemon = Daemon(tmp_path, durability="none")
    async with daemon.run() as run:
        assert run.content() == ["pending A0 1"]
        assert run.report.restored == 1

    assert files(tmp_path) == []


async def _run_once(folder: Path, durability: str) -> None:
    async with Daemon(folder, durability=durability).run() as run:
        await run.submit(legacy(A, 0))
