"""
The usage explorer: metrics by group and over time, with percentiles, the period before, and "other" for the small ones.

Which groups are the largest is asked first, where that is cheap (by key alone, not by key and model); then only those
are asked for in detail. "Other" is what is left of the whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from copilot_api.errors import BadRequest
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage import histogram
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.queries import Bucket, Dimension, GroupValue, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS, MICROSECONDS, Sums, add_sums
from copilot_api.usage.totals import Summing, name_bucket, name_sums

MAX_BUCKETS = 1100
MAX_TOP = 200
MAX_MINUTES = timedelta(hours=3)
"""The longest period that is shown by minute: minutes are read from events."""
_HOURLY = timedelta(days=8)
PERCENTILES = (0.5, 0.9, 0.95, 0.99)

Group = tuple[GroupValue, ...]


class Metric(StrEnum):
    """What is shown over time, and what groups are ordered by."""

    REQUESTS = "requests"
    ERRORS = "errors"
    CREDITS = "credits"
    PREMIUM_REQUESTS = "premium_requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    CACHE_READ_TOKENS = "cache_read_tokens"
    CACHE_WRITE_TOKENS = "cache_write_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    WOULD_LIMIT = "would_limit"


_COUNTER_OF = {Metric.CREDITS: "nano_aiu", Metric.PREMIUM_REQUESTS: "micro_premium_requests"}
_UNITS = {Metric.CREDITS: NANO_PER_CREDIT, Metric.PREMIUM_REQUESTS: 1_000_000}
"""What of its counter is one of the metric; the others are counted as they are."""


@dataclass(frozen=True, slots=True)
class ExploreQuery:
    """What is to be shown."""

    since: datetime
    until: datetime
    group: tuple[Dimension, ...] = ()
    """Up to two dimensions."""
    bucket: Bucket | None = None
    """How time is divided; None shows the whole period only."""
    conditions: tuple[Condition, ...] = ()
    metrics: tuple[Metric, ...] = (Metric.REQUESTS,)
    """What is shown over time; groups are ordered by the first."""
    top: int = 10
    """How many groups. Of a key and something else they are groups of that many of the largest keys."""
    is_compared: bool = False
    """Whether the period before, of the same length, is shown beside it."""
    has_percentiles: bool = False


def counter_of(metric: Metric) -> str:
    """The counter of the rollups that a metric comes of."""
    return _COUNTER_OF.get(metric, metric.value)


def choose_bucket(since: datetime, until: datetime) -> Bucket:
    """The division that suits a period."""
    length = until - since
    if length <= MAX_MINUTES:
        return Bucket.MINUTE
    return Bucket.HOUR if length <= _HOURLY else Bucket.DAY


def explore(ledger: Summing, query: ExploreQuery) -> dict[str, Any]:
    """The answer, ready for JSON. Raises `BadRequest` for what cannot be shown."""
    _check(query)
    query = _snapped(query)
    return _Explorer(ledger, query).run()


def _check(query: ExploreQuery) -> None:
    if query.since >= query.until:
        raise BadRequest("since is not before until")
    if query.since.year < 1970 or query.until.year > 2200:
        raise BadRequest("times are from 1970 to 2200")
    if not 1 <= query.top <= MAX_TOP:
        raise BadRequest(f"top is a number from 1 to {MAX_TOP}")
    if len(query.group) > 2 or len(set(query.group)) < len(query.group):
        raise BadRequest("usage is grouped by one or two different things")
    if unusable := [each.column for each in query.conditions if not each.is_of_series]:
        raise BadRequest(
            f"sums cannot be told apart by {unusable[0]}", hint="search the events for it, or leave it out of the query"
        )
    length = query.until - query.since
    if query.bucket is Bucket.MINUTE and length > MAX_MINUTES:
        raise BadRequest(f"minutes are shown of at most {MAX_MINUTES // timedelta(hours=1)} hours")
    if query.bucket is not None and length / timedelta(microseconds=query.bucket.microseconds) > MAX_BUCKETS:
        raise BadRequest(
            f"this would be more than {MAX_BUCKETS} points", hint="take a larger bucket or a shorter period"
        )


def _snapped(query: ExploreQuery) -> ExploreQuery:
    """The same with a period of whole buckets around it: every point is whole, and rollups tell all of it."""
    length = timedelta(microseconds=(query.bucket or Bucket.HOUR).microseconds)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    since = epoch + (query.since - epoch) // length * length
    until = epoch - (epoch - query.until) // length * length
    return replace(query, since=since, until=until)


class _Explorer:
    def __init__(self, ledger: Summing, query: ExploreQuery) -> None:
        self._ledger = ledger
        self._query = query
        self._histograms = HISTOGRAMS if query.has_percentiles else ()
        first = counter_of(query.metrics[0])
        self._order = COUNTERS.index(first)
        self._ranking = tuple(dict.fromkeys((first, COUNTERS[0])))

    def run(self) -> dict[str, Any]:
        query = self._query
        groups, total = self._rank()
        answer: dict[str, Any] = {
            "since": query.since.isoformat(),
            "until": query.until.isoformat(),
            "group": [dimension.value for dimension in query.group],
            "bucket": None if query.bucket is None else query.bucket.value,
            "total": self._render(total),
        }
        if query.is_compared:
            answer["previous"] = self._ask_before()
        if query.group:
            answer |= self._render_groups(groups, total)
        if query.bucket is not None:
            answer["series"] = self._render_series([group for group, _ in groups])
        return answer

    # Asking -----------------------------------------------------------------------------------------------------

    def _ask(
        self,
        group: tuple[Dimension, ...] = (),
        bucket: Bucket | None = None,
        conditions: tuple[Condition, ...] = (),
        histograms: tuple[str, ...] = (),
        counters: tuple[str, ...] = COUNTERS,
        largest: int | None = None,
    ) -> list[SumRow]:
        query = self._query
        conditions += query.conditions
        return self._ledger.sum_up(
            SumQuery(query.since, query.until, group, bucket, conditions, histograms, counters, largest)
        )

    def _rank(self) -> tuple[list[tuple[Group, Sums]], Sums]:
        """The largest groups, largest first, with their sums; and the sum of everything."""
        query = self._query
        if Dimension.KEY not in query.group:
            rows = self._ask(query.group, histograms=self._histograms)
            return (self._largest(rows) if query.group else []), _sum(rows)
        # Everybody is asked for what they are ranked by only: the more numbers, the longer it takes.
        ranked = self._ask((Dimension.KEY,), counters=self._ranking, largest=query.top)
        keys = [group[0] for group, _ in self._largest(ranked)]
        rows = [
            row
            for condition in _any_of(Dimension.KEY, keys)
            for row in self._ask(query.group, conditions=(condition,), histograms=self._histograms)
        ]
        return self._largest(rows), _sum(self._ask(histograms=self._histograms))

    def _largest(self, rows: Iterable[SumRow]) -> list[tuple[Group, Sums]]:
        found = sorted(rows, key=lambda row: (-row.sums[self._order], -row.sums[0], str(row.group)))
        return [(row.group, row.sums) for row in found[: self._query.top]]

    def _ask_before(self) -> dict[str, Any]:
        query = self._query
        earlier = replace(query, since=query.since - (query.until - query.since), until=query.since)
        total = _sum(_Explorer(self._ledger, earlier)._ask(histograms=self._histograms))  # noqa: SLF001 -- one of us
        return {"since": earlier.since.isoformat(), "until": earlier.until.isoformat(), "total": self._render(total)}

    # Showing ----------------------------------------------------------------------------------------------------

    def _render(self, sums: Sums) -> dict[str, Any]:
        return render_sums(sums, has_percentiles=self._query.has_percentiles)

    def _render_groups(self, groups: Sequence[tuple[Group, Sums]], total: Sums) -> dict[str, Any]:
        rest = _subtract(total, [sums for _, sums in groups])
        rows = [{"group": list(group), **self._render(sums)} for group, sums in groups]
        return {"rows": rows, "other": self._render(rest) if rest[0] else None}

    def _render_series(self, groups: Sequence[Group]) -> dict[str, Any]:
        query, counters = self._query, tuple(_COUNTER_OF.get(each, each.value) for each in self._query.metrics)
        bucket = query.bucket or Bucket.HOUR
        starts = list_starts(query.since, query.until, bucket)
        rows, whole = self._ask_over_time(groups, counters)
        parts: dict[Group, dict[int, Sums]] = {group: {} for group in groups}
        for row in rows:
            if row.group in parts and row.start is not None:
                parts[row.group][row.start] = row.sums
        lines: list[dict[str, Any]] = [
            {"group": list(group), **self._render_line(starts, part)} for group, part in parts.items()
        ]
        if groups:
            places = [COUNTERS.index(name) for name in counters]
            rest = {start: _subtract_at(places, sums, _at(parts.values(), start)) for start, sums in whole.items()}
            if any(any(sums[: len(COUNTERS)]) for sums in rest.values()):
                lines.append({"group": None, **self._render_line(starts, rest)})
        names = [name_bucket(start, bucket) for start in starts]
        return {"starts": names, "total": self._render_line(starts, whole), "lines": lines}

    def _ask_over_time(
        self, groups: Sequence[Group], counters: tuple[str, ...]
    ) -> tuple[list[SumRow], dict[int, Sums]]:
        """The groups over time, and everything."""
        query = self._query
        if Dimension.KEY not in query.group:
            rows = self._ask(query.group, query.bucket, counters=counters)
            return rows, _by_start(rows)
        keys = list(dict.fromkeys(group[query.group.index(Dimension.KEY)] for group in groups))
        rows = [
            row
            for condition in _any_of(Dimension.KEY, keys)
            for row in self._ask(query.group, query.bucket, (condition,), counters=counters)
        ]
        return rows, _by_start(self._ask((), query.bucket, counters=counters))

    def _render_line(self, starts: Sequence[int], sums: Mapping[int, Sums]) -> dict[str, list[float | int]]:
        found = [sums.get(start) for start in starts]
        line: dict[str, list[float | int]] = {}
        for metric in self._query.metrics:
            place, unit = COUNTERS.index(_COUNTER_OF.get(metric, metric.value)), _UNITS.get(metric)
            values: list[float | int] = [0 if each is None else each[place] for each in found]
            line[metric.value] = values if unit is None else [value / unit for value in values]
        return line


def render_sums(sums: Sums, *, has_percentiles: bool = False) -> dict[str, Any]:
    """Every metric of one sum; times in seconds, the charge in AI credits."""
    values = name_sums(sums)
    row: dict[str, Any] = {metric.value: _value(metric, sums) for metric in Metric}
    row["unknown"] = values["unknown"]
    row["estimated_credits"] = values["estimated_nano_aiu"] / NANO_PER_CREDIT
    row["queue_seconds"] = values["queue_microseconds"] / MICROSECONDS
    row["bytes_in"], row["bytes_out"] = values["bytes_in"], values["bytes_out"]
    if has_percentiles:
        for name, stored in zip(("duration", "time_to_first_token"), sums[len(COUNTERS) :], strict=True):
            row[name] = {f"p{share * 100:g}": _rounded(histogram.percentile(stored, share)) for share in PERCENTILES}
    return row


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.4g}")


def _value(metric: Metric, sums: Sums) -> float | int:
    value, unit = sums[COUNTERS.index(_COUNTER_OF.get(metric, metric.value))], _UNITS.get(metric)
    return value if unit is None else value / unit


def _any_of(dimension: Dimension, values: Sequence[GroupValue]) -> list[Condition]:
    """Conditions that together hold for events of these values, each event meeting one of them."""
    known = tuple(value for value in values if value is not None)
    found = [Condition(dimension.value, Match.IS, known)] if known else []
    if len(known) < len(values):
        found.append(Condition(dimension.value, Match.IS_SET, (), is_negated=True))
    return found


def list_starts(since: datetime, until: datetime, bucket: Bucket) -> list[int]:
    """When the buckets of a period of whole buckets begin, in microseconds since 1970."""
    first, last = (round(at.timestamp()) * MICROSECONDS for at in (since, until))
    return list(range(first, last, bucket.microseconds))


def _by_start(rows: Iterable[SumRow]) -> dict[int, Sums]:
    whole: dict[int, Sums] = {}
    for row in rows:
        if row.start is not None:
            if row.start in whole:
                add_sums(whole[row.start], row.sums)
            else:
                whole[row.start] = row.sums.copy()
    return whole


def _at(parts: Iterable[Mapping[int, Sums]], start: int) -> list[Sums]:
    return [part[start] for part in parts if start in part]


def _sum(rows: Iterable[SumRow]) -> Sums:
    total = [0] * (len(COUNTERS) + len(HISTOGRAMS))
    for row in rows:
        add_sums(total, row.sums)
    return total


def _subtract_at(places: Sequence[int], whole: Sums, parts: Sequence[Sums]) -> Sums:
    """The same for these counters only; see `_subtract`."""
    rest = list(whole)
    for place in places:
        rest[place] = max(0, rest[place] - sum([part[place] for part in parts]))
    return rest


def _subtract(whole: Sums, parts: Iterable[Sums]) -> Sums:
    """What is left of a whole; its parts were asked a moment later, and may already count more."""
    rest = list(whole)
    for part in parts:
        for index, value in enumerate(part[: len(COUNTERS)]):
            rest[index] = max(0, rest[index] - value)
        for index in range(len(COUNTERS), len(rest)):
            rest[index] = histogram.subtract(rest[index], part[index])
    return rest
