"""
The files of the pool's journal: their format, and what they say when they are read back.

Numbered logs `PATH.N.log`, and `PATH.N.snapshot`, which stands for all logs below N. Every record has a mark, a
checksum and a length, so a torn end or a damaged stretch costs the records in it and nothing behind them. Mark and
checksum are keyed by secrets of the file: what looks like a record inside a transaction's data is none.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeAlias
from zlib import crc32

from parallelpool.errors import JournalError
from parallelpool.events import Departure, DropReason
from parallelpool.primitives import Address, Nonce, TxHash
from parallelpool.transaction import keccak256

VERSION: Final = 1
FORMAT_NAME: Final = b"parallelpool-txs"
HEADER: Final = struct.Struct(">16sHQ8sII")
"""Begins each file: name of the format, version, number of the file, its mark, its checksum's start, checksum."""

FRAME: Final = struct.Struct(">8sIIB")
"""Begins each record: the file's mark, checksum of all that follows it, length of the body, kind."""

ADDED, REMOVED = 1, 2
ADDED_BODY: Final = struct.Struct(">Bd")
"""Flags (1: local), unix seconds of the first admission; the raw transaction follows."""
REMOVED_BODY: Final = struct.Struct(">32s20sQBdqB")
"""Hash, sender, nonce, reason, unix seconds, block number or -1, length of the replacing hash; it and a text follow."""

REASON_CODES: Final[dict[DropReason, int]] = {
    DropReason.MINED: 1,
    DropReason.SUPERSEDED: 2,
    DropReason.REPLACED: 3,
    DropReason.UNDERPRICED: 4,
    DropReason.RATE_LIMITED: 5,
    DropReason.EXPIRED: 6,
    DropReason.UNPAYABLE: 7,
    DropReason.GAS_ABOVE_BLOCK_LIMIT: 8,
    DropReason.GAS_ABOVE_TRANSACTION_CAP: 9,
    DropReason.TIP_BELOW_MINIMUM: 10,
    DropReason.REMOVED: 11,
    DropReason.NOT_DURABLE: 12,
    DropReason.REFUSED_AT_RESTART: 13,
}
"""Part of the format: codes are never changed or used again."""
REASONS: Final = {code: reason for reason, code in REASON_CODES.items()}


@dataclass(frozen=True, slots=True)
class Added:
    """A transaction came into the pool."""

    raw: bytes
    """Canonical encoding."""
    is_local: bool
    received_at: float
    """Unix seconds."""


JournalRecord: TypeAlias = Added | Departure


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What makes the records of one file its own."""

    number: int
    mark: bytes
    """8 random bytes in front of each record; where reading goes on after damage."""
    checksum_start: int
    """Random, 32 bits."""

    @classmethod
    def fresh(cls, number: int) -> Self:
        """For a new file."""
        return cls(number, os.urandom(8), int.from_bytes(os.urandom(4), "big"))

    def header(self) -> bytes:
        """The beginning of the file."""
        content = HEADER.pack(FORMAT_NAME, VERSION, self.number, self.mark, self.checksum_start, 0)[:-4]
        return content + struct.pack(">I", crc32(content))

    @classmethod
    def of(cls, content: bytes) -> Self | None:
        """Reads a file's beginning; `None` if it is torn or damaged. Raises ValueError on another version."""
        if len(content) < HEADER.size:
            return None
        name, version, number, mark, checksum_start, checksum = HEADER.unpack_from(content)
        if name == FORMAT_NAME and version != VERSION:
            raise ValueError(f"it is of version {version}, this program reads version {VERSION}")
        if name != FORMAT_NAME or checksum != crc32(content[: HEADER.size - 4]):
            return None
        return cls(number, mark, checksum_start)

    def frame(self, record: JournalRecord) -> bytes:
        """One record as it stands in the file."""
        kind, body = _encode(record)
        tail = struct.pack(">IB", len(body), kind) + body
        return self.mark + struct.pack(">I", crc32(tail, self.checksum_start)) + tail

    def frames(self, content: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(begin, kind, body) of each record whose checksum holds; whatever lies between them is passed over."""
        at = content.find(self.mark, HEADER.size)
        while at != -1:
            body = self._body_at(content, at)
            if body is None:
                at = content.find(self.mark, at + 1)
                continue
            yield at, content[at + FRAME.size - 1], body
            at = content.find(self.mark, at + FRAME.size + len(body))

    def _body_at(self, content: bytes, at: int) -> bytes | None:
        if at + FRAME.size > len(content):
            return None
        _, checksum, length, _ = FRAME.unpack_from(content, at)
        end = at + FRAME.size + length
        if end > len(content) or crc32(content[at + 12 : end], self.checksum_start) != checksum:
            return None
        return content[at + FRAME.size : end]


def _encode(record: JournalRecord) -> tuple[int, bytes]:
    """(kind, body)."""
    if isinstance(record, Added):
        return ADDED, ADDED_BODY.pack(record.is_local, record.received_at) + record.raw
    replaced_by = record.replaced_by or b""
    fixed = REMOVED_BODY.pack(
        record.hash,
        record.sender,
        record.nonce,
        REASON_CODES[record.reason],
        record.departed_at,
        -1 if record.block_number is None else record.block_number,
        len(replaced_by),
    )
    return REMOVED, fixed + replaced_by + record.detail.encode()


def _decode(kind: int, body: bytes) -> JournalRecord:
    """Raises struct.error, KeyError or ValueError on what this version never wrote."""
    if kind == ADDED:
        flags, received_at = ADDED_BODY.unpack_from(body)
        return Added(body[ADDED_BODY.size :], bool(flags & 1), received_at)
    if kind != REMOVED:
        raise ValueError(f"record of kind {kind}")
    tx_hash, sender, nonce, reason, departed_at, number, length = REMOVED_BODY.unpack_from(body)
    replaced_by = body[REMOVED_BODY.size : REMOVED_BODY.size + length]
    return Departure(
        TxHash(tx_hash),
        Address(sender),
        Nonce(nonce),
        REASONS[reason],
        departed_at,
        replaced_by=TxHash(replaced_by) if replaced_by else None,
        block_number=None if number < 0 else number,
        detail=body[REMOVED_BODY.size + length :].decode(),
    )


# ------------------------------------------------------------------ reading back


@dataclass(slots=True)
class JournalContent:
    """What the journal says was in the pool, and what had left."""

    pooled: dict[TxHash, Added] = field(default_factory=dict)
    """In the order of admission."""
    departed: dict[TxHash, Departure] = field(default_factory=dict)
    """In the order of departure; a transaction that came back is not here."""
    records: int = 0
    damaged_bytes: int = 0
    """Bytes that belong to no whole record: a torn end, or damage."""

    def apply(self, record: JournalRecord) -> None:
        """Takes one record in, in the order of writing."""
        self.records += 1
        if isinstance(record, Added):
            tx_hash = TxHash(keccak256(record.raw))
            self.departed.pop(tx_hash, None)
            self.pooled.setdefault(tx_hash, record)
        else:
            self.pooled.pop(record.hash, None)
            self.departed.pop(record.hash, None)
            self.departed[record.hash] = record


def read_journal(path: Path) -> JournalContent:
    """
    Reads all files of the journal at `path`; no file is an empty journal.

    Raises JournalError for files that cannot be read, or that another version wrote.
    """
    content = JournalContent()
    snapshots, logs = journal_files(path)
    first = max(snapshots, default=0)
    files = [snapshots[first]] if snapshots else []
    files.extend(logs[number] for number in sorted(logs) if number >= first)
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise JournalError(f"cannot read the pool's journal {file}: {error.strerror}") from error
        _read_file(file, data, content)
    return content


def _read_file(file: Path, data: bytes, content: JournalContent) -> None:
    try:
        file_format = FileFormat.of(data)
        whole = end = 0
        if file_format is not None:
            whole = end = HEADER.size
            for start, kind, body in file_format.frames(data):
                whole += FRAME.size + len(body)
                end = start + FRAME.size + len(body)
                content.apply(_decode(kind, body))
    except (struct.error, KeyError, ValueError) as error:
        raise JournalError(f"cannot use the pool's journal {file}: {error}") from error
    # Zeros behind the last record are room that was not used.
    content.damaged_bytes += end + len(data[end:].rstrip(b"\0")) - whole


def delete_journal(path: Path) -> None:
    """Takes all files of the journal away. Raises JournalError."""
    snapshots, logs = journal_files(path)
    try:
        for file in (*logs.values(), *snapshots.values()):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise JournalError(f"cannot delete the pool's journal {path}: {error.strerror}") from error


def journal_files(path: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """(snapshots, logs) by number."""
    snapshots: dict[int, Path] = {}
    logs: dict[int, Path] = {}
    pattern = re.compile(re.escape(path.name) + r"\.(\d+)\.(log|snapshot)")
    if path.parent.is_dir():
        for file in path.parent.iterdir():
            if (match := pattern.fullmatch(file.name)) is not None:
                (logs if match[2] == "log" else snapshots)[int(match[1])] = file
    return snapshots, logs
