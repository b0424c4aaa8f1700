"""
The files of the audit log: `audit.jsonl`, which grows; dated segments, which do not any more; the head and the lock.

A segment is named for the day (UTC) of its last line, with a number from the second of a day on. Which one follows
which is said by the numbers of their lines: a clock that was set back does not disturb the order.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from copilot_api.audit.head import Head, HeadDamaged, LogEnd, parse_head
from copilot_api.audit.lines import MAX_LINE_BYTES, AuditRecord, parse_line

_BLOCK_BYTES = 64 * 1024
_SEQ = re.compile(rb'\{"seq":([0-9]{1,15}),"at":"([0-9]{4}-[0-9]{2})-')
_MAX_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log that does not grow any more."""

    path: Path
    day: str
    number: int
    first_seq: int
    """The number of its first line; 0 where that cannot be read."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The log at one moment. Lines that come later are behind `newest_bytes`."""

    segments: list[Segment]
    """Oldest first."""
    newest: int | None
    """A descriptor of the file that grows; None where there is none."""
    newest_bytes: int
    head: Head | HeadDamaged | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return self.newest is None and not self.segments and self.head is None


class AuditFiles:
    """The files by their names; `path` is that of the one that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head_path = path.with_suffix(".head")
        self._lock_path = path.with_suffix(".lock")
        day, number = r"([0-9]{4}-[0-9]{2}-[0-9]{2})", r"(?:-([1-9][0-9]{0,5}))?"
        self._name = re.compile(f"{re.escape(path.stem)}-{day}{number}{re.escape(path.suffix)}")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the lock that whoever writes holds, of any process."""
        descriptor = open_file(self._lock_path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def snapshot(self) -> Generator[Snapshot]:
        """The log as it is between two writes. Nobody is kept waiting for longer than it takes to look."""
        newest: int | None = None
        try:
            with self._locked_if_possible():
                with suppress(FileNotFoundError):
                    newest = open_file(self.path, os.O_RDONLY)
                size = 0 if newest is None else os.fstat(newest).st_size
                found = Snapshot(self.list_segments(), newest, size, self.read_head())
            yield found
        finally:
            if newest is not None:
                os.close(newest)

    @contextmanager
    def _locked_if_possible(self) -> Generator[None]:
        """Without the lock's file nobody writes here: it is a copy, maybe on a disk that takes nothing."""
        try:
            descriptor = open_file(self._lock_path, os.O_RDONLY)
        except FileNotFoundError:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def list_segments(self) -> list[Segment]:
        """All segments in the order of their lines."""
        segments: list[Segment] = []
        with suppress(FileNotFoundError):
            for path in self.path.parent.iterdir():
                if (match := self._name.fullmatch(path.name)) is not None:
                    first = read_beginning(path)
                    segments.append(Segment(path, match[1], int(match[2] or 1), first[0] if first else 0))
        return sorted(segments, key=lambda each: (each.first_seq, each.day, each.number))

    def name_segment(self, day: str) -> Path:
        """A name for a segment that ends on that day, as it is in ISO 8601. Nothing goes by that name."""
        numbers = [each.number for each in self.list_segments() if each.day == day]
        number = max(numbers, default=0) + 1
        return self.path.with_name(f"{self.path.stem}-{day}{f'-{number}' if number > 1 else ''}{self.path.suffix}")

    def read_head(self) -> Head | HeadDamaged | None:
        """The head; None where there is none."""
        try:
            descriptor = open_file(self.head_path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return parse_head(os.pread(descriptor, _MAX_HEAD_BYTES, 0))
        except HeadDamaged as error:
            return error
        finally:
            os.close(descriptor)

    def find_end(self, newest: int | None, newest_bytes: int) -> tuple[LogEnd, AuditRecord | None]:
        """Where the log ends, and its last line: of the file that grows or, while that has none, the last segment's."""
        rest = False
        if newest is not None:
            line, is_cut = read_last_line(newest, newest_bytes)
            if line is not None:
                return _judge_line(line, has_rest=is_cut)
            rest = is_cut
        segments = self.list_segments()
        if not segments:
            return LogEnd(None, has_rest=rest), None
        with opened(segments[-1].path) as descriptor:
            line, is_cut = read_last_line(descriptor, os.fstat(descriptor).st_size)
        if line is None or is_cut:
            return LogEnd(None, is_readable=False, has_rest=rest), None
        return _judge_line(line, has_rest=rest)


def _judge_line(line: bytes, *, has_rest: bool) -> tuple[LogEnd, AuditRecord | None]:
    try:
        record = parse_line(line)
    except ValueError:
        return LogEnd(None, is_readable=False, has_rest=has_rest), None
    return LogEnd(record.link, has_rest=has_rest), record


def open_file(path: Path, flags: int) -> int:
    """Open a file of the log, never through a link; one that `flags` make is 0600. The caller closes the descriptor."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return descriptor


@contextmanager
def opened(path: Path) -> Generator[int]:
    """A file of the log, to be read."""
    descriptor = open_file(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Have a directory's entries on the disk, so that a file just made, renamed or removed in it is so for good."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_beginning(path: Path) -> tuple[int, str] | None:
    """The number of the first line, and its month; None where there is no such thing."""
    try:
        with opened(path) as descriptor:
            return parse_beginning(descriptor)
    except OSError:
        return None


def parse_beginning(descriptor: int) -> tuple[int, str] | None:
    """The same of an open file."""
    match = _SEQ.match(os.pread(descriptor, 64, 0))
    return None if match is None else (int(match[1]), match[2].decode())


def read_last_line(descriptor: int, size: int) -> tuple[bytes | None, bool]:
    """The last whole line within `size`, or None; and whether there is something without an end behind it."""
    lines = read_lines_backwards(descriptor, size)
    last = next(lines, None)
    if last is None or last.endswith(b"\n"):
        return last, False
    return next(lines, None), True


def count_rest(descriptor: int, size: int) -> int:
    """How many bytes are behind the last line feed."""
    rest = 0
    for line in read_lines_backwards(descriptor, size):
        if line.endswith(b"\n"):
            break
        rest += len(line)
    return rest


def day_of(record: AuditRecord) -> str | None:
    """The day (UTC) that a segment which ends with `record` is named for; None where its time is none."""
    try:
        return f"{record.moment.astimezone(UTC):%Y-%m-%d}"
    except (ValueError, OverflowError):
        return None


def read_lines_backwards(descriptor: int, size: int) -> Iterator[bytes]:
    """
    The lines within `size`, the last one first. One that has no end is given without it; of one that is longer than a
    line can be, what is read at once.
    """
    start, tail = size, b""
    while start > 0:
        length = min(_BLOCK_BYTES, start)
        start -= length
        tail = os.pread(descriptor, length, start) + tail
        first, *others = tail.split(b"\n")
        if others:
            *whole, rest = others
            if rest:
                yield rest
            yield from (line + b"\n" for line in reversed(whole))
            tail = first + b"\n"
        elif len(tail) > MAX_LINE_BYTES:
            yield tail
            tail = b""
    if tail:
        yield tail
