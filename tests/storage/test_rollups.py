"""Rollups are written with the events that they count, and come back as they are."""

import msgspec
import pytest

from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollups import (
    DAYS_CLOSED,
    RollupWriter,
    get_state,
    list_rollups,
    parts,
    put_state,
    roll_up_stored,
)
from copilot_api.storage.schema import usage_events, usage_series
from copilot_api.usage.rollups import DAY, HOUR, MICROSECONDS, Grain, Place, Sums, roll_up, roll_up_days
from tests.ledgers import DAY_ONE, random_events, roll_up_event
from tests.stored import Stored

FIRST = to_microseconds(DAY_ONE)
LAST = FIRST + 10 * DAY * MICROSECONDS


def hours_of(stored: Stored) -> dict[Place, Sums]:
    with stored.database.connect() as connection:
        return dict(list_rollups(connection, HOUR, FIRST, LAST))


def test_events_and_their_hours_are_one_transaction(stored: Stored) -> None:
    events = random_events(300)
    stored.usage.add_events(events)
    assert hours_of(stored) == roll_up(map(roll_up_event, events))


def test_what_comes_in_many_batches_adds_up(stored: Stored) -> None:
    events = random_events(300)
    for index in range(0, 300, 7):
        stored.usage.add_events(events[index : index + 7])
    assert hours_of(stored) == roll_up(map(roll_up_event, events))


def test_a_batch_adds_to_more_rollups_of_an_hour_than_one_statement_names(stored: Stored) -> None:
    (event,) = random_events(1)
    for batch in ("a", "b"):
        stored.usage.add_events([
            msgspec.structs.replace(event, request_id=f"{batch}{number}", key_id=f"key_{number}")
            for number in range(1200)
        ])  # fmt: skip
    of_keys = [sums[0] for place, sums in hours_of(stored).items() if place.series.grain == Grain.KEY]
    assert of_keys == [2] * 1200


def test_an_event_that_is_known_counts_once(stored: Stored) -> None:
    events = random_events(100)
    assert stored.usage.add_events([*events, *events[:10]]) == 100
    assert stored.usage.add_events(events[50:]) == 0
    assert stored.usage.add_events([*events[90:], *random_events(3, seed=9)]) == 3
    assert sum(sums[0] for place, sums in hours_of(stored).items() if place.series.grain == Grain.KEY) == 103


def test_a_batch_that_fails_counts_nothing(stored: Stored) -> None:
    stored.usage.add_events(random_events(10))
    before = hours_of(stored)
    broken = random_events(20, seed=2)
    broken[-1].client = None  # type: ignore[assignment]  # what the table does not take
    with pytest.raises(Exception, match="database"):
        stored.usage.add_events(broken)
    assert hours_of(stored) == before
    with stored.database.connect() as connection:
        names = [row.name for row in connection.execute(usage_series.select())]
    assert len(names) == len(set(names))


def test_every_event_knows_its_series(stored: Stored) -> None:
    stored.usage.add_events(random_events(200))
    joined = usage_events.join(usage_series, usage_events.c.series_id == usage_series.c.id)
    with stored.database.connect() as connection:
        rows = connection.execute(joined.select()).mappings().all()
    assert len(rows) == 200
    assert all(row[usage_events.c.key_id] == row[usage_series.c.key_id] for row in rows)
    assert all(row[usage_events.c.cause] == row[usage_series.c.cause] for row in rows)


def test_what_comes_late_for_a_closed_day_is_in_its_days_too(stored: Stored) -> None:
    events = random_events(200, days=0.9)
    stored.usage.add_events(events[:150])
    with stored.database.begin() as connection:
        hours = list(list_rollups(connection, HOUR, FIRST, LAST))
        RollupWriter(stored.database.backend).put(connection, roll_up_days(hours))
        put_state(connection, DAYS_CLOSED, FIRST + DAY * MICROSECONDS)
    stored.usage.add_events(events[150:])
    with stored.database.connect() as connection:
        days = dict(list_rollups(connection, DAY, FIRST, LAST))
    assert days == roll_up_days(roll_up(map(roll_up_event, events)).items())


def test_the_events_that_are_stored_can_be_rolled_up_again(stored: Stored) -> None:
    stored.usage.add_events(random_events(300))
    with stored.database.connect() as connection:
        assert roll_up_stored(connection, FIRST, LAST) == hours_of(stored)


def test_a_state_is_what_was_put_last(stored: Stored) -> None:
    with stored.database.begin() as connection:
        assert get_state(connection, "x") is None
        put_state(connection, "x", 5)
        put_state(connection, "x", 7)
        assert get_state(connection, "x") == 7


def test_many_values_go_in_portions() -> None:
    portions = list(parts(list(range(1201))))
    assert [len(part) for part in portions] == [500, 500, 201]
    assert [value for part in portions for value in part] == list(range(1201))


def test_a_clock_that_jumps_by_years_loses_and_doubles_nothing(stored: Stored) -> None:
    events = random_events(90)
    for number, event in enumerate(events):
        year = (2026, 2036, 1999)[number % 3]
        event.at = event.at.replace("2026", str(year), 1)
    stored.usage.add_events(events)
    with stored.database.connect() as connection:
        rolled = dict(list_rollups(connection, HOUR, -(10**17), 10**17, Grain.ALL_KEYS))
    assert sum(sums[0] for sums in rolled.values()) == 90
