"""
What is on record, newest first: read from the end of the files, a block at a time, and no further than is asked.

It shows what the lines say. Whether they are as they were written is for `copilot_api.audit.verify`; what is no line at
all is passed over.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import fstat

from copilot_api.audit.files import AuditFiles, Snapshot, opened, parse_beginning, read_lines_backwards
from copilot_api.audit.lines import AuditRecord, read_record

CLOCK_LEEWAY = timedelta(days=1)
"""A clock that was set back leaves lines behind newer ones: so much further is looked, by the lines' times."""

_SEQ = re.compile(rb'\{"seq":([0-9]{1,15}),')
"""The number of a line, as all are written."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is asked of the log; None is no condition. `since` counts, `until` does not."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
    request_id: str | None = None
    before_seq: int | None = None
    """Only lines with a lower number."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of what was asked for."""

    events: list[AuditRecord]
    next: int | None
    """`before_seq` of the page behind it; None at the end."""


def search(files: AuditFiles, query: AuditQuery, limit: int | None, max_lines: int | None) -> AuditPage:
    """So many records, looking at no more than so many lines. Raises `OSError`."""
    found: list[AuditRecord] = []
    looked_at, floor = 0, _find_floor(query)
    with files.snapshot() as snapshot, closing(_read_records(snapshot, query.before_seq)) as records:
        for record, moment in records:
            if query.before_seq is not None and record.seq >= query.before_seq:
                continue
            if floor is not None and moment < floor:
                break
            if limit is not None and len(found) >= limit:
                return AuditPage(found, found[-1].seq)
            if max_lines is not None and looked_at >= max_lines:
                return AuditPage(found, record.seq + 1)
            looked_at += 1
            if _is_meant(record, moment, query):
                found.append(record)
    return AuditPage(found, None)


def _find_floor(query: AuditQuery) -> datetime | None:
    """The time from which on nothing older is looked at."""
    try:
        return None if query.since is None else query.since - CLOCK_LEEWAY
    except OverflowError:
        return None  # the beginning of time


def _is_meant(record: AuditRecord, moment: datetime, query: AuditQuery) -> bool:
    return (
        (query.actor is None or record.actor == query.actor)
        and (query.action is None or record.action == query.action)
        and (query.target is None or record.target == query.target)
        and (query.request_id is None or record.request_id == query.request_id)
        and (query.since is None or moment >= query.since)
        and (query.until is None or moment < query.until)
    )


def _read_records(snapshot: Snapshot, before_seq: int | None) -> Generator[tuple[AuditRecord, datetime]]:
    for line in _read_lines(snapshot, before_seq):
        if before_seq is not None and (found := _SEQ.match(line)) and int(found[1]) >= before_seq:
            continue  # a page far down would else take apart all lines before it
        try:
            record = read_record(line)
            yield record, record.moment
        except ValueError:
            continue


def _read_lines(snapshot: Snapshot, before_seq: int | None) -> Iterator[bytes]:
    if snapshot.newest is not None:
        beginning = parse_beginning(snapshot.newest)
        if before_seq is None or beginning is None or beginning[0] < before_seq:
            yield from read_lines_backwards(snapshot.newest, snapshot.newest_bytes)
    for segment in reversed(snapshot.segments):
        if before_seq is not None and segment.first_seq >= before_seq:
            continue
        try:
            with opened(segment.path) as descriptor:
                yield from read_lines_backwards(descriptor, fstat(descriptor).st_size)
        except FileNotFoundError:
            continue  # it was old, and removed meanwhile
