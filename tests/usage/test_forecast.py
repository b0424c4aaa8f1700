"""When an allowance will be used up, with a band."""

import math
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.usage.forecast import HORIZON, LEAST_DAYS, SAMPLED_DAYS, Band, Forecast, Reason, forecast

NOW = datetime(2026, 3, 16, tzinfo=UTC)  # a Monday, at midnight
RESET = datetime(2026, 4, 1, tzinfo=UTC)
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=300)
DAY = timedelta(days=1)


def days(use: Callable[[date], float] | float, count: int = SAMPLED_DAYS, before: datetime = NOW) -> dict[date, float]:
    """So many days before a time, and what was used on each."""
    dates = [(before - back * DAY).date() for back in range(count, 0, -1)]
    return {day: use(day) if callable(use) else use for day in dates}


def workdays(amount: float) -> Callable[[date], float]:
    return lambda day: amount if day.weekday() < 5 else 0.0


# Histories with a known answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [LEAST_DAYS, 7, 13, SAMPLED_DAYS])
def test_the_same_use_every_day_is_used_up_when_division_says_so(count: int) -> None:
    found = forecast(200.0, 300.0, NOW, RESET, days(10.0, count))
    assert found.reason is None
    assert found.earliest == found.likely == found.latest == NOW + 10 * DAY, "nothing scatters"
    assert found.use_at_reset == Band(360, 360, 360)
    assert found.days == count


def test_within_a_day_use_is_even() -> None:
    assert forecast(295.0, 300.0, NOW + DAY / 2, RESET, days(10.0)).likely == NOW + DAY
    assert forecast(297.5, 300.0, NOW, RESET, days(10.0)).likely == NOW + DAY / 4


def test_with_two_weeks_weekends_are_told_apart() -> None:
    found = forecast(0.0, 600.0, NOW, RESET, days(workdays(60)))
    assert found.is_by_weekday
    assert found.earliest == found.likely == found.latest == NOW + 12 * DAY, "the tenth working day ends on a Friday"
    over_the_weekend = forecast(0.0, 330.0, NOW, RESET, days(workdays(60)))
    assert over_the_weekend.likely == NOW + 7.5 * DAY, "on Friday 30 are left, and they last until Monday noon"


def test_with_less_than_two_weeks_weekends_are_part_of_what_scatters() -> None:
    found = forecast(0.0, 330.0, NOW, RESET, days(workdays(60), 12))
    assert not found.is_by_weekday
    assert found.earliest is not None
    assert found.likely is not None
    assert found.earliest < found.likely
    assert found.likely == NOW + 330 / (8 / 12 * 60) * DAY


def test_only_the_last_two_weeks_count() -> None:
    month = {**days(1000.0, 30), **days(10.0)}
    assert forecast(200.0, 300.0, NOW, RESET, month) == forecast(200.0, 300.0, NOW, RESET, days(10.0))


def test_what_lasts_until_the_reset_has_no_date() -> None:
    found = forecast(100.0, 300.0, NOW, RESET, days(10.0))
    assert (found.reason, found.earliest, found.likely, found.latest) == (Reason.NOT_BEFORE_RESET, None, None, None)
    assert found.use_at_reset == Band(260, 260, 260)


def test_it_may_be_that_only_the_earliest_date_comes_before_the_reset() -> None:
    found = forecast(100.0, 300.0, NOW, RESET, days(lambda day: 12.0 if day.day % 2 else 10.0, 13))
    assert found.reason is Reason.NOT_BEFORE_RESET
    assert found.use_at_reset is not None
    assert found.use_at_reset.low < 300 - 24 < found.use_at_reset.likely < 300
    wild = forecast(100.0, 300.0, NOW, RESET, days(lambda day: 22.0 if day.day % 2 else 0.0, 13))
    assert wild.reason is Reason.NOT_BEFORE_RESET
    assert wild.earliest is not None
    assert wild.latest is None


def test_where_nothing_is_used_nothing_is_used_up() -> None:
    found = forecast(5.0, 300.0, NOW, RESET, days(0.0))
    assert (found.reason, found.use_at_reset) == (Reason.NOT_BEFORE_RESET, Band(5, 5, 5))


def test_eight_of_ten_months_end_within_the_band() -> None:
    """Days that scatter as days do, a quarter of them weekends: the band is what it says it is, about."""
    chance = random.Random(20260316)

    def draw(day: date) -> float:
        return chance.lognormvariate(0.0, 0.5) * (10.0 if day.weekday() < 5 else 2.0)

    inside = 0
    rounds = 1500
    for _ in range(rounds):
        found = forecast(0.0, 1e6, NOW, RESET, days(draw))
        assert found.use_at_reset is not None
        low, _, high = found.use_at_reset
        actual = sum(draw((NOW + ahead * DAY).date()) for ahead in range((RESET - NOW).days))
        inside += low <= actual <= high
    assert 0.74 < inside / rounds < 0.88


# No date, and why -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consumed", "entitlement", "is_unlimited", "reason"),
    [
        (5.0, 300.0, True, Reason.UNLIMITED),
        (None, None, True, Reason.UNLIMITED),
        (5.0, 0.0, False, Reason.NOTHING_INCLUDED),
        (None, 0.0, False, Reason.NOTHING_INCLUDED),
        (5.0, None, False, Reason.NOT_REPORTED),
        (None, 300.0, False, Reason.NOT_REPORTED),
    ],
)
def test_what_cannot_be_used_up_says_why(
    consumed: float | None, entitlement: float | None, is_unlimited: bool, reason: Reason
) -> None:
    assert forecast(consumed, entitlement, NOW, RESET, days(10.0), is_unlimited=is_unlimited) == Forecast(reason)


@pytest.mark.parametrize("count", range(LEAST_DAYS))
def test_too_little_history_says_so(count: int) -> None:
    assert forecast(5.0, 300.0, NOW, RESET, days(10.0, count)) == Forecast(Reason.TOO_LITTLE_HISTORY, days=count)


@pytest.mark.parametrize("count", [0, SAMPLED_DAYS])
@pytest.mark.parametrize("consumed", [300.0, 342.0])
def test_what_is_used_up_is_used_up_whatever_is_known(consumed: float, count: int) -> None:
    """Where more than the entitlement is permitted, what it comes to by the reset is told all the same."""
    found = forecast(consumed, 300.0, NOW, RESET, days(10.0, count))
    assert (found.reason, found.earliest, found.likely, found.latest) == (Reason.EXHAUSTED, None, None, None)
    assert found.use_at_reset == (Band(*[consumed + 160] * 3) if count else None)


@pytest.mark.parametrize("resets_at", [None, NOW, NOW - DAY, NOW + 400 * DAY])
def test_without_a_reset_to_come_it_is_looked_two_months_ahead(resets_at: datetime | None) -> None:
    found = forecast(0.0, 500.0, NOW, resets_at, days(10.0))
    assert (found.likely, found.use_at_reset) == (NOW + 50 * DAY, None)
    assert forecast(0.0, 10.0 * HORIZON.days + 1, NOW, resets_at, days(10.0)).reason is Reason.NOT_BEFORE_RESET


# Whatever comes ---------------------------------------------------------------------------------------------------

amounts = st.one_of(st.floats(0, 1e12), st.floats(0, 100), st.just(0.0))
histories = st.lists(st.one_of(amounts, st.floats(-5, 0)), max_size=20).map(
    lambda uses: {(NOW - (back + 1) * DAY).date(): use for back, use in enumerate(uses)}
)
moments = st.floats(-15, 35).map(lambda days: NOW + days * DAY)
resets = st.one_of(st.none(), st.just(RESET), st.datetimes(timezones=st.just(UTC)))
LATER = datetime.max.replace(tzinfo=UTC)


def dates(found: Forecast) -> tuple[datetime, datetime, datetime]:
    """Its dates, those that do not come later than all."""
    return found.earliest or LATER, found.likely or LATER, found.latest or LATER


@PROPERTY
@given(
    st.one_of(st.none(), amounts), st.one_of(st.none(), st.floats(-1, 1e12)), moments, resets, histories, st.booleans()
)
def test_any_input_gives_a_band_that_contains_what_is_likely(
    consumed: float | None,
    entitlement: float | None,
    at: datetime,
    resets_at: datetime | None,
    history: dict[date, float],
    is_unlimited: bool,
) -> None:
    found = forecast(consumed, entitlement, at, resets_at, history, is_unlimited=is_unlimited)
    earliest, likely, latest = dates(found)
    assert earliest <= likely <= latest
    assert (found.reason is None) == (found.likely is not None)
    for each in (found.earliest, found.likely, found.latest):
        assert each is None or at <= each <= min(at + HORIZON, resets_at if resets_at and resets_at > at else LATER)
    if found.use_at_reset is not None:
        low, expected, high = found.use_at_reset
        assert consumed is not None
        assert consumed <= low <= expected <= high < math.inf


@PROPERTY
@given(amounts, amounts, st.floats(1, 1e12), moments, histories)
def test_whoever_has_used_more_is_never_told_a_later_date(
    consumed: float, more: float, entitlement: float, at: datetime, history: dict[date, float]
) -> None:
    one = forecast(consumed, entitlement, at, RESET, history)
    other = forecast(consumed + more, entitlement, at, RESET, history)
    if Reason.EXHAUSTED in {one.reason, other.reason}:
        assert consumed + more >= entitlement
        return
    assert all(second <= first for first, second in zip(dates(one), dates(other), strict=True))


@PROPERTY
@given(st.floats(0, 1e6), st.floats(1, 1e6), st.floats(1, 10), moments, histories)
def test_whoever_uses_more_every_day_is_never_told_a_later_date(
    consumed: float, left: float, times: float, at: datetime, history: dict[date, float]
) -> None:
    more = {day: use * times for day, use in history.items()}
    one = forecast(consumed, consumed + left, at, RESET, history)
    other = forecast(consumed, consumed + left, at, RESET, more)
    slack = timedelta(seconds=1)  # of floating point
    for first, second in zip(dates(one), dates(other), strict=True):
        assert second <= first or second - first < slack
