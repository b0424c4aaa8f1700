"""
What the audit log says about a key, for the holder of that key: their own acts whole, what others did to the key
without the others.

A line is about a key when the key acted, when it was acted on, or when its id stands in the detail. Whoever else is in
it has the same right to be left out: other keys lose their ids, users of the machine their names, both their addresses
and programs; of what the key did to another key only that it did is told. Hashes are left out: they prove nothing about
a line that is not whole.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

from copilot_api.audit.lines import AuditRecord

PAGE_LINES = 1000
SOMEBODY_LOCAL, ANOTHER_KEY = "local:somebody", "another key"
_KEY_ID = re.compile(r"key_[a-z2-7]{12}")
_OWN = ("address", "user_agent", "request_id")


class AuditLines(Protocol):
    """The audit log, as far as it is read."""

    def list_events(self, *, before_seq: int | None = None, limit: int | None = None) -> list[AuditRecord]:
        """What is on record before that line, newest first. Raises `StorageUnavailable`."""
        ...


def list_lines_about(log: AuditLines, key_id: str) -> Iterator[AuditRecord]:
    """The lines about a key, newest first, as they are."""
    before: int | None = None
    while page := log.list_events(before_seq=before, limit=PAGE_LINES):
        yield from (record for record in page if is_about(record, key_id))
        before = page[-1].seq


def is_about(record: AuditRecord, key_id: str) -> bool:
    """Whether the key acted, was acted on, or is named in the detail."""
    return key_id in (record.actor, record.target) or _names(record.detail, key_id)


def render_for(record: AuditRecord, key_id: str) -> dict[str, Any]:
    """The line as the key's holder may have it."""
    is_own, is_target = record.actor == key_id, record.target == key_id
    line: dict[str, Any] = {
        "seq": record.seq,
        "at": record.at,
        "actor": _hide(record.actor, key_id),
        "action": record.action,
        "target": _hide(record.target, key_id),
    }
    if is_target or not _KEY_ID.fullmatch(record.target):
        line["detail"] = _hide(record.detail, key_id)
    if is_own:
        line |= {name: value for name in _OWN if (value := getattr(record, name)) is not None}
    return line


def _names(value: Any, key_id: str) -> bool:
    match value:
        case str():
            return key_id in value
        case dict():
            members = cast("dict[str, Any]", value)
            return any(_names(each, key_id) for each in (*members, *members.values()))
        case list():
            return any(_names(each, key_id) for each in cast("Sequence[Any]", value))
        case _:
            return False


def _hide(value: Any, key_id: str) -> Any:
    """The value without anybody but the key."""
    match value:
        case str() if value.startswith("local:"):
            return SOMEBODY_LOCAL
        case str():
            return _KEY_ID.sub(lambda found: found[0] if found[0] == key_id else ANOTHER_KEY, value)
        case dict():
            return {name: _hide(each, key_id) for name, each in cast("dict[str, Any]", value).items()}
        case list():
            return [_hide(each, key_id) for each in cast("Sequence[Any]", value)]
        case _:
            return value
