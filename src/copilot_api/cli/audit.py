"""`copilot-api audit`: what is on record, and proof that its chain is whole."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import click
import msgspec

from copilot_api.audit.lines import AuditRecord, Link, describe_record, parse_link
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import Action
from copilot_api.audit.verify import Verdict, describe_verdict
from copilot_api.audit.verify import verify as verify_log
from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_json, print_table
from copilot_api.clock import SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory

_DETAIL_CHARACTERS = 200


class _LinkType(click.ParamType[Link]):
    """The number of a line and its hash, as `verify` prints its head."""

    name = "seq:hash"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Link:
        """See `click.ParamType`."""
        if isinstance(value, Link):
            return value
        link = parse_link(str(value).strip())
        if link is None:
            self.fail(f"{value!r} is no head: write it as 'audit verify' prints it, 12:9f2c…", param, ctx)
        return link


@click.group("audit")
def command() -> None:
    """List what is on record, and prove that nobody changed it."""


@command.command("list")
@option("--since", type=MOMENT, help="From when on: how long ago, or a date.  [default: the beginning]")
@option("--actor", help="Only what was done by this key id, local:USER or gateway.")
@option("--action", type=click.Choice([action.value for action in Action]), help="Only this action.")
@option("--target", help="Only what was done to this: a key id, config.json, a segment, …")
@option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most so many lines.")
@json_option
def list_events(
    since: datetime | timedelta | None,
    actor: str | None,
    action: str | None,
    target: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """
    List what is on record, newest first.

    Works beside a running gateway. What a terminal would obey is shown escaped.
    """
    clock = SystemClock()
    log = AuditLog(DataDirectory.locate(environment()).audit, clock)
    found = log.list_events(
        since=None if since is None else resolve_moment(since, clock.now()),
        actor=actor,
        action=action,
        target=target,
        limit=limit,
    )
    if as_json:
        print_json([describe_record(record) for record in found])
    else:
        print_table(["seq", "at", "actor", "action", "target", "from", "detail"], map(_render, found))


def _render(record: AuditRecord) -> Sequence[str]:
    detail = msgspec.json.encode(record.detail).decode() if record.detail else ""
    if len(detail) > _DETAIL_CHARACTERS:
        detail = f"{detail[: _DETAIL_CHARACTERS - 1]}…"
    at = record.at[:19].replace("T", " ")
    return [str(record.seq), at, record.actor, record.action, record.target, record.address or "", detail]


@command.command("verify")
@option("--expect", type=_LinkType(), help="This head, kept elsewhere, must still be in the chain.")
@json_option
def verify(expect: Link | None, as_json: bool) -> int:
    """
    Prove that no line was edited, cut, added or moved, and print the head.

    The exit code is 1 when something is wrong. Keep the head elsewhere and give it back with --expect: that also finds
    a log that was made anew as a whole.
    """
    path = DataDirectory.locate(environment()).audit
    verdict = verify_log(path, expect)
    if as_json:
        print_json(describe_verdict(verdict))
    else:
        _print(verdict)
    return 0 if verdict.is_whole else 1


def _print(verdict: Verdict) -> None:
    for text in verdict.problems:
        click.echo(f"broken  {ascii(text)[1:-1]}")
    for text in verdict.notes:
        click.echo(f"note    {ascii(text)[1:-1]}")
    if verdict.is_whole:
        files = "1 file" if verdict.files == 1 else f"{verdict.files} files"
        click.echo(f"whole   {verdict.lines:,} lines in {files}")
    if verdict.last is not None:
        click.echo(f"head    {verdict.last.link.text}  {verdict.last.at}")
