"""
Questions to the ledger that are answered with sums, and how one is taken apart.

A period is made of whole days, the whole hours before and behind them, and what is left at its ends. Days and hours are
rollups; only the ends, less than an hour each, are events. So the answer is exact to the microsecond, and what it costs
does not depend on how many events there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from copilot_api.usage.filters import Condition
from copilot_api.usage.rollups import COUNTERS, DAY, DIMENSIONS_OF, GRAINS_OF, HOUR, MICROSECONDS, Grain, Sums


class Dimension(StrEnum):
    """What sums can be grouped by; the value is the field of the event."""

    KEY = "key_id"
    MODEL = "model"
    UPSTREAM_MODEL = "upstream_model"
    CLIENT = "client"
    ENDPOINT = "endpoint"
    STATUS = "status"
    CAUSE = "cause"
    KIND = "kind"
    IDENTITY = "identity_id"
    UNKNOWN = "usage_unknown"


class Bucket(StrEnum):
    """How time is divided, in UTC."""

    MINUTE = "minute"
    """For short periods: minutes are read from the events."""
    HOUR = "hour"
    DAY = "day"

    @property
    def microseconds(self) -> int:
        """How long one is."""
        return {"minute": 60, "hour": HOUR, "day": DAY}[self.value] * MICROSECONDS


@dataclass(frozen=True, slots=True)
class SumQuery:
    """Sums over the events of [since, until) for which every condition holds, by group and bucket."""

    since: datetime
    until: datetime
    group: tuple[Dimension, ...] = ()
    bucket: Bucket | None = None
    conditions: tuple[Condition, ...] = ()
    """On dimensions only."""
    histograms: tuple[str, ...] = ()
    """Which of `HISTOGRAMS` are wanted; the others are empty in the answer."""
    counters: tuple[str, ...] = COUNTERS
    """Which of `COUNTERS` are wanted; the others are 0 in the answer."""
    largest: int | None = None
    """
    Only so many groups: those with the most of the first counter, then of the second. For sums without buckets and
    histograms: of thousands of groups it is far cheaper than all of them.
    """


GroupValue = str | int | bool | None


class SumRow(NamedTuple):
    """One group in one bucket."""

    group: tuple[GroupValue, ...]
    """The values of the query's dimensions, in its order."""
    start: int | None
    """When the bucket begins, in microseconds since 1970; None without buckets."""
    sums: Sums


class Source(StrEnum):
    """Where a part of a period is read."""

    EVENTS = "events"
    HOURS = "hours"
    DAYS = "days"


class Piece(NamedTuple):
    """A part of a period, [since, until) in microseconds."""

    source: Source
    since: int
    until: int


def divide(since: int, until: int, *, days_closed: int, bucket: Bucket | None = None) -> Iterator[Piece]:
    """
    The parts of [since, until), in microseconds. Days are read up to `days_closed`, and neither they nor hours where
    the answer is to be in shorter buckets.
    """
    hour, day = HOUR * MICROSECONDS, DAY * MICROSECONDS
    first_hour, last_hour = -(-since // hour) * hour, until // hour * hour
    if first_hour > last_hour or bucket is Bucket.MINUTE:
        yield Piece(Source.EVENTS, since, until)
        return
    first_day, last_day = -(-since // day) * day, min(until, days_closed) // day * day
    if since < first_hour:
        yield Piece(Source.EVENTS, since, first_hour)
    if bucket is Bucket.HOUR or first_day >= last_day:
        if first_hour < last_hour:
            yield Piece(Source.HOURS, first_hour, last_hour)
    else:
        if first_hour < first_day:
            yield Piece(Source.HOURS, first_hour, first_day)
        yield Piece(Source.DAYS, first_day, last_day)
        if last_day < last_hour:
            yield Piece(Source.HOURS, last_day, last_hour)
    if last_hour < until:
        yield Piece(Source.EVENTS, last_hour, until)


def grain_of(query: SumQuery, span: int) -> Grain:
    """The grain that is cheapest to ask, of those that have every dimension that the query names."""
    named = {*(dimension.value for dimension in query.group), *(each.column for each in query.conditions)}
    return next(
        grain for grain, dimensions in DIMENSIONS_OF.items() if grain in GRAINS_OF[span] and named <= dimensions
    )
