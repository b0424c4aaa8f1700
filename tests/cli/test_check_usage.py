"""`check-usage`: what is left of the account's Copilot allowance."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from copilot_api.cli.check_usage import render_outlook, render_snapshot
from copilot_api.clock import SystemClock
from copilot_api.upstream.quotas import QuotaReading, parse_quota
from copilot_api.usage.credit_reports import AccountReport, report_account
from copilot_api.usage.credits import window_start
from copilot_api.usage.forecast import Band, Forecast, Reason
from copilot_api.usage.models import Cause, UsageEvent
from tests.cli.conftest import Cli
from tests.harness import Simulator
from tests.stored import Stored

TOKEN = "ghu_sim_ada_0000000000000000000000000000"


@pytest.fixture
def github(simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator stands for GitHub, and somebody is logged in."""
    for name in ("GITHUB_URL", "GITHUB_API_URL", "UPSTREAM_URL"):
        monkeypatch.setenv(f"COPILOT_API_{name}", simulator.url)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    home.mkdir(mode=0o700)
    (home / "github_token").write_text(TOKEN)
    simulator.reset()
    yield simulator
    simulator.reset()


def premium(cli: Cli) -> dict[str, Any]:
    """The allowance of premium interactions, as `--json` has it."""
    document = json.loads(cli("check-usage", "--json").out)
    return dict(next(entry for entry in document["snapshots"] if entry["name"] == "premium_interactions"))


def premium_line(cli: Cli) -> str:
    """The same as people see it."""
    return next(line for line in cli("check-usage").out.splitlines() if line.startswith("premium_interactions"))


def test_it_shows_the_account_and_its_allowances(cli: Cli, github: Simulator) -> None:
    ended = cli("check-usage")
    assert (ended.code, ended.err) == (0, "")
    assert "account  ada" in ended.out
    assert "plan     " in ended.out
    assert "resets   20" in ended.out
    assert "29 of 300 used (10%)" in premium_line(cli)
    assert "unlimited" in ended.out
    assert TOKEN not in ended.out


def test_json_is_for_scripts(cli: Cli, github: Simulator) -> None:
    ended = cli("check-usage", "--json")
    document = json.loads(ended.out)
    assert document["login"] == "ada"
    assert document["plan"]
    names = [entry["name"] for entry in document["snapshots"]]
    assert {"premium_interactions", "chat", "completions"} <= set(names)
    assert (premium(cli)["entitlement"], premium(cli)["remaining"]) == (300, 271)
    assert TOKEN not in ended.out


@pytest.mark.parametrize(
    ("used", "bar", "says"),
    [
        (0, 0, "0 of 300 used (0%)"),
        (150, 15, "150 of 300 used (50%)"),
        (300, 30, "300 of 300 used (100%)"),
        (0.33, 0, "0.33 of 300 used (0%)"),
        (450, 30, "150 beyond"),
    ],
)
def test_the_bar_is_as_long_as_what_is_used(cli: Cli, github: Simulator, used: float, bar: int, says: str) -> None:
    github.post("/_sim/quota", {"used": used, "overage_permitted": True})
    line = premium_line(cli)
    assert line.count("█") == bar
    assert line.count("█") + line.count("░") == 30
    assert says in line


def test_calls_move_it(cli: Cli, github: Simulator) -> None:
    before = premium(cli)["remaining"]
    github.post("/_sim/quota", {"used": 30})
    assert premium(cli)["remaining"] == before - 1


def test_it_asks_for_a_given_token_instead(cli: Cli, github: Simulator) -> None:
    document = json.loads(cli("check-usage", "--json", "-g", "gho_sim_grace_0000000000000000000000000").out)
    assert document["login"] == "grace"


def test_without_a_credential_it_says_what_to_do(cli: Cli, github: Simulator, home: Path) -> None:
    (home / "github_token").unlink()
    ended = cli("check-usage")
    assert (ended.code, ended.out) == (1, "")
    assert "hint: run 'copilot-api auth login'" in ended.err


def test_a_token_that_is_not_accepted_says_why(cli: Cli, github: Simulator) -> None:
    fault = {"name": "token_401_bad_github_token", "endpoint": "/copilot_internal/user"}
    github.post("/_sim/faults", fault)
    ended = cli("check-usage")
    assert (ended.code, ended.out) == (1, "")
    assert "Bad credentials" in ended.err


def test_a_github_that_fails_says_so(cli: Cli, github: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_API_GITHUB_API_URL", "http://127.0.0.1:9")
    ended = cli("check-usage", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "http://127.0.0.1:9" in ended.err


PLANS: dict[str, dict[str, Any]] = {
    name: document
    for name, document in json.loads(
        resources.files("copilot_api.simulator").joinpath("data", "user.json").read_bytes()
    ).items()
    if "login" in document
}


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_can_be_shown(plan: str) -> None:
    """GitHub's document is unversioned and has had several shapes."""
    quota = parse_quota(PLANS[plan])
    assert quota.plan != "unknown"
    shown = {snapshot.name: render_snapshot(snapshot) for snapshot in quota.snapshots}
    assert shown
    assert "not reported" not in shown.values()


def test_a_plan_that_bills_by_tokens_counts_credits() -> None:
    quota = parse_quota(PLANS["free_token_based"])
    assert any("credits used" in render_snapshot(snapshot) for snapshot in quota.snapshots)


def test_a_document_that_says_nothing_is_no_crash() -> None:
    assert parse_quota({}).snapshots == ()


@pytest.mark.parametrize("field", ["entitlement", "remaining"])
def test_what_is_not_reported_is_not_made_up(field: str) -> None:
    document = {"quota_snapshots": {"premium_interactions": {"entitlement": 300, "remaining": 10, "unlimited": False}}}
    del document["quota_snapshots"]["premium_interactions"][field]
    (snapshot,) = parse_quota(document).snapshots
    assert render_snapshot(snapshot) == "not reported"


# Pace, forecast, and what went elsewhere ----------------------------------------------------------------------------

DAY = timedelta(days=1)
PER_DAY = 100.0


def next_month(at: datetime) -> datetime:
    return (at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + 32 * DAY).replace(day=1)


@dataclass(frozen=True)
class Fortnight:
    """What the account is at: 100 a day, and half of what it needs until the reset is left. Three quarters came here."""

    used: float
    entitlement: int
    likely: datetime


@pytest.fixture
def fortnight(github: Simulator, gateway: Stored) -> Fortnight:
    """A gateway has read the quota every hour for two weeks and a bit, and has a ledger."""
    now = SystemClock().now()
    reset = next_month(now)
    began = window_start(reset)
    assert began is not None
    used = PER_DAY * ((now - began) / DAY)
    entitlement = math.ceil(used + PER_DAY * ((reset - now) / DAY) / 2)
    readings: list[QuotaReading] = []
    for hours in range(16 * 24, 0, -1):
        at = now - timedelta(hours=hours)
        ends = next_month(at)
        since = window_start(ends)
        assert since is not None
        readings.append(
            QuotaReading("premium_interactions", at, float(entitlement), PER_DAY * ((at - since) / DAY), resets_at=ends)
        )
    gateway.quotas.record(readings)
    event = UsageEvent(
        request_id="r",
        at=max(began, now - timedelta(minutes=1)).isoformat(),
        identity_id="default",
        cause=Cause.OK,
        premium_requests=used * 0.75,
    )
    gateway.usage.add_events([event])
    github.post("/_sim/quota", {"entitlement": entitlement, "used": used, "overage_permitted": False})
    return Fortnight(used, entitlement, now + (entitlement - used) / PER_DAY * DAY)


def test_with_the_history_of_a_gateway_it_says_when_it_will_be_used_up(cli: Cli, fortnight: Fortnight) -> None:
    document = json.loads(cli("check-usage", "--json").out)
    assert document["charged_to"] == "premium_interactions"
    assert document["pace"]["used"] == pytest.approx(fortnight.used, abs=0.01)
    forecast = document["forecast"]
    assert (forecast["reason"], forecast["days"], forecast["is_by_weekday"]) == (None, 14, True)
    assert abs(datetime.fromisoformat(forecast["likely"]) - fortnight.likely) < timedelta(minutes=10)
    assert document["unattributed"]["share"] == pytest.approx(0.25, abs=0.01)
    assert document["unattributed"]["covered_share"] == pytest.approx(1, abs=0.01)


def test_it_says_so_in_words_too(cli: Cli, fortnight: Fortnight) -> None:
    lines = cli("check-usage").out.splitlines()
    (pace,) = (line for line in lines if line.startswith("pace "))
    (forecast,) = (line for line in lines if line.startswith("forecast "))
    (elsewhere,) = (line for line in lines if line.startswith("elsewhere "))
    assert "premium requests used; evenly used it would be" in pace
    day = f"{fortnight.likely:%Y-%m-%d}"
    assert f"used up {day}" in forecast or f"{fortnight.likely + timedelta(minutes=10):%Y-%m-%d}" in forecast
    assert forecast.endswith("UTC); then calls are refused")
    assert "(25%) did not go through here" in elsewhere


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_token_of_somebody_else_has_no_history_here(cli: Cli, fortnight: Fortnight, flags: list[str]) -> None:
    out = cli("check-usage", "-g", "gho_sim_grace_0000000000000000000000000", *flags).out
    if flags:
        document = json.loads(out)
        assert (document["unattributed"], document["forecast"]["reason"]) == (None, "too_little_history")
        assert document["pace"] is not None
    else:
        assert "elsewhere" not in out
        assert "forecast  none: the use of 0 whole days is known, and it takes 3" in out


def test_without_a_database_it_works_and_makes_none(cli: Cli, github: Simulator, home: Path) -> None:
    ended = cli("check-usage")
    assert (ended.code, ended.err) == (0, "")
    assert "pace" in ended.out
    assert "elsewhere" not in ended.out
    assert [path.name for path in home.iterdir()] == ["github_token"]


def test_a_database_of_another_version_is_none(cli: Cli, fortnight: Fortnight, gateway: Stored) -> None:
    with gateway.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE quota_readings")
    ended = cli("check-usage")
    assert (ended.code, ended.err) == (0, "")
    assert "forecast  none" in ended.out


AT, RESET = datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def outlook(forecast: Forecast | None, **more: Any) -> dict[str, str]:
    """The lines for such a forecast."""
    fields = {"entitlement": 300, "remaining": 100, "token_based_billing": True, **more}
    quota = parse_quota({"quota_reset_date": "2026-04-01", "quota_snapshots": {"premium_interactions": fields}})
    report = report_account(quota, AT, None, None)
    assert quota.charged is not None
    shown = AccountReport(quota, AT, report.pace, forecast, None, (), is_complete=True)
    return dict(render_outlook(shown, quota.charged))


@pytest.mark.parametrize(
    ("forecast", "overage_permitted", "says"),
    [
        (
            Forecast(None, AT, AT + DAY, AT + 3 * DAY),
            False,
            "used up 2026-03-17 00:00 UTC (80%: 2026-03-16 00:00 to 2026-03-19 00:00 UTC); then calls are refused",
        ),
        (
            Forecast(None, AT, AT + DAY, None),
            True,
            "used up 2026-03-17 00:00 UTC (80%: 2026-03-16 00:00 to after the reset); then more is billed",
        ),
        (
            Forecast(Reason.NOT_BEFORE_RESET, use_at_reset=Band(210.0, 220.0, 1234.5)),
            False,
            "220 credits used by the reset (80%: 210 to 1,234)",
        ),
        (
            Forecast(Reason.NOT_BEFORE_RESET, AT + DAY, use_at_reset=Band(1.0, 2.25, 310.0)),
            False,
            "2.25 credits used by the reset (80%: 1 to 310), used up 2026-03-17 00:00 UTC at the earliest; then calls are refused",
        ),
        (Forecast(Reason.NOT_BEFORE_RESET), False, "not used up within 62 days"),
        (Forecast(Reason.EXHAUSTED), True, "used up; then more is billed"),
        (Forecast(Reason.TOO_LITTLE_HISTORY, days=2), True, "none: the use of 2 whole days is known, and it takes 3"),
        (Forecast(Reason.UNLIMITED), True, None),
        (Forecast(Reason.NOTHING_INCLUDED), True, None),
        (Forecast(Reason.NOT_REPORTED), True, None),
        (None, True, None),
    ],
)
def test_every_forecast_has_its_words(forecast: Forecast | None, overage_permitted: bool, says: str | None) -> None:
    assert outlook(forecast, overage_permitted=overage_permitted).get("forecast") == says


def test_the_pace_in_words() -> None:
    says = "200 credits used; evenly used it would be 145 by now; at this rate 413 by the reset"
    assert outlook(None) == {"pace": says}
    assert outlook(None, unlimited=True) == {}
