"""Closing days, finding what is wrong, and mending it."""

import random
from datetime import timedelta

import pytest

from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollup_upkeep import (
    Difference,
    close_day,
    find_differences,
    find_open_day,
    list_whole_days,
    mend,
    rebuild,
)
from copilot_api.storage.rollups import DAYS_CLOSED, EVENTS_FROM, TABLES, get_state, list_rollups, put_state
from copilot_api.storage.schema import usage_days, usage_events, usage_hours
from copilot_api.usage.rollups import DAY, HOUR, MICROSECONDS, Grain, roll_up, roll_up_days
from tests.ledgers import DAY_ONE, random_events, roll_up_event
from tests.stored import Stored

FIRST = to_microseconds(DAY_ONE)
LENGTH = DAY * MICROSECONDS
LAST = FIRST + 10 * LENGTH


def at_once() -> None:
    """No pause."""


@pytest.fixture
def filled(stored: Stored) -> Stored:
    """Three days, two of them closed."""
    stored.usage.add_events(random_events(400, days=3))
    assert close_day(stored.database, FIRST, at_once)
    assert close_day(stored.database, FIRST + LENGTH, at_once)
    return stored


def test_the_first_day_that_is_over_is_open(stored: Stored) -> None:
    with stored.database.connect() as connection:
        assert find_open_day(connection, LAST) is None
    stored.usage.add_events(random_events(50, days=2, first=DAY_ONE + timedelta(days=1)))
    with stored.database.connect() as connection:
        assert find_open_day(connection, FIRST + 2 * LENGTH - 1) is None
        assert find_open_day(connection, FIRST + 2 * LENGTH) == FIRST + LENGTH


def test_a_closed_day_is_what_its_hours_add_up_to(filled: Stored) -> None:
    with filled.database.connect() as connection:
        days = dict(list_rollups(connection, DAY, FIRST, FIRST + 2 * LENGTH))
        assert days == roll_up_days(list_rollups(connection, HOUR, FIRST, FIRST + 2 * LENGTH))
        assert get_state(connection, DAYS_CLOSED) == FIRST + 2 * LENGTH
        assert find_open_day(connection, LAST) == FIRST + 2 * LENGTH


def test_closing_a_day_again_changes_nothing(filled: Stored) -> None:
    with filled.database.connect() as connection:
        before = dict(list_rollups(connection, DAY, FIRST, LAST))
    assert close_day(filled.database, FIRST, at_once)
    with filled.database.connect() as connection:
        assert dict(list_rollups(connection, DAY, FIRST, LAST)) == before


def test_events_that_come_while_a_day_is_closed_are_in_it(stored: Stored) -> None:
    events = random_events(900, days=0.99)
    stored.usage.add_events(events[:600])
    waiting = [events[600:750], events[750:]]

    def interrupt() -> None:
        if waiting:
            stored.usage.add_events(waiting.pop())

    assert close_day(stored.database, FIRST, interrupt)
    assert not waiting
    with stored.database.connect() as connection:
        days = dict(list_rollups(connection, DAY, FIRST, LAST))
    assert days == roll_up_days(roll_up(map(roll_up_event, events)).items())


def test_a_day_that_does_not_come_to_rest_stays_open(stored: Stored) -> None:
    events = iter(random_events(3000, days=0.99))
    stored.usage.add_events([next(events) for _ in range(700)])

    def interrupt() -> None:
        stored.usage.add_events([next(events)])

    assert not close_day(stored.database, FIRST, interrupt)
    with stored.database.connect() as connection:
        assert get_state(connection, DAYS_CLOSED) is None
    assert list(find_differences(stored.database)) == []


def test_a_whole_ledger_has_no_differences(filled: Stored) -> None:
    assert list(find_differences(filled.database)) == []


@pytest.mark.parametrize("span", [HOUR, DAY])
@pytest.mark.parametrize("seed", range(6))
def test_any_change_to_a_rollup_is_found_and_mended(filled: Stored, span: int, seed: int) -> None:
    draw, table = random.Random(seed), TABLES[span]
    with filled.database.begin() as connection:
        row = draw.choice(connection.execute(table.select()).mappings().all())
        is_it = (table.c.start == row["start"]) & (table.c.series_id == row["series_id"])
        match seed % 3:
            case 0:
                connection.execute(table.update().where(is_it).values(output_tokens=row["output_tokens"] + 1))
            case 1:
                connection.execute(table.delete().where(is_it))
            case _:
                connection.execute(table.update().where(is_it).values(durations=b"\x00\x01\x05"))
    found = list(find_differences(filled.database))
    assert found
    assert {each.span for each in found} <= {span, DAY}
    for difference in found:
        mend(filled.database, difference)
    assert list(find_differences(filled.database)) == []


def test_a_rollup_of_what_never_was_is_found(filled: Stored) -> None:
    with filled.database.begin() as connection:
        row = dict(connection.execute(usage_hours.select().where(usage_hours.c.grain == 0)).mappings().first() or {})
        connection.execute(
            usage_hours.insert().values({**row, "series_id": 1, "start": row["start"] + 3600 * MICROSECONDS * 5})
        )
    (difference, *_) = find_differences(filled.database)
    assert difference.span == HOUR
    assert difference.rollups >= 1


def test_everything_can_be_made_anew(filled: Stored) -> None:
    with filled.database.begin() as connection:
        connection.execute(usage_hours.delete())
        connection.execute(usage_days.delete())
        connection.execute(usage_events.update().values(series_id=None))
        rebuild(connection, filled.database.backend)
    assert list(find_differences(filled.database)) == []
    with filled.database.connect() as connection:
        assert connection.scalar(usage_events.select().where(usage_events.c.series_id.is_(None)).exists().select()) == 0


def test_days_whose_events_are_deleted_are_not_looked_at(filled: Stored) -> None:
    """Their hours are all that is known of them."""
    with filled.database.begin() as connection:
        connection.execute(usage_events.delete().where(usage_events.c.at < FIRST + LENGTH))
        put_state(connection, EVENTS_FROM, FIRST + LENGTH)
        assert [since for since, _ in list_whole_days(connection)] == [FIRST + LENGTH, FIRST + 2 * LENGTH]
    assert list(find_differences(filled.database)) == []


def test_a_difference_says_the_day() -> None:
    assert Difference(FIRST, DAY, 3).day == FIRST


def test_every_grain_is_there_by_day(filled: Stored) -> None:
    with filled.database.connect() as connection:
        grains = {place.series.grain for place, _ in list_rollups(connection, DAY, FIRST, LAST)}
    assert grains == set(Grain)
