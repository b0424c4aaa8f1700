"""What keeps the rollups: closing days, checking them against the events, making them anew."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, func, or_, select

from copilot_api.storage.database import Backend, Database
from copilot_api.storage.rollups import (
    DAYS_CLOSED,
    ERASURES,
    EVENTS_FROM,
    TABLES,
    RollupWriter,
    get_state,
    list_rollups,
    put_state,
    roll_up_stored,
)
from copilot_api.storage.schema import usage_events, usage_hours, usage_series
from copilot_api.usage.rollups import (
    DAY,
    DIMENSIONS,
    GRAINS_OF,
    HOUR,
    MICROSECONDS,
    SPANS,
    Grain,
    Place,
    Series,
    Sums,
    count,
    day_of,
    roll_up_days,
)

_DAY = DAY * MICROSECONDS
_PORTION = 500
"""How many rollups are read or written between two pauses."""
_ATTEMPTS = 3
Pause = Callable[[], None]
"""Lets others have the processor and the database."""


def rest() -> None:
    """The usual pause."""
    time.sleep(0.002)


def find_open_day(connection: Connection, before: int) -> int | None:
    """The first day that is not closed and is over at `before`, if there are any hours of it or later ones."""
    closed = get_state(connection, DAYS_CLOSED)
    hours = select(func.min(usage_hours.c.start)).where(usage_hours.c.grain == Grain.ALL_KEYS.value)
    first = connection.scalar(hours if closed is None else hours.where(usage_hours.c.start >= closed))
    if first is None or day_of(first) + _DAY > before:
        return None
    return day_of(first)


def close_day(database: Database, day: int, pause: Pause = rest) -> bool:
    """
    Make the rollups of a day of those of its hours, and note that it and all before it are closed.

    Nobody reads them before that, so they are written in portions, and no lock is held for long. Says whether it is
    done: where events of that day still come, it is not.
    """
    writer = RollupWriter(database.backend)
    for _ in range(_ATTEMPTS):
        with database.connect() as connection:
            seen = fingerprint(connection, day)
            days = _roll_up_slowly(connection, day, pause)
        with database.begin() as connection:
            if (get_state(connection, DAYS_CLOSED) or 0) > day:
                return True  # somebody else was quicker
            clear(connection, DAY, day, day + _DAY)
        places = list(days)
        for index in range(0, len(places), _PORTION):
            pause()
            with database.begin() as connection:
                writer.put(connection, {place: days[place] for place in places[index : index + _PORTION]})
        with database.begin() as connection:
            if (get_state(connection, DAYS_CLOSED) or 0) > day:
                return True
            if fingerprint(connection, day) == seen:
                put_state(connection, DAYS_CLOSED, day + _DAY)
                return True
    return False


def _roll_up_slowly(connection: Connection, day: int, pause: Pause) -> dict[Place, Sums]:
    days: dict[Place, Sums] = {}
    for number, (place, sums) in enumerate(list_rollups(connection, HOUR, day, day + _DAY, Grain.CALL), 1):
        for grain in GRAINS_OF[DAY]:
            count(days, Place(DAY, day, place.series.at(grain)), sums)
        if number % _PORTION == 0:
            pause()
    return days


def fingerprint(connection: Connection, day: int) -> tuple[object, ...]:
    """What changes with every event of that day, and with every erasure."""
    columns = usage_hours.c
    statement = select(func.count(), func.sum(columns.requests)).where(
        columns.grain == Grain.ALL_KEYS.value, columns.start >= day, columns.start < day + _DAY
    )
    return (*connection.execute(statement).one(), get_state(connection, ERASURES))


def clear(connection: Connection, span: int, since: int, until: int) -> int:
    """Delete the rollups that start in [since, until). Says how many there were."""
    start = TABLES[span].c.start
    statement = delete(TABLES[span]).where(start >= since, start < until)
    if span == DAY:
        return connection.execute(statement).rowcount
    return sum(connection.execute(statement.where(usage_hours.c.grain == grain)).rowcount for grain in GRAINS_OF[HOUR])


# Against the events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A day whose rollups are not what its events, or hours, add up to."""

    day: int
    """When it begins, in microseconds."""
    span: int
    rollups: int
    """How many are wrong, missing or too many."""


def rebuild(connection: Connection, backend: Backend) -> None:
    """Make the rollups of all events that are there, in the place of whatever rollups of them there are."""
    for since, until in list_whole_days(connection):
        _rebuild_hours(connection, backend, since, until)
        _rebuild_day(connection, backend, since)


def mend(database: Database, difference: Difference) -> None:
    """Make the rollups of that day anew, the days of hours and the hours of events."""
    with database.begin() as connection:
        if difference.span == HOUR:
            _rebuild_hours(connection, database.backend, difference.day, difference.day + _DAY)
        _rebuild_day(connection, database.backend, difference.day)


def _rebuild_hours(connection: Connection, backend: Backend, since: int, until: int) -> None:
    hours = roll_up_stored(connection, since, until)
    # All of them, also such of a grain that there is not.
    connection.execute(delete(usage_hours).where(usage_hours.c.start >= since, usage_hours.c.start < until))
    _assign(connection, since, until, RollupWriter(backend).merge(connection, hours))


def _rebuild_day(connection: Connection, backend: Backend, day: int) -> None:
    clear(connection, DAY, day, day + _DAY)
    if day < (get_state(connection, DAYS_CLOSED) or 0):
        hours = list_rollups(connection, HOUR, day, day + _DAY, Grain.CALL)
        RollupWriter(backend).put(connection, roll_up_days(hours))


def find_differences(database: Database) -> Iterator[Difference]:
    """
    Recompute everything: hours from the events, as far back as there are any, and closed days from their hours.

    Gives the days with differences, one transaction for each day.
    """
    with database.connect() as connection:
        kept_from = -(-(get_state(connection, EVENTS_FROM) or 0) // _DAY) * _DAY
        closed = get_state(connection, DAYS_CLOSED) or 0
        with_hours, with_days = _list_days(connection, HOUR), _list_days(connection, DAY)
        with_events = {since for since, _ in list_whole_days(connection)}
        strays = {span: _count_strays(connection, span) for span in SPANS}
    for day in sorted({each for each in with_hours if each >= kept_from} | with_events):
        with database.connect() as connection:
            wrong = _compare(connection, HOUR, day, roll_up_stored(connection, day, day + _DAY))
        if wrong := wrong + strays[HOUR].pop(day, 0):
            yield Difference(day, HOUR, wrong)
    for day in sorted(each for each in with_hours | with_days if each < closed):
        with database.connect() as connection:
            hours = list_rollups(connection, HOUR, day, day + _DAY, Grain.CALL)
            wrong = _compare(connection, DAY, day, roll_up_days(hours))
        if wrong := wrong + strays[DAY].pop(day, 0):
            yield Difference(day, DAY, wrong)


def _compare(connection: Connection, span: int, day: int, expected: dict[Place, Sums]) -> int:
    wrong = 0
    for place, sums in list_rollups(connection, span, day, day + _DAY):
        if expected.pop(place, None) != sums:
            wrong += 1
    return wrong + len(expected)


def _list_days(connection: Connection, span: int) -> set[int]:
    start = TABLES[span].c.start
    return set(connection.scalars(select(start - start % _DAY).distinct()))


def _count_strays(connection: Connection, span: int) -> dict[int, int]:
    """By day, the rollups whose series is not there, or is of another grain: no question ever finds them."""
    table, series = TABLES[span].c, usage_series.c
    is_stray = series.id.is_(None) if span == DAY else or_(series.id.is_(None), series.grain != usage_hours.c.grain)
    day = (table.start - table.start % _DAY).label("day")
    statement = (
        select(day, func.count())
        .select_from(TABLES[span].outerjoin(usage_series, table.series_id == series.id))
        .where(is_stray)
        .group_by(day)
    )
    return {row[0]: row[1] for row in cast("Iterable[tuple[int, int]]", connection.execute(statement))}


def list_whole_days(connection: Connection) -> Iterator[tuple[int, int]]:
    """The days, as [start, end) in microseconds, that have events, and none of whose events is deleted."""
    columns = usage_events.c
    kept_from = get_state(connection, EVENTS_FROM) or 0
    position: int | None = connection.scalar(
        select(func.min(columns.at)).where(columns.at >= -(-kept_from // _DAY) * _DAY)
    )
    while position is not None:
        start = day_of(position)
        yield start, start + _DAY
        position = connection.scalar(select(func.min(columns.at)).where(columns.at >= start + _DAY))


def _assign(connection: Connection, since: int, until: int, ids: dict[Series, int]) -> None:
    """Tell the events which series they count in."""
    columns = usage_events.c
    statement = select(columns.request_id, columns.series_id, *(columns[name] for name in DIMENSIONS)).where(
        columns.at >= since, columns.at < until
    )
    found = cast("Iterable[tuple[Any, ...]]", connection.execute(statement))
    changes = [
        {"id": row[0], "series": series_id}
        for row in found
        if (series_id := ids[Series(Grain.CALL, *row[2:])]) != row[1]
    ]
    if changes:
        update = usage_events.update().where(columns.request_id == bindparam("id"))
        connection.execute(update.values(series_id=bindparam("series")), changes)
