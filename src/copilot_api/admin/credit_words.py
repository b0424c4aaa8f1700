"""The account's allowance in words and lengths: for the meter on the overview and the page of the identity. Pure."""

from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.figures import exact, percent
from copilot_api.admin.moments import relative_time
from copilot_api.usage.credit_reports import CREDITS, AccountReport, unit_of
from copilot_api.usage.forecast import Forecast, Reason

_UNITS = {CREDITS: "credits"}


@dataclass(frozen=True, slots=True)
class AccountWords:
    """See the module."""

    login: str
    plan: str
    unit: str
    used: float | None
    limit: float | None
    """None where there is no end to it, or it is not known."""
    text: str
    """`1,480 of 4,000 credits`."""
    pace: float | None
    """What an even use would be by now."""
    low: float | None
    high: float | None
    """The band in which the use will be at the reset."""
    pace_text: str
    forecast_text: str
    tone: str | None
    """None: as full as it is."""
    resets_at: datetime | None
    elsewhere: str
    """What did not go through here; empty where nothing is known of it, or it is nothing."""


def describe_account(report: AccountReport, now: datetime) -> AccountWords | None:
    """The allowance that calls draw on; None where GitHub names none."""
    charged = report.quota.charged
    if charged is None:
        return None
    unit = _UNITS.get(unit_of(charged) or "", "premium requests")
    consumed = charged.consumed
    limit = None if charged.is_unlimited or not charged.entitlement else charged.entitlement
    band = report.forecast.use_at_reset if report.forecast is not None else None
    return AccountWords(
        login=report.quota.login,
        plan=report.quota.plan,
        unit=unit,
        used=consumed,
        limit=limit,
        text=_describe_use(consumed, limit, unit, is_unlimited=charged.is_unlimited),
        pace=report.pace.even_use if report.pace is not None else None,
        low=band.low if band is not None else None,
        high=band.high if band is not None else None,
        pace_text=_describe_pace(report),
        forecast_text="" if report.forecast is None else _describe_forecast(report.forecast, limit, unit, now),
        tone=_tone(report.forecast),
        resets_at=charged.resets_at,
        elsewhere=_describe_elsewhere(report, unit),
    )


def _describe_use(used: float | None, limit: float | None, unit: str, *, is_unlimited: bool) -> str:
    if is_unlimited:
        return "unlimited"
    if used is None:
        return "not reported"
    return f"{exact(used, 0)} {unit}" if limit is None else f"{exact(used, 0)} of {exact(limit, 0)} {unit}"


def _describe_pace(report: AccountReport) -> str:
    pace = report.pace
    if pace is None or not pace.even_use:
        return ""
    away = pace.used / pace.even_use - 1
    elapsed = f"{percent(pace.elapsed_share)} of the window is over"
    if abs(away) < 0.05:
        return f"On an even pace; {elapsed}."
    return f"{percent(abs(away))} {'ahead of' if away > 0 else 'behind'} an even pace; {elapsed}."


_REASONS = {
    Reason.UNLIMITED: "There is no end to it.",
    Reason.NOT_REPORTED: "GitHub does not say how much is left.",
    Reason.NOTHING_INCLUDED: "The plan includes none.",
    Reason.EXHAUSTED: "It is used up.",
    Reason.TOO_LITTLE_HISTORY: "A forecast needs three whole days of readings.",
}


def _describe_forecast(found: Forecast, limit: float | None, unit: str, now: datetime) -> str:
    if found.reason is Reason.NOT_BEFORE_RESET:
        band = found.use_at_reset
        if band is None or limit is None:
            return "It will last until the reset."
        early = "" if found.earliest is None else f", used up {relative_time(found.earliest, now)} at the earliest"
        return f"It will last: {exact(band.low, 0)} to {exact(band.high, 0)} {unit} at the reset{early}."
    if found.reason is not None:
        return _REASONS[found.reason]
    if found.likely is None:
        return ""
    return f"Used up {relative_time(found.likely, now)}, before the reset, if days go on as they were."


def _tone(found: Forecast | None) -> str | None:
    if found is None:
        return None
    if found.reason is Reason.EXHAUSTED:
        return "bad"
    return "warn" if found.likely is not None else None


def _describe_elsewhere(report: AccountReport, unit: str) -> str:
    found = report.unattributed
    if found is None or found.amount < 1:
        return ""
    return f"{exact(found.amount, 0)} {unit} ({percent(found.share)}) did not go through here."
