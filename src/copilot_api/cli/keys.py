"""`copilot-api keys`: issue, list, show, change, rotate and revoke API keys."""

from datetime import datetime, timedelta
from typing import Any

import click
from msgspec import UNSET

from copilot_api.cli.key_policy import KeyFlags, policy_options, resolve_time
from copilot_api.cli.key_views import COLUMNS, render_fields, render_row
from copilot_api.cli.options import DURATION, json_option, option
from copilot_api.cli.output import print_fields, print_json, print_table
from copilot_api.cli.stores import Stores, local_actor, open_stores
from copilot_api.config.environment import environment
from copilot_api.config.loader import load_config
from copilot_api.config.paths import DataDirectory
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.documents import render_key
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import IssuedKey

_KEY_ARGUMENT = click.argument("key", metavar="KEY")
_KEY_HELP = "KEY is an id or, where only one key has it, a label or a visible prefix."


@click.group("keys", epilog="Changes are in force on the next call, in a running gateway too.")
def command() -> None:
    """Issue, list, change, rotate and revoke API keys."""


@command.command("create")
@option("--label", required=True, help="What the key is called: its holder, or what it is for.")
@option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier]),
    default=Tier.CLIENT.value,
    show_default=True,
    help="client may call models; admin also sees the account (GET /usage, GET /token).",
)
@policy_options(is_update=False)
@json_option
def create(*, label: str, tier: str, as_json: bool, **given: Any) -> None:
    """Issue a key. It is shown this once: only a hash of it is kept."""
    flags = KeyFlags(**given)
    with open_stores() as stores:
        now = stores.clock.now()
        issued = stores.keys.issue(
            label,
            tier=Tier(tier),
            policy=flags.edit(KeyPolicy()),
            not_before=resolve_time(flags.not_before, now),
            expires_at=resolve_time(flags.expires, now),
            actor=local_actor(),
        )
        print_issued(issued, stores.clock.now(), as_json=as_json)


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all keys, oldest first."""
    with open_stores() as stores:
        keys, now = stores.keys.list_keys(), stores.clock.now()
    if as_json:
        print_json([render_key(key, now) for key in keys])
    elif not keys:
        click.echo("no keys yet: 'copilot-api keys create --label NAME' issues one", err=True)
    else:
        print_table(COLUMNS, [render_row(key, now) for key in keys])


@command.command("show", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@json_option
def show(key: str, as_json: bool) -> None:
    """Show one key: everything but its secret, which nobody has but its holder."""
    with open_stores() as stores:
        found, now = stores.keys.get(key), stores.clock.now()
    _print_key(found, now, as_json=as_json)


@command.command("update", epilog=f"{_KEY_HELP} Where 'none' can be given, it takes away what was set.")
@_KEY_ARGUMENT
@option("--label", help="What the key is called from now on.")
@policy_options(is_update=True)
@json_option
def update(*, key: str, label: str | None, as_json: bool, **given: Any) -> None:
    """Change what a key may do. What no flag names stays as it is, and so does the key's secret."""
    flags = KeyFlags(**given)
    if label is None and flags == KeyFlags():
        raise click.UsageError("nothing to change was given")
    with open_stores() as stores:
        now = stores.clock.now()
        updated = stores.keys.update(
            stores.keys.get(key).id,
            label=label,
            policy=flags.edit,
            not_before=UNSET if flags.not_before is None else resolve_time(flags.not_before, now),
            expires_at=UNSET if flags.expires is None else resolve_time(flags.expires, now),
            actor=local_actor(),
        )
        _print_key(updated, stores.clock.now(), as_json=as_json)
        _warn_locked_out(stores, updated)


@command.command("rotate", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@option("--overlap", type=DURATION, default="0s", show_default=True, help="How long the old secret works on.")
@json_option
def rotate(key: str, overlap: timedelta, as_json: bool) -> None:
    """Give a key a new secret; its id, its label and what it may do stay."""
    with open_stores() as stores:
        found = stores.keys.get(key)
        issued = stores.keys.rotate(found.id, overlap_seconds=overlap.total_seconds(), actor=local_actor())
        print_issued(issued, stores.clock.now(), as_json=as_json)


@command.command("revoke", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@json_option
def revoke(key: str, as_json: bool) -> None:
    """End a key, for good and at once."""
    with open_stores() as stores:
        revoked = stores.keys.revoke(stores.keys.get(key).id, actor=local_actor())
        if as_json:
            print_json(render_key(revoked, stores.clock.now()))
        else:
            click.echo(f"revoked: {revoked.id} ({revoked.label})")
        _warn_locked_out(stores, revoked)


@command.command("debug", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@option("--reason", help="Why; the key's holder and the audit log are told.")
@option("--for", "duration", type=DURATION, help="How long from now on, at most 24h; again for longer.")
@option("--off", is_flag=True, help="Capture no further calls.")
@json_option
def debug(*, key: str, reason: str | None, duration: timedelta | None, off: bool, as_json: bool) -> None:
    """
    Have a key's calls captured for a while: what they say, both ways, redacted.

    The holder is told: by a header of each answer, and by GET /usage. 'copilot-api traces' shows what was captured.
    """
    if off and (reason is not None or duration is not None):
        raise click.UsageError("--off takes neither --reason nor --for")
    if not off and (reason is None or duration is None):
        raise click.UsageError("give --reason and --for, or --off")
    with open_stores() as stores:
        found = stores.keys.get(key)
        if reason is None or duration is None:
            changed = stores.keys.stop_capture(found.id, actor=local_actor())
        else:
            if not load_config(DataDirectory.locate(environment()).config).features.debug:
                raise CaptureForbidden("captures are switched off on this gateway")
            seconds = duration.total_seconds()
            changed = stores.keys.start_capture(found.id, reason, seconds, actor=local_actor())
        _print_key(changed, stores.clock.now(), as_json=as_json)


def print_issued(issued: IssuedKey, now: datetime, *, as_json: bool) -> None:
    """Print a key with its secret, this once."""
    if as_json:
        print_json({"id": issued.key.id, "key": issued.secret, **render_key(issued.key, now)})
        return
    print_fields({"key": issued.secret, **render_fields(issued.key, now)})
    click.echo("\nKeep the key now: it is not shown again. Programs send it as 'Authorization: Bearer <key>'")
    click.echo("or as 'x-api-key: <key>'; most tools take it from OPENAI_API_KEY.")


def _print_key(key: ApiKey, now: datetime, *, as_json: bool) -> None:
    if as_json:
        print_json(render_key(key, now))
    else:
        print_fields(render_fields(key, now))


def _warn_locked_out(stores: Stores, changed: ApiKey) -> None:
    if changed.tier is Tier.ADMIN and not stores.keys.has_admin_key():
        click.echo("hint: that was the last admin key; 'copilot-api admin recover' makes a new one", err=True)
