"""
Which hours may have events that a query asks for, as the rollups tell.

A rollup tells which dimensions its events have; and from what it counts, what none of them can be: where all calls of
an hour together took fewer tokens than the query wants of one, or the histogram is empty above the time it wants, there
is none. The coarsest grain that has the dimensions in question is asked, first its days and then the hours of those
that may have any, so that little is read where there is little to find.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Table, func, select

from copilot_api.storage.rollups import DAYS_CLOSED, TABLES, get_state, of_grain
from copilot_api.storage.schema import usage_events, usage_hours, usage_series
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.usage import histogram
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.queries import Dimension
from copilot_api.usage.repository import EventQuery, Position
from copilot_api.usage.rollups import DAY, DIMENSIONS_OF, HOUR, MICROSECONDS, Grain, day_of

_HOUR, _DAY = HOUR * MICROSECONDS, DAY * MICROSECONDS
FEW_SERIES = 500
_FEWEST_SERIES = 40
"""So few are looked up one by one; of more, all rollups of the time are read."""
_FIRST_WINDOW, _WINDOW, _GROWTH = 2 * _DAY, 30 * _DAY, 4
_GRAINS = (Grain.TOTAL, Grain.MODEL, Grain.KEY, Grain.ALL_KEYS)
"""Those that hours and days have, the smallest first; the finest is too large to be looked through."""
_ABOVE = {Match.AT_LEAST, Match.MORE_THAN}
_HISTOGRAM_OF = {"time_to_first_token": "first_tokens", "duration": "durations"}
_SUM_OF = {
    "input_tokens": ("input_tokens", 1),
    "output_tokens": ("output_tokens", 1),
    "cache_read_tokens": ("cache_read_tokens", 1),
    "reasoning_tokens": ("reasoning_tokens", 1),
    "nano_aiu": ("nano_aiu", 1),
    "queue_seconds": ("queue_microseconds", MICROSECONDS),
}
"""Which counter has the sum of a field, and how many of it make one of the field's unit."""
_series = usage_series.c


class Candidate(NamedTuple):
    """An hour that may have what is asked for."""

    start: int
    found: int
    """At most so many events of it are asked for."""
    events: int
    """So many it has in all."""


class Candidates:
    """Finds the hours of one query."""

    def __init__(self, connection: Connection, query: EventQuery, since: int) -> None:
        self._connection = connection
        oldest = connection.scalar(select(func.min(usage_events.c.at)))
        self._first = max(since, oldest or 0) // _HOUR * _HOUR
        self._conditions = query.conditions
        self._times = list(_list_times(query.conditions))
        self._of_series = of_series = [each for each in query.conditions if each.is_of_series]
        has_key = any(each.column == Dimension.KEY for each in of_series)
        self._is_looked_up = has_key
        self.series = self._find_series(Grain.CALL, of_series) if has_key else None  # an index leads there
        """The series of the finest grain that have what is asked for; None where they are not few, or not known yet."""
        grain = _find_grain(of_series, has_duration=any(column == "duration" for column, _ in self._times))
        if grain is not None:
            self._grain, self._asked = grain, of_series
        elif self.series is not None:
            self._grain, self._asked = Grain.CALL, of_series
        else:
            self._grain = Grain.ALL_KEYS
            self._asked = [each for each in of_series if each.column != Dimension.KEY]
        self._ids = self.series if self._grain is Grain.CALL else self._find_series(self._grain, self._asked)

    def look_up_series(self) -> None:
        """
        Find `series` where no key leads there: all of the finest grain have to be looked through, which is worth it
        only where every event that they count is asked for.
        """
        if not self._is_looked_up and self._of_series == list(self._conditions):
            self.series = self._find_series(Grain.CALL, self._of_series)
        self._is_looked_up = True

    def list_hours(self, position: Position) -> Iterator[Candidate]:
        """The hours before a position that may have what is asked for, newest first."""
        is_inside = bool(position.request_id or position.at % _HOUR)
        before = position.at // _HOUR * _HOUR + (_HOUR if is_inside else 0)
        closed = get_state(self._connection, DAYS_CLOSED) or 0
        length = _FIRST_WINDOW
        while before > self._first and self._ids != []:
            since = max(self._first, day_of(before - length))
            for first, until in self._list_spans(since, before, closed):
                yield from self._list_inside(max(first, since), min(until, before))
            before, length = since, min(_WINDOW, length * _GROWTH)

    def _find_series(self, grain: Grain, conditions: Sequence[Condition]) -> list[int] | None:
        """The series that the conditions leave; None where they are not few."""
        wanted = render_conditions(usage_series, conditions)
        statement = select(_series.id).where(_series.grain == grain.value, *wanted).limit(FEW_SERIES + 1)
        ids = list(self._connection.scalars(statement))
        return ids if len(ids) <= FEW_SERIES else None

    def _list_spans(self, since: int, before: int, closed: int) -> list[tuple[int, int]]:
        """The days that may have what is asked for, newest first; of those that are not closed nothing is known."""
        days = set(range(day_of(max(since, closed)), before, _DAY))
        days |= {start for start, _ in self._read(DAY, day_of(since), min(before, closed))}
        if days and self._ids is not None and len(self._ids) <= _FEWEST_SERIES:
            return [(min(days), max(days) + _DAY)]
        return [(day, day + _DAY) for day in sorted(days, reverse=True)]

    def _list_inside(self, since: int, until: int) -> Iterator[Candidate]:
        found: dict[int, int] = {}
        for start, count in self._read(HOUR, since, until):
            found[start] = found.get(start, 0) + count
        if not found:
            return
        hours = usage_hours.c
        of_all = select(hours.start, hours.requests).where(of_grain(HOUR, Grain.TOTAL))
        inside = of_all.where(hours.start >= since, hours.start < until)
        events = {row.start: row.requests for row in self._connection.execute(inside)}
        for start in sorted(found, reverse=True):
            yield Candidate(start, found[start], max(found[start], events.get(start, 0)))

    def _read(self, span: int, since: int, until: int) -> Iterator[tuple[int, int]]:
        """When each rollup begins that may count what is asked for, and how many calls it counts."""
        if since >= until:
            return
        table = TABLES[span]
        times = [table.c[_HISTOGRAM_OF[column]] for column, _ in self._times]
        statement = (
            select(table.c.start, table.c.requests, _series.identity_id, *times)
            .join_from(table, usage_series, table.c.series_id == _series.id)
            .where(table.c.start >= since, table.c.start < until, *_render_sums(table, self._conditions))
        )
        if self._ids is None or (span == HOUR and len(self._ids) > _FEWEST_SERIES and self._grain is not Grain.CALL):
            asked = render_conditions(usage_series, self._asked)
            statement = statement.where(of_grain(span, self._grain), *asked)
        else:
            statement = statement.where(table.c.series_id.in_(self._ids))
        found = cast("Iterable[tuple[Any, ...]]", self._connection.execute(statement))
        for row in found:
            if self._may_take_so_long(row[2], row[3:]):
                yield row[0], row[1]

    def _may_take_so_long(self, identity_id: str | None, stored: Sequence[Any]) -> bool:
        for (column, bucket), blob in zip(self._times, stored, strict=True):
            if column == "duration" and identity_id is None:
                continue  # the histogram does not count what never went upstream
            if not histogram.decode(blob) >> bucket * histogram.FIELD_BITS:
                return False
        return True


def _find_grain(conditions: Iterable[Condition], *, has_duration: bool) -> Grain | None:
    """The coarsest grain that tells all that series tell about these conditions; None for the finest one."""
    needed = {condition.column for condition in conditions} | ({"identity_id"} if has_duration else set[str]())
    return next((grain for grain in _GRAINS if needed <= DIMENSIONS_OF[grain]), None)


def _render_sums(table: Table, conditions: Iterable[Condition]) -> Iterator[ColumnElement[bool]]:
    """What the sums of a rollup have to be, if one of its events is to meet these conditions."""
    for condition in conditions:
        if condition.is_negated:
            continue
        if condition.column == "would_limit":
            yield table.c.would_limit > 0
        elif condition.column in _SUM_OF and condition.match in _ABOVE:
            name, scale = _SUM_OF[condition.column]
            # Fractions were rounded, each by half of the smallest unit at the most.
            yield table.c[name] >= float(condition.values[0]) * scale - (table.c.requests if scale > 1 else 0)


def _list_times(conditions: Iterable[Condition]) -> Iterator[tuple[str, int]]:
    """The fields that have to be above a time, and the bucket from which on their histogram has to count something."""
    for condition in conditions:
        if condition.column in _HISTOGRAM_OF and condition.match in _ABOVE and not condition.is_negated:
            yield condition.column, histogram.bucket_of(float(condition.values[0]))
