"""
What people and programs are told of the account's quota: how it stands, its pace, its forecast, and what of it did not
go through here.

All of it is about one allowance, the one that calls through the gateway draw on, and as of the reading: a report of an
old reading is an old report, and says so.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from copilot_api.errors import StorageUnavailable
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.upstream.quota_keeper import AccountReading, QuotaRepository
from copilot_api.upstream.quotas import PREMIUM, AccountQuota, QuotaReading, QuotaSnapshot
from copilot_api.usage.credits import (
    Pace,
    Stretch,
    Unattributed,
    find_stretches,
    measure_days,
    measure_movement,
    measure_pace,
    window_start,
)
from copilot_api.usage.forecast import SAMPLED_DAYS, Band, Forecast, forecast

HISTORY = timedelta(days=SAMPLED_DAYS + 1)
"""How far back readings are looked at: the first of them tells of its window's begin, too."""
MOST_READINGS = 200
"""How many readings are listed."""

CREDITS, PREMIUM_REQUESTS = "credits", "premium_requests"


class Ledger(Protocol):
    """What of the ledger is asked here. Blocks; raises `StorageUnavailable`."""

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> tuple[int, float, int, int]:
        """
        What went upstream in [since, until), of one key or, with None, of all: nano-AIU, premium requests, and what is
        not looked at here.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The account's quota at a time, and what follows from it for the allowance that calls draw on."""

    quota: AccountQuota
    at: datetime
    pace: Pace | None
    forecast: Forecast | None
    """None where GitHub names no such allowance."""
    unattributed: Unattributed | None
    """None where nothing is known: without a ledger, without a limit, or in a unit that the ledger does not count."""
    readings: tuple[QuotaReading, ...]
    """How the allowance stood, up to now, the latest last."""
    is_complete: bool
    """False when the database could not be asked."""


class AccountReports:
    """The gateway's reports, one for each reading: whoever asks again gets the same."""

    def __init__(self, repository: QuotaRepository, ledger: Ledger) -> None:
        self._repository = repository
        self._ledger = ledger
        self._latest: tuple[AccountReading, AccountReport] | None = None
        self._is_reporting = asyncio.Lock()

    async def get(self, reading: AccountReading) -> AccountReport:
        """The report of a reading."""
        async with self._is_reporting:
            if self._latest is not None and self._latest[0] is reading:
                return self._latest[1]
            report = await asyncio.to_thread(report_account, reading.quota, reading.at, self._repository, self._ledger)
            if report.is_complete:
                self._latest = (reading, report)
            return report


def report_account(
    quota: AccountQuota, at: datetime, repository: QuotaRepository | None, ledger: Ledger | None
) -> AccountReport:
    """
    What follows from the account's quota as it was at that time, with the history and the ledger as far as they are
    there. Blocks; a database that cannot be asked makes the report a poorer one.
    """
    charged = quota.charged
    if charged is None:
        return AccountReport(quota, at, None, None, None, (), is_complete=True)
    readings = [reading for reading in quota.readings(at) if reading.name == charged.name]
    unattributed, is_complete = None, True
    try:
        if repository is not None:
            readings = [*repository.list_readings(charged.name, at - HISTORY, at), *readings]
        stretches = find_stretches(readings)
        if ledger is not None:
            unattributed = _attribute(ledger, charged, stretches, at)
    except StorageUnavailable:
        stretches, is_complete = find_stretches(readings), False
    return AccountReport(
        quota=quota,
        at=at,
        pace=measure_pace(charged.consumed, charged.entitlement, at, charged.resets_at),
        forecast=forecast(
            charged.consumed,
            charged.entitlement,
            at,
            charged.resets_at,
            measure_days(stretches, at, SAMPLED_DAYS),
            is_unlimited=charged.is_unlimited,
        ),
        unattributed=unattributed,
        readings=tuple(readings),
        is_complete=is_complete,
    )


def unit_of(snapshot: QuotaSnapshot) -> str | None:
    """What an allowance counts, where the ledger counts it too."""
    if snapshot.is_token_based:
        return CREDITS
    return PREMIUM_REQUESTS if snapshot.name == PREMIUM else None


def _attribute(
    ledger: Ledger, charged: QuotaSnapshot, stretches: Sequence[Stretch], at: datetime
) -> Unattributed | None:
    """What did not go through here since the window began, or of the time that is known where that is not."""
    unit = unit_of(charged)
    if unit is None or not stretches:
        return None
    since = window_start(charged.resets_at) or stretches[0].since
    movement = measure_movement(stretches, since, at)
    if not movement.covered:
        return None
    return Unattributed(movement, sum(_spent(ledger, unit, begin, end) for begin, end in movement.covered))


def _spent(ledger: Ledger, unit: str, since: datetime, until: datetime) -> float:
    nano_aiu, premium_requests, *_ = ledger.spent(None, since, until)
    return nano_aiu / NANO_PER_CREDIT if unit == CREDITS else premium_requests


# Rendering --------------------------------------------------------------------------------------------------------


def render_account(report: AccountReport, age_seconds: float) -> dict[str, Any]:
    """A report as JSON has it. Amounts are in the allowance's own unit."""
    quota, charged = report.quota, report.quota.charged
    return {
        "login": quota.login,
        "plan": quota.plan,
        "resets_on": quota.resets_on,
        "snapshots": [_render_snapshot(snapshot) for snapshot in quota.snapshots],
        "read_at": _render_time(report.at),
        "age_seconds": round(age_seconds, 1),
        "charged_to": charged.name if charged is not None else None,
        "unit": unit_of(charged) if charged is not None else None,
        "pace": _render_pace(report.pace),
        "forecast": _render_forecast(report.forecast),
        "unattributed": _render_unattributed(report.unattributed),
    }


def render_readings(readings: Sequence[QuotaReading]) -> list[dict[str, Any]]:
    """Readings as JSON has them; of very many, so many that are about evenly spread."""
    return [
        {
            "at": _render_time(reading.at),
            "entitlement": reading.entitlement,
            "used": _round(reading.used),
            "overage": _round(reading.overage),
            "resets_at": _render_time(reading.resets_at),
        }
        for reading in _thin(readings)
    ]


def _thin(readings: Sequence[QuotaReading]) -> Iterable[QuotaReading]:
    more = len(readings) - 1
    if more < MOST_READINGS:
        return readings
    return (readings[more * place // (MOST_READINGS - 1)] for place in range(MOST_READINGS))


def _render_snapshot(snapshot: QuotaSnapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "is_unlimited": snapshot.is_unlimited,
        "entitlement": snapshot.entitlement,
        "used": _round(snapshot.used),
        "remaining": snapshot.remaining,
        "percent_remaining": snapshot.percent_remaining,
        "overage_count": snapshot.overage_count,
        "overage_permitted": snapshot.overage_permitted,
        "is_token_based": snapshot.is_token_based,
        "resets_at": _render_time(snapshot.resets_at),
    }


def _render_pace(pace: Pace | None) -> dict[str, Any] | None:
    if pace is None:
        return None
    return {
        "since": _render_time(pace.since),
        "resets_at": _render_time(pace.resets_at),
        "elapsed_share": _round(pace.elapsed_share),
        "even_use": _round(pace.even_use),
        "used": _round(pace.used),
        "projected_use": _round(pace.projected_use),
    }


def _render_forecast(found: Forecast | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "reason": found.reason,
        "earliest": _render_time(found.earliest),
        "likely": _render_time(found.likely),
        "latest": _render_time(found.latest),
        "use_at_reset": _render_band(found.use_at_reset),
        "days": found.days,
        "is_by_weekday": found.is_by_weekday,
    }


def _render_band(band: Band | None) -> dict[str, Any] | None:
    return None if band is None else {name: _round(amount) for name, amount in band._asdict().items()}


def _render_unattributed(found: Unattributed | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "since": _render_time(found.movement.since),
        "until": _render_time(found.movement.until),
        "covered_share": _round(found.movement.covered_share),
        "moved": _round(found.movement.moved),
        "through_here": _round(found.through_here),
        "amount": _round(found.amount),
        "share": _round(found.share),
        "difference": _round(found.difference),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _render_time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
