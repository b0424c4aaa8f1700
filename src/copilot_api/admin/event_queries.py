"""What a page of requests asks the ledger: the query that was typed, its range, its suggestions and its terms."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.components import QueryField, Term
from copilot_api.admin.date_range import CHOICES, CUSTOM, DEFAULT, DateRange, read_range
from copilot_api.admin.forms import Fields
from copilot_api.admin.links import page_url
from copilot_api.errors import BadRequest
from copilot_api.keys.names import KeyNames
from copilot_api.usage.filters import FIELDS, Condition, EventFilter, Kind, parse_filter

_TYPICAL: dict[str, tuple[str, ...]] = {
    "status": ("200", ">=400", "4xx", "5xx", "429"),
    "ttft": (">1s", ">5s", ">30s"),
    "duration": (">30s", ">2m"),
    "queue": (">500ms", ">5s"),
    "input": (">100k",),
    "output": (">4k",),
    "credits": (">1", ">10"),
    "since": ("15m", "1h", "2h", "24h", "7d"),
    "until": ("1h", "24h"),
}
_SWITCH = ("yes", "no")
_TERM = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


@dataclass(frozen=True, slots=True)
class TypedQuery:
    """What was typed, and what it means."""

    text: str
    period: DateRange
    conditions: tuple[Condition, ...]
    problem: str
    """Why it cannot be asked; empty when it can."""


def read_query(query: Fields, now: datetime, names: KeyNames, *, is_for_sums: bool = False) -> TypedQuery:
    """
    `q` of a page's URL. A range in the query narrows that of the page; where the page's own is only the usual one, the
    query's is taken as it is. Raises `BadRequest` for a range that cannot be; a mistake in `q` is a problem to show.
    """
    period, text = read_range(query, now), query.get("q").strip()
    try:
        found = parse_filter(text, now, names.find)
        if is_for_sums:
            _check_for_sums(found)
        return TypedQuery(text, _narrow(period, found, now, is_given=_has_range(query)), found.conditions, "")
    except BadRequest as error:
        hint = f" ({error.actual_hint})" if error.actual_hint else ""
        return TypedQuery(text, period, (), f"{error.message}{hint}")


def list_fields(names: KeyNames, models: Sequence[str] = (), clients: Sequence[str] = ()) -> list[QueryField]:
    """What the query grammar has, for suggestions."""
    known = {"key": names.list_labels(), "model": models, "upstream": models, "client": clients}
    return [
        QueryField(
            name,
            field.help,
            tuple(known.get(name, ()))
            or field.choices
            or (_SWITCH if field.kind is Kind.SWITCH else _TYPICAL.get(name, ())),
        )
        for name, field in FIELDS.items()
    ]


def list_terms(text: str, path: str, fields: Iterable[tuple[str, str]]) -> list[Term]:
    """The query taken apart, each term with the page without it."""
    words, pairs = split_terms(text), list(fields)
    return [
        Term(word, page_url(path, pairs, q=" ".join(words[:index] + words[index + 1 :]), after=None, back=None))
        for index, word in enumerate(words)
    ]


def split_terms(text: str) -> list[str]:
    """The terms as they were typed, with their quotation marks."""
    return _TERM.findall(text)


def _has_range(query: Fields) -> bool:
    return any(query.get(name) for name in ("range", "since", "until"))


def _narrow(period: DateRange, found: EventFilter, now: datetime, *, is_given: bool) -> DateRange:
    if found.since is None and found.until is None:
        return period
    until = found.until or (period.until if is_given else now)
    since = found.since or (period.since if is_given else until - CHOICES[DEFAULT])
    if is_given:
        since, until = max(since, period.since), min(until, period.until)
    if since >= until:
        raise BadRequest("the range of the query and that of the page have nothing in common")
    return DateRange(CUSTOM, since, until)


def _check_for_sums(found: EventFilter) -> None:
    unusable = {each.column for each in found.conditions if not each.is_of_series}
    if name := next((name for name, field in FIELDS.items() if field.column in unusable), None):
        raise BadRequest(f"sums cannot be told apart by {name}", hint="look for it among the requests")
