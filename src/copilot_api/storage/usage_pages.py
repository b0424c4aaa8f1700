"""
Events out of the ledger: all of a period in order, or a page of those that meet conditions.

A page is found in one of two ways. Where what is asked for is frequent, it is among the newest few thousand events, and
those are read. Where it is rare, the rollups say which series have any of it in which hour, and only those events are
read; so an event a million rows deep costs no more than the newest. A rollup also says what its events cannot be (no
call of this hour took longer than a second), which makes `ttft:>60s` as quick.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, or_, select

from copilot_api.storage.database import Database
from copilot_api.storage.instants import from_microseconds, to_microseconds
from copilot_api.storage.rollups import parts
from copilot_api.storage.schema import usage_events
from copilot_api.storage.usage_cells import Cells
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.usage.filters import Condition
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.repository import EventPage, EventQuery, Position
from copilot_api.usage.rollups import HOUR, MICROSECONDS

_LISTED_ROWS = 1_000
_NEAR_ROWS = 2_000
"""So many of the newest events are looked through before the rollups are asked."""
_MOST_ROWS, _MOST_HOURS = 5_000, 8
"""So many events are read, in so many hours, for one page; then it is given as it is."""
_columns = usage_events.c


class UsagePages:
    """Reads events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_events(self, since: datetime, until: datetime, conditions: tuple[Condition, ...]) -> Iterator[UsageEvent]:
        """See `UsageRepository`."""
        last_at, last_id = to_microseconds(since), ""
        wanted = render_conditions(usage_events, conditions)
        while True:
            statement = (
                select(usage_events)
                .where(_columns.at >= last_at, _columns.at < to_microseconds(until))
                .where(or_(_columns.at > last_at, _columns.request_id > last_id), *wanted)
                .order_by(_columns.at, _columns.request_id)
                .limit(_LISTED_ROWS)
            )
            with self._database.connect() as connection:
                page = connection.execute(statement).mappings().all()
            yield from (parse_event(row) for row in page)
            if len(page) < _LISTED_ROWS:
                return
            last_at, last_id = page[-1]["at"], page[-1]["request_id"]

    def get_page(self, query: EventQuery) -> EventPage:
        """See `UsageRepository`."""
        with self._database.connect() as connection:
            return _Search(connection, query).find()


class _Search:
    """The search for one page, from its position backwards in time."""

    def __init__(self, connection: Connection, query: EventQuery) -> None:
        self._connection = connection
        self._query = query
        self._since = to_microseconds(query.since)
        self._wanted = render_conditions(usage_events, query.conditions)
        self._found: list[RowMapping] = []
        self._position = query.after or Position(to_microseconds(query.until), "")
        """Everything before it, newest first, is looked through. No id comes before the empty one, so that `until`
        itself is not in the period."""

    def find(self) -> EventPage:
        is_end = self._look_near()
        if not is_end and len(self._found) < self._query.limit:
            is_end = self._look_far()
        events = [parse_event(row) for row in self._found]
        return EventPage(events, None if is_end else self._position)

    def _behind(self, first: int | None = None) -> list[ColumnElement[bool]]:
        """What is not looked through yet, back to `first`. Of several such bounds SQLite may take the wrong one."""
        at, request_id = self._position.at, self._position.request_id
        oldest = self._since if first is None else first
        return [_columns.at <= at, or_(_columns.at < at, _columns.request_id < request_id), _columns.at >= oldest]

    def _look_near(self) -> bool:
        """Take from the next few thousand events. Says whether there are no more."""
        following = select(usage_events).order_by(_columns.at.desc(), _columns.request_id.desc())
        following = following.limit(self._query.limit + 1)
        if not self._query.conditions:
            return self._take(self._fetch(following.where(*self._behind())))
        near = following.with_only_columns(_columns.at, _columns.request_id).where(*self._behind())
        last = self._connection.execute(near.offset(_NEAR_ROWS - 1).limit(1)).first()
        if last is None:
            return self._take(self._fetch(following.where(*self._behind(), *self._wanted)))
        is_near = or_(_columns.at > last.at, _columns.request_id >= last.request_id)
        if self._take(self._fetch(following.where(*self._behind(last.at), is_near, *self._wanted))):
            self._position = Position(last.at, last.request_id)
        return False

    def _take(self, rows: Sequence[RowMapping]) -> bool:
        """Keep what the page has room for. Says whether that was all."""
        room = self._query.limit - len(self._found)
        self._found += rows[:room]
        if len(rows) <= room:
            return True
        if room:
            self._position = _position_of(rows[room - 1])
        return False

    def _fetch(self, statement: Select[Any]) -> Sequence[RowMapping]:
        return self._connection.execute(statement).mappings().all()

    def _look_far(self) -> bool:
        """Take from the hours that have any, newest first. Says whether there are no more."""
        read = hours = 0
        for hour, series, count in Cells(self._connection, self._query, self._since).list_hours(self._position):
            if hours and (read + count > _MOST_ROWS or hours == _MOST_HOURS):
                return False
            read, hours = read + count, hours + 1
            rows = [row for part in parts(series) for row in self._fetch(self._inside(hour, part))]
            rows.sort(key=lambda row: (row["at"], row["request_id"]), reverse=True)
            if not self._take(rows):
                return False
            self._position = Position(hour, "")
        return True

    def _inside(self, hour: int, series: Sequence[int]) -> Select[Any]:
        at, request_id = self._position.at, self._position.request_id
        first, until = max(hour, self._since), min(hour + HOUR * MICROSECONDS, at + 1)
        return select(usage_events).where(
            _columns.series_id.in_(series),
            _columns.at >= first,
            _columns.at < until,
            or_(_columns.at < at, _columns.request_id < request_id),
            *self._wanted,
        )


def _position_of(row: RowMapping) -> Position:
    return Position(row["at"], row["request_id"])


def parse_event(row: RowMapping) -> UsageEvent:
    """One row of the ledger."""
    values: dict[str, Any] = {**row, "at": from_microseconds(row["at"]).isoformat(), "cause": Cause(row["cause"])}
    del values["series_id"]
    return UsageEvent(**values)
