"""The usage explorer: any metric by up to two things over time, as a chart and as a table."""

from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.components import Column, Limit
from copilot_api.admin.date_range import DateRange, range_url
from copilot_api.admin.event_queries import TypedQuery, list_fields, list_terms, read_query
from copilot_api.admin.figures import Number, change
from copilot_api.admin.freshness import max_age
from copilot_api.admin.links import page_url
from copilot_api.admin.overview import ask_marks
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.services import PageServices
from copilot_api.admin.usage_answers import UsageAnswer, ask_usage
from copilot_api.admin.usage_charts import NameValue, name_value
from copilot_api.admin.usage_queries import (
    BUCKETS,
    GROUP_LABELS,
    GROUPS,
    MEASURES,
    UsageChoice,
    check_span,
    read_choice,
    suits,
)
from copilot_api.keys.names import KeyNames
from copilot_api.usage.filters import FIELDS, Match
from copilot_api.usage.queries import Bucket, Dimension

_FIELD_OF = {field.column: name for name, field in FIELDS.items()}
_PARTIAL = {"model", "upstream", "endpoint"}
"""Fields of the query grammar that a part of the value is enough for."""
_BESIDE = {
    "requests": "Requests",
    "input_tokens": "Tokens in",
    "output_tokens": "Tokens out",
    "credits": "Credits",
    "errors": "Errors",
}
"""What the table has beside the chosen metric."""
_WINDOWS = {"day": Bucket.DAY, "hour": Bucket.HOUR, "minute": Bucket.MINUTE}
_UNITS = {"credits": "credits", "premium_requests": "premium_requests", "requests": "requests"}


@dataclass(frozen=True, slots=True)
class _Row:
    """A group, as its row of the table shows it."""

    names: tuple[tuple[str, str], ...]
    """Each value as a series is named, and what it is called."""
    sums: dict[str, Any]
    value: Number | None
    """The chosen metric; of times the 95th percentile."""
    href: str | None
    """The calls behind it."""


class UsageView:
    """See the module."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def show(self, request: AdminRequest) -> Answer:
        """The page. A mistake in the query is told beside it, with what was typed."""
        services = self._services
        names = KeyNames(services.keys.list_known())
        typed = read_query(request.query, request.now, names, is_for_sums=True)
        period = typed.period
        check_span(period.since, period.until)
        choice = read_choice(request.query, period)
        data: dict[str, object] = {
            "period": period,
            "typed": typed,
            "choice": choice,
            "options": _list_options(choice, period),
            "list_url": partial(range_url, period),
        }
        if request.wants("usage"):
            found = None if typed.problem else await self._ask(typed, choice, names)
            data |= await self._describe(request, typed, choice, found, names)
        return Page("usage/page.html", data)

    async def _ask(self, typed: TypedQuery, choice: UsageChoice, names: KeyNames) -> UsageAnswer:
        period, services = typed.period, self._services
        times = (period.since, period.until) if period.is_custom else ()
        labels = _names_of(choice, names)
        find = partial(ask_usage, services.ledger, period, choice, typed.conditions, labels)
        name = ("usage", period.name, *times, choice, typed.conditions, services.events_stored())
        return await services.recent.get(name, max_age(period.span), lambda: services.threads.ask(find))

    async def _describe(
        self, request: AdminRequest, typed: TypedQuery, choice: UsageChoice, found: UsageAnswer | None, names: KeyNames
    ) -> dict[str, object]:
        rows = [] if found is None else [_make_row(row, choice, typed, names) for row in found.rows]
        return {
            "found": found,
            "rows": rows,
            "whole": None if found is None else _pick(found.total, choice),
            "change": None if found is None or found.before is None else _change(found, choice),
            "marks": [] if found is None else await ask_marks(self._services, typed.period),
            "limits": [] if choice.is_cumulative else self._list_limits(typed, choice),
            "columns": _list_columns(choice),
            "beside": [name for name in _BESIDE if name != choice.metric],
            "fields": [field for field in list_fields(names) if FIELDS[field.name].column in set(Dimension)],
            "terms": list_terms(typed.text, request.path, request.query),
            "files": _list_files(typed, choice),
        }

    def _list_limits(self, typed: TypedQuery, choice: UsageChoice) -> list[Limit]:
        """Of the one key that is looked at, those that are in the unit and the window of the chart."""
        wanted = [each for each in typed.conditions if each.column == Dimension.KEY and not each.is_negated]
        if len(wanted) != 1 or wanted[0].match is not Match.IS or len(wanted[0].values) != 1:
            return []
        key = next((key for key in self._services.keys.list_known() if key.id == wanted[0].values[0]), None)
        if key is None:
            return []
        limits = [
            Limit(float(budget.amount), f"budget {budget.text}")
            for budget in key.policy.budgets
            if _UNITS.get(budget.unit) == choice.metric and _WINDOWS.get(budget.window) is choice.bucket
        ]
        if choice.metric == "requests" and choice.bucket is Bucket.MINUTE and key.policy.rpm is not None:
            limits.append(Limit(key.policy.rpm, f"{key.policy.rpm} requests a minute"))
        return limits


def _names_of(choice: UsageChoice, names: KeyNames) -> list[NameValue]:
    return [names.label if name == "key" else name_value for name in choice.groups]


def _list_options(choice: UsageChoice, period: DateRange) -> dict[str, list[tuple[str, str]]]:
    """What the selects of the page offer."""
    groups = [(name, GROUP_LABELS[name]) for name in GROUPS]
    first = choice.groups[0] if choice.groups else ""
    return {
        "metric": [(name, measure.label) for name, measure in MEASURES.items()],
        "by": [("", "Nothing"), *groups],
        "then": [("", "Nothing"), *((name, label) for name, label in groups if name != first)],
        "bucket": [(n, label) for n, label in BUCKETS.items() if n == "auto" or suits(Bucket(n), period.span)],
    }


def _list_columns(choice: UsageChoice) -> list[Column]:
    groups = [Column(name, GROUP_LABELS[name]) for name in choice.groups]
    if choice.timing is not None:
        shares = [Column(name, name, is_number=True) for name in ("p50", "p90", "p95", "p99")]
        return [*groups, Column("requests", "Requests", is_number=True), *shares]
    return [
        *groups,
        Column("value", choice.measure.label, is_number=True, title="What is shown; the largest first"),
        Column("share", "Share", title="Of the whole"),
        *(Column(name, label, is_number=True) for name, label in _BESIDE.items() if name != choice.metric),
    ]


def _make_row(row: dict[str, Any], choice: UsageChoice, typed: TypedQuery, names: KeyNames) -> _Row:
    labels = _names_of(choice, names)
    shown = tuple((name_value(value), label(value)) for value, label in zip(row["group"], labels, strict=True))
    return _Row(shown, row, _pick(row, choice), _list_calls(row["group"], choice, typed))


def _list_calls(group: list[object], choice: UsageChoice, typed: TypedQuery) -> str | None:
    """The page of the calls behind a group; None where the grammar cannot say which."""
    terms = [typed.text] if typed.text else []
    for name, value in zip(choice.groups, group, strict=True):
        field = _FIELD_OF.get(GROUPS[name].value)
        text = "" if value is None else str(value)
        if field is None or '"' in text or "," in text:
            return None
        if not text:
            terms.append(f"-{field}:*")
        else:
            terms.append(f'{field}:"{text}"' if " " in text else f"{field}:{text}")
    return range_url(typed.period, "/admin/requests", q=" ".join(terms))


def _pick(row: dict[str, Any], choice: UsageChoice) -> Number | None:
    value: Any = row[choice.metric]
    picked: Number | None = value["p95"] if choice.timing is not None else value
    return picked


def _change(found: UsageAnswer, choice: UsageChoice) -> float | None:
    return None if found.before is None else change(_pick(found.total, choice), _pick(found.before, choice))


def _list_files(typed: TypedQuery, choice: UsageChoice) -> dict[str, str]:
    """Where the API has the same: as JSON, and as CSV by group and over time."""
    period, groups = typed.period, ",".join(choice.groups)
    fields = [
        ("q", typed.text),
        ("since", period.since.astimezone(UTC).isoformat()),
        ("until", period.until.astimezone(UTC).isoformat()),
        ("by", groups),
        ("metric", "requests" if choice.timing is not None else choice.metric),
    ]
    given = [(name, value) for name, value in fields if value]
    path, bucket = "/admin/api/usage", choice.bucket.value
    percentiles = "1" if choice.timing is not None else None
    return {
        "json": page_url(path, given, bucket=bucket, percentiles=percentiles),
        "series": page_url(path, given, bucket=bucket, format="csv"),
        "groups": page_url(path, given, format="csv", percentiles=percentiles) if groups else "",
    }
