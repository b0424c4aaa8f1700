"""
The journal: usage events on their way into the database, in append-only files that survive `kill -9`.

A call is journalled twice: when it is dispatched (as the event it would be if we died now: `interrupted`) and when it
ends. A record is one line with its own checksum:

    crc32 in hex, kind ("B" begin, "E" end), JSON of the event, line feed

A segment is a file of fixed size, allocated when it is opened: to append is to write one line behind the last one, by
one system call, into blocks that are there; a full disk shows when a segment is opened. What is written is in the
kernel's page cache and outlives the process. Behind the last line there are zeros. (A mapping would save the system
call, and make of a page that cannot be had the end of the process instead of an error.) Nothing here syncs to the disk:
what is at stake is a killed process, not a power cut, and a sync for each call would cost more than the call.

Every process writes segments of its own and holds a lock on them. A segment whose lock is free belongs to a process
that is gone: whoever finds it brings it in.
"""

import fcntl
import os
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from copilot_api.usage.models import UsageEvent

BEGIN, END = b"B", b"E"
SEGMENT_BYTES = 4 * 1024 * 1024
_SUFFIX = ".journal"
_UNFINISHED_SUFFIX = ".new"
_READ_BYTES = 1024 * 1024

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(UsageEvent).decode


class _Identified(msgspec.Struct, gc=False):
    request_id: str


_decode_identified = msgspec.json.Decoder(_Identified).decode


def render_record(kind: bytes, event: UsageEvent) -> bytes:
    """One line."""
    body = kind + _encode(event)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def parse_record(line: bytes) -> tuple[bytes, UsageEvent] | None:
    """What one line (without its line feed) says; None when it is torn or tampered with."""
    event = parse_event(_check(line))
    return None if event is None else (line[9:10], event)


def parse_event(body: bytes) -> UsageEvent | None:
    """The event in a record; None where it is none."""
    try:
        return _decode(body)
    except (ValueError, msgspec.MsgspecError):
        return None


def parse_request_id(body: bytes) -> str | None:
    """Whose event is in a record, which takes half as long as to read all of it; None where it is none."""
    try:
        return _decode_identified(body).request_id
    except (ValueError, msgspec.MsgspecError):
        return None


def _check(line: bytes) -> bytes:
    """The JSON in a line; nothing when it is torn or tampered with."""
    try:
        return line[10:] if int(line[:8], 16) == zlib.crc32(line[9:]) else b""
    except ValueError:
        return b""


@dataclass(slots=True, eq=False)
class Segment:
    """
    One file of the journal, read through the descriptor that it was opened with: a file that somebody deletes meanwhile
    is still read to its end.
    """

    path: Path
    descriptor: int
    end: int = 0
    """Where the last whole line ends."""
    size: int = 0
    """How much is allocated for it, in the process that writes it."""
    position: int = 0
    """Everything before it is in the database."""
    open_calls: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Begun here and not known to have ended, as they are written: of most nobody ever asks."""

    @property
    def writer(self) -> str:
        """Which process wrote it."""
        return _writer_of(self.path)

    @property
    def waiting_bytes(self) -> int:
        """How much of it is not in the database yet."""
        return self.end - self.position

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted the file (or the directory around it)."""
        return os.fstat(self.descriptor).st_nlink == 0

    def read(self) -> Iterator[tuple[bytes, bytes, int]]:
        """
        The records after `position`: kind, the event as JSON, and where the next record begins. Of a line that cannot
        be read there is no JSON.
        """
        position, offset, end, rest = self.position, self.position, self.end, b""
        while offset < end:
            chunk = os.pread(self.descriptor, min(_READ_BYTES, end - offset), offset)
            if not chunk:
                return  # somebody cut the file short
            offset += len(chunk)
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                position += len(line) + 1
                yield line[9:10], _check(line), position

    def blank(self, key_id: str) -> int:
        """
        Overwrite with spaces what the file still says of a key's calls that are in the database. Says how many lines.

        A line of spaces is one that cannot be read, and is passed over.
        """
        mark, blanked, offset, rest = key_id.encode(), 0, 0, b""
        start = 0
        while offset < self.position:
            chunk = os.pread(self.descriptor, min(_READ_BYTES, self.position - offset), offset)
            if not chunk:
                break
            offset += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if mark in line and self._is_done(line, key_id):
                    os.pwrite(self.descriptor, b" " * len(line), start)
                    blanked += 1
                start += len(line) + 1
        return blanked

    def _is_done(self, line: bytes, key_id: str) -> bool:
        record = parse_record(line)
        return record is not None and record[1].key_id == key_id and record[1].request_id not in self.open_calls

    def remove(self) -> None:
        """Delete the file: all of it is in the database. One that stays is brought in again, to no effect."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of the file, and of the lock on it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class JournalWriter:
    """
    Appends the records of this process. `append` may raise `OSError`: a full disk, a directory that is gone.

    One thread appends; another reads `segments` and removes those that it is done with, never the `active` one.
    """

    def __init__(self, directory: Path, *, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory = directory
        self._name = name
        self._segment_bytes = segment_bytes
        self._number = 0
        self._is_rotating = False
        self.segments: deque[Segment] = deque()
        """What this process has written and nobody has removed, oldest first."""
        self.active: Segment | None = None
        """The one that is written to."""

    def append(self, kind: bytes, event: UsageEvent) -> None:
        """Hand one record to the kernel: from here on it outlives this process."""
        line = render_record(kind, event)
        segment = self.active
        if segment is None or self._is_rotating or segment.end + len(line) > segment.size:
            segment = self._open_next(len(line))
        if os.pwrite(segment.descriptor, line, segment.end) != len(line):
            raise OSError("the journal could not be written whole")  # the next line is written over what came of this
        segment.end += len(line)

    def rotate(self) -> None:
        """Have the next record begin a segment. Any thread may ask."""
        self._is_rotating = True

    def close(self) -> None:
        """There will be no next record: no segment is the active one any more."""
        self.active = None

    def _open_next(self, least_bytes: int) -> Segment:
        self.active = None
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._number += 1
        path = self._directory / f"{self._name}-{self._number:06d}{_SUFFIX}"
        # Named as a segment only once it is locked: nobody may take it for an orphan.
        fresh = path.with_suffix(_UNFINISHED_SUFFIX)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        size = max(self._segment_bytes, least_bytes)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            _allocate(descriptor, size)
            fresh.rename(path)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):
                fresh.unlink()
            raise
        segment = Segment(path, descriptor, size=size)
        self.segments.append(segment)
        self.active = segment
        self._is_rotating = False
        return segment


def list_records(directory: Path) -> Iterator[tuple[bytes, UsageEvent]]:
    """
    What all segments say, of whatever process and whether it lives, oldest segment first. Changes nothing; what is
    written or removed meanwhile may be seen or not.
    """
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        segment = Segment(path, descriptor)
        try:
            segment.end = _find_end(descriptor)
            for kind, body, _ in segment.read():
                if (event := parse_event(body)) is not None:
                    yield kind, event
        finally:
            segment.close()


def adopt_segments(directory: Path, writer: str) -> list[Segment]:
    """
    The segments of processes that are gone, locked so that nobody else brings them in too; oldest first.

    A process's segments are taken all or none: a call may begin in one of them and end in the next.
    """
    if not directory.is_dir():
        return []
    for path in directory.glob(f"*{_UNFINISHED_SUFFIX}"):
        segment = _lock(path)
        if segment is not None:
            segment.remove()  # nothing is written to it before it has its name
    adopted: list[Segment] = []
    paths = sorted(path for path in directory.glob(f"*{_SUFFIX}") if _writer_of(path) != writer)
    for name in dict.fromkeys(map(_writer_of, paths)):
        adopted += _adopt_writer([path for path in paths if _writer_of(path) == name])
    return adopted


def _adopt_writer(paths: list[Path]) -> list[Segment]:
    """Lock in order, and leave all to whoever has the first: two that adopt at once must not both step back."""
    taken: list[Segment] = []
    for path in paths:
        segment = _lock(path)
        if segment is not None:
            taken.append(segment)
        elif path.exists():
            for other in taken:
                other.close()
            return []
    adopted = [segment for segment in taken if not segment.is_deleted]
    for segment in taken:
        if segment not in adopted:
            segment.close()
    return adopted


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS has no such call: there a full disk shows when a line is written
        os.ftruncate(descriptor, size)


def _writer_of(path: Path) -> str:
    return path.name.rpartition("-")[0]


def _lock(path: Path) -> Segment | None:
    """The segment in `path`, if no living process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return Segment(path, descriptor, end=_find_end(descriptor))


def _find_end(descriptor: int) -> int:
    """Where the last whole line before the first zero ends; what comes after it was being written at the very end."""
    offset = end = 0
    while chunk := os.pread(descriptor, _READ_BYTES, offset):
        written = chunk.partition(b"\0")[0]
        last = written.rfind(b"\n")
        if last >= 0:
            end = offset + last + 1
        if len(written) < len(chunk):
            break
        offset += len(chunk)
    return end
