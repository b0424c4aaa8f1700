"""What people and programs are told of the account's quota."""

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.simulator.replies import load_document
from copilot_api.upstream.quota_keeper import AccountReading
from copilot_api.upstream.quotas import AccountQuota, QuotaReading, parse_quota
from copilot_api.usage.credit_reports import (
    MOST_READINGS,
    AccountReports,
    render_account,
    render_readings,
    report_account,
    unit_of,
)
from copilot_api.usage.forecast import Reason

AT = datetime(2026, 3, 21, 12, 0, tzinfo=UTC)
MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def quota(used: float = 210.0, *, is_token_based: bool = True, **more: Any) -> AccountQuota:
    """An account with an allowance of 300 of which so much is used."""
    premium = {
        "entitlement": 300,
        "quota_remaining": 300 - used,
        "token_based_billing": is_token_based,
        "overage_permitted": False,
        **more,
    }
    document = {
        "login": "octocat",
        "copilot_plan": "business",
        "quota_reset_date": "2026-04-01",
        "quota_snapshots": {"chat": {"unlimited": True}, "premium_interactions": premium},
    }
    return parse_quota(document)


def history(per_day: float, until: datetime = AT) -> list[QuotaReading]:
    """A reading every hour of a month in which so much was used every day."""
    hours = range(int((until - MARCH) / HOUR))
    readings = [quota(per_day * hour / 24).readings(MARCH + hour * HOUR) for hour in hours]
    return [reading for each in readings for reading in each if reading.name == "premium_interactions"]


class Kept:
    """Readings and a ledger in memory, that can be away."""

    def __init__(self, readings: Sequence[QuotaReading] = (), *, per_day: float = 0.0) -> None:
        self.readings = readings
        self.per_day = per_day
        self.asked: list[tuple[datetime, datetime]] = []
        self.threads: set[str] = set()
        self.failure: Exception | None = None

    def record(self, readings: Sequence[QuotaReading]) -> int:
        raise NotImplementedError

    def forget(self, before: datetime) -> None:
        raise NotImplementedError

    def list_readings(self, name: str, since: datetime, until: datetime) -> list[QuotaReading]:
        if self.failure is not None:
            raise self.failure
        return [each for each in self.readings if each.name == name and since <= each.at <= until]

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> tuple[int, float, int, int]:
        assert key_id is None
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        self.asked.append((since, until))
        credit = self.per_day * ((until - since) / DAY)
        return (int(credit * 1e9), credit / 100, 12345, 678)


# The report -------------------------------------------------------------------------------------------------------


def test_with_a_history_and_a_ledger_everything_is_told() -> None:
    kept = Kept(history(10.0), per_day=8.0)
    report = report_account(quota(205.0), AT, kept, kept)
    assert report.is_complete
    assert report.pace is not None
    assert report.pace.used == 205
    assert report.forecast is not None
    assert report.forecast.days == 14
    assert report.forecast.likely == AT + 9.5 * DAY
    assert report.unattributed is not None
    movement = report.unattributed.movement
    assert (movement.since, movement.until, movement.moved, movement.covered_share) == (MARCH, AT, 205, 1)
    assert report.unattributed.through_here == pytest.approx(8 * 20.5)
    assert report.unattributed.amount == pytest.approx(205 - 8 * 20.5)
    assert report.readings[-1].at == AT, "the reading of now is the last"
    assert kept.asked == [(MARCH, AT)]


def test_without_either_there_is_the_pace() -> None:
    report = report_account(quota(), AT, None, None)
    assert report.pace is not None
    assert report.pace.projected_use == pytest.approx(210 / 20.5 * 31)
    assert report.forecast is not None
    assert report.forecast.reason is Reason.TOO_LITTLE_HISTORY
    assert (report.unattributed, report.is_complete) == (None, True)


def test_one_reading_and_a_ledger_tell_of_the_whole_window() -> None:
    kept = Kept(per_day=10.0)
    report = report_account(quota(210.0), AT, kept, kept)
    assert report.unattributed is not None
    assert report.unattributed.difference == pytest.approx(5.0)


def test_in_premium_requests_the_ledger_s_premium_requests_count() -> None:
    kept = Kept(per_day=100.0)
    report = report_account(quota(30.0, is_token_based=False), AT, kept, kept)
    assert report.unattributed is not None
    assert report.unattributed.through_here == pytest.approx(20.5)


def test_what_the_ledger_knows_of_times_that_no_reading_covers_is_left_out() -> None:
    february = [reading for reading in history(10.0) if reading.at < MARCH + 10 * DAY]
    readings = [QuotaReading("premium_interactions", each.at - 28 * DAY, 300.0, each.used, is_token_based=True, resets_at=MARCH) for each in february]  # fmt: skip
    kept = Kept(readings, per_day=10.0)
    early = MARCH + 2 * DAY
    report = report_account(quota(20.0), early, kept, kept)
    assert kept.asked == [(MARCH, early)]
    assert report.unattributed is not None
    assert report.unattributed.difference == pytest.approx(0)


def test_a_database_that_is_away_makes_it_a_poorer_report() -> None:
    kept = Kept(history(10.0), per_day=8.0)
    kept.failure = StorageUnavailable("locked")
    report = report_account(quota(), AT, kept, kept)
    assert not report.is_complete
    assert report.pace is not None
    assert (report.unattributed, len(report.readings)) == (None, 1)


PLANS: dict[str, Any] = {name: each for name, each in load_document("user.json").items() if "login" in each}


@pytest.mark.parametrize(
    ("plan", "charged", "unit", "reason", "has_pace"),
    [
        ("pro", "premium_interactions", "premium_requests", Reason.TOO_LITTLE_HISTORY, True),
        ("pro_exhausted", "premium_interactions", "premium_requests", Reason.EXHAUSTED, True),
        ("pro_plus_overage", "premium_interactions", "premium_requests", Reason.EXHAUSTED, True),
        ("business", "premium_interactions", "premium_requests", Reason.TOO_LITTLE_HISTORY, True),
        ("enterprise_token_based", "premium_interactions", "credits", Reason.UNLIMITED, False),
        ("free_legacy", "chat", None, Reason.TOO_LITTLE_HISTORY, True),
        ("free_token_based", "chat", "credits", Reason.TOO_LITTLE_HISTORY, True),
    ],
)
def test_every_plan_has_its_report(plan: str, charged: str, unit: str | None, reason: Reason, has_pace: bool) -> None:
    kept, at = Kept(per_day=1.0), datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    report = report_account(parse_quota(PLANS[plan]), at, kept, kept)
    document = json.loads(json.dumps(render_account(report, 0.0)))
    assert (document["charged_to"], document["unit"]) == (charged, unit)
    assert document["forecast"]["reason"] == reason
    assert (document["pace"] is not None) == has_pace
    assert (document["unattributed"] is not None) == (has_pace and unit is not None)


def test_use_beyond_the_entitlement_is_part_of_the_pace() -> None:
    report = report_account(parse_quota(PLANS["pro_plus_overage"]), datetime(2026, 3, 10, tzinfo=UTC), None, None)
    assert report.pace is not None
    assert report.pace.used == 1542


@pytest.mark.parametrize("document", [{}, {"quota_snapshots": {"completions": {"entitlement": 4000}}}])
def test_an_account_without_the_allowance_has_no_outlook(document: dict[str, Any]) -> None:
    kept = Kept()
    report = report_account(parse_quota(document), AT, kept, kept)
    rendered = render_account(report, 0.0)
    assert [rendered[name] for name in ("charged_to", "unit", "pace", "forecast", "unattributed")] == [None] * 5
    assert kept.asked == []


# One report for each reading --------------------------------------------------------------------------------------


def test_a_reading_is_reported_on_once_and_in_a_thread() -> None:
    kept = Kept(history(10.0), per_day=8.0)

    async def test() -> None:
        reports = AccountReports(kept, kept)
        reading = AccountReading(quota(), AT, 1.0)
        first, *others = await asyncio.gather(*[reports.get(reading) for _ in range(10)])
        assert all(other is first for other in others)
        assert len(kept.asked) == 1
        assert await reports.get(AccountReading(quota(211.0), AT + HOUR, 2.0)) is not first
        assert len(kept.asked) == 2

    asyncio.run(test())
    assert threading.main_thread().name not in kept.threads


def test_a_report_without_the_database_is_made_again() -> None:
    kept = Kept(history(10.0), per_day=8.0)

    async def test() -> None:
        reports, reading = AccountReports(kept, kept), AccountReading(quota(), AT, 1.0)
        kept.failure = StorageUnavailable("locked")
        assert (await reports.get(reading)).unattributed is None
        kept.failure = None
        assert (await reports.get(reading)).unattributed is not None

    asyncio.run(test())


# As JSON ----------------------------------------------------------------------------------------------------------


def test_a_report_is_json() -> None:
    kept = Kept(history(10.0), per_day=8.0)
    document = json.loads(json.dumps(render_account(report_account(quota(205.0), AT, kept, kept), 12.345)))
    assert document["read_at"] == "2026-03-21T12:00:00+00:00"
    assert document["age_seconds"] == 12.3
    assert [each["name"] for each in document["snapshots"]] == ["chat", "premium_interactions"]
    premium = document["snapshots"][1]
    assert (premium["used"], premium["remaining"], premium["resets_at"]) == (205, 95, "2026-04-01T00:00:00+00:00")
    assert document["pace"] == {
        "since": "2026-03-01T00:00:00+00:00",
        "resets_at": "2026-04-01T00:00:00+00:00",
        "elapsed_share": 0.66129,
        "even_use": 198.387097,
        "used": 205.0,
        "projected_use": 310.0,
    }
    forecast = document["forecast"]
    assert (forecast["reason"], forecast["likely"], forecast["days"]) == (None, "2026-03-31T00:00:00+00:00", 14)
    assert forecast["use_at_reset"].keys() == {"low", "likely", "high"}
    assert document["unattributed"] == {
        "since": "2026-03-01T00:00:00+00:00",
        "until": "2026-03-21T12:00:00+00:00",
        "covered_share": 1.0,
        "moved": 205.0,
        "through_here": 164.0,
        "amount": 41.0,
        "share": 0.2,
        "difference": 41.0,
    }


def test_of_very_many_readings_so_many_are_listed_from_the_first_to_the_last() -> None:
    readings = history(10.0)
    listed = render_readings(readings)
    assert (len(readings), len(listed)) == (492, MOST_READINGS)
    assert listed[0]["at"] == "2026-03-01T00:00:00+00:00"
    assert listed[-1]["at"] == readings[-1].at.isoformat(timespec="seconds")
    assert len({each["at"] for each in listed}) == MOST_READINGS
    for few in (readings[:1], readings[:MOST_READINGS], []):
        assert len(render_readings(few)) == len(few)


def test_the_unit_is_one_that_the_ledger_counts_or_none() -> None:
    by_name = {each.name: each for each in quota(is_token_based=False).snapshots}
    assert unit_of(by_name["premium_interactions"]) == "premium_requests"
    assert unit_of(by_name["chat"]) is None
