"""
The journal of the pool: what was acknowledged is on disk, and what left is known to have left.

In: transactions that came into the pool and departures from it. `append` takes records at once and gives a ticket;
`durable` returns when all records up to that ticket are synced. Records that come while a sync runs share the next one.
With `fsync` synced means that they survive a power cut; with `buffered` that the system has them, so that they survive
the end of this process, and `sync` has to be called now and then.

A file is never appended to after a restart, so a torn end needs no repair; the next snapshot leaves it behind. After
a failed write or sync nothing is known about what the file holds, so everything is refused until a new snapshot in
new files has been synced. The files themselves are `parallelpool.journal_format`.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from parallelpool.distribution import LATENCY_BOUNDS_S, Distribution
from parallelpool.errors import JournalError
from parallelpool.journal_format import FileFormat, JournalRecord, journal_files
from parallelpool.transaction import LogWriter, Written

MIN_REWRITE: Final = 4 * 1_024 * 1_024
"""Bytes that a log has at least before it is rewritten for its size."""

ROOM: Final = 1_024 * 1_024
"""
Bytes that a log is made longer by at once, as zeros. A sync of bytes that the file has already need not wait for the
file system's own journal, where every other file's changes stand in line: on ext4 beside busy writers that is a tenth
of a millisecond instead of ten.
"""

FRAMED_AT_ONCE: Final = 1_024
"""Records that are made into bytes in one turn of the event loop."""

Ticket: TypeAlias = int
"""Records appended so far."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The system calls of the journal; tests put failing ones in their place."""

    write: Callable[[int, bytes], int] = os.write
    sync: Callable[[int], None] = os.fdatasync

    def writer(self) -> LogWriter:
        """What writes the logs; it makes its system calls itself where nothing stands in their place."""
        return LogWriter(
            room=ROOM,
            write=None if self.write is os.write else self.write,
            sync=None if self.sync is os.fdatasync else self.sync,
        )


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """Figures of one moment."""

    records: int
    """Appended since the start."""
    durable: int
    """Of those, synced."""
    syncs: int
    """Groups of records written; with `fsync` each is one sync."""
    log_bytes: int
    """Written to the current log."""
    snapshot_bytes: int
    """Of the last snapshot."""
    failure: str | None
    """Why nothing can be made durable now."""


@dataclass(slots=True)
class Log:
    """The file that records go to."""

    format: FileFormat
    file: int
    """File descriptor."""
    size: int = 0
    """Bytes of records."""
    room: int = 0
    """Bytes of zeros behind them."""
    writes: int = 0
    """Under way."""
    is_sound: bool = True
    """False after a failed write: nobody knows what it holds, so nothing more is written to it."""

    def close(self) -> None:
        """Gives the room back and closes the file."""
        if self.file < 0:
            return
        if self.room and self.is_sound:
            with suppress(OSError):  # zeros that stay harm nobody
                os.ftruncate(self.file, os.lseek(self.file, 0, os.SEEK_CUR))
        os.close(self.file)
        self.file = -1


class Journal:
    """
    Appends, syncs in groups, rewrites. Touched from the event loop. Logs are written by a thread of the engine, which
    goes on to the next group without asking the loop; snapshots by a thread of the journal's own.
    """

    def __init__(self, path: Path, *, is_buffered: bool = False, disk: Disk | None = None) -> None:
        """Use `open`."""
        self._path = path
        self._is_buffered = is_buffered
        self._is_unsynced = False
        """`buffered` only: the log has records that were written and not synced."""
        self._wants_sync = False
        self.sync_seconds = Distribution(LATENCY_BOUNDS_S)
        """How long the syncs of the log took."""
        self._disk = disk if disk is not None else Disk()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="parallelpool-snapshot")
        self._writer = self._disk.writer()
        self._loop: asyncio.AbstractEventLoop | None = None
        """Which hears of what the writer has written."""
        self._log = Log(FileFormat.fresh(0), -1)
        self._retired: list[Log] = []
        self._buffer: list[JournalRecord] = []
        self._appended: Ticket = 0
        self._durable: Ticket = 0
        self._is_compacting = False
        self._waiting: deque[tuple[Ticket, asyncio.Future[None]]] = deque()
        self._failure: JournalError | None = None
        self._failures = 0
        self._lost: list[range] = []
        self._syncs = 0
        self._snapshot_bytes = 0
        self._on_durable: Callable[[Ticket], None] = lambda ticket: None
        self._on_failure: Callable[[JournalError], None] = lambda error: None

    @classmethod
    def open(cls, path: Path, *, is_buffered: bool = False, disk: Disk | None = None) -> Self:
        """Begins a new log behind the files that exist. Raises JournalError."""
        journal = cls(path, is_buffered=is_buffered, disk=disk)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            journal._log = journal._begin_log()
        except OSError as error:
            raise JournalError(f"cannot open the pool's journal {path}: {error.strerror}") from error
        return journal

    def follow(
        self, *, on_durable: Callable[[Ticket], None], on_failure: Callable[[JournalError], None]
    ) -> None:
        """
        Who is told, on the event loop, before any waiter of `durable` goes on: the ticket up to which all is synced, or
        that everything above the last such ticket is lost.
        """
        self._on_durable, self._on_failure = on_durable, on_failure

    # -- appending

    @property
    def failure(self) -> JournalError | None:
        """Why nothing can be made durable now."""
        return self._failure

    def append(self, records: Iterable[JournalRecord]) -> Ticket:
        """Takes records to be written soon; `durable` with the ticket tells when they are."""
        taken = list(records)
        self._appended += len(taken)
        ticket = self._appended
        if taken and not self._log.is_sound:
            self._lose()
        elif taken:
            if not self._buffer:
                asyncio.get_running_loop().call_soon(self._write_on)
            self._buffer.extend(taken)
        return ticket

    async def durable(self, ticket: Ticket) -> None:
        """Returns when all records up to `ticket` are synced. Raises JournalError if they cannot be."""
        if any(ticket in lost for lost in self._lost):
            raise self._failure or JournalError(f"records of the pool's journal {self._path} were lost")
        if ticket <= self._durable:
            return
        if self._failure is not None:
            raise self._failure
        self._write_on()  # in the next turn of the loop it would stand behind whatever comes in this one
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ticket, done))
        await done

    def sync(self) -> None:
        """Syncs soon what `buffered` has only handed to the system; a failure is told as that of a write."""
        if self._is_buffered and self._is_unsynced and self._log.is_sound:
            self._wants_sync = True
            self._write_on()

    def _write_on(self) -> None:
        """Hands on what there is to write. What is handed on during a sync shares the next one."""
        if not (self._buffer or self._wants_sync):
            return
        records, self._buffer = self._buffer[:FRAMED_AT_ONCE], self._buffer[FRAMED_AT_ONCE:]
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._writer.fileno(), self._hear)
        if self._buffer:
            loop.call_soon(self._write_on)
        is_synced = self._wants_sync or not self._is_buffered
        self._wants_sync, self._is_unsynced = False, not is_synced
        log = self._log
        content = b"".join(map(log.format.frame, records))
        log.writes += 1
        ticket = self._appended - len(self._buffer)
        self._writer.write(log.format.number, log.file, content, ticket, is_synced=is_synced)

    def _hear(self) -> None:
        for written in self._writer.take():
            self._written(written)

    def _written(self, written: Written) -> None:
        log = next(each for each in (self._log, *self._retired) if each.format.number == written.log)
        log.writes -= written.jobs
        log.size += written.size
        log.room = written.room
        was_sound = log.is_sound
        if written.sync_seconds is not None:
            self.sync_seconds.observe(written.sync_seconds)
        if log in self._retired and not log.writes:
            self._retired.remove(log)
            log.close()
        if not was_sound:
            return  # it is known to be lost
        if written.error is None:
            self._syncs += 1
            self._settle(written.ticket)
        elif isinstance(written.error, OSError):
            log.is_sound = False
            self._fail(written.error)
        else:
            raise written.error

    def _write_synced(self, file: int, content: bytes) -> None:
        """On a thread of the journal. Raises OSError."""
        rest = content
        while rest:
            rest = rest[self._disk.write(file, rest) :]
        self._disk.sync(file)

    def _settle(self, ticket: Ticket) -> None:
        self._durable = ticket
        self._on_durable(ticket)
        while self._waiting and self._waiting[0][0] <= ticket:
            _, done = self._waiting.popleft()
            if not done.done():
                done.set_result(None)

    def _fail(self, error: OSError) -> None:
        failure = JournalError(f"cannot write the pool's journal {self._path}: {error.strerror or error}")
        self._failure = failure
        self._failures += 1
        self._log.is_sound = self._wants_sync = self._is_unsynced = False
        self._buffer.clear()
        self._lose()
        self._on_failure(failure)
        waiting, self._waiting = self._waiting, deque()
        for _, done in waiting:
            if not done.done():
                done.set_exception(failure)

    def _lose(self) -> None:
        """What was appended and not synced never will be."""
        first = self._durable + 1
        if self._lost and self._lost[-1].stop == first - 1:
            first = self._lost.pop().start
        self._lost.append(range(first, self._appended + 1))
        # A ticket of nobody's, so that those who only wait for what others appended do not wait for what was lost.
        self._appended += 1
        self._durable = self._appended

    # -- rewriting

    def wants_compaction(self) -> bool:
        """Whether the log has outgrown the snapshot, or a failure asks for new files."""
        return self._failure is not None or self._log.size > max(2 * self._snapshot_bytes, MIN_REWRITE)

    async def compact(self, state: Callable[[], Iterable[JournalRecord]]) -> None:
        """
        Begins a new log and writes what `state` gives, which replaces all older files.

        `state` is called once, on the event loop, at the moment from which records go to the new log; what it
        gives is read on a thread of the journal. After a failure, success makes the journal whole again. Raises
        JournalError; the old files stay then.
        """
        if self._is_compacting:
            return
        self._is_compacting = True
        try:
            await self._compact(state)
        except OSError as error:
            raise JournalError(f"cannot rewrite the pool's journal {self._path}: {error.strerror}") from error
        finally:
            self._is_compacting = False

    async def _compact(self, state: Callable[[], Iterable[JournalRecord]]) -> None:
        loop = asyncio.get_running_loop()
        # A log that an earlier attempt began after a failure has all records since, so it need not be a new one. Nor
        # does it matter that records in the buffer are known to the state already: applied twice they are the same.
        if self._failure is None or not self._log.is_sound:
            self._retire(await loop.run_in_executor(self._threads, self._begin_log))
        number, failures = self._log.format.number, self._failures
        self._snapshot_bytes = await loop.run_in_executor(
            self._threads, self._write_snapshot, number, state()
        )
        if self._failures == failures:
            self._failure = None
            await loop.run_in_executor(self._threads, self._delete_below, number)

    def _retire(self, log: Log) -> None:
        """Records go to `log` from now on; the old one is closed when its last write has ended."""
        old, self._log = self._log, log
        if old.writes:
            self._retired.append(old)
        else:
            old.close()

    def _begin_log(self) -> Log:
        """On a thread of the journal. Raises OSError."""
        snapshots, logs = journal_files(self._path)
        file_format = FileFormat.fresh(max([*snapshots, *logs], default=0) + 1)
        path = self._named(file_format.number, "log")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            self._write_synced(file, file_format.header())
            self._sync_folder()
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return Log(file_format, file)

    def _write_snapshot(self, number: int, records: Iterable[JournalRecord]) -> int:
        """On a thread of the journal. Raises OSError."""
        unfinished = self._named(number, "unfinished")
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            file_format = FileFormat.fresh(number)
            content = file_format.header() + b"".join(map(file_format.frame, records))
            self._write_synced(file, content)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        unfinished.rename(self._named(number, "snapshot"))
        self._sync_folder()
        return len(content)

    def _delete_below(self, number: int) -> None:
        """On a thread of the journal. Raises OSError."""
        snapshots, logs = journal_files(self._path)
        for files in (snapshots, logs):
            for old in files:
                if old < number:
                    files[old].unlink(missing_ok=True)
        for leftover in self._path.parent.glob(f"{self._path.name}.*.unfinished"):
            leftover.unlink(missing_ok=True)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._disk.sync(folder)
        finally:
            os.close(folder)

    def _named(self, number: int, kind: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{number:08}.{kind}")

    # -- the rest

    def statistics(self) -> JournalStatistics:
        """Figures of this moment."""
        return JournalStatistics(
            records=self._appended,
            durable=self._durable,
            syncs=self._syncs,
            log_bytes=self._log.size,
            snapshot_bytes=self._snapshot_bytes,
            failure=None if self._failure is None else str(self._failure),
        )

    async def close(self) -> None:
        """Syncs what was appended and lets go of the files. Raises JournalError if that fails."""
        try:
            if self._appended > self._durable:
                await self.durable(self._appended)
            if self._is_unsynced and self._log.is_sound:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, self._disk.sync, self._log.file)
            if self._failure is not None:
                raise self._failure
        except OSError as error:
            raise JournalError(f"cannot sync the pool's journal {self._path}: {error.strerror}") from error
        finally:
            self._threads.shutdown(wait=True)
            self._writer.stop()
            if self._loop is not None:
                self._loop.remove_reader(self._writer.fileno())
            for log in (*self._retired, self._log):
                log.close()
