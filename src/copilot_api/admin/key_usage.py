"""What keys used, for the pages about them: from rollups, in threads, and kept for a moment for whoever asks next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from copilot_api.admin.components import Series
from copilot_api.admin.date_range import DateRange
from copilot_api.admin.freshness import max_age
from copilot_api.admin.services import PageServices
from copilot_api.admin.standings import Standing, describe_standing
from copilot_api.admin.usage_charts import read_series, read_times, read_total
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.explorer import ExploreQuery, Metric, choose_bucket, explore
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.queries import Bucket, Dimension, SumQuery
from copilot_api.usage.rollups import COUNTERS, DAY
from copilot_api.usage.summaries import summarise
from copilot_api.usage.totals import Summing

DAYS = 14
"""How far the lines of the list of keys go back, today included."""
MODELS_SHOWN = 7
_LIST_AGE_SECONDS = 20.0
_STANDINGS_SECONDS = 0.02
_METRICS = (Metric.REQUESTS, Metric.CREDITS, Metric.ERRORS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS)
_REQUESTS, _ERRORS, _CHARGE = (COUNTERS.index(name) for name in ("requests", "errors", "nano_aiu"))


@dataclass(frozen=True, slots=True)
class RecentUse:
    """What a key used in the last days."""

    requests: int
    errors: int
    credits: float
    by_day: tuple[int, ...]
    """Requests, oldest first."""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """One key over a period."""

    now: dict[str, Any]
    """Every metric, and percentiles; see `render_sums`."""
    before: dict[str, Any]
    """The same for the stretch of the same length just before."""
    times: list[datetime]
    requests: list[Series]
    """By model."""
    credits: list[Series]
    totals: dict[str, list[float]]
    """Requests, tokens, credits and shares of errors over time."""


async def ask_recent_use(services: PageServices, key_ids: Sequence[str], now: datetime) -> dict[str, RecentUse]:
    """What these keys used in the last `DAYS` days; those that used nothing are left out."""
    if not key_ids:
        return {}
    wanted = tuple(key_ids)

    async def find() -> dict[str, RecentUse]:
        return await services.threads.ask(lambda: find_recent_use(services.ledger, wanted, now))

    return await services.recent.get(("keys", "recent", wanted, services.events_stored()), _LIST_AGE_SECONDS, find)


async def ask_figures(services: PageServices, key_id: str, period: DateRange) -> KeyFigures:
    """Tiles and charts of one key."""
    times = (period.since, period.until) if period.is_custom else (services.events_stored(),)

    async def find() -> KeyFigures:
        return await services.threads.ask(lambda: _find_figures(services.ledger, key_id, period))

    return await services.recent.get(("keys", "one", key_id, period.name, *times), max_age(period.span), find)


async def ask_standings(services: PageServices, keys: Iterable[ApiKey]) -> dict[str, list[Standing]]:
    """
    How the limits of these keys stand, by key. One after the other and no longer than a moment: the ledger has to be
    asked about a key that was not looked at before, and calls wait for that too. Those left out come the next time.
    """
    found: dict[str, list[Standing]] = {}
    until = services.clock.monotonic() + _STANDINGS_SECONDS
    for key in keys:
        if services.clock.monotonic() > until:
            break
        found[key.id] = [describe_standing(standing) for standing in await services.standings(key)]
    return found


def of_key(*key_ids: str) -> Condition:
    """That a call was made with one of these keys."""
    return Condition(Dimension.KEY.value, Match.IS, key_ids)


def find_recent_use(ledger: Summing, key_ids: tuple[str, ...], now: datetime) -> dict[str, RecentUse]:
    """The same, asked of the ledger at once."""
    until = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC) + timedelta(days=1)
    since = until - timedelta(days=DAYS)
    query = SumQuery(
        since,
        until,
        (Dimension.KEY,),
        Bucket.DAY,
        (of_key(*key_ids),),
        counters=("requests", "errors", "nano_aiu"),
    )
    first = round(since.timestamp() * 1_000_000)
    days: dict[str, list[int]] = {}
    sums: dict[str, list[int]] = {}
    for row in ledger.sum_up(query):
        key_id = str(row.group[0])
        total = sums.setdefault(key_id, [0, 0, 0])
        for place, counter in enumerate((_REQUESTS, _ERRORS, _CHARGE)):
            total[place] += row.sums[counter]
        if row.start is not None:
            days.setdefault(key_id, [0] * DAYS)[(row.start - first) // (DAY * 1_000_000)] += row.sums[_REQUESTS]
    return {
        key_id: RecentUse(total[0], total[1], total[2] / NANO_PER_CREDIT, tuple(days.get(key_id, ())))
        for key_id, total in sums.items()
    }


def _find_figures(ledger: Summing, key_id: str, asked: DateRange) -> KeyFigures:
    period = asked.in_buckets()
    own, bucket = (of_key(key_id),), choose_bucket(period.since, period.until)
    query = ExploreQuery(
        period.since, period.until, (Dimension.MODEL,), bucket, own, metrics=_METRICS, top=MODELS_SHOWN
    )
    answer = explore(ledger, query)
    requests, errors = read_total(answer, Metric.REQUESTS), read_total(answer, Metric.ERRORS)
    return KeyFigures(
        now=summarise(ledger, period.since, period.until, own),
        before=summarise(ledger, period.before.since, period.before.until, own),
        times=read_times(answer),
        requests=read_series(answer, Metric.REQUESTS),
        credits=read_series(answer, Metric.CREDITS),
        totals={
            "requests": requests,
            "tokens": read_total(answer, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS),
            "credits": read_total(answer, Metric.CREDITS),
            "errors": [part / whole if whole else 0.0 for part, whole in zip(errors, requests, strict=True)],
        },
    )
