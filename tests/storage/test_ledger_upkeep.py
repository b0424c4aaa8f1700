"""Forgetting: by whole days, in small steps, and sums outlive their events."""

from datetime import timedelta

import pytest

from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep, read_ledger_state
from copilot_api.storage.rollup_upkeep import find_differences
from copilot_api.storage.schema import usage_series
from copilot_api.usage.queries import Bucket, SumQuery
from copilot_api.usage.totals import Group, list_totals
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored

END = DAY_ONE + timedelta(days=6)


@pytest.fixture
def upkeep(stored: Stored) -> SqlLedgerUpkeep:
    stored.usage.add_events(random_events(600, days=5.5))
    upkeep = SqlLedgerUpkeep(stored.database, pause=lambda: None)
    while upkeep.close_day(END):
        pass
    return upkeep


def forget_all_series(upkeep: SqlLedgerUpkeep) -> None:
    last: int | None = 0
    while last is not None:
        last = upkeep.forget_series(last)


def count(stored: Stored) -> int:
    return sum(1 for _ in stored.usage.list_events(DAY_ONE, END))


def test_days_are_closed_one_by_one_up_to_the_last_that_is_over(stored: Stored) -> None:
    stored.usage.add_events(random_events(100, days=5.5))
    upkeep = SqlLedgerUpkeep(stored.database, pause=lambda: None)
    assert sum(1 for _ in iter(lambda: upkeep.close_day(DAY_ONE + timedelta(days=3, hours=5)), False)) == 3
    assert read_ledger_state(stored.database).days_closed == DAY_ONE + timedelta(days=3)


def test_events_are_forgotten_in_steps_and_their_sums_stay(stored: Stored, upkeep: SqlLedgerUpkeep) -> None:
    before = list_totals(stored.usage, DAY_ONE, END, Group.MODEL)
    limit, steps = DAY_ONE + timedelta(days=2), 0
    expected = count(stored) - sum(1 for _ in stored.usage.list_events(DAY_ONE, limit))
    while upkeep.forget_events(limit, 50):
        steps += 1
    assert steps > 2
    assert count(stored) == expected
    assert list_totals(stored.usage, DAY_ONE, END, Group.MODEL) == before
    assert list(find_differences(stored.database)) == []


def test_a_period_whose_events_are_forgotten_is_told_by_whole_hours(stored: Stored, upkeep: SqlLedgerUpkeep) -> None:
    """It may begin and end anywhere; the hours that it touches are all that is known."""
    since, until = DAY_ONE + timedelta(hours=3, minutes=20), DAY_ONE + timedelta(hours=7, minutes=40)
    hours = stored.usage.sum_up(SumQuery(DAY_ONE + timedelta(hours=3), DAY_ONE + timedelta(hours=8)))
    while upkeep.forget_events(DAY_ONE + timedelta(days=1), 1000):
        pass
    assert stored.usage.sum_up(SumQuery(since, until)) == hours


def test_sums_are_forgotten_too_in_their_time(stored: Stored, upkeep: SqlLedgerUpkeep) -> None:
    limit = DAY_ONE + timedelta(days=2)
    while upkeep.forget_events(limit, 1000) or upkeep.forget_rollups(limit):
        pass
    rows = stored.usage.sum_up(SumQuery(DAY_ONE, END, bucket=Bucket.DAY))
    assert min(row.start or 0 for row in rows) == int(limit.timestamp()) * 1_000_000
    assert upkeep.forget_rollups(limit) == 0


def test_series_that_count_nothing_any_more_are_forgotten(stored: Stored, upkeep: SqlLedgerUpkeep) -> None:
    before = stored.usage.sum_up(SumQuery(DAY_ONE + timedelta(days=3), END))

    def forget_series() -> int:
        forget_all_series(upkeep)
        with stored.database.connect() as connection:
            return len(connection.execute(usage_series.select()).all())

    everything = forget_series()
    limit = DAY_ONE + timedelta(days=3)
    while upkeep.forget_events(limit, 1000) or upkeep.forget_rollups(limit):
        pass
    assert 0 < forget_series() < everything
    assert stored.usage.sum_up(SumQuery(limit, END)) == before
    assert list(find_differences(stored.database)) == []


def test_nothing_is_forgotten_of_an_empty_ledger(stored: Stored) -> None:
    upkeep = SqlLedgerUpkeep(stored.database)
    assert not upkeep.close_day(END)
    assert upkeep.forget_events(END, 10) == 0
    assert upkeep.forget_rollups(END) == 0
    assert upkeep.forget_series(0) is None
    assert upkeep.find_newest_event() is None


def test_the_state_of_a_ledger(stored: Stored, upkeep: SqlLedgerUpkeep) -> None:
    empty = read_ledger_state(stored.database)
    assert empty.events == 600
    while upkeep.forget_events(DAY_ONE + timedelta(days=2), 1000):
        pass
    state = read_ledger_state(stored.database)
    assert state.events == count(stored)
    assert state.oldest_event is not None
    assert state.oldest_event >= DAY_ONE + timedelta(days=2)
    assert state.oldest_rollup is not None
    assert state.oldest_rollup < DAY_ONE + timedelta(hours=3)
    assert state.newest_event == upkeep.find_newest_event()


def test_the_room_of_what_was_forgotten_is_used_again(stored: Stored) -> None:
    """The file does not grow while as much is forgotten as comes."""
    upkeep = SqlLedgerUpkeep(stored.database, pause=lambda: None)
    sizes: list[int] = []
    for week in range(6):
        first = DAY_ONE + timedelta(days=7 * week)
        stored.usage.add_events(random_events(1500, seed=week, days=7, first=first))
        while upkeep.close_day(first + timedelta(days=8)):
            pass
        while upkeep.forget_events(first, 1000) or upkeep.forget_rollups(first):
            pass
        forget_all_series(upkeep)
        sizes.append(read_ledger_state(stored.database).total_bytes)
    assert sizes[-1] < 1.25 * sizes[1], sizes
    assert read_ledger_state(stored.database).free_bytes > 0
