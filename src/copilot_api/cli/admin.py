"""`copilot-api admin`: for the operator who has lost the way in."""

import click

from copilot_api.cli.keys import print_issued
from copilot_api.cli.options import json_option, option
from copilot_api.cli.stores import local_actor, open_stores


@click.group("admin")
def command() -> None:
    """Get back in after a lock-out."""


@command.command("recover")
@option("--force", is_flag=True, help="Revoke all other admin keys.")
@json_option
def recover(force: bool, as_json: bool) -> None:
    """Make a fresh admin key. Who may write the data directory has proven enough."""
    with open_stores() as stores:
        issued, revoked = stores.keys.recover(force=force, actor=local_actor())
        print_issued(issued, stores.clock.now(), as_json=as_json)
    if force:
        click.echo(f"revoked admin keys: {', '.join(revoked) or 'none'}", err=True)
