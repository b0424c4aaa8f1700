"""
`copilot-api traces`: what was captured, from running gateways and from files, and the dry run of redaction.

Local shell access is proof enough, as for the other commands: no admin key is needed on the gateway's own machine.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec

from copilot_api.capture.models import Trace, TraceSummary
from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_json, print_table, printable
from copilot_api.cli.trace_client import REPLAY_SECONDS, ask, trace_path
from copilot_api.cli.trace_dry_run import redact
from copilot_api.cli.trace_follow import follow
from copilot_api.cli.trace_sources import TraceFilter, open_sources, url_option
from copilot_api.cli.trace_views import COLUMNS, render_line, render_row, render_trace
from copilot_api.clock import SystemClock

_REQUEST = click.argument("request_id", metavar="REQUEST_ID")


@click.group("traces", epilog="Captures are off until an admin asks for one: docs/guides/traces.md says how.")
def command() -> None:
    """Look at captured calls: what exactly went over the wire, redacted."""


command.add_command(redact)


@command.command("list")
@option("--key-id", metavar="KEY", help="Only calls of this key: its id, label or visible prefix.")
@option("--model", help="Only calls of this model, as the client called it.")
@option("--status", metavar="STATUS", help="Only calls that ended so: 429, 4xx or >=400.")
@option("--since", type=MOMENT, help="Only calls from then on: how long ago, or a date.")
@option("--until", type=MOMENT, help="Only calls before then.")
@option("--id", "text", metavar="TEXT", help="Only calls with this in their request id.")
@option("--limit", "-n", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@url_option
@json_option
def list_(
    *,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    limit: int,
    url: str | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """List captured calls, newest first."""
    now = SystemClock().now()
    wanted = TraceFilter(
        key=given["key_id"] or "",
        model=given["model"] or "",
        status=given["status"] or "",
        since=resolve_moment(since, now) if since is not None else None,
        until=resolve_moment(until, now) if until is not None else None,
        text=given["text"] or "",
    )
    summaries = open_sources(url).list_summaries(wanted, limit)
    if as_json:
        print_json(msgspec.to_builtins(summaries))
    elif not summaries:
        click.echo("no captures; docs/guides/traces.md says how to ask for one", err=True)
    else:
        print_table(COLUMNS, map(render_row, summaries))


@command.command("show")
@_REQUEST
@url_option
@json_option
def show(request_id: str, url: str | None, as_json: bool) -> None:
    """Show one captured call: its four messages, when they passed, and what was said."""
    document = open_sources(url).get(request_id)
    if as_json:
        print_json(document)
        return
    click.echo("\n".join(render_trace(msgspec.convert(document, Trace))))


@command.command("tail")
@option("--after", type=click.IntRange(0), metavar="NUMBER", help="Begin behind the capture with this number.")
@url_option
@json_option
def tail(after: int | None, url: str | None, as_json: bool) -> None:
    """Follow captures as they are made, until it is interrupted. With --json there is one object a line."""
    links = open_sources(url).links_or_refuse()
    try:
        for news in follow(links, after):
            match news.kind:
                case "trace" | "gap" if as_json:
                    click.echo(json.dumps(news.content))
                case "trace":
                    click.echo(render_line(msgspec.convert(news.content, TraceSummary)))
                case "gap":
                    click.echo(f"({news.content.get('missed')} captures are missing here)")
                case "lost":
                    click.echo(f"{news.link.name} does not answer; waiting for it to come back", err=True)
                case _:
                    click.echo(f"{news.link.name} is back", err=True)
    except KeyboardInterrupt:
        click.echo(err=True)  # behind the ^C that the terminal shows


@command.command("replay")
@_REQUEST
@option("--model", help="Ask this model instead.")
@option("--key-id", metavar="KEY", help="The admin key that the call counts for; without --url there has to be one.")
@url_option
@json_option
def replay(request_id: str, model: str | None, key_id: str | None, url: str | None, as_json: bool) -> None:
    """
    Send a captured request again, and show how the answers differ. It is a call like any other: it spends credits.

    KEY is an id, label or visible prefix. Its limits and budgets apply.
    """
    body = {name: value for name, value in (("model", model), ("key", key_id)) if value is not None}
    path = trace_path(request_id, "/replay")
    answer = open_sources(url).first(lambda link: ask(link, "POST", path, body, seconds=REPLAY_SECONDS))
    if as_json:
        print_json(answer)
        return
    _print_replay(answer)


def _print_replay(answer: dict[str, Any]) -> None:
    click.echo(printable(f"replayed {answer['replay_of']} as {answer['request_id']}: status {answer['status']}"))
    for note in answer["notes"]:
        click.echo(printable(f"note: {note}"))
    diff = answer["diff"]
    if diff is None:
        return
    if diff["is_same"]:
        click.echo("the answers are the same")
    for name, (was, now) in diff["changes"].items():
        click.echo(printable(f"{name}: {json.dumps(was)} → {json.dumps(now)}"))
    if diff["text"]:
        click.echo("\n".join(map(printable, str(diff["text"]).split("\n"))))
    if diff["is_cut"]:
        click.echo("(there is more than is shown)")
