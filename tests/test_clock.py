"""Time as an argument."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.clock import Clock, SystemClock, render_age
from tests.fakes import FakeClock


def test_the_wall_clock_is_in_utc_and_says_so() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert before <= now <= before + timedelta(seconds=5)


def test_the_other_clock_only_grows() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    assert abs(clock.monotonic() - time.monotonic()) < 5


def test_a_clock_for_tests_is_a_clock() -> None:
    clocks: list[Clock] = [SystemClock(), FakeClock()]
    for clock in clocks:
        assert clock.now().tzinfo is not None
        assert isinstance(clock.monotonic(), float)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_an_age_is_told_in_the_largest_unit_that_there_are_two_of(seconds: int, text: str) -> None:
    assert render_age(timedelta(seconds=seconds)) == text
