"""`check-usage`: the account's Copilot quota and credits."""

import asyncio
from dataclasses import asdict

import click

from copilot_api.cli.auth import hosts_of, require_identity, upstream_settings
from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.upstream.github import GitHub, open_session
from copilot_api.upstream.quotas import AccountQuota, QuotaSnapshot, parse_quota

_BAR = 30


@click.command
@option(
    "--github-token",
    "-g",
    variables=["GH_TOKEN"],
    metavar="TOKEN",
    help="GitHub token to ask for instead of the stored one.",
)
@json_option
def command(*, github_token: str | None, as_json: bool) -> None:
    """Show the Copilot quota and credits of the identity."""
    directory = DataDirectory.locate(environment())
    directory.prepare()
    settings = upstream_settings(github_token)
    identity = require_identity(settings, directory)

    async def fetch() -> AccountQuota:
        async with open_session() as session:
            github = GitHub(session, hosts_of(settings))
            return parse_quota(await github.fetch_copilot_user(identity.github_token))

    quota = asyncio.run(fetch())
    if as_json:
        print_json(asdict(quota))
        return
    click.echo(f"account  {quota.login}\nplan     {quota.plan}")
    if quota.resets_on:
        click.echo(f"resets   {quota.resets_on}")
    click.echo()
    width = max((len(snapshot.name) for snapshot in quota.snapshots), default=0)
    for snapshot in quota.snapshots:
        click.echo(f"{snapshot.name:<{width}}  {render_snapshot(snapshot)}")


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
