"""What the overview shows of a period: found in the ledger, in threads, and kept for a moment for whoever asks next."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from heapq import nlargest
from typing import Any, TypeVar

from copilot_api.admin.causes import CauseWords, words_of
from copilot_api.admin.components import Mark, Series
from copilot_api.admin.date_range import DateRange
from copilot_api.admin.freshness import max_age
from copilot_api.admin.services import PageServices
from copilot_api.admin.usage_charts import read_series, read_time, read_times, read_total
from copilot_api.audit.models import Action
from copilot_api.audit.search import AuditQuery
from copilot_api.upstream.drift import CatalogChange
from copilot_api.usage.explorer import (
    ExploreQuery,
    Metric,
    choose_bucket,
    counter_of,
    explore,
    list_starts,
    render_sums,
)
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.percentiles import Timing, histogram_of, list_percentiles
from copilot_api.usage.queries import Dimension, SumQuery
from copilot_api.usage.repository import EventQuery
from copilot_api.usage.rollups import COUNTERS
from copilot_api.usage.summaries import summarise

T = TypeVar("T")

CHARTED = (Metric.REQUESTS, Metric.CREDITS, Metric.ERRORS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS)
MODELS_SHOWN, KEYS_SHOWN, ERRORS_SEEN, CHANGES_SHOWN = 7, 8, 40, 6
NEWS_FOR = timedelta(days=14)
"""For how long a change of the catalog is news."""
_TILES = tuple(counter_of(metric) for metric in (*CHARTED, Metric.PREMIUM_REQUESTS))
_COUNT = (counter_of(Metric.REQUESTS),)
_KEY_METRICS = (Metric.CREDITS, Metric.REQUESTS, Metric.ERRORS)
_NEWS_AGE_SECONDS = 20.0
_MARK_LINES = 2000
_NO_FAILURE = (Cause.OK.value, Cause.CLIENT_ABORTED.value)
FAILED = Condition(Dimension.CAUSE.value, Match.IS, _NO_FAILURE, is_negated=True)
_MARKED = {
    Action.CONFIG_CHANGED.value: ("config.json was changed", "config"),
    Action.IDENTITY_STOPPED.value: ("GitHub flagged the account", "incident"),
    Action.IDENTITY_RESUMED.value: ("the identity was resumed", "config"),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A period in numbers."""

    now: dict[str, Any]
    """Every metric, and percentiles; see `render_sums`."""
    before: dict[str, Any]
    """The same for the stretch of the same length just before."""
    times: list[datetime]
    requests: list[Series]
    credits: list[Series]
    totals: dict[str, list[float]]
    """Requests, tokens, credits and shares of errors over time."""
    first_tokens: list[float | None]
    """The 95th percentile over time, in seconds."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A cause of which there were some."""

    cause: str
    words: CauseWords
    count: int
    last: UsageEvent | None
    """The newest of them, if it is among the newest of all."""


async def ask_figures(services: PageServices, period: DateRange) -> Figures:
    """Tiles and charts."""
    return await _ask(services, "figures", period, lambda: _find_figures(services, period))


async def ask_keys(services: PageServices, period: DateRange) -> list[dict[str, Any]]:
    """The keys that used most, by credits; see `render_sums`. `group` holds the id."""

    return await _ask(services, "keys", period, lambda: _find_keys(services, period))


async def ask_failures(services: PageServices, period: DateRange) -> list[Failure]:
    """What went wrong, by cause, the most frequent first."""
    return await _ask(services, "failures", period, lambda: _find_failures(services, period))


async def ask_marks(services: PageServices, period: DateRange) -> list[Mark]:
    """What somebody or something did in the period that may show in its charts."""

    def find() -> list[Mark]:
        page = services.audit.get_page(AuditQuery(since=period.since, until=period.until), max_lines=_MARK_LINES)
        marks = [(record.moment, *_MARKED[record.action]) for record in page.events if record.action in _MARKED]
        return [Mark(at, text, "incident" if tone == "incident" else "config") for at, text, tone in reversed(marks)]

    return await _ask(services, "marks", period, find)


async def ask_changes(services: PageServices, now: datetime) -> list[CatalogChange]:
    """What changed in Copilot's catalog lately, the newest first."""

    async def find() -> list[CatalogChange]:
        since = now - NEWS_FOR
        return await services.threads.ask(lambda: services.catalogs.list_changes(since, CHANGES_SHOWN))

    return await services.recent.get(("overview", "changes"), _NEWS_AGE_SECONDS, find)


async def _ask(services: PageServices, what: str, period: DateRange, find: Callable[[], T]) -> T:
    # A named range moves on with every second: within its freshness one answer is as good as another.
    times = (period.since, period.until) if period.is_custom else ()
    name = ("overview", what, period.name, *times, services.events_stored())
    return await services.recent.get(name, max_age(period.span), lambda: services.threads.ask(find))


def _find_figures(services: PageServices, period: DateRange) -> Figures:
    ledger, bucket = services.ledger, choose_bucket(period.since, period.until)
    query = ExploreQuery(period.since, period.until, (Dimension.MODEL,), bucket, metrics=CHARTED, top=MODELS_SHOWN)
    answer = explore(ledger, query)
    since, until = read_time(answer["since"]), read_time(answer["until"])
    lines = list_percentiles(
        ledger, Timing.TIME_TO_FIRST_TOKEN, since, until, list_starts(since, until, bucket), bucket, (0.95,)
    )
    sum_up = partial(summarise, ledger, counters=_TILES, histograms=(histogram_of(Timing.TIME_TO_FIRST_TOKEN),))
    requests, errors = read_total(answer, Metric.REQUESTS), read_total(answer, Metric.ERRORS)
    return Figures(
        now=sum_up(period.since, period.until),
        before=sum_up(period.before.since, period.before.until),
        times=read_times(answer),
        requests=read_series(answer, Metric.REQUESTS),
        credits=read_series(answer, Metric.CREDITS),
        totals={
            "requests": requests,
            "tokens": read_total(answer, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS),
            "credits": read_total(answer, Metric.CREDITS),
            "errors": [part / whole if whole else 0.0 for part, whole in zip(errors, requests, strict=True)],
        },
        first_tokens=list(lines[0].values[0]) if lines else [],
    )


def _find_keys(services: PageServices, period: DateRange) -> list[dict[str, Any]]:
    # Those without credits come in the order of their requests: on a plan that counts none that is all there is.
    counters = tuple(counter_of(metric) for metric in _KEY_METRICS)
    query = SumQuery(period.since, period.until, (Dimension.KEY,), counters=counters, largest=KEYS_SHOWN)
    by_credits, by_requests = (COUNTERS.index(counter_of(metric)) for metric in (Metric.CREDITS, Metric.REQUESTS))
    largest = nlargest(
        KEYS_SHOWN, services.ledger.sum_up(query), key=lambda row: (row.sums[by_credits], row.sums[by_requests])
    )
    return [{"group": row.group, **render_sums(row.sums)} for row in largest]


def _find_failures(services: PageServices, period: DateRange) -> list[Failure]:
    query = SumQuery(period.since, period.until, (Dimension.CAUSE,), conditions=(FAILED,), counters=_COUNT)
    rows = sorted(services.ledger.sum_up(query), key=lambda row: (-row.sums[0], str(row.group)))
    page = services.ledger.get_page(EventQuery(period.since, period.until, (FAILED,), ERRORS_SEEN)) if rows else None
    newest: dict[str, UsageEvent] = {}
    for event in page.events if page is not None else ():
        newest.setdefault(event.cause.value, event)
    causes = [(str(row.group[0]), row.sums[0]) for row in rows]
    return [Failure(cause, words_of(cause), count, newest.get(cause)) for cause, count in causes]
