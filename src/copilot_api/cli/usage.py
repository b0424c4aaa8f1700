"""`copilot-api usage`: the ledger, summed up or event by event."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import click
import msgspec

from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_csv, print_json, print_table
from copilot_api.cli.stores import Stores, open_stores
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.reports import Row, report_usage
from copilot_api.usage.repository import Group

_HEADINGS = {
    "group": "",
    "label": "label",
    "requests": "requests",
    "errors": "errors",
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
    "reasoning_tokens": "reasoning",
    "credits": "credits",
    "premium_requests": "premium",
    "would_limit": "would limit",
}


@click.command("usage")
@option("--since", type=MOMENT, default="24h", show_default=True, help="From when on: how long ago, or a date.")
@option("--until", type=MOMENT, default="0s", help="Until when.  [default: now]")
@option(
    "--by", type=click.Choice([group.value for group in Group]), default="key", show_default=True, help="Sum up by."
)
@option("--events", is_flag=True, help="Print every event instead of sums: JSON, one object a line, or CSV.")
@option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def command(
    since: datetime | timedelta, until: datetime | timedelta, by: str, events: bool, as_csv: bool, as_json: bool
) -> None:
    """Show who used how much. Days are UTC; tokens, credits and requests are sums over the period."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    with open_stores() as stores:
        now = stores.clock.now()
        period = resolve_moment(since, now), resolve_moment(until, now)
        if period[0] >= period[1]:
            raise click.UsageError("--since must be before --until")
        if events:
            _print_events(stores.usage.list_events(*period), as_csv=as_csv)
        else:
            _print_report(stores, *period, Group(by), as_csv=as_csv, as_json=as_json)


def _print_events(events: Iterator[UsageEvent], *, as_csv: bool) -> None:
    if as_csv:
        print_csv(UsageEvent.__struct_fields__, (msgspec.structs.astuple(event) for event in events))
        return
    for event in events:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")


def _print_report(
    stores: Stores, since: datetime, until: datetime, group: Group, *, as_csv: bool, as_json: bool
) -> None:
    labels = {key.id: key.label for key in stores.keys.list_keys()} if group is Group.KEY else None
    report = report_usage(stores.usage, since, until, group, labels=labels)
    if as_json:
        print_json(report)
        return
    rows = report["rows"]
    # Without a label nothing can be said of one: a model has none.
    columns = [name for name in _HEADINGS if name != "label" or labels is not None]
    if not as_csv and not report["total"]["would_limit"]:
        columns.remove("would_limit")  # nobody observes: a column of zeros
    if as_csv:
        print_csv(columns, ([row[name] for name in columns] for row in rows))
        return
    total: Row = {**report["total"], "group": "total", "label": None}
    headings = [_HEADINGS[name] for name in columns]
    print_table([str(group), *headings[1:]], [[row[name] for name in columns] for row in (*rows, total)])
