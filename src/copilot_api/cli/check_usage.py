"""`check-usage`: the account's Copilot quota and credits, how fast they go, and when they will be gone."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import click
from click.core import ParameterSource

from copilot_api.cli.auth import hosts_of, require_identity, upstream_settings
from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_fields, print_json
from copilot_api.cli.stores import find_database
from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.storage.quotas import SqlQuotaRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.github import GitHub, open_session
from copilot_api.upstream.quotas import AccountQuota, QuotaSnapshot, parse_quota
from copilot_api.usage.credit_reports import CREDITS, AccountReport, render_account, report_account, unit_of
from copilot_api.usage.credits import Pace, Unattributed
from copilot_api.usage.forecast import HORIZON, LEAST_DAYS, Forecast, Reason

_BAR = 30
_BUSY_SECONDS = 1.0


@click.command
@option(
    "--github-token",
    "-g",
    variables=["GH_TOKEN"],
    metavar="TOKEN",
    help="GitHub token to ask for instead of the stored one. Its history is not known here.",
)
@json_option
@click.pass_context
def command(context: click.Context, *, github_token: str | None, as_json: bool) -> None:
    """
    Show the Copilot quota and credits of the identity.

    With the history that a gateway keeps in the data directory, it also says when they will be used up, and how much of
    them did not go through that gateway.
    """
    directory = DataDirectory.locate(environment())
    directory.prepare()
    settings = upstream_settings(github_token)
    identity = require_identity(settings, directory)

    async def fetch() -> AccountQuota:
        async with open_session() as session:
            github = GitHub(session, hosts_of(settings))
            return parse_quota(await github.fetch_copilot_user(identity.github_token))

    is_ours = context.get_parameter_source("github_token") is not ParameterSource.COMMANDLINE
    quota, at = asyncio.run(fetch()), SystemClock().now()
    report = _report(quota, at, directory) if is_ours else report_account(quota, at, None, None)
    if as_json:
        print_json(render_account(report, 0.0))
    else:
        _print_report(report)


def _report(quota: AccountQuota, at: datetime, directory: DataDirectory) -> AccountReport:
    """With what a gateway has kept; one that runs is not disturbed."""
    database = find_database(directory, busy_seconds=_BUSY_SECONDS)
    if database is None:
        return report_account(quota, at, None, None)
    try:
        return report_account(quota, at, SqlQuotaRepository(database), SqlUsageRepository(database))
    finally:
        database.close()


def _print_report(report: AccountReport) -> None:
    quota, charged = report.quota, report.quota.charged
    click.echo(f"account  {quota.login}\nplan     {quota.plan}")
    if quota.resets_on:
        click.echo(f"resets   {quota.resets_on}")
    click.echo()
    width = max((len(snapshot.name) for snapshot in quota.snapshots), default=0)
    for snapshot in quota.snapshots:
        click.echo(f"{snapshot.name:<{width}}  {render_snapshot(snapshot)}")
    lines = {} if charged is None else dict(render_outlook(report, charged))
    if lines:
        click.echo()
        print_fields(lines)


def render_snapshot(snapshot: QuotaSnapshot) -> str:
    """One allowance as a bar of what is used."""
    if snapshot.is_unlimited:
        return "unlimited"
    used, entitlement = snapshot.used, snapshot.entitlement
    if entitlement == 0:
        return "none included"
    if used is None or entitlement is None:
        return "not reported"
    share = min(1.0, max(0.0, used / entitlement))
    bar = "█" * round(share * _BAR)
    unit = " credits" if snapshot.is_token_based else ""
    text = f"{bar:░<{_BAR}}  {used:g} of {entitlement:g}{unit} used ({share:.0%})"
    if snapshot.overage_count:
        text += f", {snapshot.overage_count:g} beyond"
    return text


def render_outlook(report: AccountReport, charged: QuotaSnapshot) -> Iterator[tuple[str, str]]:
    """What is to be expected of the allowance that calls draw on, a line each: a name and a sentence."""
    unit = {CREDITS: " credits", None: ""}.get(unit_of(charged), " premium requests")
    if report.pace is not None:
        yield "pace", _render_pace(report.pace, unit)
    if report.forecast is not None and (text := _render_forecast(report.forecast, unit)):
        is_beyond = report.forecast.earliest is not None or report.forecast.reason is Reason.EXHAUSTED
        after = "more is billed" if charged.overage_permitted else "calls are refused"
        yield "forecast", f"{text}; then {after}" if is_beyond else text
    if report.unattributed is not None:
        yield "elsewhere", _render_unattributed(report.unattributed, unit)


def _render_pace(pace: Pace, unit: str) -> str:
    text = f"{_amount(pace.used)}{unit} used; evenly used it would be {_amount(pace.even_use)} by now"
    if pace.projected_use is not None:
        text += f"; at this rate {_amount(pace.projected_use)} by the reset"
    return text


def _render_forecast(found: Forecast, unit: str) -> str | None:
    if found.reason is None:
        latest = "after the reset" if found.latest is None else f"{_render_time(found.latest)} UTC"
        return f"used up {_render_time(found.likely)} UTC (80%: {_render_time(found.earliest)} to {latest})"
    if found.reason is Reason.EXHAUSTED:
        return "used up"
    if found.reason is Reason.TOO_LITTLE_HISTORY:
        return f"none: the use of {found.days} whole days is known, and it takes {LEAST_DAYS}"
    if found.reason is not Reason.NOT_BEFORE_RESET:
        return None  # there is nothing to be used up, and the bar says so
    band = found.use_at_reset
    if band is None:
        text = f"not used up within {HORIZON.days} days"
    else:
        low, likely, high = map(_amount, band)
        text = f"{likely}{unit} used by the reset (80%: {low} to {high})"
    return text if found.earliest is None else f"{text}, used up {_render_time(found.earliest)} UTC at the earliest"


def _render_unattributed(found: Unattributed, unit: str) -> str:
    amount, moved, since = _amount(found.amount), _amount(found.movement.moved), found.movement.since.date()
    text = f"{amount} of {moved}{unit} since {since} ({found.share:.0%}) did not go through here"
    share = found.movement.covered_share
    return text if share > 0.99 else f"{text}, as far as is known of {share:.0%} of the time"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _render_time(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M")
