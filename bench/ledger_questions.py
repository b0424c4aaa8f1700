"""What the product's pages and commands ask of the ledger, as functions to be timed."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from copilot_api.admin.key_lists import PAGE_KEYS
from copilot_api.admin.key_usage import find_recent_use
from copilot_api.admin.overview import KEYS_SHOWN
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.usage.explorer import ExploreQuery, Metric, choose_bucket, explore
from copilot_api.usage.exports import render_events_csv
from copilot_api.usage.filters import parse_filter
from copilot_api.usage.queries import Dimension, SumQuery
from copilot_api.usage.reports import report_usage
from copilot_api.usage.repository import EventQuery, Position
from copilot_api.usage.totals import Group, list_totals, list_traffic
from copilot_api.usage.waste import report_waste

Question = Callable[[], object]
PERIODS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7), timedelta(days=30), timedelta(days=90))
FILTERS = (
    "",
    "key:{key}",
    "key:{tail}",
    "model:opus",
    "client:curl",
    "status:>=400",
    "cause:upstream_cut",
    "cause:interrupted key:{tail}",
    "ttft:>8s",
    "ttft:>60s",
    "input:>300k",
    "credits:>100",
    "kind:compaction client:claude-code",
    "queue:>4s model:opus",
    "-client:claude-code status:429",
)
_OF_KEYS = ("nano_aiu", "requests", "errors")


class Questions:
    """Over one ledger, whose newest event is about as old as `now`."""

    def __init__(self, ledger: SqlUsageRepository, now: datetime) -> None:
        self._ledger = ledger
        self._now = now
        self._draw = random.Random(1)
        ranked = sorted(list_totals(ledger, now - timedelta(days=90), now, Group.KEY), key=lambda each: -each.requests)
        self._keys = [str(totals.group) for totals in ranked]

    def list_dashboards(self) -> Iterator[tuple[str, Question]]:
        """One for each block of a page and each period that it can show."""
        for period in PERIODS:
            for name, question in self._list_for(period):
                yield f"{name}, {_words(period)}", question
        page = tuple(self._keys[:PAGE_KEYS])
        yield "list of keys, a page of it", lambda: find_recent_use(self._ledger, page, self._now)
        yield "waste, 30 d", lambda: report_waste(self._ledger, self._now - timedelta(days=30), self._now)
        month = self._now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=15)
        yield "budget of a key, month", lambda: self._ledger.spent(self._some_key(), month, self._now)
        yield "budget of all keys, month", lambda: self._ledger.spent(None, month, self._now)

    def _list_for(self, period: timedelta) -> Iterator[tuple[str, Question]]:
        def ask(*group: Dimension, query: str = "", **more: object) -> Question:
            return lambda: self._explore(period, group, query, **more)

        tiles = (Metric.REQUESTS, Metric.CREDITS, Metric.ERRORS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS)
        yield "tiles with percentiles and the period before", ask(metrics=tiles, is_compared=True, has_percentiles=True)
        yield "over time by model", ask(Dimension.MODEL, metrics=tiles)
        yield "over time by key", ask(Dimension.KEY, metrics=(Metric.CREDITS,))
        yield "over time by key and model", ask(Dimension.KEY, Dimension.MODEL)
        yield "by cause", ask(Dimension.CAUSE)
        yield "by client and kind", ask(Dimension.CLIENT, Dimension.KIND)
        yield "percentiles by model", ask(Dimension.MODEL, has_percentiles=True)
        yield "percentiles by key", ask(Dimension.KEY, has_percentiles=True)
        yield "one key by model, percentiles", ask(Dimension.MODEL, query="key:{key}", has_percentiles=True)
        yield "errors by key", ask(Dimension.KEY, metrics=(Metric.ERRORS,))
        yield "one cause by key", ask(Dimension.KEY, query="cause:upstream_rate_limited")
        yield "one model by key", ask(Dimension.KEY, query="model:opus", metrics=(Metric.CREDITS,))
        yield "one client by key", ask(Dimension.KEY, query="client:curl")
        yield (
            "overview: the largest keys",
            lambda: self._ledger.sum_up(
                SumQuery(self._now - period, self._now, (Dimension.KEY,), counters=_OF_KEYS, largest=KEYS_SHOWN)
            ),
        )

    def _explore(self, period: timedelta, group: tuple[Dimension, ...], query: str, **more: object) -> object:
        since = self._now - period
        conditions = parse_filter(query.format(key=self._some_key()), self._now).conditions
        bucket = choose_bucket(since, self._now)
        asked = ExploreQuery(since, self._now, group, bucket, conditions, **more)  # type: ignore[arg-type]
        return explore(self._ledger, asked)

    def _some_key(self) -> str:
        return self._draw.choice(self._keys[:50])

    def list_others(self) -> Iterator[tuple[str, Question]]:
        """What somebody asks for and waits for."""
        week = timedelta(days=7)
        for days in (7, 90):
            not_ok = ExploreQuery(
                self._now - timedelta(days=days),
                self._now,
                (Dimension.KEY,),
                choose_bucket(self._now - timedelta(days=days), self._now),
                parse_filter("-cause:ok", self._now).conditions,
            )
            yield f"everything that is not ok by key, {days} d", lambda asked=not_ok: explore(self._ledger, asked)  # type: ignore[misc]
        for period in PERIODS:
            yield (
                f"usage --by key, {_words(period)}",
                lambda period=period: report_usage(  # type: ignore[misc]
                    self._ledger, self._now - period, self._now, Group.KEY
                ),
            )
        yield "impact preview, 7 d", lambda: list_traffic(self._ledger, self._now - week, self._now)

    def list_pages(self) -> Iterator[tuple[str, Question]]:
        """A page of events for each filter, at the newest end and at random depths."""
        for text in FILTERS:
            yield f"newest page of '{text}'", lambda text=text: self._get_page(text, None)  # type: ignore[misc]
            yield f"page at any depth of '{text}'", lambda text=text: self._get_page(text, self._somewhere())  # type: ignore[misc]

    def _somewhere(self) -> Position:
        at = self._now - timedelta(days=90) * self._draw.random()
        return Position(int(at.timestamp()) * 1_000_000, "")

    def _get_page(self, text: str, after: Position | None) -> object:
        query = text.format(key=self._some_key(), tail=self._keys[-3])
        conditions = parse_filter(query, self._now).conditions
        return self._ledger.get_page(EventQuery(self._now - timedelta(days=90), self._now, conditions, 50, after))

    def write_csv(self, rows: int) -> int:
        """So many events as CSV, thrown away; gives the bytes."""
        events = self._ledger.list_events(self._now - timedelta(days=90), self._now)
        return sum(len(chunk) for chunk in render_events_csv(islice(events, rows)))


def _words(period: timedelta) -> str:
    return f"{period.days} d" if period.days > 1 else f"{period / timedelta(hours=1):g} h"
