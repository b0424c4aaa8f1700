"""
The files of traces, one for each day, and the rules by which one is opened.

A name is a date in ASCII digits and nothing else. The directory is opened first and every file inside it through that
descriptor, never through a link; what was opened has to be a regular file of ours with one name, and still the file of
that name afterwards: neither `..` nor a link nor a swap between look and use leads anywhere else.
"""

import fcntl
import os
import re
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

from copilot_api.capture.queries import TraceDayNotFound

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.jsonl", re.ASCII)
_UNFINISHED = re.compile(r"\.\d{4}-\d{2}-\d{2}\.jsonl\.[0-9a-f]+", re.ASCII)
_BLOCK_BYTES = 256 * 1024
_PROBE_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class TraceDay:
    """The file of one day."""

    date: str
    bytes: int


def parse_date(text: str) -> date:
    """The date in `text`. Raises `TraceDayNotFound` for anything but a real date as YYYY-MM-DD."""
    # fullmatch: `$` would let a line feed through at the end.
    if _DATE.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise TraceDayNotFound("there are no traces of that day")


def file_name(day: str) -> str:
    """What the file of a day is called. Raises `TraceDayNotFound` for what is no date."""
    return f"{parse_date(day).isoformat()}.jsonl"


@contextmanager
def open_directory(path: Path, *, is_locked: bool = False) -> Generator[int]:
    """
    The directory of traces, never through a link. `is_locked` keeps every other process that locks it out meanwhile.
    Raises `OSError`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if is_locked:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def list_days(directory: int) -> list[TraceDay]:
    """The days that have a file, newest first. Links and whatever else is no file of ours are not among them."""
    found: list[TraceDay] = []
    for name in os.listdir(directory):
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        with suppress(TraceDayNotFound, FileNotFoundError):
            parse_date(match[1])
            entry = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if _is_ours(entry):
                found.append(TraceDay(match[1], entry.st_size))
    return sorted(found, key=lambda day: day.date, reverse=True)


def list_unfinished(directory: int) -> list[str]:
    """What a crash left of a file that was being written anew."""
    return [name for name in os.listdir(directory) if _UNFINISHED.fullmatch(name)]


def open_file(directory: int, day: str, flags: int) -> int:
    """
    Open the file of a day; see the module. Raises `TraceDayNotFound` for what is no date or no file of ours, and
    `OSError`.
    """
    name = file_name(day)
    # Not blocking: a pipe of that name would have us wait for its other end.
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        named = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not _is_ours(found) or not os.path.samestat(found, named):
            raise TraceDayNotFound("there are no traces of that day")
        if found.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_ours(found: os.stat_result) -> bool:
    # A second name would be a way to have a file of somebody else's read, or written to.
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


class OpenDay:
    """
    The file of one day, open for reading, as long as it was when it was opened: what is added later is not seen, what
    is erased meanwhile still is. Close it, or use it as a context manager.
    """

    def __init__(self, descriptor: int, day: str) -> None:
        self._descriptor = descriptor
        self.date = day
        self.bytes = os.fstat(descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Up to so many bytes from there; none at the end. Blocks."""
        return os.pread(self._descriptor, max(0, min(size, self.bytes - offset)), offset)

    def iter_lines(self) -> Iterator[bytes]:
        """Every whole line, oldest first, without its line feed. Blocks."""
        rest = b""
        for offset in range(0, self.bytes, _BLOCK_BYTES):
            *lines, rest = (rest + self.read(offset, _BLOCK_BYTES)).split(b"\n")
            yield from lines

    def iter_lines_back(self, end: int | None = None) -> Iterator[bytes]:
        """Every whole line before the offset `end`, newest first, without its line feed. Blocks."""
        offset = self.bytes if end is None else end
        tail = b""
        is_last = True
        while offset > 0:
            size = min(_BLOCK_BYTES, offset)
            offset -= size
            tail, *lines = (self.read(offset, size) + tail).split(b"\n")
            if is_last and lines:
                del lines[-1]  # what stands behind the last line feed: nothing, or half a line
                is_last = False
            yield from reversed(lines)
        if not is_last:
            yield tail

    def find_line_start(self, offset: int) -> int:
        """Where the first line begins that does not begin before `offset`. Blocks."""
        if offset == 0:
            return 0
        offset -= 1
        while block := self.read(offset, _PROBE_BYTES):
            at = block.find(b"\n")
            if at >= 0:
                return offset + at + 1
            offset += len(block)
        return self.bytes

    def read_line(self, offset: int) -> bytes:
        """The line that begins there, without its line feed. Blocks."""
        return self.read(offset, self.find_line_start(offset + 1) - offset).removesuffix(b"\n")

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
