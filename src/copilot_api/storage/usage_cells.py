"""
Which hours have events that a query asks for, as the rollups tell.

A rollup tells which dimensions its events have; and from what it counts, what none of them can be: where all calls of
an hour together took fewer tokens than the query wants of one, or the histogram is empty above the time it wants, there
is none. The search goes down from days to hours to series, so that it reads little where there is little to find.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, func, select

from copilot_api.storage.rollups import DAYS_CLOSED, TABLES, get_state, of_grain, parts
from copilot_api.storage.schema import usage_events, usage_hours, usage_series
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.usage import histogram
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.queries import Dimension
from copilot_api.usage.repository import EventQuery, Position
from copilot_api.usage.rollups import DAY, HOUR, MICROSECONDS, Grain, day_of

_HOUR, _DAY = HOUR * MICROSECONDS, DAY * MICROSECONDS
_FEW_SERIES = 500
_FIRST_WINDOW, _GROWTH = 2 * _DAY, 4
_WINDOW = 30 * _DAY
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

Cell = tuple[int, int, int]
"""The start of an hour, a series that has events in it, and how many."""


class Cells:
    """Finds the hours of one query."""

    def __init__(self, connection: Connection, query: EventQuery, since: int) -> None:
        self._connection = connection
        oldest = connection.scalar(select(func.min(usage_events.c.at)))
        self._first = max(since, oldest or 0) // _HOUR * _HOUR
        self._of_series = [each for each in query.conditions if each.is_of_series]
        self._conditions = query.conditions
        self._times = list(_list_times(query.conditions))

    def list_hours(self, position: Position) -> Iterator[tuple[int, list[int], int]]:
        """
        The hours before a position that may have what is asked for, newest first: when they begin, the series that have
        it, and how many events those count.
        """
        is_inside = bool(position.request_id or position.at % _HOUR)
        before = position.at // _HOUR * _HOUR + (_HOUR if is_inside else 0)
        ids = self._find_few_series()
        found = self._list_by_days(before) if ids is None else self._list_by_series(ids, before)
        for cells in found:
            for hour in sorted({start for start, _, _ in cells}, reverse=True):
                inside = [(series, count) for start, series, count in cells if start == hour]
                yield hour, [series for series, _ in inside], sum(count for _, count in inside)

    def _find_few_series(self) -> list[int] | None:
        """The series that the conditions leave; None where they are not few."""
        if not self._of_series:
            return None
        wanted = render_conditions(usage_series, self._of_series)
        statement = select(_series.id).where(_series.grain == Grain.CALL.value, *wanted).limit(_FEW_SERIES + 1)
        ids = list(self._connection.scalars(statement))
        return ids if len(ids) <= _FEW_SERIES else None

    def _list_by_series(self, ids: Sequence[int], before: int) -> Iterator[list[Cell]]:
        """Look these series up, in windows of time that grow as long as there is little in them."""
        length = _FIRST_WINDOW
        while ids and before > self._first:
            since = max(self._first, before - length)
            cells = [
                cell
                for part in parts(ids)
                for cell in self._read(Grain.CALL, HOUR, since, before, [usage_hours.c.series_id.in_(part)])
            ]
            yield cells
            before, length = since, length * _GROWTH

    def _list_by_days(self, before: int) -> Iterator[list[Cell]]:
        """Down from the days of all keys together, a month at a time: what they do not have, none of them has."""
        closed = get_state(self._connection, DAYS_CLOSED) or 0
        of_all = render_conditions(usage_series, [each for each in self._of_series if each.column != Dimension.KEY])
        wanted = render_conditions(usage_series, self._of_series)
        while before > self._first:
            since = max(self._first, before - _WINDOW)
            for day in self._list_days(since, before, closed, of_all):
                first, until = max(day, since), min(day + _DAY, before)
                hours = {start for start, _, _ in self._read(Grain.ALL_KEYS, HOUR, first, until, of_all)}
                for hour in sorted(hours, reverse=True):
                    yield list(self._read(Grain.CALL, HOUR, hour, hour + _HOUR, wanted))
            before = since

    def _list_days(self, since: int, before: int, closed: int, of_all: list[ColumnElement[bool]]) -> list[int]:
        """The days that may have what is asked for, newest first; of those that are not closed nothing is known."""
        days = {start for start, _, _ in self._read(Grain.ALL_KEYS, DAY, day_of(since), before, of_all)}
        if closed < before:
            days |= set(range(day_of(max(since, closed)), before, _DAY))
        return sorted(days, reverse=True)

    def _read(
        self, grain: Grain, span: int, since: int, until: int, wanted: Iterable[ColumnElement[bool]]
    ) -> Iterator[Cell]:
        table = TABLES[span]
        times = [table.c[_HISTOGRAM_OF[column]] for column, _ in self._times]
        statement = (
            select(table.c.start, table.c.series_id, table.c.requests, _series.identity_id, *times)
            .join_from(table, usage_series, table.c.series_id == _series.id)
            .where(of_grain(span, grain), table.c.start >= since, table.c.start < until)
            .where(*wanted, *_render_sums(table, self._conditions))
        )
        found = cast("Iterable[tuple[Any, ...]]", self._connection.execute(statement))
        for row in found:
            if self._may_take_so_long(row[3], row[4:]):
                yield row[0], row[1], row[2]

    def _may_take_so_long(self, identity_id: str | None, stored: Sequence[Any]) -> bool:
        for (column, bucket), blob in zip(self._times, stored, strict=True):
            if column == "duration" and identity_id is None:
                continue  # the histogram does not count what never went upstream
            if not histogram.decode(blob) >> bucket * histogram.FIELD_BITS:
                return False
        return True


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
