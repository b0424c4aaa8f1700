"""
A key taken out of the ledger: its calls get another name, or go, and every sum stays what the events add up to.

Everything is done in small steps, each of them one transaction that leaves the ledger whole or can be found again by
what is still there: a process that is killed in the middle leaves nothing that the next run would not finish. What is
overwritten or deleted is overwritten on the disk too.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, bindparam, delete, exists, func, or_, select, update

from copilot_api.privacy.models import LedgerCounts
from copilot_api.storage.database import Database
from copilot_api.storage.rollup_upkeep import Pause, fingerprint, rest
from copilot_api.storage.rollups import (
    DAYS_CLOSED,
    ERASURES,
    RollupWriter,
    get_state,
    list_rollups,
    name_of,
    parts,
    put_state,
    sums_of,
)
from copilot_api.storage.schema import usage_days, usage_events, usage_hours, usage_series
from copilot_api.usage.rollups import DAY, HOUR, MICROSECONDS, Grain, Place, Series, Sums, count, roll_up_calls

STEP_EVENTS = 1000
"""How many events are changed or deleted in one transaction."""
_DAY_ATTEMPTS = 5
_HOUR, _DAY = HOUR * MICROSECONDS, DAY * MICROSECONDS
_COARSE = (Grain.ALL_KEYS, Grain.MODEL, Grain.TOTAL)
"""The grains that a key's calls are only a part of."""
_OF_KEY = (Grain.CALL, Grain.KEY)
"""Those of hours that are of one key alone."""
_events, _series, _hours, _days = usage_events.c, usage_series.c, usage_hours.c, usage_days.c


class LedgerErasure:
    """Takes one key out of the ledger. Blocks, and lets others have the database between its steps."""

    def __init__(self, database: Database, *, pause: Pause = rest) -> None:
        self._database = database
        self._pause = pause
        self._writer = RollupWriter(database.backend)

    def count(self, key_id: str) -> LedgerCounts:
        """What there is of a key. The events by their series: it costs no more than they are many."""
        with self._database.connect() as connection:
            ids = list_series(connection, [key_id])
            counts = LedgerCounts(series=len(ids))
            for part in parts(ids):
                counts.events += _count(connection, _events.series_id.in_(part))
                counts.rollups += _count(connection, _hours.series_id.in_(part))
                counts.rollups += _count(connection, _days.series_id.in_(part))
        return counts

    # Another name ---------------------------------------------------------------------------------------------------

    def rename_series(self, connection: Connection, key_id: str, pseudonym: str) -> int:
        """
        Give the key's series another name: at once they are the pseudonym's, with all their sums. Says how many.

        Those that the pseudonym has already stay; `pseudonymise` moves what is in them.
        """
        note_erasure(connection)
        known = set(connection.scalars(select(_series.name).where(_series.key_id == pseudonym)))
        changes: list[dict[str, object]] = []
        for row in connection.execute(select(usage_series).where(_series.key_id == key_id)):
            name = name_of(_series_of(row)._replace(key_id=pseudonym))
            if name not in known:
                changes.append({"which": row.id, "name": name, "key_id": pseudonym})
        if changes:
            # All at once, since the database is locked meanwhile, and a busy key has thousands.
            renaming = update(usage_series).where(_series.id == bindparam("which"))
            connection.execute(renaming.values(name=bindparam("name"), key_id=bindparam("key_id")), changes)
        return len(changes)

    def pseudonymise(self, key_id: str, pseudonym: str) -> LedgerCounts:
        """Give everything of a key in the ledger the pseudonym. Says what of it had the key's id until now."""
        done = LedgerCounts()
        with self._erasing() as connection:
            done.series += self.rename_series(connection, key_id, pseudonym)
        with self._database.connect() as connection:
            left = connection.execute(select(usage_series).where(_series.key_id == key_id)).all()
        for row in left:
            done.rollups += self._move_rollups(row.id, _series_of(row)._replace(key_id=pseudonym))
        done.series += len(left)
        done.events += self._rename_events(key_id, pseudonym)
        self._forget_series([key_id])
        return done

    def _move_rollups(self, series_id: int, target: Series) -> int:
        """Add what a series counted to another one: somebody made it anew while its calls were getting their name."""
        with self._erasing() as connection:
            note_erasure(connection)
            hours = [(HOUR, row.start, row) for row in _list_rows(connection, usage_hours, series_id)]
            # Of a day that is not closed nothing is ever read: it is made of its hours when it is.
            closed = get_state(connection, DAYS_CLOSED) or 0
            days = [(DAY, row.start, row) for row in _list_rows(connection, usage_days, series_id)]
            days = [each for each in days if each[1] < closed]
            moved: dict[Place, Sums] = {}
            for span, start, row in [*hours, *days]:
                count(moved, Place(span, start, target), sums_of(row))
            connection.execute(delete(usage_hours).where(_hours.series_id == series_id))
            connection.execute(delete(usage_days).where(_days.series_id == series_id))
            self._writer.merge(connection, moved)
        return len(moved)

    def _rename_events(self, key_id: str, pseudonym: str) -> int:
        renamed = 0
        with self._database.connect() as connection:
            ids = list_series(connection, [key_id, pseudonym], Grain.CALL)
        events = chain.from_iterable(self._list_events(series_id, key_id) for series_id in ids)
        while portion := list(islice(events, STEP_EVENTS)):
            renamed += self._rename_some(portion, key_id, pseudonym)
            self._pause()
        # What is in no series of either is found by looking at everything: there should be none.
        strays = select(_events.request_id, _events.series_id).where(_events.key_id == key_id).limit(STEP_EVENTS)
        while some := self._fetch(strays):
            renamed += self._rename_some(some, key_id, pseudonym)
            self._pause()
        return renamed

    def _list_events(self, series_id: int, key_id: str) -> Iterator[Any]:
        """The events of a series that have the key's id, read in portions, each from where the last one ended."""
        after: int | None = None
        while True:
            wanted = [_events.series_id == series_id, _events.key_id == key_id]
            wanted += [] if after is None else [_events.at >= after]
            statement = select(_events.request_id, _events.series_id, _events.at).where(*wanted)
            rows = self._fetch(statement.order_by(_events.at).limit(STEP_EVENTS))
            yield from rows
            if len(rows) < STEP_EVENTS:
                return
            after = rows[-1].at

    def _fetch(self, statement: Executable) -> Sequence[Any]:
        with self._database.connect() as connection:
            return connection.execute(statement).all()

    def _rename_some(self, rows: Sequence[Any], key_id: str, pseudonym: str) -> int:
        targets = self._find_targets({row.series_id for row in rows}, key_id, pseudonym)
        batches: dict[int | None, list[str]] = {}
        for row in rows:
            batches.setdefault(targets.get(row.series_id), []).append(row.request_id)
        renamed = 0
        with self._erasing() as connection:
            for target, ids in batches.items():
                values: dict[str, object] = {"key_id": pseudonym}
                if target is not None:
                    values["series_id"] = target
                for part in parts(ids):
                    wanted = [_events.request_id.in_(part), _events.key_id == key_id]
                    renamed += connection.execute(update(usage_events).where(*wanted).values(values)).rowcount
        return renamed

    def _find_targets(self, ids: set[int | None], key_id: str, pseudonym: str) -> dict[int, int]:
        """
        For those of the series that still have the key's id, the pseudonym's in their place. Mostly there are none: the
        series themselves were renamed.
        """
        targets: dict[int, int] = {}
        with self._database.connect() as connection:
            for part in parts(sorted(each for each in ids if each is not None)):
                of_key = select(usage_series).where(_series.id.in_(part), _series.key_id == key_id)
                for row in connection.execute(of_key).all():
                    name = name_of(_series_of(row)._replace(key_id=pseudonym))
                    target = connection.scalar(select(_series.id).where(_series.name == name))
                    if target is not None:
                        targets[row.id] = target
        return targets

    # Gone -----------------------------------------------------------------------------------------------------------

    def delete(self, key_ids: Sequence[str]) -> LedgerCounts:
        """Delete the calls of keys, and make the sums that they were a part of anew out of those that remain."""
        done = LedgerCounts()
        with self._database.connect() as connection:
            ids = list_series(connection, key_ids)
            hours, days = _list_starts(connection, usage_hours, ids), _list_starts(connection, usage_days, ids)
        for hour in hours:
            done.add(self._delete_hour(hour, key_ids))
            self._pause()
        of_series = [_events.series_id.in_(part) for part in parts(ids)]
        for wanted in [*of_series, _events.key_id.in_(key_ids)]:
            done.events += self._repeat(partial(self._delete_events, wanted))
        for day in days:
            done.rollups += self._redo_day(day, ids)
            self._pause()
        done.series += self._forget_series(key_ids)
        return done

    def _delete_hour(self, hour: int, key_ids: Sequence[str]) -> LedgerCounts:
        done = LedgerCounts()
        in_hour = [_events.at >= hour, _events.at < hour + _HOUR]
        with self._database.connect() as connection:
            ids = _list_in_hour(connection, hour, key_ids)
        for part in parts(ids):
            wanted = _events.series_id.in_(part)
            # Of very many only the last go together with their sums, so that nobody waits long for the database.
            with self._database.connect() as connection:
                excess = _count(connection, wanted, *in_hour) - STEP_EVENTS
            while excess > 0:
                gone = self._delete_events((wanted & in_hour[0]) & in_hour[1], STEP_EVENTS)
                done.events, excess = done.events + gone, excess - max(gone, 1)
                self._pause()
        with self._erasing() as connection:
            note_erasure(connection)
            for part in parts(ids):
                condition = _events.series_id.in_(part)
                done.events += connection.execute(delete(usage_events).where(condition, *in_hour)).rowcount
                for grain in _OF_KEY:
                    of_key = [_hours.grain == grain.value, _hours.start == hour, _hours.series_id.in_(part)]
                    done.rollups += connection.execute(delete(usage_hours).where(*of_key)).rowcount
            self._redo_hour(connection, hour)
        return done

    def _redo_hour(self, connection: Connection, hour: int) -> None:
        """Make the coarse sums of an hour of those of its calls."""
        sums = roll_up_calls(list_rollups(connection, HOUR, hour, hour + _HOUR, Grain.CALL))
        for grain in _COARSE:
            connection.execute(delete(usage_hours).where(_hours.grain == grain.value, _hours.start == hour))
        self._writer.put(connection, {place: each for place, each in sums.items() if place.series.grain in _COARSE})

    def _delete_events(self, condition: ColumnElement[bool], limit: int) -> int:
        some = select(_events.request_id).where(condition).limit(limit)
        with self._database.connect() as connection:
            ids = list(connection.scalars(some))
        if not ids:
            return 0
        with self._erasing() as connection:
            note_erasure(connection)
            return sum(
                connection.execute(delete(usage_events).where(_events.request_id.in_(part))).rowcount
                for part in parts(ids)
            )

    def _redo_day(self, day: int, ids: Sequence[int]) -> int:
        """Take series out of a day, and make its coarse sums of its hours. Says how many of its rollups went."""
        for attempt in range(_DAY_ATTEMPTS):
            with self._database.connect() as connection:
                seen = fingerprint(connection, day)
                sums = _sum_up_day(connection, day)
            with self._erasing() as connection:
                if (get_state(connection, DAYS_CLOSED) or 0) <= day:
                    return _clear_day(connection, day, ids)  # whoever closes it makes it anew
                is_last = attempt == _DAY_ATTEMPTS - 1
                if is_last or fingerprint(connection, day) == seen:
                    gone = _clear_day(connection, day, ids)
                    for grain in _COARSE:
                        of_grain = select(_series.id).where(_series.grain == grain.value)
                        coarse = [_days.start == day, _days.series_id.in_(of_grain)]
                        connection.execute(delete(usage_days).where(*coarse))
                    self._writer.put(connection, _sum_up_day(connection, day) if is_last else sums)
                    return gone
            self._pause()
        raise AssertionError("the last attempt ends it")

    # Both -----------------------------------------------------------------------------------------------------------

    def _forget_series(self, key_ids: Sequence[str]) -> int:
        """Delete the series of keys that nothing counts in any more."""
        is_counted = or_(
            exists().where(_hours.series_id == _series.id),
            exists().where(_days.series_id == _series.id),
            exists().where(_events.series_id == _series.id),
        )
        with self._erasing() as connection:
            return connection.execute(delete(usage_series).where(_series.key_id.in_(key_ids), ~is_counted)).rowcount

    def _repeat(self, step: Callable[[int], int]) -> int:
        changed = 0
        while some := step(STEP_EVENTS):
            changed += some
            self._pause()
        return changed

    @contextmanager
    def _erasing(self) -> Generator[Connection]:
        with self._database.begin() as connection:
            self._database.backend.overwrite_deleted(connection)
            yield connection


def note_erasure(connection: Connection) -> None:
    """Have whoever is making sums of something else notice that it is another by now."""
    put_state(connection, ERASURES, (get_state(connection, ERASURES) or 0) + 1)


def list_series(connection: Connection, key_ids: Sequence[str], grain: Grain | None = None) -> list[int]:
    """The ids of the series of keys, of one grain or of all."""
    statement = select(_series.id).where(_series.key_id.in_(key_ids))
    if grain is not None:
        statement = statement.where(_series.grain == grain.value)
    return list(connection.scalars(statement))


def _sum_up_day(connection: Connection, day: int) -> dict[Place, Sums]:
    """The coarse sums of a day, of those of its hours."""
    days: dict[Place, Sums] = {}
    for place, sums in list_rollups(connection, HOUR, day, day + _DAY, Grain.CALL):
        for grain in _COARSE:
            count(days, Place(DAY, day, place.series.at(grain)), sums)
    return days


def _clear_day(connection: Connection, day: int, ids: Sequence[int]) -> int:
    note_erasure(connection)
    return sum(
        connection.execute(delete(usage_days).where(_days.start == day, _days.series_id.in_(part))).rowcount
        for part in parts(ids)
    )


def _list_starts(connection: Connection, table: Any, ids: Sequence[int]) -> list[int]:
    """When the rollups of series begin, in order, each moment once."""
    starts: set[int] = set()
    for part in parts(ids):
        starts.update(connection.scalars(select(table.c.start).where(table.c.series_id.in_(part)).distinct()))
    return sorted(starts)


def _list_in_hour(connection: Connection, hour: int, key_ids: Sequence[str]) -> list[int]:
    """The series of keys that have a rollup in an hour."""
    of_hour = [_hours.grain.in_([grain.value for grain in _OF_KEY]), _hours.start == hour]
    found = select(_hours.series_id).join_from(usage_hours, usage_series, _hours.series_id == _series.id)
    return list(connection.scalars(found.where(*of_hour, _series.key_id.in_(key_ids))))


def _list_rows(connection: Connection, table: Any, series_id: int) -> Iterator[Any]:
    return iter(connection.execute(select(table).where(table.c.series_id == series_id)).all())


def _series_of(row: Any) -> Series:
    return Series._make(getattr(row, name) for name in Series._fields)


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).where(*conditions)) or 0
