"""What the page of the audit log asks for: `actor:ci action:key.issued`, in a stretch of time. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.components import QueryField, Term
from copilot_api.admin.date_range import DateRange, read_range
from copilot_api.admin.event_queries import split_terms
from copilot_api.admin.forms import Fields
from copilot_api.admin.links import page_url
from copilot_api.admin.positions import AFTER, BACK
from copilot_api.audit.models import Action
from copilot_api.audit.search import AuditQuery
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames

DEFAULT_RANGE = "30d"
_NAMES = {
    "actor": "who did it: a key by label or id, local:USER, or gateway",
    "action": "what was done",
    "target": "to what: a key by label or id, config.json, a request id",
    "request": "the request id by which it was done",
}
_OF_NAMES_OF_KEYS = {"actor", "target"}
_MAX_SEQ_DIGITS = 15


@dataclass(frozen=True, slots=True)
class TypedAudit:
    """What was typed, and what it means."""

    text: str
    period: DateRange
    query: AuditQuery
    problem: str
    """Why it cannot be asked; empty when it can."""


def read_audit_query(query: Fields, now: datetime, names: KeyNames) -> TypedAudit:
    """
    `q`, range and place of a page's URL. A mistake in `q` is a problem to show. Raises `BadRequest` for a range or a
    place that cannot be.
    """
    period, text = read_range(query, now, DEFAULT_RANGE), query.get("q").strip()
    before_seq = parse_seq(query.get(AFTER))
    try:
        asked, problem = _read_terms(text, names), ""
    except BadRequest as error:
        asked, problem = {}, f"{error.message} ({error.actual_hint})"
    found = AuditQuery(
        since=period.since,
        until=period.until if period.is_custom else None,
        actor=asked.get("actor"),
        action=asked.get("action"),
        target=asked.get("target"),
        request_id=asked.get("request"),
        before_seq=before_seq,
    )
    return TypedAudit(text, period, found, problem)


def parse_seq(text: str) -> int | None:
    """The number of a line; None for no text. Raises `BadRequest`."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_SEQ_DIGITS):
        raise BadRequest("this is no place in the log", param=AFTER, hint="begin with the newest")
    return int(text)


def list_audit_fields(names: KeyNames) -> list[QueryField]:
    """What one may filter by, for suggestions."""
    labels = tuple(names.list_labels())
    values = {
        "actor": (*labels, "gateway"),
        "action": tuple(action.value for action in Action),
        "target": (*labels, "config.json"),
    }
    return [QueryField(name, hint, values.get(name, ())) for name, hint in _NAMES.items()]


def list_audit_terms(text: str, path: str, fields: Iterable[tuple[str, str]]) -> list[Term]:
    """The query taken apart, each term with the page without it."""
    words, pairs = split_terms(text), list(fields)
    changes = {AFTER: None, BACK: None}
    return [
        Term(word, page_url(path, pairs, q=" ".join(words[:index] + words[index + 1 :]), **changes))
        for index, word in enumerate(words)
    ]


def _read_terms(text: str, names: KeyNames) -> dict[str, str]:
    asked: dict[str, str] = {}
    for term in split_terms(text):
        name, colon, quoted = term.partition(":")
        value = quoted.replace('"', "")
        if not colon or not value or name not in _NAMES:
            raise BadRequest(f"{term[:60]!a} cannot be looked for", hint=f"write NAME:VALUE with {', '.join(_NAMES)}")
        if name in asked:
            raise BadRequest(f"{name} is there twice", hint="a line has one of them")
        asked[name] = _find(name, value, names)
    return asked


def _find(name: str, value: str, names: KeyNames) -> str:
    if name == "action" and value not in {action.value for action in Action}:
        raise BadRequest(f"there is no action {value[:60]!a}", hint="the suggestions name them all")
    if name not in _OF_NAMES_OF_KEYS:
        return value
    found = names.find(value)
    if len(found) > 1:
        raise BadRequest(f"several keys are called {value[:60]!a}", hint=f"take an id: {', '.join(found)}")
    return found[0]
