"""
Events out of the ledger: all of a period in order, or a page of those that meet conditions.

A page is found in one of two ways. Where what is asked for is frequent, it is among the newest few thousand events, and
those are read. Where it is rare, the rollups say which hours have any of it, and only those are read: all events of the
hour in the order of time, or, where fewer steps lead there, those of the series in question. So an event a million rows
deep costs no more than the newest. A rollup also says what its events cannot be (no call of this hour took longer than
a second), which makes `ttft:>60s` as quick.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, or_, select

from copilot_api.storage.database import Database
from copilot_api.storage.instants import from_microseconds, to_microseconds
from copilot_api.storage.schema import usage_events
from copilot_api.storage.usage_candidates import Candidate, Candidates
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.usage.filters import Condition
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.repository import EventPage, EventQuery, Position
from copilot_api.usage.rollups import HOUR, MICROSECONDS

_LISTED_ROWS = 1_000
_NEAR_ROWS = 2_000
"""So many of the newest events are looked through before the rollups are asked."""
_MOST_ROWS = 40_000
"""So many events are looked through for one page, or what takes as long; then it is given as it is."""
_BATCH_ROWS = 10_000
_ROWS_OF_A_SEARCH, _ROWS_OF_A_FIND = 10, 5
"""In the time that it takes to look up a series, and to fetch one event of it, so many events in a row are read."""
_HOUR = HOUR * MICROSECONDS
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

    def find_event(self, request_id: str) -> UsageEvent | None:
        """See `UsageRepository`."""
        with self._database.connect() as connection:
            row = connection.execute(select(usage_events).where(_columns.request_id == request_id)).mappings().first()
        return None if row is None else parse_event(row)

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
        candidates = Candidates(self._connection, self._query, self._since)
        spent = 0
        for hours, cost in self._list_batches(candidates):
            if spent and spent + cost > _MOST_ROWS:
                return False
            spent += cost
            series = candidates.series if _is_by_series(candidates, hours) else None
            if not self._take(self._read(hours, series)):
                return False
            self._position = Position(hours[-1].start, "")
        return True

    def _list_batches(self, candidates: Candidates) -> Iterator[tuple[list[Candidate], int]]:
        """Hours to be read at once, newest first, and what that costs."""
        hours: list[Candidate] = []
        for hour in candidates.list_hours(self._position):
            hours.append(hour)
            cost = _cost(candidates, hours)
            if cost >= _BATCH_ROWS:
                candidates.look_up_series()
                cost = _cost(candidates, hours)
            if cost >= _BATCH_ROWS or sum(each.found for each in hours) > self._query.limit:
                yield hours, cost
                hours = []
        if hours:
            yield hours, _cost(candidates, hours)

    def _read(self, hours: Sequence[Candidate], series: Sequence[int] | None) -> list[RowMapping]:
        """What the page has room for of what these hours have, and one more."""
        room = self._query.limit - len(self._found) + 1
        newest_first = select(usage_events).order_by(_columns.at.desc(), _columns.request_id.desc()).limit(room)
        if series is not None:
            spans = [(hours[-1].start, hours[0].start + _HOUR)]
            newest_first = newest_first.where(_columns.series_id.in_(series))
        else:
            spans = list(_join(hours))
        rows: list[RowMapping] = []
        for first, until in spans:
            inside = [*self._behind(max(first, self._since)), _columns.at < until, *self._wanted]
            rows += self._fetch(newest_first.where(*inside))
            if len(rows) >= room:
                break
        return rows[:room]


def _is_by_series(candidates: Candidates, hours: Sequence[Candidate]) -> bool:
    return candidates.series is not None and _cost_by_series(candidates.series, hours) < _cost_by_time(hours)


def _cost(candidates: Candidates, hours: Sequence[Candidate]) -> int:
    by_time = _cost_by_time(hours)
    return by_time if candidates.series is None else min(by_time, _cost_by_series(candidates.series, hours))


def _cost_by_time(hours: Iterable[Candidate]) -> int:
    return sum(hour.events for hour in hours)


def _cost_by_series(series: Sequence[int], hours: Iterable[Candidate]) -> int:
    return len(series) * _ROWS_OF_A_SEARCH + sum(hour.found for hour in hours) * _ROWS_OF_A_FIND


def _join(hours: Iterable[Candidate]) -> Iterator[tuple[int, int]]:
    """The spans that hours cover, given newest first."""
    first = until = None
    for hour in hours:
        if first is not None and until is not None and hour.start + _HOUR != first:
            yield first, until
            until = None
        first, until = hour.start, until or hour.start + _HOUR
    if first is not None and until is not None:
        yield first, until


def _position_of(row: RowMapping) -> Position:
    return Position(row["at"], row["request_id"])


def parse_event(row: RowMapping) -> UsageEvent:
    """One row of the ledger."""
    values: dict[str, Any] = {**row, "at": from_microseconds(row["at"]).isoformat(), "cause": Cause(row["cause"])}
    del values["series_id"]
    return UsageEvent(**values)
