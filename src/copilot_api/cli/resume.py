"""`copilot-api resume`: lets calls go to GitHub Copilot again after the account was flagged."""

import click

from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_json
from copilot_api.cli.stores import local_actor, open_stores
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from copilot_api.upstream.stops import lift_stop


@click.command("resume")
@option("--identity", default=DEFAULT_IDENTITY, show_default=True, help="Whose calls may go on.")
@json_option
def command(identity: str, as_json: bool) -> None:
    """
    Let calls go to GitHub Copilot again.

    The gateway stops by itself when GitHub says that the account is used in a way that it does not allow. Make sure
    first that the account is in order: going on as before may cost it. A running gateway follows within a second or
    two, with one call at a time to begin with.
    """
    with open_stores() as stores:
        stop = lift_stop(stores.stops, identity, local_actor())
    since = stop.at.isoformat(timespec="seconds") if stop is not None else None
    if as_json:
        reason = stop.reason if stop is not None else None
        print_json({"identity": identity, "was_stopped": stop is not None, "since": since, "reason": reason})
    elif stop is not None:
        click.echo(f"resumed: {identity}, which was stopped at {since}: {stop.reason}")
    else:
        click.echo(f"not stopped: {identity}", err=True)
