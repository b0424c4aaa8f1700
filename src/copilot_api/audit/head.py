"""
The head of the audit log: number and hash of its newest line, in a file beside it, so that a cut of its end is found.

A line is written in three steps, each on the disk before the next begins: the head says which line is about to come,
the line is written, the head says that it is there. So after a crash at any moment it can be told whether the last line
was being written, which is no harm, or is missing.

The file holds one JSON object, `{"seq", "hash"}` and while a line is written `"next": {"seq", "hash"}`, filled up with
blanks to 256 bytes: it is written over in place, and so little goes to a disk whole or not at all.
"""

import os
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from copilot_api.audit.lines import FIRST_PREV, Link

HEAD_BYTES = 256
NO_HEAD = "no head"
"""What the line that makes the first head of an older log says, in `detail.reason`."""
BEGINNING = Link(0, FIRST_PREV)
"""What the first line of all follows."""


class _Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seq: int
    hash: str


class _Content(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    seq: int
    hash: str
    next: _Link | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest line, and the one that is being written."""

    last: Link
    next: Link | None = None


class HeadDamaged(ValueError):
    """What is in the file is no head."""


def parse_head(content: bytes) -> Head | None:
    """What the file says; None for an empty one, which a crash can leave before there is any line."""
    if not content:
        return None
    try:
        found = msgspec.json.decode(content, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise HeadDamaged("it is no head of an audit log") from error
    head = Head(Link(found.seq, found.hash), None if found.next is None else Link(found.next.seq, found.next.hash))
    if render_head(head) != content:
        raise HeadDamaged("it is not written as the gateway writes")
    return head


def render_head(head: Head) -> bytes:
    """What the file is to hold."""
    following = None if head.next is None else _Link(*head.next)
    return msgspec.json.encode(_Content(*head.last, following)).ljust(HEAD_BYTES - 1) + b"\n"


def write_head(descriptor: int, head: Head) -> None:
    """Write `head` over what is in the file, and have it on the disk."""
    content = render_head(head)
    written = os.pwrite(descriptor, content, 0)
    if written != len(content):
        raise OSError(f"only {written} of {len(content)} bytes of the head could be written")
    os.fsync(descriptor)


class Standing(Enum):
    """How the end of a log and its head stand to each other."""

    AGREED = auto()
    UNFINISHED = auto()
    """A line was being written when its process ended. What it was about was not done."""
    HEADLESS = auto()
    """There is no head, but there are lines: the log is older than heads are, or the head was removed."""
    BROKEN = auto()
    """The end is not the one that the head names, or the head cannot be read."""
    UNKNOWN = auto()
    """Neither says where the log ends."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends, as its files have it."""

    last: Link | None
    """The last whole line; None where there is none."""
    is_readable: bool = True
    """False where the last line cannot be read; then `last` says nothing."""
    has_rest: bool = False
    """Whether there is something without an end behind it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How log and head stand, which line the next one follows, and what is wrong, in words."""

    standing: Standing
    link: Link
    reason: str = ""


def judge(head: Head | HeadDamaged | None, end: LogEnd) -> Judgement:
    """What follows from a head and from the end of its log (pure)."""
    found = end.last or BEGINNING
    if not isinstance(head, Head):
        return _judge_without(head, end, found)
    if end.is_readable and found == (head.next or head.last) and not end.has_rest:
        return Judgement(Standing.AGREED, found)
    if end.is_readable and head.next is not None and found == head.last:
        return Judgement(Standing.UNFINISHED, found)
    named = head.next or head.last
    if not end.is_readable:
        return Judgement(Standing.BROKEN, named, f"the last line cannot be read; the head names line {named.seq}")
    if found.seq < head.last.seq:
        missing = _lines(found.seq + 1, head.last.seq)
        return Judgement(Standing.BROKEN, named, f"{missing} missing at the end: they were cut off or put back older")
    if found.seq > named.seq:
        return Judgement(Standing.BROKEN, found, f"{_lines(named.seq + 1, found.seq)} not known to the head")
    what = "has something without an end behind it" if found in (head.last, named) else "is not the one that it was"
    return Judgement(Standing.BROKEN, named, f"the last line, {found.seq}, {what}")


def _judge_without(head: HeadDamaged | None, end: LogEnd, found: Link) -> Judgement:
    if not end.is_readable:
        return Judgement(Standing.UNKNOWN, found, "neither the last line nor the head can be read")
    if head is not None:
        return Judgement(Standing.BROKEN, found, f"the head cannot be read: {head}")
    if end.last is not None:
        return Judgement(Standing.HEADLESS, found, "there is no head: whether lines are missing at the end is unknown")
    return Judgement(Standing.UNFINISHED if end.has_rest else Standing.AGREED, found)


def _lines(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
