"""Lines of the audit log for people: what was done in words, what it changed, and where it can be looked at. Pure."""

import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec

from copilot_api.admin.components import Tone
from copilot_api.admin.differences import DiffLine, diff_lines
from copilot_api.audit.lines import AuditRecord, parse_line, render_line
from copilot_api.audit.models import Action
from copilot_api.keys.names import KeyNames
from copilot_api.protocols.untyped import list_of, object_of

_WORDS: dict[str, tuple[str, Tone]] = {
    Action.KEY_ISSUED: ("Key issued", "good"),
    Action.KEY_UPDATED: ("Key changed", ""),
    Action.KEY_ROTATED: ("Key rotated", ""),
    Action.KEY_REVOKED: ("Key revoked", "warn"),
    Action.CONFIG_CHANGED: ("Configuration changed", ""),
    Action.ADMIN_RECOVERED: ("Admin key recovered", "warn"),
    Action.IDENTITY_STOPPED: ("Account stopped", "bad"),
    Action.IDENTITY_RESUMED: ("Account resumed", "good"),
    Action.IDENTITY_SIGNED_IN: ("Account signed in", "warn"),
    Action.STARTED_WITHOUT_AUTHENTICATION: ("Started without authentication", "bad"),
    Action.KEY_REFUSED: ("Key refused", "warn"),
    Action.LOGIN_SUCCEEDED: ("Signed in", ""),
    Action.LOGIN_FAILED: ("Sign-in failed", "warn"),
    Action.SESSION_ENDED: ("Session ended", ""),
    Action.CAPTURE_STARTED: ("Capture started", "warn"),
    Action.CAPTURE_RENEWED: ("Capture renewed", "warn"),
    Action.CAPTURE_ENDED: ("Capture ended", ""),
    Action.TRACE_READ: ("Trace read", ""),
    Action.TRACES_LISTED: ("Traces listed", ""),
    Action.TRACES_TAILED: ("Traces followed", ""),
    Action.TRACES_DOWNLOADED: ("Traces downloaded", "warn"),
    Action.TRACE_REPLAYED: ("Trace replayed", ""),
    Action.CALL_CANCELLED: ("Call ended by an admin", ""),
    Action.USAGE_EXPORTED: ("Usage exported", ""),
    Action.PRIVACY_EXPORTED: ("Personal data exported", "warn"),
    Action.PRIVACY_ERASED: ("Personal data erased", "warn"),
    Action.AUDIT_SEGMENTS_REMOVED: ("Old audit lines removed", ""),
    Action.AUDIT_HEAD_RESTORED: ("Audit head restored", "bad"),
}
_SUMMARY_CHARACTERS = 160
_PAIR_CHARACTERS = 48
_NOTHING = "none"


def words_of_action(action: str) -> str:
    """`Key issued` for `key.issued`; an action of another version by its own name."""
    return _WORDS[action][0] if action in _WORDS else action


def tone_of_action(action: str) -> Tone:
    """Whether it deserves a look."""
    return _WORDS[action][1] if action in _WORDS else ""


def summarise_change(detail: Mapping[str, Any], names: KeyNames) -> str:
    """The detail of a line in one line: `rpm 60 → 120`, or its fields; keys by what they are called."""
    sides = _sides(detail)
    if sides is not None:
        before, after = sides
        parts = [f"{name} {_short(before.get(name))} → {_short(value)}" for name, value in after.items()]
    else:
        parts = [_tell(name, value, names) for name, value in detail.items() if not _is_empty(value)]
    text = ", ".join(parts)
    return text if len(text) <= _SUMMARY_CHARACTERS else f"{text[: _SUMMARY_CHARACTERS - 1]}…"


def diff_of(detail: Mapping[str, Any]) -> list[DiffLine] | None:
    """What was and what is, line by line; None for a line that does not say both."""
    sides = _sides(detail)
    return None if sides is None else diff_lines(_lines(sides[0]), _lines(sides[1]))


def list_facts(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What else a line says, each fact with its text."""
    told = set[str]() if _sides(detail) is None else {"before", "after"}
    return [(name, _text(value)) for name, value in detail.items() if name not in told and not _is_empty(value)]


def link_of_target(record: AuditRecord) -> str | None:
    """The page about what was acted on; None where it has none."""
    target = urllib.parse.quote(record.target, safe="")
    area = record.action.partition(".")[0]
    if record.action in {Action.TRACE_READ, Action.TRACE_REPLAYED}:
        return f"/admin/traces/{target}"
    if record.action == Action.CALL_CANCELLED:
        return f"/admin/requests/{target}"
    if area == "identity":
        return "/admin/identities"
    return "/admin/settings" if record.action == Action.CONFIG_CHANGED else None


def is_as_written(record: AuditRecord) -> bool:
    """Whether the line has the hash that is its own; that it is in its place only `verify` shows."""
    try:
        return parse_line(render_line(record)).hash == record.hash
    except (ValueError, TypeError, OverflowError):
        return False


def _tell(name: str, value: Any, names: KeyNames) -> str:
    return f"key {names.label(value)}" if name == "key_id" else f"{name} {_short(value)}"


def _sides(detail: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What was and what is, where a line says both."""
    if "before" not in detail or "after" not in detail:
        return None
    return object_of(detail["before"]), object_of(detail["after"])


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _lines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {_text(value)}" for name, value in values.items())


def _text(value: Any) -> str:
    if _is_empty(value):
        return _NOTHING
    if isinstance(value, str):
        return value
    texts = [each for each in list_of(value) if isinstance(each, str)]
    if texts and len(texts) == len(list_of(value)):
        return ", ".join(texts)
    return msgspec.json.encode(value).decode()


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _PAIR_CHARACTERS else f"{text[: _PAIR_CHARACTERS - 1]}…"
