"""
Proof that the audit log is whole: every line in its one form, each following the one before over all segments, from the
first line of all (or from where segments were removed, as a line says) to the one that the head names.

What it cannot show is in docs/guides/audit.md: whoever may write the files may also make all of them anew.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from copilot_api.audit.files import AuditFiles, Segment, Snapshot, day_of, open_file
from copilot_api.audit.head import NO_HEAD, LogEnd, Standing, judge
from copilot_api.audit.lines import FIRST_PREV, MAX_LINE_BYTES, OLD_FIRST_PREV, AuditRecord, Link, parse_line
from copilot_api.audit.models import Action

MAX_PROBLEMS = 100
"""How many are told; a log with more is not read to its end."""
_ATTEMPTS = 3


@dataclass(slots=True)
class Verdict:
    """What was found."""

    problems: list[str] = field(default_factory=list[str])
    """Every place where the log is not as it was written, in words."""
    notes: list[str] = field(default_factory=list[str])
    """What is no problem, and good to know."""
    files: int = 0
    lines: int = 0
    first: AuditRecord | None = None
    last: AuditRecord | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def head(self) -> Link | None:
        """Number and hash of the newest line: what to keep elsewhere."""
        return None if self.last is None else self.last.link


def describe_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs."""
    head = verdict.head
    return {
        "ok": verdict.is_whole,
        "head": None if head is None else {"seq": head.seq, "hash": head.hash, "at": verdict.last and verdict.last.at},
        "lines": verdict.lines,
        "files": verdict.files,
        "problems": verdict.problems,
        "notes": verdict.notes,
    }


class _Enough(Exception):
    """There are more problems than anybody reads."""


class _Vanished(Exception):
    """A segment was removed while it was to be read."""


def verify(path: Path, expected: Link | None = None, *, newest_only: bool = False) -> Verdict:
    """
    Look at the whole log whose newest file is `path`, or only at its newest segment and its head.

    With `expected`, the line of that number must be there and have that hash. Raises `OSError` for files that cannot be
    read. May run beside writers.
    """
    files = AuditFiles(path)
    for _ in range(_ATTEMPTS):
        try:
            return _verify(files, expected, newest_only=newest_only)
        except _Vanished:
            continue
    raise OSError(errno.EAGAIN, "segments vanish while they are read", str(path.parent))


def find_problems(path: Path) -> list[str]:
    """Every place where the log is not whole, in words; an empty list when it is."""
    return verify(path).problems


def _verify(files: AuditFiles, expected: Link | None, *, newest_only: bool) -> Verdict:
    check = _Check(files, expected, is_whole=not newest_only)
    with files.snapshot() as snapshot:
        try:
            check.run(snapshot)
        except _Enough:
            check.verdict.problems.append("there are more: the rest was not looked at")
    return check.verdict


class _Check:
    """One walk through a log."""

    def __init__(self, files: AuditFiles, expected: Link | None, *, is_whole: bool) -> None:
        self.verdict = Verdict()
        self._files = files
        self._expected = expected
        self._is_whole = is_whole
        self._has_met_expected = expected is None
        self._previous: Link | None = None
        self._is_last_readable = True
        self._has_rest = False
        self._starts: dict[int, str] = {}
        """Where the log may begin because segments were removed, as its lines say: after which line of which hash."""
        self._may_be_older_than_heads = True
        self._numbers: dict[str, int] = {}
        """The highest number so far among the segments of a day."""

    def run(self, snapshot: Snapshot) -> None:
        segments = snapshot.segments
        if not self._is_whole:
            segments = [] if snapshot.newest_bytes else segments[-1:]
        for segment in segments:
            self._read_segment(segment)
        if snapshot.newest is not None:
            self.verdict.files += 1
            with FileIO(snapshot.newest, closefd=False) as raw:
                self._read_lines(self._files.path.name, raw, snapshot.newest_bytes, is_newest=True)
        if self._is_whole:
            self._check_start()
        self._check_end(snapshot)
        self._check_expected()

    # Lines ----------------------------------------------------------------------------------------------------------

    def _read_segment(self, segment: Segment) -> None:
        self.verdict.files += 1
        name = segment.path.name
        try:
            descriptor = open_file(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            raise _Vanished from None
        before = self.verdict.lines
        with FileIO(descriptor) as raw:
            self._read_lines(name, raw, os.fstat(descriptor).st_size, is_newest=False)
        if self.verdict.lines == before:
            self._report(f"{name}: there is no line in it")
            return
        if self.verdict.last is not None and day_of(self.verdict.last) != segment.day:
            self._report(f"{name}: its last line is of another day than its name: segments were swapped or renamed")
        if segment.number <= self._numbers.get(segment.day, 0):
            self._report(f"{name}: it comes behind one with a higher number: segments were swapped or renamed")
        self._numbers[segment.day] = segment.number

    def _read_lines(self, name: str, file: FileIO, size: int, *, is_newest: bool) -> None:
        for number, line in enumerate(_split(file, size), start=1):
            if is_newest and not line.endswith(b"\n"):
                self._has_rest = True  # what that is, is said by the head
                return
            where = f"{name}, line {number}"
            try:
                record = parse_line(line)
            except ValueError as error:
                self._report(f"{where}: {error}")
                self._is_last_readable = False
                continue
            self._is_last_readable = True
            self._take(where, record)

    def _take(self, where: str, record: AuditRecord) -> None:
        verdict, previous = self.verdict, self._previous
        if previous is not None and (record.seq, record.prev) != (previous.seq + 1, previous.hash):
            self._report(f"{where}: does not follow the line before: lines were removed, added or moved")
        if verdict.first is None:
            verdict.first = record
            self._may_be_older_than_heads = record.prev != FIRST_PREV
        verdict.lines += 1
        verdict.last, self._previous = record, record.link
        if self._expected is not None and record.seq == self._expected.seq:
            self._has_met_expected = True
            if record.link != self._expected:
                self._report(f"{where}: its hash is not the expected one, {self._expected.text}")
        if record.action == Action.AUDIT_SEGMENTS_REMOVED:
            self._take_removal(where, record)
        elif record.action == Action.AUDIT_HEAD_RESTORED:
            self._take_restored_head(where, record)

    def _take_removal(self, where: str, record: AuditRecord) -> None:
        self._may_be_older_than_heads = False
        match record.detail:
            case {"last_seq": int(seq), "last_hash": str(digest)} if seq < record.seq:
                self._starts[seq] = digest
            case _:
                self._report(f"{where}: does not say what was removed")

    def _take_restored_head(self, where: str, record: AuditRecord) -> None:
        reason = record.detail.get("reason")
        if reason == NO_HEAD and self._may_be_older_than_heads:
            self.verdict.notes.append(
                f"{where}: from here on there is a head; that no lines are missing right before cannot be shown"
            )
        else:
            self._report(f"{where}: the end of the log was not as its head says: {_shown(reason)}")
        self._may_be_older_than_heads = False

    # What is around them --------------------------------------------------------------------------------------------

    def _check_start(self) -> None:
        first = self.verdict.first
        if first is None or (first.seq == 1 and first.prev in {FIRST_PREV, OLD_FIRST_PREV}):
            return
        if first.seq == 1 or self._starts.get(first.seq - 1) != first.prev:
            self._report(f"the log begins with line {first.seq}, and no line says that those before it were removed")
            return
        self.verdict.notes.append(f"lines up to {first.seq - 1} were removed, as retention says")

    def _check_end(self, snapshot: Snapshot) -> None:
        last = self.verdict.last
        end = LogEnd(None if last is None else last.link, is_readable=self._is_last_readable, has_rest=self._has_rest)
        judgement = judge(snapshot.head, end)
        match judgement.standing:
            case Standing.AGREED if last is None:
                self._report("there is no line: nothing was ever on record here, or all of it was removed")
            case Standing.AGREED:
                pass
            case Standing.UNFINISHED if self._has_rest:
                self._report(
                    "the last line is half-written: its process ended meanwhile, and what it was about was not done; "
                    "the next line takes its place"
                )
            case Standing.UNFINISHED:
                self.verdict.notes.append("a process ended before it wrote its line; what that was about was not done")
            case Standing.HEADLESS if self._may_be_older_than_heads and not snapshot.segments and not self._has_rest:
                self.verdict.notes.append("there is no head yet: the next line makes it")
            case _:
                self._report(judgement.reason or "the last line cannot be read")

    def _check_expected(self) -> None:
        expected = self._expected
        if expected is None or self._has_met_expected:
            return
        if self._starts.get(expected.seq) == expected.hash:
            self.verdict.notes.append(f"the expected line {expected.seq} was the last one that retention removed")
        elif self.verdict.first is not None and expected.seq < self.verdict.first.seq:
            self._report(f"the expected line {expected.seq} is not kept any more: keep a newer head elsewhere")
        else:
            self._report(f"the expected line {expected.seq} is not there")

    def _report(self, problem: str) -> None:
        self.verdict.problems.append(problem)
        if len(self.verdict.problems) >= MAX_PROBLEMS:
            raise _Enough


def _split(file: FileIO, size: int) -> Iterator[bytes]:
    """The lines within `size`; one that is longer than a line can be, in pieces."""
    rest, left = b"", size
    while left > 0:
        block = file.read(min(left, 256 * 1024))
        if not block:
            break
        left -= len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > MAX_LINE_BYTES:
            yield rest + b"\n"
            rest = b""
    if rest:
        yield rest


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "no reason is given"
