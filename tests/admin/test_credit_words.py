"""The allowance in words: what is left, whether that will do, and what nobody here used."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.admin.credit_words import AccountWords, describe_account
from copilot_api.upstream.quotas import QuotaReading, parse_quota
from copilot_api.usage.credit_reports import report_account

AT = datetime(2026, 3, 21, 12, tzinfo=UTC)
START, HOUR = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)


class Kept:
    """A history of so much a day."""

    def __init__(self, per_day: float, entitlement: float) -> None:
        self._per_day, self._entitlement = per_day, entitlement

    def list_readings(self, name: str, since: datetime, until: datetime) -> list[QuotaReading]:
        hours = range(int((until - START) / HOUR))
        return [
            QuotaReading(
                name,
                START + hour * HOUR,
                self._entitlement,
                self._per_day * hour / 24,
                is_token_based=True,
                resets_at=datetime(2026, 4, 1, tzinfo=UTC),
            )
            for hour in hours
            if since <= START + hour * HOUR
        ]

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> tuple[int, float, int, int]:
        return (0, 0.0, 0, 0)


def describe(per_day: float = 10.0, entitlement: float = 300, **more: Any) -> AccountWords | None:
    used = per_day * 20.5
    premium = {"entitlement": entitlement, "quota_remaining": entitlement - used, "token_based_billing": True, **more}
    document = {
        "login": "octocat",
        "copilot_plan": "business",
        "quota_reset_date": "2026-04-01",
        "quota_snapshots": {"premium_interactions": premium},
    }
    kept: Any = Kept(per_day, entitlement)
    return describe_account(report_account(parse_quota(document), AT, kept, kept), AT)


def test_an_even_use_lasts() -> None:
    words = describe(9.4)
    assert words is not None
    assert (words.limit, words.unit, words.text) == (300, "credits", "193 of 300 credits")
    assert "On an even pace" in words.pace_text
    assert "It will last: " in words.forecast_text
    assert words.low is not None
    assert words.high is not None
    assert words.low <= words.high
    assert words.tone is None


def test_too_fast_is_said_with_when_it_ends() -> None:
    words = describe(13)
    assert words is not None
    assert "ahead of an even pace" in words.pace_text
    assert words.forecast_text.startswith("Used up in ")
    assert words.tone == "warn"


def test_what_is_used_up_is_red() -> None:
    words = describe(20)
    assert words is not None
    assert (words.forecast_text, words.tone) == ("It is used up.", "bad")


def test_what_did_not_go_through_here_is_named() -> None:
    words = describe(10)
    assert words is not None
    assert "did not go through here" in words.elsewhere


@pytest.mark.parametrize(("field", "text"), [("unlimited", "unlimited"), ("quota_remaining", "not reported")])
def test_what_is_not_told_has_no_figures(field: str, text: str) -> None:
    told: dict[str, Any] = {field: True if field == "unlimited" else None}
    words = describe(**told)
    assert words is not None
    assert words.text == text


def test_an_account_without_an_allowance_has_no_words() -> None:
    report = report_account(parse_quota({"login": "octocat"}), AT, None, None)
    assert describe_account(report, AT) is None
