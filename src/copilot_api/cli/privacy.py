"""`copilot-api privacy`: hands over, or erases, all that is stored about one key."""

import sys
from pathlib import Path

import click
import msgspec

from copilot_api.cli.options import json_option, option
from copilot_api.cli.output import print_fields, print_json
from copilot_api.cli.privacy_tools import make_privacy_tools
from copilot_api.cli.privacy_views import render_export, render_preview, render_receipt
from copilot_api.cli.stores import local_actor, open_stores
from copilot_api.config.paths import write_private
from copilot_api.errors import BadRequest
from copilot_api.keys.models import Tier
from copilot_api.privacy.erasing import Order, Preview
from copilot_api.privacy.exporting import name_archive
from copilot_api.privacy.models import EventsFate

_KEY_ARGUMENT = click.argument("key", metavar="KEY")
_KEY_HELP = "KEY is an id or, where only one key has it, a label or a visible prefix."


@click.group("privacy", epilog="What is stored where, and for how long: docs/privacy.md")
def command() -> None:
    """Hand over, or erase, all that is stored about one key."""


@command.command("export", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive to write; without it privacy-KEY-TIME.zip in this directory. Never overwritten.",
)
@json_option
def export(key: str, output: Path | None, as_json: bool) -> None:
    """
    Write everything that is stored about a key into one zip archive, for its holder.

    The key, its requests and their sums, what was captured of it, and what the audit log says about it; nothing about
    anybody else. The export is put on record first.
    """
    with open_stores() as stores:
        tools = make_privacy_tools(stores, tell=lambda _: None)
        subject = tools.subjects.get(key)
        path = output or Path(name_archive(subject.id, stores.clock.now()))
        exported = tools.exporter.export(subject, path, actor=local_actor())
    if as_json:
        print_json({"path": str(exported.path), "sha256": exported.sha256, **render_export(exported)})
        return
    fields = {each.name: f"{each.records:,}  {each.about}" for each in exported.members}
    print_fields({"archive": str(exported.path), "sha256": exported.sha256, **fields})
    for note in exported.notes:
        click.echo(f"note: {note}", err=True)


@command.command("erase", epilog=_KEY_HELP)
@_KEY_ARGUMENT
@option(
    "--events",
    "fate",
    type=click.Choice([fate.value for fate in EventsFate]),
    required=True,
    help="What becomes of its usage events: pseudonymise keeps them and every sum, under a random name that nothing "
    "leads back from; delete takes them out of every sum.",
)
@option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@option(
    "--compact/--no-compact",
    "may_rewrite",
    default=True,
    show_default=True,
    help="Write the database file anew where it still holds what was deleted earlier. Until that is done, nothing is "
    "written to the ledger; calls go on.",
)
@option(
    "--receipt",
    "receipt_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the receipt, as JSON, into this file too.",
)
@json_option
def erase(key: str, fate: str, is_confirmed: bool, may_rewrite: bool, receipt_path: Path | None, as_json: bool) -> int:
    """
    Erase all that is stored about a key, and print a receipt.

    The key ends at once, in running gateways too. What was captured of it is deleted; its usage events get a random
    name or are deleted. The audit log keeps its lines. Then everything is searched again: what is still there is in
    the receipt, and the exit code is 1. Run it again to finish what was interrupted; then KEY has to be the id.
    """
    if receipt_path is not None and receipt_path.exists():
        raise BadRequest(f"there is a file already: {receipt_path}", hint="name another with --receipt")
    with open_stores() as stores:
        tools = make_privacy_tools(stores, tell=lambda step: click.echo(f"{step} …", err=True))
        preview = tools.eraser.preview(key)
        order = Order(EventsFate(fate), local_actor(), may_rewrite=may_rewrite)
        for line in render_preview(preview, order):
            click.echo(line, err=True)
        if not is_confirmed:
            _confirm(preview)
        receipt = tools.eraser.erase(preview.subject, order)
        is_locked_out = _is_admin(preview) and not stores.keys.has_admin_key()
    document = msgspec.to_builtins(receipt)
    if receipt_path is not None:
        write_private(receipt_path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    if as_json:
        print_json(document)
    else:
        print_fields(render_receipt(receipt))
    if is_locked_out:
        click.echo("hint: that was the last admin key; 'copilot-api admin recover' makes a new one", err=True)
    if receipt.is_complete:
        return 0
    click.echo("error: something is left, see the receipt; mend what it names, and erase the key again", err=True)
    return 1


def _confirm(preview: Preview) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("without a terminal to ask in, --yes says that it is meant")
    typed = click.prompt(
        "This cannot be taken back. Type the key's id to go on", err=True, default="", show_default=False
    )
    if typed.strip() != preview.subject.id:
        raise click.UsageError("nothing was changed: that is not the key's id")


def _is_admin(preview: Preview) -> bool:
    return preview.subject.key is not None and preview.subject.key.tier is Tier.ADMIN
