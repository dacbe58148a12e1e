"""The journal's files and their writing: groups, torn ends, damage, rewriting, and disks that fail."""

import asyncio
import errno
import itertools
import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from parallelpool.errors import JournalError
from parallelpool.events import Departure, DropReason
from parallelpool.journal import Disk, Journal
from parallelpool.journal_format import (
    HEADER,
    REASON_CODES,
    Added,
    FileFormat,
    JournalContent,
    JournalRecord,
    read_journal,
)
from parallelpool.primitives import Address, Nonce, TxHash
from parallelpool.transaction import keccak256
from tests.deadline import until


def added(number: int, size: int = 120) -> Added:
    """A record of a transaction that is told apart by its bytes."""
    return Added(number.to_bytes(4, "big") * (size // 4), is_local=number % 2 == 0, received_at=float(number))


def hash_of(record: Added) -> TxHash:
    """Its transaction's hash."""
    return TxHash(keccak256(record.raw))


def removed(record: Added, reason: DropReason = DropReason.EXPIRED, **facts: object) -> Departure:
    """The departure of that transaction."""
    return Departure(hash_of(record), Address(bytes(20)), Nonce(7), reason, 12.5, **facts)  # type: ignore[arg-type]


async def write(path: Path, records: Sequence[JournalRecord], *, disk: Disk | None = None) -> None:
    """A journal that was opened, written and closed."""
    journal = Journal.open(path, disk=disk)
    journal.append(records)
    await journal.close()


def logs(path: Path) -> list[Path]:
    """The journal's files in order."""
    return sorted(path.parent.glob(f"{path.name}.*"))


def raws(content: JournalContent) -> list[bytes]:
    """What is pooled."""
    return [each.raw for each in content.pooled.values()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal stands."""
    return tmp_path / "chain" / "transactions.rlp"


def test_no_file_is_an_empty_journal(path: Path) -> None:
    """Nothing to read is nothing pooled, and no error."""
    assert read_journal(path) == JournalContent()


@pytest.mark.parametrize("reason", DropReason)
async def test_every_departure_is_read_as_written(path: Path, reason: DropReason) -> None:
    """Hash, sender, nonce, reason, time and the reason's own facts survive."""
    departure = removed(
        added(1),
        reason,
        replaced_by=TxHash(b"\x09" * 32) if reason is DropReason.REPLACED else None,
        block_number=2**40 if reason is DropReason.MINED else None,
        detail="nonce too low: next nonce 1, tx nonce 0 \u00d7"
        if reason is DropReason.REFUSED_AT_RESTART
        else "",
    )
    await write(path, [added(1), departure])

    assert read_journal(path).departed == {departure.hash: departure}


def test_every_reason_has_a_code_of_its_own() -> None:
    """A reason without a code could not be written."""
    assert set(REASON_CODES) == set(DropReason)
    assert len(set(REASON_CODES.values())) == len(REASON_CODES)


async def test_what_was_added_and_not_removed_is_pooled_in_order(path: Path) -> None:
    """Order of admission, flag and time survive; a transaction that came back is pooled and not departed."""
    first, second, third = added(1), added(2), added(3)
    await write(path, [first, second, third, removed(second), removed(first), first])
    content = read_journal(path)

    assert list(content.pooled.values()) == [third, first]
    assert list(content.departed) == [hash_of(second)]
    assert (content.records, content.damaged_bytes) == (6, 0)


async def test_a_second_start_goes_on_in_a_new_file(path: Path) -> None:
    """Nothing is appended behind what an earlier run left."""
    await write(path, [added(1)])
    before = logs(path)[0].read_bytes()
    await write(path, [added(2)])

    assert len(logs(path)) == 2
    assert logs(path)[0].read_bytes() == before
    assert raws(read_journal(path)) == [added(1).raw, added(2).raw]


# ------------------------------------------------------------------ damage


async def test_room_for_more_is_no_damage(path: Path) -> None:
    """While it is written the log has zeros behind its records; an orderly end gives them back."""
    journal = Journal.open(path)
    await journal.durable(journal.append([added(1), added(2)]))
    (log,) = logs(path)
    during, content = log.stat().st_size, read_journal(path)
    await journal.durable(journal.append([added(3)]))
    again = log.stat().st_size
    await journal.close()

    assert during == again > 1_000_000
    assert (raws(content), content.damaged_bytes) == ([added(1).raw, added(2).raw], 0)
    assert log.stat().st_size < 1_000
    assert raws(read_journal(path)) == [added(1).raw, added(2).raw, added(3).raw]


async def test_a_record_torn_within_the_room_is_damage(path: Path) -> None:
    """Zeros in place of the end of the last record: it is lost and counted, those before it are read."""
    await write(path, [added(1), added(2)])
    (log,) = logs(path)
    whole = log.read_bytes()
    log.write_bytes(whole[:-20] + bytes(20) + bytes(5_000))
    content = read_journal(path)

    assert raws(content) == [added(1).raw]
    assert 0 < content.damaged_bytes <= len(added(2).raw) + 40


async def test_records_longer_than_the_room_make_more(path: Path) -> None:
    """Three megabytes in one sync and small ones behind them."""
    large = [Added(bytes([number]) * 1_000_000, True, 1.0) for number in (1, 2, 3)]
    await write(path, [added(1), *large, added(2), added(3)])

    assert raws(read_journal(path)) == [
        added(1).raw,
        *(each.raw for each in large),
        added(2).raw,
        added(3).raw,
    ]


async def test_a_torn_end_costs_the_last_record_only(path: Path) -> None:
    """Cut at every byte of the last record, all others are read, and the next run's records too."""
    await write(path, [added(1), added(2)])
    (log,) = logs(path)
    two = log.stat().st_size
    (path.parent / "other").mkdir()
    await write(path.parent / "other" / path.name, [added(1), added(2), added(3)])
    shutil.copy(logs(path.parent / "other" / path.name)[0], log)
    whole = log.read_bytes()
    await write(path, [added(4)])
    for end in range(two, len(whole)):
        log.write_bytes(whole[:end])
        content = read_journal(path)

        assert raws(content) == [added(1).raw, added(2).raw, added(4).raw]
        # Zeros at the end could be room that was not used.
        assert content.damaged_bytes == len(whole[two:end].rstrip(b"\0"))


async def test_damage_costs_the_record_it_struck(path: Path) -> None:
    """Each byte of the middle record changed in turn: the ones before and behind are read."""
    await write(path, [added(1), added(2), added(3)])
    (log,) = logs(path)
    whole = log.read_bytes()
    size = (len(whole) - HEADER.size) // 3
    start = HEADER.size + size
    for at in range(start, start + size):
        log.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        content = read_journal(path)

        assert raws(content) == [added(1).raw, added(3).raw]
        assert content.damaged_bytes == size


async def test_a_damaged_beginning_costs_its_file_only(path: Path) -> None:
    """Each byte of a file's beginning changed in turn: either refused by name or passed over, never misread."""
    await write(path, [added(1)])
    await write(path, [added(2)])
    log = logs(path)[0]
    whole = log.read_bytes()
    for at in range(HEADER.size):
        log.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        is_version = 16 <= at < 18
        with pytest.raises(JournalError, match="is of version") if is_version else nullcontext():
            content = read_journal(path)

            assert raws(content) == [added(2).raw]
            assert content.damaged_bytes == len(whole)


async def test_a_record_inside_data_is_no_record(path: Path) -> None:
    """Whoever writes a removal of somebody's transaction into calldata hopes for damage around it, in vain."""
    victim = added(1)
    forged = FileFormat.fresh(1).frame(removed(victim))
    await write(path, [victim, Added(forged * 20, is_local=True, received_at=0.0), added(3)])
    (log,) = logs(path)
    whole = log.read_bytes()
    at = whole.index(forged) - 1
    log.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])

    assert raws(read_journal(path)) == [victim.raw, added(3).raw]


async def test_another_version_is_refused_by_name(path: Path) -> None:
    """A newer program's journal is not thrown away by an older one."""
    await write(path, [added(1)])
    (log,) = logs(path)
    content = bytearray(log.read_bytes())
    content[17] = 2
    log.write_bytes(content)

    with pytest.raises(JournalError, match="version 2, this program reads version 1"):
        read_journal(path)


def test_an_unusable_folder_is_an_error(tmp_path: Path) -> None:
    """A file where the folder should be: the error says where and why."""
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalError, match="cannot open the pool's journal"):
        Journal.open(tmp_path / "file" / "transactions.rlp")


# ------------------------------------------------------------------ groups


class GatedDisk:
    """A disk whose syncs wait for `gate`; it counts them."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = 0
        self.syncs = 0
        self.failing: int | None = None

    def disk(self) -> Disk:
        """As the journal takes it."""
        return Disk(write=self._write, sync=self._sync)

    def _write(self, file: int, content: bytes) -> int:
        # In small pieces, as a disk may.
        return os.write(file, content[:1_000])

    def _sync(self, file: int) -> None:
        self.begun += 1
        assert self.gate.wait(30)
        self.syncs += 1
        if self.failing is not None:
            raise OSError(self.failing, os.strerror(self.failing))
        os.fdatasync(file)


async def test_many_waiters_share_one_sync(path: Path) -> None:
    """Whatever comes while a sync runs shares the next one: two hundred records cost two syncs."""
    gated = GatedDisk()
    journal = Journal.open(path, disk=gated.disk())
    before = gated.syncs
    gated.gate.clear()
    first = [asyncio.create_task(journal.durable(journal.append([added(n)]))) for n in range(100)]
    await until(lambda: gated.begun > before)
    second = [asyncio.create_task(journal.durable(journal.append([added(n)]))) for n in range(100, 200)]
    await asyncio.sleep(0)
    waiting = [task.done() for task in (*first, *second)]
    gated.gate.set()
    await asyncio.gather(*first, *second)

    assert not any(waiting)
    assert gated.syncs - before == 2
    assert journal.statistics().durable == 200
    await journal.close()
    assert len(read_journal(path).pooled) == 200


async def test_followers_are_told_before_waiters(path: Path) -> None:
    """What an answer promises is shown before the answer is given."""
    told: list[str] = []
    journal = Journal.open(path)
    journal.follow(on_durable=lambda ticket: told.append(f"durable {ticket}"), on_failure=lambda error: None)
    await journal.durable(journal.append([added(1), added(2)]))
    told.append("answered")
    await journal.close()

    assert told == ["durable 2", "answered"]


# ------------------------------------------------------------------ rewriting


async def test_rewriting_keeps_state_and_what_comes_after(path: Path) -> None:
    """Only the new files are left, and they say what pool and journal said."""
    journal = Journal.open(path)
    journal.append([added(n) for n in range(10)])
    await journal.compact(lambda: [added(8), added(9), removed(added(3))])
    await journal.durable(journal.append([added(10)]))
    await journal.close()

    assert [file.name.rsplit(".", 2)[1:] for file in logs(path)] == [
        ["00000002", "log"],
        ["00000002", "snapshot"],
    ]
    assert raws(read_journal(path)) == [added(8).raw, added(9).raw, added(10).raw]
    assert list(read_journal(path).departed) == [hash_of(added(3))]


def copy_of(folder: Path, copy: Path) -> Path | None:
    """A copy as of one moment; `None` if files came or went meanwhile."""
    before = sorted(folder.iterdir())
    try:
        shutil.copytree(folder, copy)
    except (shutil.Error, FileNotFoundError):
        return None
    return copy if sorted(folder.iterdir()) == before else None


async def test_a_kill_at_any_sync_loses_nothing_acknowledged(path: Path, tmp_path: Path) -> None:
    """The files as they stood before every sync of a rewriting under load hold all that was synced till then."""
    pooled: dict[TxHash, Added] = {}
    acknowledged: list[TxHash] = []
    copies: list[tuple[Path, frozenset[TxHash]]] = []
    numbers = itertools.count()

    def copy_then_sync(file: int) -> None:
        promised = frozenset(tuple(acknowledged))
        while (copy := copy_of(path.parent, tmp_path / f"killed-{next(numbers)}")) is None:
            pass
        copies.append((copy / path.name, promised))
        os.fdatasync(file)

    journal = Journal.open(path, disk=Disk(sync=copy_then_sync))

    async def load() -> None:
        for number in range(40):
            record = added(number)
            pooled[hash_of(record)] = record
            await journal.durable(journal.append([record]))
            acknowledged.append(hash_of(record))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load())
        for least in (6, 13, 20, 27):
            await until(lambda least=least: len(acknowledged) >= least)  # type: ignore[misc]  # a default binds it
            await journal.compact(lambda: list(pooled.values()))
    await journal.close()

    assert len(copies) > 40
    for copy, promised in copies:
        assert promised <= read_journal(copy).pooled.keys()


async def test_a_large_log_asks_to_be_rewritten(path: Path) -> None:
    """Over 4 MiB and twice the snapshot it is due, and no longer afterwards."""
    journal = Journal.open(path)
    fresh = journal.wants_compaction()
    await journal.durable(journal.append([added(n, 100_000) for n in range(50)]))
    grown = journal.wants_compaction()
    await journal.compact(list)
    rewritten = journal.wants_compaction()
    await journal.close()

    assert (fresh, grown, rewritten) == (False, True, False)


# ------------------------------------------------------------------ failing disks


@pytest.mark.parametrize("failure", [errno.EIO, errno.ENOSPC, errno.EROFS])
async def test_a_failed_sync_is_told_to_all_and_mended_by_a_rewriting(path: Path, failure: int) -> None:
    """Those who wait and those who come are refused until new files are synced; a lost ticket stays lost."""
    gated = GatedDisk()
    told: list[JournalError] = []
    journal = Journal.open(path, disk=gated.disk())
    journal.follow(on_durable=lambda ticket: None, on_failure=told.append)
    await journal.durable(journal.append([added(1)]))
    gated.failing = failure
    lost = journal.append([added(2)])
    with pytest.raises(JournalError, match=os.strerror(failure)):
        await journal.durable(lost)
    with pytest.raises(JournalError, match=os.strerror(failure)):
        await journal.durable(journal.append([added(3)]))
    with pytest.raises(JournalError, match="cannot rewrite"):
        await journal.compact(lambda: [added(1)])
    failed = journal.statistics().failure
    gated.failing = None
    await journal.compact(lambda: [added(1)])
    with pytest.raises(JournalError, match="were lost"):
        await journal.durable(lost)
    await journal.durable(journal.append([added(4)]))
    await journal.close()

    assert len(told) == 1
    assert failed is not None
    assert journal.statistics().failure is None
    assert raws(read_journal(path)) == [added(1).raw, added(4).raw]


async def test_a_long_outage_leaves_few_files(path: Path) -> None:
    """Attempts to rewrite onto a disk that takes no snapshot do not pile up files."""
    refusing = False

    def sync(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink().name
        if refusing and name.endswith((".unfinished", "00000001.log")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(file)

    journal = Journal.open(path, disk=Disk(sync=sync))
    refusing = True
    with pytest.raises(JournalError):
        await journal.durable(journal.append([added(1)]))
    for _ in range(10):
        with suppress(JournalError):
            await journal.compact(lambda: [added(2)])
    during = len(logs(path))
    refusing = False
    await journal.compact(lambda: [added(2)])
    await journal.close()

    assert during == 2
    assert journal.statistics().failure is None
    assert raws(read_journal(path)) == [added(2).raw]
