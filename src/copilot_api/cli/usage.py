"""`copilot-api usage`: the ledger, summed up or event by event."""

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_csv, print_json, print_table
from copilot_api.cli.stores import Stores, open_stores
from copilot_api.errors import GatewayError
from copilot_api.keys.models import ApiKey
from copilot_api.usage.exports import render_events_csv, write_parquet
from copilot_api.usage.filters import FIELDS, Condition, EventFilter, parse_filter
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.reports import Row, report_usage
from copilot_api.usage.totals import Group
from copilot_api.usage.waste import report_waste

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
_WASTE_COLUMNS = (
    "kind",
    "client",
    "requests",
    "share_of_requests",
    "input_tokens",
    "output_tokens",
    "credits",
    "share_of_credits",
)


@click.command("usage")
@option("--since", type=MOMENT, default="24h", show_default=True, help="From when on: how long ago, or a date.")
@option("--until", type=MOMENT, default="0s", help="Until when.  [default: now]")
@option(
    "--by", type=click.Choice([group.value for group in Group]), default="key", show_default=True, help="Sum up by."
)
@option(
    "--where",
    metavar="QUERY",
    default="",
    help=f"Only calls that meet it, such as 'key:ci status:>=400'. Fields: {', '.join(FIELDS)}.",
)
@option("--events", is_flag=True, help="Print every event instead of sums: JSON, one object a line, or CSV.")
@option("--waste", is_flag=True, help="Show what calls were for that nobody wrote: warm-ups, titles, summaries.")
@option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@option(
    "--parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --events: write them to this file, as Parquet.",
)
@json_option
def command(
    since: datetime | timedelta,
    until: datetime | timedelta,
    by: str,
    where: str,
    events: bool,
    waste: bool,
    as_csv: bool,
    parquet: Path | None,
    as_json: bool,
) -> None:
    """Show who used how much. Days are UTC; tokens, credits and requests are sums over the period."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    if parquet is not None and (not events or as_csv or as_json):
        raise click.UsageError("--parquet goes with --events, and with neither --csv nor --json")
    if events and waste:
        raise click.UsageError("--events and --waste exclude each other")
    is_since_given = click.get_current_context().get_parameter_source("since") is not ParameterSource.DEFAULT
    with open_stores() as stores:
        now = stores.clock.now()
        keys = stores.keys.list_keys()
        asked = _parse(where, now, keys)
        since_then = resolve_moment(since, now)
        first = max(since_then, asked.since or since_then) if is_since_given else asked.since or since_then
        last = min(filter(None, (resolve_moment(until, now), asked.until)))
        if first >= last:
            raise click.UsageError("--since must be before --until")
        if events:
            found = stores.usage.list_events(first, last, asked.conditions)
            _print_events(found, as_csv=as_csv, parquet=parquet)
            return
        _refuse_unusable(asked.conditions)
        if waste:
            _print_waste(stores, first, last, asked.conditions, as_csv=as_csv, as_json=as_json)
        else:
            labels = {key.id: key.label for key in keys} if by == Group.KEY else None
            report = report_usage(stores.usage, first, last, Group(by), conditions=asked.conditions, labels=labels)
            _print_report(report["rows"], report["total"], Group(by), report if as_json else None, as_csv=as_csv)


def _parse(where: str, now: datetime, keys: list[ApiKey]) -> EventFilter:
    def find_keys(text: str) -> list[str]:
        return [key.id for key in keys if text in {key.id, key.label, key.prefix}] or [text]

    try:
        return parse_filter(where, now, find_keys)
    except GatewayError as error:
        hint = f" ({error.actual_hint})" if error.actual_hint else ""
        raise click.UsageError(f"--where: {error.message}{hint}") from error


def _refuse_unusable(conditions: tuple[Condition, ...]) -> None:
    for condition in conditions:
        if not condition.is_of_series:
            name = next(name for name, field in FIELDS.items() if field.column == condition.column)
            raise click.UsageError(f"--where: sums cannot be told apart by {name}; with --events they can")


def _print_events(events: Iterator[UsageEvent], *, as_csv: bool, parquet: Path | None) -> None:
    if parquet is not None:
        click.echo(f"{_write_parquet(events, parquet):,} events in {parquet}", err=True)
    elif as_csv:
        sys.stdout.writelines(render_events_csv(events))
    else:
        for event in events:
            sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")


def _write_parquet(events: Iterator[UsageEvent], path: Path) -> int:
    """Make the file beside the one that may be there, which is replaced when the new one is whole, and not before."""
    target = path.resolve()
    part = target.with_name(f".{os.getpid()}.parquet.part")
    try:
        if target.exists() and not target.is_file():
            raise click.ClickException(f"--parquet: not a regular file: {path}")
        try:
            with part.open("xb") as file:
                count = write_parquet(events, file)
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"--parquet: {error.strerror or error}: {path}") from error
    return count


def _print_waste(
    stores: Stores,
    since: datetime,
    until: datetime,
    conditions: tuple[Condition, ...],
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    report = report_waste(stores.usage, since, until, conditions)
    if as_json:
        print_json(report)
        return
    if as_csv:
        print_csv(_WASTE_COLUMNS, ([row[name] for name in _WASTE_COLUMNS] for row in report["rows"]))
        return
    # One share, that 80 columns have room for: of the charge where Copilot said it, else of the calls.
    share = "share_of_credits" if report["total"]["credits"] else "share_of_requests"
    rows = [*report["rows"], *({"kind": name, "client": None, **report[name]} for name in ("overhead", "total"))]
    shown = [name for name in _WASTE_COLUMNS if name == share or not name.startswith("share")]
    print_table(
        [f"{'share':>6}" if name == share else _HEADINGS.get(name, name) for name in shown],
        [[f"{row[name]:>6.1%}" if name == share else row[name] for name in shown] for row in rows],
    )


def _print_report(rows: list[Row], total: Row, group: Group, report: object | None, *, as_csv: bool) -> None:
    if report is not None:
        print_json(report)
        return
    # Without a label nothing can be said of one: a model has none.
    columns = [name for name in _HEADINGS if name != "label" or group is Group.KEY]
    if not as_csv and not total["would_limit"]:
        columns.remove("would_limit")  # nobody observes: a column of zeros
    if as_csv:
        print_csv(columns, ([row[name] for name in columns] for row in rows))
        return
    last: Row = {**total, "group": "total", "label": None}
    headings = [_HEADINGS[name] for name in columns]
    print_table([str(group), *headings[1:]], [[row[name] for name in columns] for row in (*rows, last)])
