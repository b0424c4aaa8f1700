"""Upkeep of the ledger in SQL; see `copilot_api.usage.upkeep`."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, or_, select

from copilot_api.storage.database import Database
from copilot_api.storage.instants import from_microseconds, to_microseconds
from copilot_api.storage.migrate import find_version
from copilot_api.storage.rollup_upkeep import Pause, clear, close_day, find_open_day, rest
from copilot_api.storage.rollups import DAYS_CLOSED, EVENTS_FROM, TABLES, get_state, put_state
from copilot_api.storage.schema import usage_days, usage_events, usage_hours, usage_series
from copilot_api.usage.rollups import DAY, HOUR, MICROSECONDS, Grain
from copilot_api.usage.upkeep import DatabaseState, LedgerState

_SERIES = 500


class SqlLedgerUpkeep:
    """See `UpkeepRepository`."""

    def __init__(self, database: Database, *, pause: Pause = rest) -> None:
        self._database = database
        self._pause = pause

    def close_day(self, before: datetime) -> bool:
        """See `UpkeepRepository`."""
        with self._database.connect() as connection:
            day = find_open_day(connection, to_microseconds(before))
        return day is not None and close_day(self._database, day, self._pause)

    def forget_events(self, before: datetime, limit: int) -> int:
        """See `UpkeepRepository`."""
        columns, moment = usage_events.c, to_microseconds(before)
        with self._database.connect() as connection:
            oldest = connection.scalar(select(func.min(columns.at)))
        if oldest is None or oldest >= moment:
            return 0
        old = select(columns.request_id).where(columns.at < moment).order_by(columns.at).limit(limit)
        with self._database.begin() as connection:
            # Whoever reads from now on knows that of the time before the events do not tell all.
            put_state(connection, EVENTS_FROM, max(moment, get_state(connection, EVENTS_FROM) or 0))
            return connection.execute(delete(usage_events).where(columns.request_id.in_(old))).rowcount

    def forget_rollups(self, before: datetime) -> int:
        """See `UpkeepRepository`."""
        moment = to_microseconds(before)
        for span in (HOUR, DAY):
            with self._database.connect() as connection:
                first = _find_first(connection, span)
            if first is not None and first < moment:
                with self._database.begin() as connection:
                    return clear(connection, span, first, first + 1)
        return 0

    def find_newest_event(self) -> datetime | None:
        """See `UpkeepRepository`."""
        with self._database.connect() as connection:
            return _moment(connection.scalar(select(func.max(usage_events.c.at))))

    def forget_series(self, after: int) -> int | None:
        """See `UpkeepRepository`."""
        columns = usage_series.c
        with self._database.begin() as connection:
            portion = select(columns.id).where(columns.id > after).order_by(columns.id).limit(_SERIES)
            ids: list[int] = list(connection.scalars(portion))
            if not ids:
                return None
            is_counted = or_(
                exists().where(usage_hours.c.series_id == columns.id),
                exists().where(usage_days.c.series_id == columns.id),
                exists().where(usage_events.c.series_id == columns.id),
            )
            connection.execute(delete(usage_series).where(columns.id.in_(ids), ~is_counted))
            return int(ids[-1])


def _find_first(connection: Connection, span: int) -> int | None:
    statement = select(func.min(TABLES[span].c.start))
    if span == HOUR:
        statement = statement.where(usage_hours.c.grain == Grain.ALL_KEYS.value)
    first: int | None = connection.scalar(statement)
    return first


# What there is -------------------------------------------------------------------------------------------------------


def read_ledger_state(database: Database) -> LedgerState:
    """How the ledger stands. Costs no more with many events than with few."""
    events, hours = usage_events.c, usage_hours.c
    with database.connect() as connection:
        oldest = connection.scalar(select(func.min(events.at)))
        counted = select(func.coalesce(func.sum(hours.requests), 0)).where(
            hours.grain == Grain.ALL_KEYS.value,
            hours.start >= (oldest or 0) // (HOUR * MICROSECONDS) * HOUR * MICROSECONDS,
        )
        total_bytes, free_bytes = database.backend.measure(connection)
        return LedgerState(
            oldest_event=_moment(oldest),
            newest_event=_moment(connection.scalar(select(func.max(events.at)))),
            oldest_rollup=_moment(_find_first(connection, HOUR)),
            days_closed=_moment(get_state(connection, DAYS_CLOSED)),
            events=int(connection.scalar(counted) or 0),
            total_bytes=total_bytes,
            free_bytes=free_bytes,
        )


def read_database_state(database: Database) -> DatabaseState:
    """The same, with the schema that it is at."""
    return DatabaseState(find_version(database), read_ledger_state(database))


def _moment(at: int | None) -> datetime | None:
    return None if at is None else from_microseconds(at)
