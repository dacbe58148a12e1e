"""The engine's writer of logs: order, groups, room, real failures of the system, and what stands in for its calls."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from parallelpool._core import LogWriter, Written
from tests.deadline import until

ROOM = 4_096


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file that is open for writing."""
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


async def told(writer: LogWriter, jobs: int) -> list[Written]:
    """What the writer says of so many jobs."""
    heard: list[Written] = []

    def is_all() -> bool:
        heard.extend(writer.take())
        return sum(each.jobs for each in heard) >= jobs

    await until(is_all)
    return heard


async def test_contents_stand_in_order_before_their_room(file: int, tmp_path: Path) -> None:
    """Zeros follow, a multiple of the room; the descriptor stands behind the content."""
    writer = LogWriter(room=ROOM)
    for ticket, content in enumerate((b"one", b"", b"two" * 2_000, b"three"), 1):
        writer.write(7, file, content, ticket, is_synced=ticket != 4)
    heard = await told(writer, 4)
    writer.stop()

    whole = b"one" + b"two" * 2_000 + b"three"
    content = (tmp_path / "log").read_bytes()
    assert content == whole + bytes(len(content) - len(whole))
    assert os.lseek(file, 0, os.SEEK_CUR) == len(whole)
    assert (heard[-1].ticket, heard[-1].room, heard[-1].log) == (4, len(content) - len(whole), 7)
    assert sum(each.size for each in heard) == len(whole)
    assert all(each.error is None for each in heard)


async def test_what_comes_during_a_sync_shares_the_next_one(file: int) -> None:
    """And no sync is made that nobody asked for."""
    gate, begun = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        begun.set()
        assert gate.wait(30)

    writer = LogWriter(room=ROOM, sync=sync)
    writer.write(1, file, b"a", 1, is_synced=True)
    await until(begun.is_set)
    for ticket in range(2, 11):
        writer.write(1, file, b"b", ticket, is_synced=ticket == 5)
    writer.write(2, file, b"c", 11, is_synced=False)
    gate.set()
    heard = await told(writer, 11)
    writer.stop()

    assert [(each.log, each.jobs, each.ticket, each.size) for each in heard] == [
        (1, 1, 1, 1),
        (1, 9, 10, 9),
        (2, 1, 11, 1),
    ]
    assert [each.sync_seconds is None for each in heard] == [False, False, True]


async def test_failures_of_the_system_are_told_as_python_has_them(tmp_path: Path) -> None:
    """A full disk at the write, a file that cannot be synced, a closed one; each with number and text."""
    reading, writing = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    unwritable = os.open(tmp_path, os.O_RDONLY)
    writer = LogWriter(room=ROOM)
    for log, descriptor in enumerate((full, writing, unwritable)):
        writer.write(log, descriptor, b"x", log, is_synced=True)
    errors = [each.error for each in await told(writer, 3)]
    writer.stop()
    for descriptor in (reading, writing, full, unwritable):
        os.close(descriptor)

    numbers = [error.errno for error in errors if isinstance(error, OSError)]
    assert numbers == [errno.ENOSPC, errno.EINVAL, errno.EBADF]
    assert str(errors[0]) == f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}"


async def test_nothing_more_goes_to_a_log_that_has_failed(file: int, tmp_path: Path) -> None:
    """Also what waited already; the next log is another matter, even with the same descriptor."""
    gate, begun = threading.Event(), threading.Event()
    failing = True

    def sync(_: int) -> None:
        begun.set()
        assert gate.wait(30)
        if failing:
            raise OSError(errno.EIO, "bad")

    writer = LogWriter(room=ROOM, sync=sync)
    writer.write(1, file, b"first", 1, is_synced=True)
    await until(begun.is_set)
    writer.write(1, file, b"never", 2, is_synced=True)
    gate.set()
    heard = await told(writer, 2)
    failing = False
    writer.write(1, file, b"never", 3, is_synced=False)
    writer.write(2, file, b"second", 4, is_synced=True)
    heard += await told(writer, 2)
    writer.stop()

    assert [type(each.error) for each in heard] == [OSError, OSError, OSError, type(None)]
    assert (tmp_path / "log").read_bytes().rstrip(b"\0") == b"firstsecond"


async def test_a_write_may_take_a_part(file: int, tmp_path: Path) -> None:
    """The rest follows; what stands in its place is called as `os.write` is."""

    def write(descriptor: int, content: bytes) -> int:
        return os.write(descriptor, content[:3])

    writer = LogWriter(room=1, write=write)
    writer.write(1, file, b"all of it", 1, is_synced=True)
    await told(writer, 1)
    writer.stop()

    assert (tmp_path / "log").read_bytes().rstrip(b"\0") == b"all of it"


async def test_a_stop_waits_for_what_was_handed_over(file: int, tmp_path: Path) -> None:
    """It is written and told."""
    writer = LogWriter(room=ROOM)
    for ticket in range(100):
        writer.write(1, file, b"x", ticket, is_synced=True)
    writer.stop()

    assert writer.take()[-1].ticket == 99
    assert (tmp_path / "log").read_bytes().rstrip(b"\0") == b"x" * 100
