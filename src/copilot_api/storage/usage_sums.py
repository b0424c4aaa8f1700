"""Sums over the ledger, out of the rollups and, at the ends of a period, the events."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Result, Select, Table, func, select, union_all

from copilot_api.storage.database import Database
from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollups import DAYS_CLOSED, EVENTS_FROM, TABLES, of_grain
from copilot_api.storage.schema import usage_events, usage_hours, usage_series, usage_state
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.storage.usage_event_sums import EVENT_SUMS, EVENT_TIMES
from copilot_api.usage import histogram
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.queries import Dimension, Piece, Source, SumQuery, SumRow, divide, grain_of
from copilot_api.usage.rollups import (
    COUNTERS,
    DAY,
    HISTOGRAMS,
    HOUR,
    MICROSECONDS,
    Grain,
    Sums,
    add_sums,
)

_series = usage_series.c
_NOTHING = [0] * len(COUNTERS)
_NO_HISTOGRAMS = [histogram.EMPTY] * len(HISTOGRAMS)
_HOUR, _DAY = HOUR * MICROSECONDS, DAY * MICROSECONDS
_FEW_SERIES = 4000
"""So many series are looked up one by one; of more it is cheaper to read the whole period."""

_FEW_TEXTS = 100
_STANDING = select(
    select(func.max(usage_events.c.at)).scalar_subquery(),
    *(
        select(usage_state.c.value).where(usage_state.c.name == name).scalar_subquery()
        for name in (EVENTS_FROM, DAYS_CLOSED)
    ),
)
"""How the ledger stands: its newest event, from when on events are kept, until when days are closed."""

_Where = tuple[tuple[Any, ...], int | None]
"""A group and the start of a bucket."""


class UsageSums:
    """Answers `SumQuery`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        """The sums by group and bucket, in no order; without groups and buckets one row, or none of nothing."""
        answer: dict[_Where, Sums] = {}
        with self._database.connect() as connection:
            pieces = list(_list_pieces(connection, query))
            statements = [_select_counters(connection, query, piece) for piece in pieces]
            if query.largest is not None and statements:
                statements = [_select_largest(query, statements)]
            for statement in statements:
                _add(answer, _read_counters(query, connection.execute(statement)))
            if query.histograms:
                for piece in pieces:
                    _add(answer, _list_histograms(connection, query, piece))
        return [SumRow(group, start, sums) for (group, start), sums in answer.items()]


def _add(answer: dict[_Where, Sums], found: Iterable[tuple[_Where, Sums]]) -> None:
    for where, sums in found:
        known = answer.get(where)
        if known is None:
            answer[where] = sums
        else:
            add_sums(known, sums)


def _list_pieces(connection: Connection, query: SumQuery) -> Iterator[Piece]:
    since, until = to_microseconds(query.since), to_microseconds(query.until)
    standing: list[int | None] = list(connection.execute(_STANDING).one())
    newest, kept_from, closed = standing
    if newest is None or newest < until:
        until = -(-until // _HOUR) * _HOUR  # there is nothing behind it in its hour
    if kept_from is not None and since < kept_from:
        since = since // _HOUR * _HOUR  # the events are forgotten: the hour is all that is known
        until = until if until >= kept_from else -(-until // _HOUR) * _HOUR
    return divide(since, until, days_closed=closed or 0, bucket=query.bucket)


def _bucket(query: SumQuery, at: ColumnElement[int]) -> list[ColumnElement[int]]:
    return [] if query.bucket is None else [at - at % query.bucket.microseconds]


def _select_counters(connection: Connection, query: SumQuery, piece: Piece) -> Select[Any]:
    """What gives the counters of a piece: its groups, the bucket, how many rows there were, and the counters."""
    if piece.source is Source.EVENTS:
        by, period = _name_events(query, piece)
        of_events = (EVENT_SUMS[name] for name in query.counters)
        return select(*by, func.count(), *of_events).where(*period).group_by(*by)
    table, by, period = _name_rollups(query, piece)
    restriction = _restrict(connection, query, piece)
    counters = [func.sum(table.c[name]) for name in query.counters]
    if piece.source is Source.HOURS and query.group and query.bucket is None and len(restriction) == 1:
        return _select_by_series(by, counters, [*period, *restriction])
    statement = _from(table, select(*by, func.count(), *counters), is_joined=_needs_series(query, piece, restriction))
    return statement.where(*period, *restriction).group_by(*by)


def _select_by_series(
    by: Sequence[ColumnElement[Any]], counters: Sequence[ColumnElement[Any]], where: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """Hours summed up by series first: few are left then of which it has to be looked up what they are."""
    series_id = usage_hours.c.series_id
    summed = _named(select(series_id, func.count(), *counters).where(*where).group_by(series_id)).subquery()
    of, *sums = summed.c
    columns = (*by, *(func.sum(column) for column in sums))
    return select(*columns).join_from(summed, usage_series, of == _series.id).group_by(*by)


def _select_largest(query: SumQuery, statements: Sequence[Select[Any]]) -> Select[Any]:
    """The largest groups of what these give together."""
    width = len(query.group)
    parts = union_all(*(_named(each) for each in statements)).subquery()
    by, summed = list(parts.c)[:width], [func.sum(column) for column in list(parts.c)[width:]]
    # The first of the sums is how many rows there were.
    order = [column.desc() for column in summed[1:3]]
    return select(*by, *summed).group_by(*by).order_by(*order, *by).limit(query.largest)


def _named(statement: Select[Any]) -> Select[Any]:
    """With names for its columns, which an expression has none of."""
    return statement.with_only_columns(
        *(column.label(f"c{place}") for place, column in enumerate(statement.selected_columns))
    )


def _list_histograms(connection: Connection, query: SumQuery, piece: Piece) -> Iterator[tuple[_Where, Sums]]:
    if piece.source is Source.EVENTS:
        by, period = _name_events(query, piece)
        rows = connection.execute(select(*by, *(EVENT_TIMES[name] for name in query.histograms)).where(*period))
        yield from _read_histograms(query, rows, len(by), histogram.one)
        return
    table, by, period = _name_rollups(query, piece)
    restriction = _restrict(connection, query, piece)
    statement = select(*by, *(table.c[name] for name in query.histograms)).where(*period, *restriction)
    rows = connection.execute(_from(table, statement, is_joined=_needs_series(query, piece, restriction)))
    yield from _read_histograms(query, rows, len(by), histogram.decode)


def _name_rollups(query: SumQuery, piece: Piece) -> tuple[Table, list[ColumnElement[Any]], list[ColumnElement[bool]]]:
    """The table of a piece, what is grouped by, and its period."""
    table = TABLES[_span(piece)]
    by = [*(_series[dimension.value] for dimension in query.group), *_bucket(query, table.c.start)]
    return table, by, [table.c.start >= piece.since, table.c.start < piece.until]


def _name_events(query: SumQuery, piece: Piece) -> tuple[list[ColumnElement[Any]], list[ColumnElement[bool]]]:
    """The same of a piece whose events are read; the conditions are in the period."""
    columns = usage_events.c
    by = [*(columns[dimension.value] for dimension in query.group), *_bucket(query, columns.at)]
    period = [columns.at >= piece.since, columns.at < piece.until]
    return by, period + render_conditions(usage_events, query.conditions)


def _span(piece: Piece) -> int:
    return DAY if piece.source is Source.DAYS else HOUR


def _needs_series(query: SumQuery, piece: Piece, restriction: Sequence[ColumnElement[bool]]) -> bool:
    return bool(query.group) or len(restriction) > 1 or piece.source is Source.DAYS


def _read_counters(query: SumQuery, found: Result[Any]) -> Iterator[tuple[_Where, Sums]]:
    """Rows of what is grouped by, how many there were of it, and the query's counters."""
    width, is_bucketed = len(query.group), query.bucket is not None
    first = width + is_bucketed
    places = [COUNTERS.index(name) for name in query.counters]
    for row in found.all():
        if row[first]:
            sums = [*_NOTHING, *_NO_HISTOGRAMS]
            for place, value in zip(places, row[first + 1 :], strict=True):
                sums[place] = value
            yield (row[:width], row[width] if is_bucketed else None), sums


def _read_histograms(
    query: SumQuery, rows: Iterable[Sequence[Any]], width: int, parse: Callable[[Any], int]
) -> Iterator[tuple[_Where, Sums]]:
    """The histograms of rows whose last columns `parse` makes some of, in the order of the query's."""
    places = [len(COUNTERS) + HISTOGRAMS.index(name) for name in query.histograms]
    found: dict[tuple[Any, ...], Sums] = {}
    for row in rows:
        by = tuple(row[:width])
        sums = found.get(by)
        if sums is None:
            sums = found[by] = [*_NOTHING, *_NO_HISTOGRAMS]
        for place, stored in zip(places, row[width:], strict=True):
            if stored is not None:
                sums[place] += parse(stored)
    for by, sums in found.items():
        yield _split(query, by), sums


def _restrict(connection: Connection, query: SumQuery, piece: Piece) -> list[ColumnElement[bool]]:
    """
    What narrows the rollups down: their grain and the conditions on their series.

    Days lie by series, so that these are found first. Hours lie by time: there all of the period are read, unless the
    series are few, which an index then leads to one by one.
    """
    span = _span(piece)
    grain = grain_of(query, span)
    conditions = render_conditions(usage_series, [_resolve(connection, each) for each in query.conditions])
    if span == HOUR and conditions and (grain is not Grain.CALL or any(map(_names_keys, query.conditions))):
        asked = select(_series.id).where(_series.grain == grain.value, *conditions)
        if _are_few(connection, asked):
            return [usage_hours.c.series_id.in_(asked)]
    return [of_grain(span, grain), *conditions]


def _are_few(connection: Connection, asked: Select[tuple[int]]) -> bool:
    count = select(func.count()).select_from(asked.limit(_FEW_SERIES + 1).subquery())
    return connection.execute(count).scalar_one() <= _FEW_SERIES


def _names_keys(condition: Condition) -> bool:
    return condition.column == Dimension.KEY.value and not condition.is_negated


def _resolve(connection: Connection, condition: Condition) -> Condition:
    """A search for a part of a text as the few texts that have it: to compare those is cheaper for many rows."""
    if condition.match is not Match.CONTAINS:
        return condition
    column, is_it = _series[condition.column], render_conditions(usage_series, [replace(condition, is_negated=False)])
    statement = select(column).where(_series.grain == Grain.ALL_KEYS.value, *is_it).distinct().limit(_FEW_TEXTS + 1)
    values = tuple(connection.scalars(statement))
    return condition if len(values) > _FEW_TEXTS else replace(condition, match=Match.IS, values=values)


def _from(table: Table, statement: Select[Any], *, is_joined: bool) -> Select[Any]:
    if is_joined:
        return statement.join_from(table, usage_series, table.c.series_id == _series.id)
    return statement.select_from(table)


def _split(query: SumQuery, by: Sequence[Any]) -> _Where:
    if query.bucket is None:
        return tuple(by), None
    return tuple(by[:-1]), by[-1]
