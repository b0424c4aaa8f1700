"""
The journal: usage events on their way into the database, in append-only files that survive `kill -9`.

A call is journalled twice: when it is dispatched (as the event it would be if we died now: `interrupted`) and when it
ends. A record is one line, written by one `write` to a file opened for appending, so that a killed process leaves
whole lines and at most one torn one; each line carries its own checksum.

    crc32 in hex, kind ("B" begin, "E" end), JSON of the event, line feed

Every process writes segments of its own and holds a lock on them. A segment whose lock is free belongs to a process
that is gone: whoever finds it brings it in. Nothing here syncs to the disk: what is at stake is a killed process, not
a power cut, and a sync for each call would cost more than the call.
"""

import fcntl
import os
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from copilot_api.usage.models import UsageEvent

BEGIN, END = b"B", b"E"
SEGMENT_BYTES = 16 * 1024 * 1024
_SUFFIX = ".journal"
_READ_BYTES = 1024 * 1024

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(UsageEvent).decode


def render_record(kind: bytes, event: UsageEvent) -> bytes:
    """One line."""
    body = kind + _encode(event)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def parse_record(line: bytes) -> tuple[bytes, UsageEvent] | None:
    """What one line (without its line feed) says; None when it is torn or tampered with."""
    checksum, _, body = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        return body[:1], _decode(body[1:])
    except (ValueError, msgspec.MsgspecError):
        return None


@dataclass(slots=True, eq=False)
class Segment:
    """
    One file of the journal, read through the descriptor that it was opened with: a file that somebody deletes meanwhile
    is still read to its end.
    """

    path: Path
    descriptor: int
    position: int = 0
    """Everything before it is in the database."""
    open_calls: dict[str, UsageEvent] = field(default_factory=dict)
    """Begun here and not known to have ended."""

    @property
    def writer(self) -> str:
        """Which process wrote it."""
        return self.path.name.rpartition("-")[0]

    @property
    def waiting_bytes(self) -> int:
        """How much of it is not in the database yet."""
        return max(0, os.fstat(self.descriptor).st_size - self.position)

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted the file (or the directory around it)."""
        return os.fstat(self.descriptor).st_nlink == 0

    def read(self) -> Iterator[tuple[bytes, UsageEvent | None, int]]:
        """
        The records after `position`: kind, event, and where the next record begins.

        A line that cannot be read has no event. A last line without its line feed is not there yet, or torn.
        """
        position, offset, rest = self.position, self.position, b""
        while chunk := os.pread(self.descriptor, _READ_BYTES, offset):
            offset += len(chunk)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                position += len(line) + 1
                record = parse_record(line)
                yield (b"", None, position) if record is None else (*record, position)

    def remove(self) -> None:
        """Delete the file: all of it is in the database."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file, and of the lock on it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class JournalWriter:
    """
    Appends the records of this process. Every method may raise `OSError`: a full disk, a directory that is gone.

    One thread appends; another reads `segments` and removes those that it is done with, never the `active` one.
    """

    def __init__(self, directory: Path, *, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory = directory
        self._name = name
        self._segment_bytes = segment_bytes
        self._number = 0
        self._size = 0
        self.segments: deque[Segment] = deque()
        """What this process has written and nobody has removed, oldest first."""
        self.active: Segment | None = None
        """The one that is written to."""

    def append(self, kind: bytes, event: UsageEvent) -> None:
        """Hand one record to the kernel: from here on it outlives this process."""
        active = self.active
        if active is None or self._size >= self._segment_bytes:
            active = self._open_next()
        line = render_record(kind, event)
        written = os.write(active.descriptor, line)
        self._size += written
        if written != len(line):
            self.active = None  # a disk that filled up in the middle of a line: the next record begins a segment
            raise OSError("the journal could not be written whole")

    def rotate(self) -> None:
        """Have the next record begin a segment."""
        self.active = None

    def _open_next(self) -> Segment:
        self.active = None
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._number += 1
        path = self._directory / f"{self._name}-{self._number:06d}{_SUFFIX}"
        fresh = path.with_suffix(".new")  # named as a segment only once it is locked: nobody may take it for an orphan
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fresh.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        segment = Segment(path, descriptor)
        self._size = 0
        self.segments.append(segment)
        self.active = segment
        return segment


def adopt_segments(directory: Path, writer: str) -> list[Segment]:
    """The segments of processes that are gone, locked so that nobody else brings them in too; oldest first."""
    adopted: list[Segment] = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")) if directory.is_dir() else []:
        if path.name.startswith(f"{writer}-"):
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        segment = Segment(path, descriptor)
        if segment.is_deleted:  # brought in and deleted between the listing and the lock
            segment.close()
            continue
        adopted.append(segment)
    return adopted
