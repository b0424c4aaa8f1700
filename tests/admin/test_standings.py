"""Limits in words."""

from datetime import UTC, datetime

from copilot_api.admin.standings import describe_standing, find_tightest
from copilot_api.admission.models import LimitStanding

LATER = datetime(2026, 12, 2, tzinfo=UTC)


def test_a_budget_says_its_window_and_what_is_left() -> None:
    found = describe_standing(LimitStanding("credits:day", "credits", 400.0, 12.5, LATER, is_observed=False))
    assert (found.label, found.text, found.left) == ("Credits today", "12.5 of 400 credits", "387.5 credits left")
    assert (found.line, found.tone, found.resets_at) == ("12.5 of 400 credits today", "", LATER)


def test_limits_of_a_minute_and_of_all_keys_have_names_of_their_own() -> None:
    rpm = describe_standing(LimitStanding("rpm", "requests", 30, 3, None, is_observed=False))
    assert (rpm.label, rpm.line) == ("Requests a minute", "3 of 30 requests a minute")
    shared = LimitStanding("premium_requests:month", "premium_requests", 300, 10, LATER, is_observed=False, scope="all")
    assert describe_standing(shared).label == "Premium requests this month, all keys"


def test_what_is_nearly_full_is_a_warning_and_only_what_refuses_is_bad() -> None:
    tones = [
        describe_standing(LimitStanding("rpm", "requests", 10, used, None, is_observed=is_observed)).tone
        for used, is_observed in ((7, False), (8, False), (10, False), (12, True))
    ]
    assert tones == ["", "warn", "bad", "warn"]


def test_the_tightest_is_the_keys_own_fullest() -> None:
    standings = [
        describe_standing(LimitStanding("rpm", "requests", 10, 2, None, is_observed=False)),
        describe_standing(LimitStanding("credits:day", "credits", 10, 2, LATER, is_observed=False)),
        describe_standing(LimitStanding("credits:day", "credits", 10, 9, LATER, is_observed=False, scope="all")),
    ]
    tightest = find_tightest(standings)
    assert tightest is not None
    assert (tightest.name, tightest.is_shared) == ("credits:day", False)
    assert find_tightest(standings[2:]) is None
