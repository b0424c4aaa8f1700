"""Calendar windows, against what `datetime` says of them, and the account that counts in them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admission.budget import (
    CREDITS,
    NOTHING,
    PREMIUM_REQUESTS,
    REQUESTS,
    TOKENS,
    UNIT_PLACES,
    UNITS,
    WINDOW_PLACES,
    WINDOWS,
    Account,
    Amounts,
    Calendar,
    Starts,
    window_end,
)
from copilot_api.config.budgets import Unit, Window

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=100)
HOUR, DAY, WEEK, MONTH = range(4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.one_of(
    st.integers(0, 84_000 * 86_400).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),
    st.builds(
        lambda hours, microseconds: EPOCH + timedelta(hours=hours, microseconds=microseconds),
        st.one_of(st.integers(1, 84_000 * 24), st.integers(1, 84_000).map(lambda days: days * 24)),
        st.sampled_from([-1, 0, 1]),
    ),
)
"""Until 2199, often at the edge of an hour or a day."""
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def starts(text: str) -> Starts:
    """When the windows began that this moment of UTC lies in."""
    return Calendar().starts(datetime.fromisoformat(text).replace(tzinfo=UTC))


def shown(start: int) -> str:
    """A window's start, without seconds, or its end."""
    moment = datetime.fromtimestamp(start, UTC)
    assert (moment.second, moment.minute) == (0, 0)
    return f"{moment:%Y-%m-%d %H}"


def ends(text: str) -> list[str]:
    """When the windows end that this moment of UTC lies in."""
    return [shown(window_end(window, start)) for window, start in zip(WINDOWS, starts(text), strict=True)]


# The calendar -----------------------------------------------------------------------------------------------------


def test_every_unit_and_window_has_its_place() -> None:
    assert set(UNITS) == set(Unit)
    assert set(WINDOWS) == set(Window)
    assert [UNIT_PLACES[unit] for unit in UNITS] == [CREDITS, PREMIUM_REQUESTS, TOKENS, REQUESTS] == [0, 1, 2, 3]
    assert [WINDOW_PLACES[window] for window in WINDOWS] == [HOUR, DAY, WEEK, MONTH]
    assert NOTHING == (0, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("moment", "begun", "over"),
    [
        ("2026-07-01T12:34:56.789", ["2026-07-01 12", "2026-07-01 00", "2026-06-29 00", "2026-07-01 00"], ["2026-07-01 13", "2026-07-02 00", "2026-07-06 00", "2026-08-01 00"]),
        # The last moment of a year, in a week that lies in both, and the first of the next.
        ("2026-12-31T23:59:59.999999", ["2026-12-31 23", "2026-12-31 00", "2026-12-28 00", "2026-12-01 00"], ["2027-01-01 00", "2027-01-01 00", "2027-01-04 00", "2027-01-01 00"]),
        ("2027-01-01T00:00:00", ["2027-01-01 00", "2027-01-01 00", "2026-12-28 00", "2027-01-01 00"], ["2027-01-01 01", "2027-01-02 00", "2027-01-04 00", "2027-02-01 00"]),
        # A week from Sunday to Monday.
        ("2026-07-05T23:59:59", ["2026-07-05 23", "2026-07-05 00", "2026-06-29 00", "2026-07-01 00"], ["2026-07-06 00", "2026-07-06 00", "2026-07-06 00", "2026-08-01 00"]),
        ("2026-07-06T00:00:00", ["2026-07-06 00", "2026-07-06 00", "2026-07-06 00", "2026-07-01 00"], ["2026-07-06 01", "2026-07-07 00", "2026-07-13 00", "2026-08-01 00"]),
        # February with and without a leap day; 2000 had one, 2100 has none.
        ("2028-02-29T10:00:00", ["2028-02-29 10", "2028-02-29 00", "2028-02-28 00", "2028-02-01 00"], ["2028-02-29 11", "2028-03-01 00", "2028-03-06 00", "2028-03-01 00"]),
        ("2026-02-28T10:00:00", ["2026-02-28 10", "2026-02-28 00", "2026-02-23 00", "2026-02-01 00"], ["2026-02-28 11", "2026-03-01 00", "2026-03-02 00", "2026-03-01 00"]),
        ("2000-02-01T00:00:00", ["2000-02-01 00", "2000-02-01 00", "2000-01-31 00", "2000-02-01 00"], ["2000-02-01 01", "2000-02-02 00", "2000-02-07 00", "2000-03-01 00"]),
        ("2100-02-28T23:00:00", ["2100-02-28 23", "2100-02-28 00", "2100-02-22 00", "2100-02-01 00"], ["2100-03-01 00", "2100-03-01 00", "2100-03-01 00", "2100-03-01 00"]),
        # A month of 31 days, from its last.
        ("2026-01-31T05:00:00", ["2026-01-31 05", "2026-01-31 00", "2026-01-26 00", "2026-01-01 00"], ["2026-01-31 06", "2026-02-01 00", "2026-02-02 00", "2026-02-01 00"]),
    ],
)  # fmt: skip
def test_windows_begin_and_end_with_the_calendar(moment: str, begun: list[str], over: list[str]) -> None:
    assert [shown(start) for start in starts(moment)] == begun
    assert ends(moment) == over


@settings(PROPERTY, max_examples=400)
@given(MOMENTS)
def test_windows_are_those_of_datetime(moment: datetime) -> None:
    hour, day, week, month = (datetime.fromtimestamp(start, UTC) for start in Calendar().starts(moment))
    assert hour == moment.replace(minute=0, second=0, microsecond=0)
    assert day == hour.replace(hour=0)
    assert (week.isoweekday(), week.time(), week.isocalendar()[:2]) == (1, day.time(), moment.isocalendar()[:2])
    assert month == day.replace(day=1)


@settings(PROPERTY, max_examples=400)
@given(MOMENTS)
def test_a_window_ends_where_the_next_begins_and_contains_its_moments(moment: datetime) -> None:
    for place, (window, start) in enumerate(zip(WINDOWS, Calendar().starts(moment), strict=True)):
        end = window_end(window, start)
        assert start <= moment.timestamp() < end
        last, following = (datetime.fromtimestamp(second, UTC) for second in (end - 1, end))
        assert Calendar().starts(last)[place] == start
        assert Calendar().starts(following)[place] == end


@settings(PROPERTY)
@given(MOMENTS, OFFSETS)
def test_windows_are_of_utc_wherever_the_clock_stands(moment: datetime, offset: timezone) -> None:
    assert Calendar().starts(moment.astimezone(offset)) == Calendar().starts(moment)


@settings(PROPERTY)
@given(st.lists(st.timedeltas(timedelta(days=-40), timedelta(days=40)), max_size=20))
def test_a_calendar_remembers_no_more_than_it_should(steps: list[timedelta]) -> None:
    """However time moves, it says what one that was asked for the first time says."""
    calendar, moment = Calendar(), datetime(2026, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    for step in steps:
        moment += step
        assert calendar.starts(moment) == Calendar().starts(moment)


def test_within_an_hour_the_windows_are_the_same_object() -> None:
    calendar = Calendar()
    first = calendar.starts(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    assert calendar.starts(datetime(2026, 7, 1, 12, 59, 59, 999_999, tzinfo=UTC)) is first
    assert calendar.starts(datetime(2026, 7, 1, 13, 0, tzinfo=UTC)) is not first


# The account ------------------------------------------------------------------------------------------------------

SOME: Amounts = (2_000_000_000, 1.5, 300, 1)
MINUS_SOME: Amounts = (-2_000_000_000, -1.5, -300, -1)


def spent(account: Account, unit: int = REQUESTS) -> list[float]:
    """How much of a unit is taken in each window."""
    return [account.spent(window, unit) for window in range(4)]


def test_an_account_counts_every_unit_in_every_window() -> None:
    now = starts("2026-07-01T12:00:00")
    account = Account(now)
    for _ in range(2):
        account.add(now, SOME)
    assert spent(account, CREDITS) == [4_000_000_000] * 4
    assert spent(account, PREMIUM_REQUESTS) == [3.0] * 4
    assert spent(account, TOKENS) == [600] * 4
    assert spent(account, REQUESTS) == [2] * 4


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ("2026-07-01T12:59:59", [1, 1, 1, 1]),
        ("2026-07-01T13:00:00", [0, 1, 1, 1]),
        ("2026-07-02T00:00:00", [0, 0, 1, 1]),
        ("2026-07-06T00:00:00", [0, 0, 0, 1]),
        ("2026-08-01T00:00:00", [0, 0, 0, 0]),
        ("2027-07-01T12:30:00", [0, 0, 0, 0]),
    ],
)
def test_a_window_that_begins_has_nothing_spent(later: str, left: list[int]) -> None:
    account = Account(starts("2026-07-01T12:00:00"))
    account.add(account.starts, SOME)
    account.roll(starts(later))
    assert spent(account) == left
    assert spent(account, PREMIUM_REQUESTS) == [1.5 * number for number in left]
    assert spent(account, TOKENS) == [300 * number for number in left]
    assert spent(account, CREDITS) == [2_000_000_000 * number for number in left]
    assert account.starts == starts(later)


def test_a_week_goes_on_where_a_month_begins() -> None:
    account = Account(starts("2026-06-30T12:00:00"))
    account.add(account.starts, SOME)
    account.roll(starts("2026-07-01T12:00:00"))
    assert spent(account) == [0, 0, 1, 0]


def test_what_was_spent_before_is_added_once_for_each_window() -> None:
    now = starts("2026-07-01T12:00:00")
    account = Account(now)
    account.add(now, SOME)
    assert not account.is_known(DAY)
    account.remember(DAY, now[DAY], (5, 0.5, 50, 7))
    account.remember(DAY, now[DAY], (5, 0.5, 50, 7))
    assert [account.is_known(window) for window in range(4)] == [False, True, False, False]
    assert spent(account) == [1, 8, 1, 1]
    assert account.spent(DAY, TOKENS) == 350


def test_what_was_spent_before_a_window_that_is_over_is_not_remembered() -> None:
    """The ledger may take its time: what it says of the day before says nothing of this one."""
    before = starts("2026-07-01T23:59:59")
    account = Account(before)
    account.roll(starts("2026-07-02T00:00:01"))
    account.remember(DAY, before[DAY], (0, 0.0, 0, 100))
    account.remember(MONTH, before[MONTH], (0, 0.0, 0, 100))
    assert spent(account) == [0, 0, 0, 100]
    assert not account.is_known(DAY)


def test_what_was_spent_before_goes_with_its_window() -> None:
    account = Account(starts("2026-07-01T12:00:00"))
    for window, start in enumerate(account.starts):
        account.remember(window, start, (0, 0.0, 0, 10))
    account.roll(starts("2026-07-02T00:00:00"))
    assert spent(account) == [0, 0, 10, 10]
    assert [account.is_known(window) for window in range(4)] == [False, False, True, True]


def test_a_reservation_whose_window_is_over_is_corrected_only_where_it_still_counts() -> None:
    reserved = starts("2026-07-01T23:59:59")
    account = Account(reserved)
    account.add(reserved, SOME)
    account.roll(starts("2026-07-02T00:00:01"))
    account.add(account.starts, SOME)
    account.add(reserved, MINUS_SOME)
    assert spent(account) == [1, 1, 1, 1], "the new day's call stays; week and month lost the old one"
    assert spent(account, CREDITS) == [2_000_000_000] * 4


def test_a_clock_that_was_set_back_opens_no_window_again() -> None:
    """Or whoever sets it back and forth has the budget twice."""
    account = Account(starts("2026-07-01T12:30:00"))
    account.add(account.starts, SOME)
    account.roll(starts("2026-07-01T11:30:00"))
    assert account.starts == starts("2026-07-01T12:30:00")
    account.add(account.starts, SOME)
    assert spent(account) == [2, 2, 2, 2]
    account.roll(starts("2026-07-01T12:45:00"))
    assert spent(account) == [2, 2, 2, 2]


def test_a_clock_set_back_over_the_end_of_a_month_keeps_the_latest_of_each_window() -> None:
    account = Account(starts("2026-07-01T00:10:00"))
    account.roll(starts("2026-06-30T23:50:00"))
    assert account.starts == starts("2026-07-01T00:10:00")
    account.add(starts("2026-06-30T23:50:00"), SOME)
    assert spent(account) == [0, 0, 1, 0], "only the week is the same"


@settings(PROPERTY)
@given(
    st.lists(st.tuples(st.integers(0, 50 * 3600), st.integers(0, 5), st.integers(0, 9)), max_size=30),
)
def test_an_account_holds_what_a_ledger_would_say(calls: list[tuple[int, int, int]]) -> None:
    """Reservations that are corrected at any time later, against the sum of what came in each window."""
    calendar, moment = Calendar(), datetime(2026, 6, 27, 22, 0, tzinfo=UTC)
    account = Account(calendar.starts(moment))
    ledger: list[tuple[Starts, int]] = []
    under_way: list[tuple[int, int]] = []
    for step, place, tokens in calls:
        moment += timedelta(seconds=step)
        account.roll(calendar.starts(moment))
        account.add(account.starts, (0, 0.0, 10, 1))
        ledger.append((account.starts, 10))
        under_way.append((len(ledger) - 1, tokens))
        if place < len(under_way):
            index, actual = under_way.pop(place)
            account.add(ledger[index][0], (0, 0.0, actual - 10, 0))
            ledger[index] = (ledger[index][0], actual)
    for window in range(4):
        current = [tokens for begun, tokens in ledger if begun[window] == account.starts[window]]
        assert account.spent(window, TOKENS) == sum(current)
        assert account.spent(window, REQUESTS) == len(current)
