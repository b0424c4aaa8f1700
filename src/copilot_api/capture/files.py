"""
Traces on disk: `traces/YYYY-MM-DD.jsonl`, one trace a line, the day being the one on which it was written (UTC).

Works without a running gateway, and beside one: whoever writes, erases or sweeps holds a lock on the directory. A file
is only ever added to, replaced as a whole, or deleted. Everything blocks and raises `StorageUnavailable`.
"""

import errno
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import msgspec

from copilot_api.capture import day_files
from copilot_api.capture.day_files import OpenDay, TraceDay
from copilot_api.capture.lines import decode_trace, summarise
from copilot_api.capture.models import Trace, TraceSummary
from copilot_api.capture.queries import TraceDayNotFound
from copilot_api.config.paths import prepare_directory
from copilot_api.errors import StorageUnavailable

MAX_DAYS = 7
"""The most days that traces are kept, whatever the configuration says; the day they were written on is the first."""
MAX_BYTES = 1024 * 1024 * 1024
"""The most that all files together take, whatever the configuration says."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class TraceTooLarge(StorageUnavailable):
    """One trace is larger than all of them together may be."""

    hint = "raise retention.traces_max_bytes"


class _Owner(msgspec.Struct):
    key_id: str | None = None
    replay_of_key_id: str | None = None


class _Numbered(msgspec.Struct):
    number: int = 0


_owner = msgspec.json.Decoder(_Owner)
_numbered = msgspec.json.Decoder(_Numbered)


class TraceFiles:
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self._path = directory

    # Reading --------------------------------------------------------------------------------------------------------

    def list_days(self) -> list[TraceDay]:
        """The days that have traces, newest first; none where there is no directory."""
        with _explained("read", self._path), suppress(FileNotFoundError), self._open() as directory:
            return day_files.list_days(directory)
        return []

    def open_day(self, date: str) -> OpenDay:
        """The file of that day, for whoever closes it. Raises `TraceDayNotFound` for whatever is none."""
        day_files.parse_date(date)
        try:
            with self._open() as directory:
                return OpenDay(day_files.open_file(directory, date, os.O_RDONLY), date)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}:
                raise TraceDayNotFound("there are no traces of that day") from None
            raise StorageUnavailable(f"the traces of a day cannot be read ({error.strerror}): {self._path}") from error

    def iter_traces(self, date: str) -> Iterator[Trace]:
        """Every trace of that day, oldest first. A line that a crash left broken is passed over."""
        with self.open_day(date) as day, _explained("read", self._path):
            for line in day.iter_lines():
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    yield decode_trace(line)

    def find(self, request_id: str) -> Trace | None:
        """The trace of this call, looked for in the newest files first."""
        # Inside JSON no other text can hold these bytes: a quote within a text has a backslash before it.
        needle = b'"request_id":%b' % msgspec.json.encode(request_id)
        for line in self._iter_back():
            if needle in line:
                with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    trace = decode_trace(line)
                    if trace.request_id == request_id:
                        return trace
        return None

    def iter_summaries(self, before: int | None = None) -> Iterator[TraceSummary]:
        """The traces with a smaller number than `before`, newest first. A line that is broken is passed over."""
        for line in self._iter_back(before):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                yield summarise(line)

    def last_number(self) -> int:
        """The number of the newest trace; 0 when there is none."""
        for line in self._iter_back():
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                return _numbered.decode(line).number
        return 0

    def _iter_back(self, before: int | None = None) -> Iterator[bytes]:
        for listed in self.list_days():
            with suppress(TraceDayNotFound), self.open_day(listed.date) as day, _explained("read", self._path):
                end = None if before is None else _find_end(day, before)
                yield from day.iter_lines_back(end)

    # Writing --------------------------------------------------------------------------------------------------------

    def append(self, line: bytes, today: date, max_bytes: int, *, is_wanted: Callable[[], bool] = lambda: True) -> int:
        """
        Add a trace to today's file. Before all files together would take more than `max_bytes` (at most `MAX_BYTES`),
        the oldest one goes, today's too if it is the only one. Says how many went. `is_wanted` is asked under the lock
        under which keys are erased. Raises `TraceTooLarge` for a trace that is too large alone.
        """
        most = min(max_bytes, MAX_BYTES)
        size = len(line) + 2  # a broken last line is ended first
        if size > most:
            raise TraceTooLarge(f"a trace of {size} bytes is over the cap of {most} bytes for all of them")
        with _explained("written", self._path):
            prepare_directory(self._path)
            with self._open(is_locked=True) as directory:
                if not is_wanted():
                    return 0
                gone = _shrink(directory, most - size)
                descriptor = day_files.open_file(directory, today.isoformat(), os.O_RDWR | os.O_APPEND | os.O_CREAT)
                try:
                    _append_line(descriptor, line)
                finally:
                    os.close(descriptor)
        return gone

    def forget_key(self, key_id: str) -> tuple[int, int]:
        """
        Delete every trace that holds what this key's holder sent: how many, and in how many files. Each file is
        replaced as a whole; one that finds no room to be written anew is deleted, for what is to be erased must go.
        """
        lines = files = 0
        with _explained("erased", self._path), suppress(FileNotFoundError), self._open(is_locked=True) as directory:
            for day in day_files.list_days(directory):
                found = _rewrite(directory, day.date, lambda line: _belongs_to(line, key_id))
                lines += found
                files += bool(found)
        return lines, files

    def count_key(self, key_id: str) -> int:
        """How many traces there are that hold what this key's holder sent."""
        return sum(_belongs_to(line, key_id) for line in self._iter_back())

    def sweep(self, today: date, days: int, max_bytes: int) -> int:
        """
        Delete what is over age or over size, and what a crash left: `days` counts today (at most `MAX_DAYS`), 0 keeps
        nothing; dates that are yet to come are over age too. Says how many files went.
        """
        oldest = today - timedelta(days=min(days, MAX_DAYS) - 1)
        with _explained("swept", self._path), suppress(FileNotFoundError), self._open(is_locked=True) as directory:
            gone = 0
            for name in day_files.list_unfinished(directory):
                gone += _unlink(directory, name)
            for day in day_files.list_days(directory):
                if not oldest <= date.fromisoformat(day.date) <= today + timedelta(days=1) or not days:
                    gone += _unlink(directory, day_files.file_name(day.date))
            return gone + _shrink(directory, min(max_bytes, MAX_BYTES))
        return 0

    def _open(self, *, is_locked: bool = False) -> AbstractContextManager[int]:
        return day_files.open_directory(self._path, is_locked=is_locked)


def _append_line(descriptor: int, line: bytes) -> None:
    """Add a whole line or nothing."""
    size = os.fstat(descriptor).st_size
    is_broken = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    try:
        added = b"\n%b\n" % line if is_broken else line + b"\n"
        written = os.write(descriptor, added)
        if written != len(added):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _shrink(directory: int, most: int) -> int:
    """Delete the oldest files until the others take no more than that; says how many went."""
    days = day_files.list_days(directory)
    total, gone = sum(day.bytes for day in days), 0
    while days and total > most:
        oldest = days.pop()
        total -= oldest.bytes
        gone += _unlink(directory, day_files.file_name(oldest.date))
    return gone


def _unlink(directory: int, name: str) -> int:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
        return 1
    return 0


def _belongs_to(line: bytes, key_id: str) -> bool:
    try:
        owner = _owner.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return key_id in (owner.key_id, owner.replay_of_key_id)


def _is_whole(line: bytes) -> bool:
    try:
        _owner.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _rewrite(directory: int, day: str, is_unwanted: Callable[[bytes], bool]) -> int:
    """
    Take the unwanted lines out of a file; says how many they were. Where there are some, what is broken goes with them:
    nobody knows whose it was.
    """
    name = day_files.file_name(day)
    with OpenDay(day_files.open_file(directory, day, os.O_RDONLY), day) as old:
        unwanted = sum(1 for line in old.iter_lines() if is_unwanted(line))
        if not unwanted:
            return 0
        try:
            _write_anew(
                directory, name, (line for line in old.iter_lines() if _is_whole(line) and not is_unwanted(line))
            )
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _unlink(directory, name)
    return unwanted


def _write_anew(directory: int, name: str, lines: Iterator[bytes]) -> None:
    new = f".{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for line in lines:
                file.write(line + b"\n")
            file.flush()
            size = os.fstat(descriptor).st_size
            os.fsync(descriptor)
        if size:
            os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            _unlink(directory, name)
            _unlink(directory, new)
    except BaseException:
        _unlink(directory, new)
        raise
    os.fsync(directory)  # what is erased must not come back with a power cut


def _find_end(day: OpenDay, before: int) -> int:
    """Where the first line begins whose number is not smaller: numbers grow from line to line."""
    low, high = 0, day.bytes
    while low < high:
        middle = (low + high) // 2
        start, number = _find_numbered(day, middle, high)
        if number is None or number >= before:
            high = middle
        else:
            low = start + 1
    return day.find_line_start(low)


def _find_numbered(day: OpenDay, offset: int, end: int) -> tuple[int, int | None]:
    """The first whole line that begins from `offset` on and before `end`, and its number; None when there is none."""
    start = day.find_line_start(offset)
    while start < end:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return start, _numbered.decode(day.read_line(start)).number
        start = day.find_line_start(start + 1)
    return start, None


@contextmanager
def _explained(deed: str, path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"the traces cannot be {deed} ({error.strerror}): {path}") from error
