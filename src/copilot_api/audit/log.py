"""
The audit log: JSON lines, each holding the hash of the one before, so that no edit goes unseen.

A line is `{"seq", "at", "actor", "action", "target", "detail", "prev", "hash"}`. `hash` is the SHA-256 of the line's
bytes without its own field, `prev` the hash of the line before, 64 zeros in the first. Several processes may append:
each reads the last line again under a lock. A line is on the disk before `append` returns.
"""

import fcntl
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from copilot_api.audit.models import AuditEvent
from copilot_api.clock import Clock
from copilot_api.errors import StorageUnavailable

_FIRST_PREV = "0" * 64
_HASH_FIELD = b',"hash":"'
_BLOCK_BYTES = 64 * 1024


class _Link(msgspec.Struct):
    """What a line tells the next one."""

    seq: int
    prev: str
    hash: str


class AuditLog:
    """Appends to one file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def append(self, event: AuditEvent) -> None:
        """Put `event` on record, or raise: what cannot be recorded must not be done."""
        try:
            with self._locked() as descriptor:
                last = _last_link(descriptor)
                self._write(descriptor, _render_line(event, self._clock, last))
        except (OSError, msgspec.MsgspecError, TypeError) as error:
            raise StorageUnavailable(
                f"the audit log cannot be written ({error}), so nothing was changed: {self._path}",
                hint="make the file writable and its disk roomy; a damaged one can be moved aside",
            ) from error

    @contextmanager
    def _locked(self) -> Generator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, line: bytes) -> None:
        size = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written")
            os.fsync(descriptor)
        except OSError:
            # The action will be refused, so its line must not stay.
            os.ftruncate(descriptor, size)
            raise


def verify(path: Path) -> list[str]:
    """Every place where the chain is broken, in words; an empty list when it is whole."""
    problems: list[str] = []
    seq, prev = 0, _FIRST_PREV
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                link = _parse_line(line)
            except (ValueError, msgspec.MsgspecError) as error:
                problems.append(f"line {number}: {error}")
                continue
            if (link.seq, link.prev) != (seq + 1, prev):
                problems.append(f"line {number}: does not follow the line before: lines were removed, added or moved")
            seq, prev = link.seq, link.hash
    return problems


def _render_line(event: AuditEvent, clock: Clock, last: _Link | None) -> bytes:
    body = msgspec.json.encode(
        {
            "seq": last.seq + 1 if last else 1,
            "at": clock.now().isoformat(),
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "detail": event.detail,
            "prev": last.hash if last else _FIRST_PREV,
        }
    )
    return body[:-1] + _HASH_FIELD + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def _parse_line(line: bytes) -> _Link:
    body, _, _ = line.rpartition(_HASH_FIELD)
    link = msgspec.json.decode(line, type=_Link)
    if not line.endswith(b'"}\n') or hashlib.sha256(body + b"}").hexdigest() != link.hash:
        raise ValueError("its hash does not match: it was edited")
    return link


def _last_link(descriptor: int) -> _Link | None:
    """The link of the last whole line. What a crash left half-written was never acknowledged, and is cut off."""
    size = os.fstat(descriptor).st_size
    start, tail = size, b""
    while start > 0 and tail.count(b"\n") < 2:
        length = min(_BLOCK_BYTES, start)
        start -= length
        tail = os.pread(descriptor, length, start) + tail
    whole = tail[: tail.rfind(b"\n") + 1]
    if len(whole) < len(tail):
        os.ftruncate(descriptor, size - len(tail) + len(whole))
    if not whole:
        return None
    return msgspec.json.decode(whole[whole.rfind(b"\n", 0, -1) + 1 :], type=_Link)
