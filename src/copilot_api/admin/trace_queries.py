"""What the list and the tail of captures are asked for: `key:ci model:opus status:>=400 req_…`, in a range. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.components import QueryField, Term
from copilot_api.admin.date_range import DateRange, read_range
from copilot_api.admin.event_queries import split_terms
from copilot_api.admin.forms import Fields
from copilot_api.admin.links import page_url
from copilot_api.admin.positions import AFTER, BACK
from copilot_api.api.trace_parameters import ANY_STATUS, parse_status
from copilot_api.capture.queries import TraceQuery
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames
from copilot_api.observability.logs import strike_secrets

DEFAULT_RANGE = "7d"
_NAMES = {
    "key": "a key by label, id or visible prefix",
    "model": "as the client called it",
    "status": "429, 4xx or >=400",
}
_STATUSES = ("200", ">=400", "4xx", "5xx", "429")
_MAX_NUMBER_DIGITS = 17
_MAX_WORD = 200


@dataclass(frozen=True, slots=True)
class TypedTraces:
    """What was typed, and what it means."""

    text: str
    period: DateRange
    query: TraceQuery
    problem: str
    """Why it cannot be asked; empty when it can."""

    @property
    def asked(self) -> dict[str, object]:
        """The same in words, for the record."""
        period, words = self.period, {"q": strike_secrets(self.text[:_MAX_WORD]), "before": self.query.before}
        if period.is_custom:
            words |= {"since": period.since.isoformat(), "until": period.until.isoformat()}
        else:
            words["range"] = period.name
        return {name: value for name, value in words.items() if value}


def read_trace_query(query: Fields, now: datetime, names: KeyNames, limit: int) -> TypedTraces:
    """
    `q`, range and place of a page's URL. A mistake in `q` is a problem to show. Raises `BadRequest` for a range or a
    place that cannot be.
    """
    period, text, before = read_range(query, now, DEFAULT_RANGE), query.get("q").strip(), query.get(AFTER)
    if before and not (before.isascii() and before.isdigit() and len(before) <= _MAX_NUMBER_DIGITS):
        raise BadRequest("this is no place in the list", param=AFTER, hint="begin with the newest")
    try:
        asked, problem = _read_terms(text), ""
        key_id = _find_key(asked["key"], names) if "key" in asked else None
        least, most = parse_status(asked.get("status", ""))
    except BadRequest as error:
        asked, problem, key_id, (least, most) = {}, f"{error.message} ({error.actual_hint})", None, ANY_STATUS
    found = TraceQuery(
        key_id=key_id,
        model=asked.get("model"),
        min_status=least,
        max_status=most,
        since=period.since,
        until=period.until if period.is_custom else None,
        text=asked.get("", ""),
        before=int(before) if before else None,
        limit=limit,
    )
    return TypedTraces(text, period, found, problem)


def list_trace_fields(names: KeyNames, models: Sequence[str] = ()) -> list[QueryField]:
    """What one may filter by, for suggestions."""
    values = {"key": tuple(names.list_labels()), "model": tuple(models), "status": _STATUSES}
    return [QueryField(name, hint, values[name]) for name, hint in _NAMES.items()]


def list_trace_terms(text: str, path: str, fields: Iterable[tuple[str, str]]) -> list[Term]:
    """The query taken apart, each term with the page without it."""
    words, pairs = split_terms(text), list(fields)
    return [
        Term(word, page_url(path, pairs, q=" ".join(words[:index] + words[index + 1 :]), **{AFTER: None, BACK: None}))
        for index, word in enumerate(words)
    ]


def _read_terms(text: str) -> dict[str, str]:
    """Values by name; a word without a name, a part of a request id, by none."""
    asked: dict[str, str] = {}
    for term in split_terms(text):
        name, colon, value = term.partition(":")
        if not colon:
            name, value = "", term
        value = value.replace('"', "")
        if not value or name not in {*_NAMES, ""}:
            hint = f"write NAME:VALUE with {', '.join(_NAMES)}, or a part of a request id"
            raise BadRequest(f"{term[:60]!a} cannot be looked for", hint=hint)
        if name in asked:
            raise BadRequest(f"{name or 'a request id'} is there twice", hint="a call has one of them")
        asked[name] = value
    return asked


def _find_key(value: str, names: KeyNames) -> str:
    found = names.find(value)
    if len(found) > 1:
        raise BadRequest(f"several keys are called {value[:60]!a}", hint=f"take an id: {', '.join(found)}")
    return found[0]
