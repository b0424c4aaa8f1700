"""Rollups in SQL: written in the transaction of the events that they sum up, and read as they are."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Table, and_, func, select

from copilot_api.storage.database import Backend
from copilot_api.storage.schema import usage_days, usage_events, usage_hours, usage_series, usage_state
from copilot_api.usage import histogram
from copilot_api.usage.rollups import (
    COUNTERS,
    DAY,
    HISTOGRAMS,
    HOUR,
    Grain,
    Place,
    RolledEvent,
    Series,
    Sums,
    add_sums,
    roll_up,
    roll_up_columns,
    roll_up_days,
)

T = TypeVar("T")
TABLES: dict[int, Table] = {HOUR: usage_hours, DAY: usage_days}
"""Where the rollups of each span are."""
DAYS_CLOSED = "days_closed"
"""The end of the last day, in microseconds, whose rollups are made."""
EVENTS_FROM = "events_from"
"""Events before this moment, in microseconds, may have been deleted."""
ERASURES = "erasures"
"""Grows whenever calls were given another key or taken out: what was being made of them meanwhile is out of date."""

_MOST_NAMES = 500
"""How many values one statement may name."""
_WIDTH = len(COUNTERS)
_SUMS = (*COUNTERS, *HISTOGRAMS)
_Spot = tuple[int, int, int, int, Sums]
"""Span, grain, start, series, and what is there."""
_series = usage_series.c


class RollupWriter:
    """Adds to the rollups. One at a time: the caller's transaction holds the lock of the database."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._upserts: dict[int, str] = {}

    def add(self, connection: Connection, columns: Sequence[Sequence[Any]]) -> list[int]:
        """Count events, which are given as to `roll_up_columns`. Gives the id of the series of each."""
        rollups, series = roll_up_columns(columns)
        closed = get_state(connection, DAYS_CLOSED)
        if closed is not None and any(place.start < closed for place in rollups):
            rollups |= roll_up_days((place, sums) for place, sums in rollups.items() if place.start < closed)
        ids = self.merge(connection, rollups)
        return [ids[each] for each in series]

    def merge(self, connection: Connection, rollups: Mapping[Place, Sums]) -> dict[Series, int]:
        """Add sums to those that are there. Gives the ids of their series."""
        ids = self._name(connection, {place.series for place in rollups})
        spots = sorted(
            (span, series.grain, start, ids[series], sums) for (span, start, series), sums in rollups.items()
        )
        for (span, grain, start), group in groupby(spots, key=itemgetter(0, 1, 2)):
            found = {series_id: sums for _, _, _, series_id, sums in group}
            for row in _list_stored(connection, span, grain, start, list(found)):
                if (sums := found.get(row[0])) is not None:
                    add_sums(sums, parse_sums(row[1:]))
        self._write(connection, spots)
        return ids

    def put(self, connection: Connection, rollups: Mapping[Place, Sums]) -> None:
        """Put sums in the place of those that are there."""
        ids = self._name(connection, {place.series for place in rollups})
        self._write(connection, list(_spots(rollups, ids)))

    def _write(self, connection: Connection, spots: Sequence[_Spot]) -> None:
        hours = [(grain, start, series, *_render(sums)) for span, grain, start, series, sums in spots if span == HOUR]
        days = [(series, start, *_render(sums)) for span, _, start, series, sums in spots if span == DAY]
        for span, rows in ((HOUR, hours), (DAY, days)):
            if rows:
                connection.exec_driver_sql(self._upsert(connection, span), rows)

    def _upsert(self, connection: Connection, span: int) -> str:
        if span not in self._upserts:
            table = TABLES[span]
            names = [column.name for column in table.columns]
            statement = self._backend.insert_or_update(table).values(dict.fromkeys(names, None))
            compiled = statement.compile(dialect=connection.dialect, column_keys=names)
            if list(compiled.positiontup or ()) != names:
                raise TypeError("the columns of the rollups are not in the order of their declaration")
            self._upserts[span] = str(compiled)
        return self._upserts[span]

    def _name(self, connection: Connection, wanted: set[Series]) -> dict[Series, int]:
        """The ids of series; new ones get theirs now. Nothing is remembered: what is rolled back was never there."""
        names = {name_of(series): series for series in wanted}
        ids: dict[Series, int] = {}
        for part in parts(list(names)):
            found = connection.execute(select(_series.name, _series.id).where(_series.name.in_(part)))
            ids.update({names[name]: number for name, number in found})
        missing = [series for series in wanted if series not in ids]
        if missing:
            following = (connection.scalar(select(func.max(_series.id))) or 0) + 1
            ids.update({series: number for number, series in enumerate(missing, following)})
            rows = [{**series._asdict(), "name": name_of(series), "id": ids[series]} for series in missing]
            connection.execute(usage_series.insert(), rows)
        return ids


def list_rollups(
    connection: Connection, span: int, since: int, until: int, grain: Grain | None = None
) -> Iterator[tuple[Place, Sums]]:
    """Those that start in [since, until), in no order, of one grain or of all."""
    table = TABLES[span]
    statement = (
        select(table.c.start, *(_series[name] for name in Series._fields), *(table.c[name] for name in _SUMS))
        .join_from(table, usage_series, table.c.series_id == _series.id)
        .where(table.c.start >= since, table.c.start < until)
        .execution_options(yield_per=1000)
    )
    if grain is not None:
        statement = statement.where(of_grain(span, grain))
    width = 1 + len(Series._fields)
    for row in connection.execute(statement):
        yield Place(span, row[0], Series._make(row[1:width])), parse_sums(row[width:])


def of_grain(span: int, grain: int) -> Any:
    """That a rollup is of this grain; in days the series says it."""
    if span == HOUR:
        return usage_hours.c.grain == int(grain)
    return and_(_series.grain == int(grain), usage_days.c.series_id == _series.id)


def get_state(connection: Connection, name: str) -> int | None:
    """A number that the ledger keeps about itself; None when it was never put."""
    value: int | None = connection.scalar(select(usage_state.c.value).where(usage_state.c.name == name))
    return value


def put_state(connection: Connection, name: str, value: int) -> None:
    """Keep it."""
    found = connection.execute(usage_state.update().where(usage_state.c.name == name).values(value=value))
    if not found.rowcount:
        connection.execute(usage_state.insert().values(name=name, value=value))


def roll_up_stored(connection: Connection, since: int, until: int) -> dict[Place, Sums]:
    """What the events of [since, until), in microseconds, add up to by hour."""
    columns = usage_events.c
    statement = (
        select(*(columns[name] for name in RolledEvent._fields))
        .where(columns.at >= since, columns.at < until)
        .execution_options(yield_per=5000)
    )
    return roll_up(RolledEvent._make(row) for row in connection.execute(statement))


def parse_sums(values: Sequence[Any]) -> Sums:
    """The values of a row in the order of the table, counters and histograms."""
    return [*values[:_WIDTH], *map(histogram.decode, values[_WIDTH:])]


def sums_of(row: Any) -> Sums:
    """The sums in a row of either table."""
    return parse_sums([getattr(row, name) for name in _SUMS])


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in portions that one statement may name."""
    for index in range(0, len(values), _MOST_NAMES):
        yield values[index : index + _MOST_NAMES]


def _spots(rollups: Mapping[Place, Sums], ids: Mapping[Series, int]) -> Iterator[_Spot]:
    for (span, start, series), sums in rollups.items():
        yield span, series.grain, start, ids[series], sums


def _render(sums: Sums) -> list[object]:
    return [*sums[:_WIDTH], *map(histogram.encode, sums[_WIDTH:])]


def _list_stored(
    connection: Connection, span: int, grain: int, start: int, series: Sequence[int]
) -> Iterator[Sequence[Any]]:
    """Series and sums of what is there of these series; maybe of others of their grain too."""
    table = TABLES[span]
    statement = select(table.c.series_id, *(table.c[name] for name in _SUMS)).where(table.c.start == start)
    if span == HOUR:
        statement = statement.where(usage_hours.c.grain == grain)
        if len(series) > _MOST_NAMES:  # to name more takes longer than to read all
            yield from connection.execute(statement)
            return
    for part in parts(series):
        yield from connection.execute(statement.where(table.c.series_id.in_(part)))


def name_of(series: Series) -> str:
    """All of a series in one text, which no other has."""
    return msgspec.json.encode(series).decode()
