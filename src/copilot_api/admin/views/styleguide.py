"""The style page: every component in every state, with data made up for it. In the demo, for whoever builds pages."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from copilot_api.admin.answers import Answer, Page
from copilot_api.admin.assets import Assets
from copilot_api.admin.components import Choice, Column, Limit, Mark, Pager, Phase, QueryField, Series, Term
from copilot_api.admin.date_range import read_range
from copilot_api.admin.differences import diff_lines
from copilot_api.admin.figures import change
from copilot_api.admin.links import page_url, sort_url
from copilot_api.admin.requests import AdminRequest
from copilot_api.admin.shell import Notice

_MODELS = ("claude-sonnet-4.6", "gpt-5-mini", "claude-opus-4.7", "gpt-4.1", "other")
_POINTS = 96
_ICON = re.compile(r'<symbol id="([^"]+)"')
_BEFORE = """\
{
 "version": 1,
 "exposure": "catalog",
 "limits": {
  "max_in_flight_per_identity": 8,
  "queue_timeout_s": 60,
  "max_body_mb": 64
 },
 "retention": {
  "events_days": 90
 }
}
"""
_AFTER = _BEFORE.replace('"catalog"', '"listed"').replace("_identity: 8", "_identity: 4").replace("90", "30")
_PAIRS = (
    ("Text", "text", ("surface-0", "surface-1", "surface-2", "surface-3")),
    ("Muted text", "text-muted", ("surface-0", "surface-1", "surface-2")),
    ("Accent", "accent", ("surface-0", "surface-1", "accent-soft")),
    ("Good", "good", ("surface-1", "good-soft")),
    ("Warning", "warn", ("surface-1", "warn-soft")),
    ("Bad", "bad", ("surface-1", "bad-soft")),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A sample request."""

    id: str
    at: datetime
    key: str
    model: str
    status: int
    cause: str
    tokens: int
    time_to_first_token: float | None
    spark: tuple[int, ...]


class StyleguideView:
    """See the module."""

    def __init__(self, assets: Assets) -> None:
        self._icons = _ICON.findall(assets.get("icons.svg").plain.decode())

    async def show(self, request: AdminRequest) -> Answer:
        """The page. `notices`, `range`, `sort` and `q` in its URL do what they do on real pages."""
        now = request.now
        times = [now - timedelta(minutes=15 * (_POINTS - index)) for index in range(_POINTS)]
        sort = request.query.get("sort") or "-at"
        query = request.query.get("q") or "key:ci status:>=400"
        return Page(
            "styleguide.html",
            {
                "period": read_range(request.query, now),
                "times": times,
                "requests_by_model": [Series(model, _wave(index)) for index, model in enumerate(_MODELS)],
                "ttft": [Series("p50", _curve(0.6, 0.1)), Series("p95", _curve(2.4, 0.8))],
                "limits": [Limit(3.0, "Objective 3 s")],
                "marks": [
                    Mark(times[30], "config.json changed by ada: exposure", "config"),
                    Mark(times[61], "Copilot answered 429 for 4 minutes", "incident"),
                ],
                "spark": [value or 0 for value in _wave(0)][::2],
                "rising": change(1_234_567, 1_100_000),
                "falling": change(0.012, 0.031),
                "columns": _columns(request, sort),
                "rows": _rows(now, sort),
                "sort": sort,
                "pages": Pager("8 newest of 12,400", older=page_url(request.path, request.query, before="0192")),
                "query": query,
                "terms": _terms(request, query),
                "query_fields": _QUERY_FIELDS,
                "tabs": [Choice("Facts", "#tabs", True), Choice("Captures", "#tabs", count=4), Choice("Raw", "#tabs")],
                "metrics": [Choice("Requests", "#tabs", True), Choice("Tokens", "#tabs"), Choice("Credits", "#tabs")],
                "phases": _PHASES,
                "diff": diff_lines(_BEFORE, _AFTER),
                "notices": _NOTICES,
                "pairs": _PAIRS,
                "toasts": request.query.list("toast"),
                "icon_names": self._icons,
                "bars": [Series(model, _wave(index)[30:54]) for index, model in enumerate(_MODELS)],
                "soon": now + timedelta(hours=5, minutes=12),
                "ago": now - timedelta(minutes=3, seconds=20),
                "hostile": '<script>alert("label")</script> \u202e"onmouseover=x',
            },
        )


_QUERY_FIELDS = (
    QueryField("key", "which key called", ("ci", "ada", "grace hopper")),
    QueryField("model", "what was asked for", _MODELS[:4]),
    QueryField("status", "HTTP status, also >=400", ("200", "400", "429", "502")),
    QueryField("cause", "how it ended", ("ok", "rate_limited", "upstream_cut", "client_aborted")),
    QueryField("ttft", "time to first token: >5s", ("1s", "5s", "10s")),
    QueryField("client", "which program", ("codex", "claude-code", "openai-python")),
    QueryField("since", "how far back: 2h, 7d", ("1h", "24h", "7d")),
)
_NOTICES = (
    Notice("bad", "GitHub flagged the account: calls are stopped until that is lifted.", "See the identity", "#notes"),
    Notice("warn", "Captures are on for 2 keys until 18:00 UTC.", "End them", "#notes"),
    Notice("info", "config.json was edited and rejected: line 12, unknown field “exposurs”.", "See it", "#notes"),
)
_PHASES = (
    Phase("Door", 0.0, 0.002, note="key, networks, allow-list"),
    Phase("Queue", 0.002, 0.84, "wait", "place 3 of 5"),
    Phase("Upstream", 0.84, 1.02),
    Phase("First token", 1.02, 2.31, "first"),
    Phase("Events", 2.31, 7.9, "good", "412 events"),
    Phase("End", 7.9, 7.91, "bad", "cut by Copilot before the stop event"),
)


def _wave(index: int) -> list[float | None]:
    """Requests of one model in two days: few at night, and a gap where the gateway was off."""
    found: list[float | None] = []
    for point in range(_POINTS):
        daylight = max(0.05, math.sin((point - 20 - 5 * index) / _POINTS * 2 * math.pi))
        jitter = 1 + 0.25 * math.sin(point * (2.3 + index))
        found.append(None if point == 44 else round(180 / (1 + index) * daylight * jitter))
    return found


def _curve(level: float, swing: float) -> list[float | None]:
    found: list[float | None] = []
    for point in range(_POINTS):
        trouble = 3 * level if point in {60, 61, 62} else 0
        found.append(None if point == 44 else round(level + swing * math.sin(point / 6) + trouble, 3))
    return found


def _columns(request: AdminRequest, sort: str) -> list[Column]:
    def by(name: str) -> str:
        return sort_url(request.path, request.query, name, sort)

    return [
        Column("at", "Time", sort=by("at")),
        Column("key", "Key"),
        Column("model", "Model"),
        Column("status", "Status"),
        Column("tokens", "Tokens", is_number=True, sort=by("tokens")),
        Column("ttft", "TTFT", is_number=True, sort=by("ttft"), title="Time to the first token"),
        Column("shape", "Last 24 h"),
    ]


def _rows(now: datetime, sort: str) -> list[_Row]:
    samples = (
        ("ci", "gpt-5-mini", 200, "ok", 1_204, 0.41),
        ("ada", "claude-sonnet-4.6", 200, "ok", 48_213, 1.24),
        ("grace hopper", "claude-opus-4.7", 429, "rate_limited", 0, None),
        ("ci", "gpt-4.1", 200, "ok", 903, 0.33),
        ("ada", "claude-opus-4.7", 502, "upstream_cut", 131_072, 6.2),
        ("<b>nightly & co</b>", "gpt-5-mini", 200, "client_aborted", 12_001, 0.9),
        ("grace hopper", "claude-sonnet-4.6", 200, "ok", 7_777, 2.04),
        ("a-very-long-label-that-somebody-gave-to-a-key-in-a-hurry", "gpt-4.1", 400, "bad_request", 0, None),
    )
    rows = [
        _Row(f"req-{index}", now - timedelta(seconds=37 * index * index), *sample, _shape(index))
        for index, sample in enumerate(samples)
    ]
    return sorted(rows, key=lambda row: _sort_value(row, sort.removeprefix("-")), reverse=sort.startswith("-"))


def _sort_value(row: _Row, column: str) -> float:
    match column:
        case "tokens":
            return row.tokens
        case "ttft":
            return row.time_to_first_token or 0.0
        case _:
            return row.at.timestamp()


def _shape(index: int) -> tuple[int, ...]:
    return tuple((index * 7 + hour * hour) % 11 for hour in range(24))


def _terms(request: AdminRequest, query: str) -> list[Term]:
    words = query.split()
    return [
        Term(word, page_url(request.path, request.query, q=" ".join(words[:index] + words[index + 1 :])))
        for index, word in enumerate(words)
    ]
