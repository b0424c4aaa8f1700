"""`copilot-api keys`: issue, list, show, rotate and revoke API keys."""

from datetime import datetime, timedelta

import click

from copilot_api.cli.options import DURATION, NAMES, json_option, option
from copilot_api.cli.output import print_json, print_table
from copilot_api.cli.stores import local_actor, open_stores
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import IssuedKey

_KEY_ARGUMENT = click.argument("key", metavar="KEY")
_KEY_HELP = "KEY is an id or, where only one key has it, a label or a visible prefix."


@click.group("keys", epilog="Changes are in force on the next call, in a running gateway too.")
def command() -> None:
    """Issue, list, rotate and revoke API keys."""


@command.command("create")
@option("--label", required=True, help="What the key is called: its holder, or what it is for.")
@option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier]),
    default=Tier.CLIENT.value,
    show_default=True,
    help="client may call models; admin also sees the account (GET /usage, GET /token).",
)
@option("--models", type=NAMES, default="*", show_default=True, help="The models it may use, as clients call them.")
@option("--expires", type=DURATION, help="How long it is valid, such as 30d.  [default: for ever]")
@json_option
def create(label: str, tier: str, models: tuple[str, ...], expires: timedelta | None, as_json: bool) -> None:
    """Issue a key. It is shown this once: only a hash of it is kept."""
    with open_stores() as stores:
        issued = stores.keys.issue(
            label,
            tier=Tier(tier),
            policy=KeyPolicy(models=models),
            expires_at=stores.clock.now() + expires if expires is not None else None,
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
        columns = ("id", "label", "tier", "prefix", "status", "models", "created", "expires", "last used")
        print_table(columns, [_row(key, now) for key in keys])


@command.command("show", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@json_option
def show(key: str, as_json: bool) -> None:
    """Show one key: everything but its secret, which nobody has but its holder."""
    with open_stores() as stores:
        found, now = stores.keys.get(key), stores.clock.now()
    if as_json:
        print_json(render_key(found, now))
    else:
        _print_fields(found, now)


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
        is_locked_out = revoked.tier is Tier.ADMIN and not stores.keys.has_admin_key()
        now = stores.clock.now()
    if as_json:
        print_json(render_key(revoked, now))
    else:
        click.echo(f"revoked: {revoked.id} ({revoked.label})")
    if is_locked_out:
        click.echo("hint: that was the last admin key; 'copilot-api admin recover' makes a new one", err=True)


def print_issued(issued: IssuedKey, now: datetime, *, as_json: bool) -> None:
    """Print a key with its secret, this once."""
    if as_json:
        print_json({"id": issued.key.id, "key": issued.secret, **render_key(issued.key, now)})
        return
    click.echo(f"{'key':<12}{issued.secret}")
    _print_fields(issued.key, now)
    click.echo("\nKeep the key now: it is not shown again. Programs send it as 'Authorization: Bearer <key>'")
    click.echo("or as 'x-api-key: <key>'; most tools take it from OPENAI_API_KEY.")


def render_key(key: ApiKey, now: datetime) -> dict[str, str | list[str] | None]:
    """A key as JSON, without a secret."""
    return {
        "id": key.id,
        "label": key.label,
        "tier": key.tier.value,
        "prefix": key.prefix,
        "status": _status(key, now),
        "models": list(key.policy.models),
        "created_at": key.created_at.isoformat(),
        "not_before": _time(key.not_before),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
    }


def _print_fields(key: ApiKey, now: datetime) -> None:
    for name, value in render_key(key, now).items():
        if value is not None:
            shown = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"{name.removesuffix('_at').replace('_', ' '):<12}{shown}")


def _row(key: ApiKey, now: datetime) -> tuple[str | None, ...]:
    models = "all" if "*" in key.policy.models else ",".join(key.policy.models)
    times = (key.created_at, key.expires_at, key.last_used_at)
    return (key.id, key.label, key.tier, key.prefix, _status(key, now), models, *map(_day, times))


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "valid" if key.is_valid_at(now) else "not yet valid"


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _day(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"
