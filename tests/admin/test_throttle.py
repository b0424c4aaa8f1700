"""Who was wrong too often waits; nobody else does."""

import pytest

from copilot_api.admin.throttle import PER_ADDRESS, PER_KEY, Allowance, Failures, LoginThrottle
from tests.fakes import FakeClock

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throttle(clock: FakeClock) -> LoginThrottle:
    return LoginThrottle(clock)


def test_an_address_may_be_wrong_so_often_and_waits_then(throttle: LoginThrottle, clock: FakeClock) -> None:
    for number in range(PER_ADDRESS.burst):
        assert throttle.wait_seconds(HOME, f"key {number}") == 0
        throttle.note_failure(HOME, f"key {number}")
    assert throttle.wait_seconds(HOME, "a good one") == PER_ADDRESS.seconds
    clock.advance(PER_ADDRESS.seconds - 1)
    assert throttle.wait_seconds(HOME, "a good one") == 1
    clock.advance(1)
    assert throttle.wait_seconds(HOME, "a good one") == 0


def test_others_are_not_locked_out(throttle: LoginThrottle) -> None:
    for number in range(50):
        throttle.note_failure(HOME, f"key {number}")
    assert throttle.wait_seconds(ELSEWHERE, "mine") == 0
    assert throttle.wait_seconds(None, "mine") == 0


def test_a_key_is_tried_so_often_wherever_from(throttle: LoginThrottle) -> None:
    for number in range(PER_KEY.burst):
        throttle.note_failure(f"192.0.2.{number}", "stolen")
    assert throttle.wait_seconds("203.0.113.1", "stolen") == PER_KEY.seconds
    assert throttle.wait_seconds("203.0.113.1", "another") == 0


def test_all_of_an_ipv6_network_is_one_place(throttle: LoginThrottle) -> None:
    for number in range(PER_ADDRESS.burst):
        throttle.note_failure(f"2001:db8:1:2::{number:x}", str(number))
    assert throttle.wait_seconds("2001:db8:1:2:ffff::1", "x") > 0
    assert throttle.wait_seconds("2001:db8:1:3::1", "x") == 0


def test_an_ipv4_address_is_the_same_in_other_clothes(throttle: LoginThrottle) -> None:
    for number in range(PER_ADDRESS.burst):
        throttle.note_failure(HOME, str(number))
    assert throttle.wait_seconds(f"::ffff:{HOME}", "x") > 0


def test_the_wait_grows_no_further_than_what_was_done(throttle: LoginThrottle, clock: FakeClock) -> None:
    """Who is told to wait is not looked at, so that their trying costs them no more time."""
    for number in range(PER_ADDRESS.burst):
        throttle.note_failure(HOME, str(number))
    for _ in range(100):
        throttle.wait_seconds(HOME, "x")
    assert throttle.wait_seconds(HOME, "x") == PER_ADDRESS.seconds


def test_what_is_remembered_is_bounded_and_what_is_over_is_forgotten() -> None:
    failures = Failures(Allowance(1, 10.0), most=3)
    for number in range(5):
        failures.note(b"%d" % number, 0.0)
    assert [failures.wait_seconds(b"%d" % number, 0.0) for number in range(5)] == [0.0, 0.0, 10.0, 10.0, 10.0]
    failures.note(b"late", 11.0)
    assert [failures.wait_seconds(b"%d" % number, 0.0) for number in range(5)] == [0.0] * 5
