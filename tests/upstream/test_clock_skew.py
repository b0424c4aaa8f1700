"""A clock that is off is noticed by what GitHub says in passing."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from copilot_api.upstream.clock_skew import ClockSkew, describe_skew
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def date_of(clock: FakeClock, ahead: timedelta) -> str:
    return format_datetime(clock.now().replace(microsecond=0) - ahead, usegmt=True)


def test_nothing_is_known_before_an_answer(clock: FakeClock) -> None:
    skew = ClockSkew(clock)
    assert (skew.ahead, skew.worth_telling) == (None, None)


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 01 Jul 2026 00:00:00", "Wed, 99 Jul 2026 00:00:00 GMT"])
def test_what_is_no_date_says_nothing(clock: FakeClock, date: str) -> None:
    skew = ClockSkew(clock)
    skew.note(date_of(clock, timedelta(hours=1)))
    known = skew.ahead
    skew.note(date)
    assert known is not None
    assert skew.ahead == known


def test_the_last_answer_counts_and_a_clock_that_was_set_is_no_longer_off(clock: FakeClock) -> None:
    skew = ClockSkew(clock)
    skew.note(date_of(clock, timedelta(minutes=4)))
    assert skew.worth_telling is not None
    assert describe_skew(skew.worth_telling) == "4 min ahead of GitHub's"
    skew.note(date_of(clock, timedelta(0)))
    assert skew.worth_telling is None
