"""What the account used, what of it went through here, and whether that is too fast."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.upstream.quotas import QuotaReading
from copilot_api.usage.credits import (
    LONGEST_GAP,
    PROJECT_AFTER,
    Movement,
    Stretch,
    Unattributed,
    find_stretches,
    measure_days,
    measure_movement,
    measure_pace,
    window_start,
)

MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=300)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def reading(
    at: datetime,
    used: float | None,
    *,
    resets_at: datetime | None = APRIL,
    overage: float = 0.0,
    entitlement: float | None = 300.0,
    is_unlimited: bool = False,
) -> QuotaReading:
    return QuotaReading(
        "premium_interactions",
        at,
        entitlement,
        used,
        overage,
        is_unlimited=is_unlimited,
        is_token_based=True,
        resets_at=resets_at,
    )


def on(day: int, hour: float = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC) + hour * HOUR


# Windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resets_at", "began"),
    [
        (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 1, 17, 8, 30, tzinfo=UTC), datetime(2025, 12, 17, 8, 30, tzinfo=UTC)),
        (datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2028, 3, 30, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC)),
        (None, None),
        (datetime(1, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_window_is_a_month_long(resets_at: datetime | None, began: datetime | None) -> None:
    assert window_start(resets_at) == began


# Stretches --------------------------------------------------------------------------------------------------------


def test_between_two_readings_as_much_was_used_as_the_counter_rose() -> None:
    stretches = find_stretches([reading(on(10), 30), reading(on(10, 1), 35), reading(on(11), 35)])
    assert stretches == [
        Stretch(MARCH, on(10), 30),
        Stretch(on(10), on(10, 1), 5),
        Stretch(on(10, 1), on(11), 0),
    ]


def test_the_first_reading_of_a_window_tells_of_all_the_time_since_its_begin() -> None:
    assert find_stretches([reading(on(20), 200)]) == [Stretch(MARCH, on(20), 200)]
    assert find_stretches([reading(on(20), 200, resets_at=None)]) == [], "where that is not known it tells nothing"


def test_readings_come_in_any_order() -> None:
    readings = [reading(on(day), day * 10) for day in (5, 2, 9)]
    assert find_stretches(readings) == find_stretches(sorted(readings, key=lambda each: each.at))


def test_what_was_used_up_to_a_reset_after_the_last_reading_is_not_made_up() -> None:
    stretches = find_stretches([reading(on(31, 23), 250), reading(on(1, 2, month=4), 4, resets_at=MAY)])
    assert stretches == [Stretch(MARCH, on(31, 23), 250), Stretch(APRIL, on(1, 2, month=4), 4)]


def test_a_fall_to_less_than_half_is_a_new_period_also_without_a_date() -> None:
    readings = [reading(on(day), used, resets_at=None) for day, used in ((1, 100), (2, 110), (3, 5), (4, 20))]
    assert [(each.since, each.moved) for each in find_stretches(readings)] == [(on(1), 10), (on(3), 15)]


def test_a_smaller_fall_is_a_lag_and_counts_once() -> None:
    readings = [reading(on(2, hour), used) for hour, used in ((0, 100), (1, 96), (2, 100), (3, 103))]
    assert [each.moved for each in find_stretches(readings)] == [100, 0, 0, 3]


def test_a_plan_that_changed_is_a_new_period() -> None:
    readings = [reading(on(10), 100), reading(on(10, 1), 100, entitlement=1500), reading(on(10, 2), 107, entitlement=1500)]  # fmt: skip
    assert [(each.since, each.moved) for each in find_stretches(readings)] == [(MARCH, 100), (on(10, 1), 7)]


def test_a_reset_of_which_github_changed_only_the_date_yet_is_not_believed() -> None:
    stale = [reading(on(31, 23), 250), reading(on(1, 1, month=4), 251, resets_at=MAY)]
    readings = [*stale, reading(on(1, 2, month=4), 3, resets_at=MAY), reading(on(1, 3, month=4), 5, resets_at=MAY)]
    assert [(each.since, each.moved) for each in find_stretches(readings)] == [(MARCH, 250), (on(1, 2, month=4), 2)]


def test_a_reset_that_is_told_to_the_second_is_that_of_its_date() -> None:
    readings = [reading(on(10), 30), reading(on(11), 40, resets_at=APRIL + 5 * HOUR)]
    assert [each.moved for each in find_stretches(readings)] == [30, 10]


def test_what_goes_beyond_the_entitlement_was_used_too() -> None:
    readings = [reading(on(20), 290), reading(on(21), 300, overage=15), reading(on(22), 300, overage=40)]
    assert [each.moved for each in find_stretches(readings)] == [290, 25, 25]


def test_without_an_entitlement_only_what_is_beyond_counts() -> None:
    readings = [reading(on(20), 0, entitlement=0, overage=2), reading(on(21), 0, entitlement=0, overage=9)]
    assert [each.moved for each in find_stretches(readings)] == [2, 7]


@pytest.mark.parametrize("silent", [reading(on(6), None), reading(on(6), 0, is_unlimited=True), reading(on(6), 5, entitlement=None)])  # fmt: skip
def test_readings_that_say_nothing_of_the_use_are_passed_over(silent: QuotaReading) -> None:
    assert [each.moved for each in find_stretches([reading(on(5), 10), silent, reading(on(7), 12)])] == [10, 2]


# Movement ---------------------------------------------------------------------------------------------------------


def test_the_movement_of_a_period_is_what_its_stretches_add_up_to() -> None:
    stretches = find_stretches([reading(on(day), day * 10) for day in (2, 3, 5)])
    movement = measure_movement(stretches, on(2), on(5))
    assert (movement.moved, movement.covered, movement.covered_share) == (30, ((on(2), on(5)),), 1.0)


def test_a_stretch_that_reaches_beyond_the_period_counts_by_its_share_of_time() -> None:
    stretches = [Stretch(on(1), on(5), 40)]
    assert measure_movement(stretches, on(4), on(9)) == Movement(on(4), on(9), 10, ((on(4), on(5)),))
    assert measure_movement(stretches, on(2), on(3)).moved == 10


def test_what_is_not_covered_is_said() -> None:
    stretches = [Stretch(on(1), on(2), 5), Stretch(on(4), on(5), 7)]
    movement = measure_movement(stretches, on(1), on(9))
    assert (movement.moved, movement.covered_share) == (12, 0.25)
    assert movement.covered == ((on(1), on(2)), (on(4), on(5)))


@pytest.mark.parametrize(("since", "until"), [(on(8), on(9)), (on(3), on(3)), (on(4), on(3))])
def test_a_period_of_which_nothing_is_known_has_no_movement(since: datetime, until: datetime) -> None:
    movement = measure_movement([Stretch(on(1), on(5), 40)], since, until)
    assert (movement.moved, movement.covered, movement.covered_share) == (0, (), 0)


# Attribution ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moved", "through_here", "amount", "share", "difference"),
    [
        (100, 100, 0, 0, 0),
        (100, 75, 25, 0.25, 25),
        (100, 0, 100, 1, 100),
        (0, 0, 0, 0, 0),
        (10, 12.5, 0, 0, -2.5),
        (0, 3, 0, 0, -3),
    ],
)
def test_what_did_not_go_through_here_is_unattributed_and_never_less_than_nothing(
    moved: float, through_here: float, amount: float, share: float, difference: float
) -> None:
    found = Unattributed(Movement(on(1), on(2), moved, ((on(1), on(2)),)), through_here)
    assert (found.amount, found.share, found.difference) == (amount, share, difference)


# Pace -------------------------------------------------------------------------------------------------------------


def test_pace_compares_with_an_even_use() -> None:
    pace = measure_pace(100.0, 310.0, on(11), APRIL)
    assert pace is not None
    assert (pace.since, pace.resets_at) == (MARCH, APRIL)
    assert pace.elapsed_share == pytest.approx(10 / 31)
    assert pace.even_use == pytest.approx(100.0)
    assert pace.projected_use == pytest.approx(310.0)


def test_on_the_first_day_nothing_is_projected() -> None:
    early = measure_pace(50.0, 300.0, MARCH + PROJECT_AFTER - HOUR, APRIL)
    assert early is not None
    assert early.projected_use is None
    at_once = measure_pace(0.0, 300.0, MARCH, APRIL)
    assert at_once is not None
    assert (at_once.elapsed_share, at_once.even_use) == (0, 0)


@pytest.mark.parametrize(
    ("consumed", "entitlement", "at", "resets_at"),
    [
        (None, 300.0, on(5), APRIL),
        (5.0, None, on(5), APRIL),
        (5.0, 0.0, on(5), APRIL),
        (5.0, -1.0, on(5), APRIL),
        (5.0, 300.0, on(5), None),
        (5.0, 300.0, on(5, month=4), APRIL),
        (5.0, 300.0, on(5), MAY),
    ],
)
def test_where_there_is_no_window_or_no_entitlement_there_is_no_pace(
    consumed: float | None, entitlement: float | None, at: datetime, resets_at: datetime | None
) -> None:
    assert measure_pace(consumed, entitlement, at, resets_at) is None


# Days -------------------------------------------------------------------------------------------------------------


def hourly(per_day: dict[int, float]) -> list[Stretch]:
    """A month of readings every hour, with so much used on these days, by day."""
    used, readings = 0.0, [reading(MARCH, 0.0)]
    for hour in range(1, 31 * 24):
        used += per_day.get((hour - 1) // 24 + 1, 0.0) / 24
        readings.append(reading(MARCH + hour * HOUR, used))
    return find_stretches(readings)


def test_the_use_of_whole_days_is_found() -> None:
    days = measure_days(hourly({5: 24.0, 6: 48.0, 8: 12.0}), on(9, 13), 4)
    assert list(days) == [date(2026, 3, day) for day in (5, 6, 7, 8)]
    assert list(days.values()) == pytest.approx([24, 48, 0, 12])


def test_today_is_not_over_and_does_not_count() -> None:
    assert date(2026, 3, 9) not in measure_days(hourly({9: 500.0}), on(9, 23), 14)


def test_a_day_of_which_too_little_is_known_is_left_out() -> None:
    stretches = [Stretch(on(5), on(5, 17), 17), Stretch(on(6), on(6, 18), 18)]
    assert measure_days(stretches, on(8), 5) == {date(2026, 3, 6): 24}


def test_a_weekend_without_readings_is_bridged_and_a_holiday_is_not() -> None:
    weekend = measure_days([Stretch(on(6, 18), on(9, 6), 60)], on(10), 5)
    assert weekend == {date(2026, 3, 7): pytest.approx(24), date(2026, 3, 8): pytest.approx(24)}
    assert measure_days([Stretch(on(2), on(2) + LONGEST_GAP + HOUR, 60)], on(10), 14) == {}


# Whatever comes ---------------------------------------------------------------------------------------------------

times = st.floats(-60, 60).map(lambda days: MARCH + days * DAY)
amounts = st.one_of(st.none(), st.floats(-1e12, 1e12), st.floats(0, 400), st.integers(0, 400).map(float))
readings = st.builds(
    QuotaReading,
    name=st.just("premium_interactions"),
    at=times,
    entitlement=st.one_of(amounts, st.just(300.0)),
    used=amounts,
    overage=st.floats(-10, 1e12),
    is_unlimited=st.booleans() | st.just(False),
    is_token_based=st.just(True),
    resets_at=st.one_of(st.none(), st.sampled_from([MARCH, APRIL, MAY]), st.datetimes(timezones=st.just(UTC))),
)


@PROPERTY
@given(st.lists(readings, max_size=30), times, times)
def test_any_history_gives_finite_numbers_and_stretches_in_order(
    history: list[QuotaReading], since: datetime, until: datetime
) -> None:
    stretches = find_stretches(history)
    assert all(one.until <= other.since for one, other in pairwise(stretches))
    assert all(each.since < each.until and 0 <= each.moved < math.inf for each in stretches)
    movement = measure_movement(stretches, since, until)
    assert 0 <= movement.moved <= sum(each.moved for each in stretches) * (1 + 1e-9)
    assert 0 <= movement.covered_share <= 1
    assert all(0 <= amount < math.inf for amount in measure_days(stretches, until, 14).values())


@PROPERTY
@given(st.lists(st.tuples(st.integers(1, 720), st.floats(0, 50)), min_size=1, max_size=40), st.integers(0, 720))
def test_a_counter_that_only_rises_is_added_up_exactly_wherever_it_was_read(
    uses: list[tuple[int, float]], split: int
) -> None:
    at = {hour: sum(amount for when, amount in uses if when <= hour) for hour, _ in uses}
    history = [reading(MARCH + hour * HOUR, used, entitlement=10_000.0) for hour, used in at.items()]
    last, middle = MARCH + max(at) * HOUR, MARCH + split * HOUR
    stretches = find_stretches(history)
    whole = measure_movement(stretches, MARCH, last).moved
    assert whole == pytest.approx(at[max(at)], abs=1e-6)
    parts = [measure_movement(stretches, MARCH, middle), measure_movement(stretches, middle, last)]
    assert sum(part.moved for part in parts) == pytest.approx(whole, abs=1e-6)
