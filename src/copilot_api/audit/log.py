"""
The audit log: JSON lines, each holding the hash of the one before, so that no edit goes unseen.

Several processes may append: each looks at the end again under a lock. A line is on the disk before `append` returns.
Once the file is large, or its month is over, it becomes a dated segment and a new one is begun; the chain goes on. What
the head (`copilot_api.audit.head`) says of the end has to be what is there: if it is not, the log goes on behind a line
that says so, for good. Nothing here mends or hides what somebody did to the files.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from copilot_api.audit.files import (
    AuditFiles,
    count_rest,
    day_of,
    open_file,
    opened,
    parse_beginning,
    read_last_line,
    sync_directory,
)
from copilot_api.audit.head import (
    NO_HEAD,
    Head,
    HeadDamaged,
    Judgement,
    LogEnd,
    Standing,
    judge,
    parse_head,
    write_head,
)
from copilot_api.audit.lines import AuditRecord, Link, make_record, parse_line, render_line
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.audit.search import AuditPage, AuditQuery, search
from copilot_api.clock import Clock
from copilot_api.errors import StorageUnavailable

SEGMENT_BYTES = 16 * 1024 * 1024
"""A file that is larger becomes a segment with the next line, also within its month."""
GATEWAY = "gateway"
"""The actor of what the gateway does on its own."""

_UNWRITABLE = (OSError, msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class RemovedSegment:
    """A segment that is no more."""

    name: str
    lines: int
    last_at: str


class AuditLog:
    """Appends, and looks. Both block: call them from a thread."""

    def __init__(self, path: Path, clock: Clock, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._files = AuditFiles(path)
        self._clock = clock
        self._segment_bytes = segment_bytes

    def append(self, event: AuditEvent) -> None:
        """Put `event` on record, or raise: what cannot be recorded must not be done."""
        with self._explained("so nothing was changed"), self._files.locked():
            self._append(event)

    def list_events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
        before_seq: int | None = None,
        limit: int | None = None,
    ) -> list[AuditRecord]:
        """What is on record, newest first; all of it without a `limit`. Raises `StorageUnavailable`."""
        query = AuditQuery(since, until, actor, action, target, request_id, before_seq)
        return self.get_page(query, limit).events

    def get_page(self, query: AuditQuery, limit: int | None = None, max_lines: int | None = None) -> AuditPage:
        """So many of what `query` asks for, looking at no more than so many lines. Raises `StorageUnavailable`."""
        try:
            return search(self._files, query, limit, max_lines)
        except OSError as error:
            raise StorageUnavailable(f"the audit log cannot be read ({error}): {self._files.path}") from error

    def find_newest(self) -> datetime | None:
        """When the newest line was written. Raises `StorageUnavailable`."""
        newest = self.list_events(limit=1)
        return newest[0].moment if newest else None

    def rotate_if_due(self) -> None:
        """Begin a new file where that is due, as the next line would. Raises `StorageUnavailable`."""
        with self._explained("so it was left as it is"), self._files.locked(), self._opened_newest() as (newest, head):
            end, last = self._files.find_end(newest, os.fstat(newest).st_size)
            if judge(_read(head), end).standing is Standing.AGREED:
                self._rotate_if_due(newest, last)

    def remove_oldest_segment(self, before: datetime) -> RemovedSegment | None:
        """
        Remove the oldest segment if all of its lines are from before that moment, with a line that says so; None when
        there is none. Raises `StorageUnavailable`, also when that segment cannot be read.
        """
        with self._explained("so nothing was removed"), self._files.locked():
            segments = self._files.list_segments()
            if not segments:
                return None
            path = segments[0].path
            last = _read_last(path)
            if last.moment >= before:
                return None
            lines = last.seq - segments[0].first_seq + 1
            detail: dict[str, object] = {
                "last_seq": last.seq,
                "last_hash": last.hash,
                "last_at": last.at,
                "lines": lines,
            }
            self._append(AuditEvent(GATEWAY, Action.AUDIT_SEGMENTS_REMOVED, path.name, detail))
            path.unlink()
            sync_directory(path.parent)
            return RemovedSegment(path.name, lines, last.at)

    # Under the lock -------------------------------------------------------------------------------------------------

    def _append(self, event: AuditEvent) -> None:
        with self._opened_newest() as (newest, head):
            end, last = self._files.find_end(newest, os.fstat(newest).st_size)
            judgement = judge(_read(head), end)
            if judgement.standing is not Standing.AGREED or not self._rotate_if_due(newest, last):
                self._write(newest, head, event, judgement, end)
                return
        with self._opened_newest() as (newest, head):
            self._write(newest, head, event, judgement, end)

    @contextmanager
    def _opened_newest(self) -> Generator[tuple[int, int]]:
        """The descriptors of the file that grows, and of its head; both are made if they are missing."""
        newest = open_file(self._files.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            head = open_file(self._files.head_path, os.O_RDWR | os.O_CREAT)
            try:
                yield newest, head
            finally:
                os.close(head)
        finally:
            os.close(newest)

    def _rotate_if_due(self, newest: int, last: AuditRecord | None) -> bool:
        """Make a segment of the file that grows, if it is large or its month is over. Says whether it did."""
        beginning = parse_beginning(newest)
        if last is None or beginning is None:
            return False
        is_month_over = f"{self._clock.now():%Y-%m}" > beginning[1]
        if not is_month_over and os.fstat(newest).st_size < self._segment_bytes:
            return False
        # From here until the next line the log ends with its last segment, which is where everybody looks then.
        self._files.path.replace(self._files.name_segment(day_of(last) or f"{self._clock.now():%Y-%m-%d}"))
        sync_directory(self._files.path.parent)
        return True

    def _write(self, newest: int, head: int, event: AuditEvent, judgement: Judgement, end: LogEnd) -> None:
        link, now = judgement.link, self._clock.now()
        if judgement.standing is Standing.UNKNOWN:
            raise OSError(judgement.reason)
        if end.has_rest and judgement.standing in {Standing.UNFINISHED, Standing.HEADLESS}:
            _cut_rest(newest)
        if judgement.standing in {Standing.BROKEN, Standing.HEADLESS}:
            is_first = judgement.standing is Standing.HEADLESS
            detail: dict[str, object] = {"reason": NO_HEAD if is_first else judgement.reason}
            told = AuditEvent(GATEWAY, Action.AUDIT_HEAD_RESTORED, self._files.head_path.name, detail)
            _end_rest(newest)
            link = self._write_line(newest, head, make_record(told, now, link), link)
        self._write_line(newest, head, make_record(event, now, link), link)

    def _write_line(self, newest: int, head: int, record: AuditRecord, previous: Link) -> Link:
        line = render_line(record)
        # What could not be read back as it is would be taken for an edit.
        link = parse_line(line).link
        size = os.fstat(newest).st_size
        try:
            write_head(head, Head(previous, link))
            written = os.write(newest, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written")
            os.fsync(newest)
            if size == 0:
                sync_directory(self._files.path.parent)
            write_head(head, Head(link))
        except OSError:
            # The action will be refused, so its line must not stay.
            with suppress(OSError):
                os.ftruncate(newest, size)
                write_head(head, Head(previous))
            raise
        return link

    @contextmanager
    def _explained(self, consequence: str) -> Generator[None]:
        try:
            yield
        except _UNWRITABLE as error:
            raise StorageUnavailable(
                f"the audit log cannot be written ({error}), {consequence}: {self._files.path}",
                hint="make the file writable and its disk roomy; a damaged one can be moved aside",
            ) from error


def _read(head: int) -> Head | HeadDamaged | None:
    try:
        return parse_head(os.pread(head, 4096, 0))
    except HeadDamaged as error:
        return error


def _read_last(path: Path) -> AuditRecord:
    with opened(path) as descriptor:
        line, is_cut = read_last_line(descriptor, os.fstat(descriptor).st_size)
    if line is None or is_cut:
        raise ValueError(f"{path.name} cannot be read")
    return parse_line(line)


def _cut_rest(newest: int) -> None:
    """Take away what a crash left half-written: it was never acknowledged."""
    size = os.fstat(newest).st_size
    os.ftruncate(newest, size - count_rest(newest, size))


def _end_rest(newest: int) -> None:
    """Give an end to what has none, so that it stays what it is and no line is written on."""
    size = os.fstat(newest).st_size
    if size and os.pread(newest, 1, size - 1) != b"\n":
        os.write(newest, b"\n")
