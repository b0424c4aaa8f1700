"""What the usage page shows: asked of the ledger in one go, in a thread."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import accumulate
from typing import Any

from copilot_api.admin.components import Series
from copilot_api.admin.date_range import DateRange
from copilot_api.admin.usage_charts import NameValue, name_group, name_value, read_series, read_time, read_times
from copilot_api.admin.usage_queries import UsageChoice
from copilot_api.usage.explorer import ExploreQuery, Metric, counter_of, explore, list_starts
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.percentiles import Timing, histogram_of, list_percentiles
from copilot_api.usage.queries import Dimension
from copilot_api.usage.summaries import summarise
from copilot_api.usage.totals import Summing

TOP = 10
SHARES = (0.5, 0.95, 0.99)
_NAMES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    """See the module."""

    total: dict[str, Any]
    """The metric of the whole; the others are not asked for."""
    before: dict[str, Any] | None
    """The same of the period before, where it is compared."""
    times: list[datetime]
    series: list[Series]
    compared: list[Series]
    """Everything over time, and the period before in its place."""
    rows: list[dict[str, Any]]
    """The groups, see `render_sums`."""
    other: dict[str, Any] | None


def ask_usage(
    ledger: Summing,
    period: DateRange,
    choice: UsageChoice,
    conditions: tuple[Condition, ...],
    names: Sequence[NameValue],
) -> UsageAnswer:
    """The answer. `names` are those of the groups' values. Blocks; raises `BadRequest` for what cannot be shown."""
    period = period.in_buckets()
    timing = choice.timing
    metric = Metric.REQUESTS if timing is not None else Metric(choice.metric)
    query = ExploreQuery(
        period.since,
        period.until,
        choice.dimensions,
        choice.bucket,
        conditions,
        (metric,),
        TOP,
        has_percentiles=timing is not None,
    )
    answer = explore(ledger, query)
    rows: list[dict[str, Any]] = answer.get("rows", [])
    times = read_times(answer)
    if timing is not None:
        series = list(_list_timings(ledger, query, answer, timing, names))
    elif choice.groups:
        series = read_series(answer, metric, names)
    else:
        series = [Series(metric.value, answer["series"]["total"][metric], choice.measure.label)]
    series = [each for each in series if any(each.values)]
    if choice.is_cumulative:
        series = [replace(each, values=_accumulate(each.values)) for each in series]
    whole = answer["series"]["total"][metric]
    compared = _compare(ledger, query, metric, whole) if choice.is_compared and timing is None else []
    if choice.is_cumulative:
        compared = [replace(each, values=_accumulate(each.values)) for each in compared]
    counters = (counter_of(metric),)
    histograms = () if timing is None else (histogram_of(timing),)
    sum_up = partial(summarise, ledger, conditions=conditions, counters=counters, histograms=histograms)
    return UsageAnswer(
        total=sum_up(period.since, period.until),
        before=sum_up(period.before.since, period.before.until) if choice.is_compared else None,
        times=times,
        series=series,
        compared=compared,
        rows=rows,
        other=answer.get("other"),
    )


def _list_timings(
    ledger: Summing, query: ExploreQuery, answer: dict[str, Any], timing: Timing, names: Sequence[NameValue]
) -> Iterator[Series]:
    """Without groups the percentiles; with them the 95th of each of the largest."""
    since, until = read_time(answer["since"]), read_time(answer["until"])
    bucket = query.bucket
    if bucket is None:
        return
    conditions = query.conditions
    if Dimension.KEY in query.group:
        place = query.group.index(Dimension.KEY)
        ids = tuple(dict.fromkeys(row["group"][place] for row in answer["rows"] if row["group"][place] is not None))
        conditions += (Condition(Dimension.KEY.value, Match.IS, ids),)
    starts = list_starts(since, until, bucket)
    shares = (0.95,) if query.group else SHARES
    lines = list_percentiles(
        ledger, timing, since, until, starts, bucket, shares, group=query.group, conditions=conditions
    )
    if not query.group:
        for line in lines:
            yield from (Series(name, values) for name, values in zip(_NAMES, line.values, strict=True))
        return
    for line in lines[:TOP]:
        yield Series(" · ".join(map(name_value, line.group)), line.values[0], name_group(line.group, names))


def _compare(ledger: Summing, query: ExploreQuery, metric: Metric, whole: Sequence[float]) -> list[Series]:
    earlier = replace(query, since=query.since - (query.until - query.since), until=query.since, group=(), top=1)
    before: list[float] = explore(ledger, earlier)["series"]["total"][metric]
    shift = len(before) - len(whole)  # periods are of whole buckets around them: one may have a bucket more
    unknown: list[float | None] = [None] * max(0, -shift)
    aligned = [*unknown, *before[max(0, shift) :]]
    return [Series("now", list(whole), "This range"), Series("before", aligned, "The range before")]


def _accumulate(values: Sequence[float | None]) -> list[float]:
    return list(accumulate(value or 0 for value in values))
