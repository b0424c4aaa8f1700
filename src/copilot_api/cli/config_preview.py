"""`copilot-api config preview`: what a configuration would have done to the calls of the last days."""

from datetime import datetime, timedelta
from typing import BinaryIO

import click

from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_fields, print_json, print_table
from copilot_api.cli.stores import Stores, open_stores, start_settings
from copilot_api.config.environment import environment
from copilot_api.config.loader import load_config, parse_config
from copilot_api.config.paths import DataDirectory
from copilot_api.errors import CatalogUnavailable
from copilot_api.gateway.impact import IMPACT_DAYS, Effect, Impact, ImpactQuery, Meaning, Row, credits_of, render_impact
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.exports import Cell

_COLUMNS = ("key", "model", "calls", "effect", "before", "after", "credits before", "credits after")
_WORDS = {
    Effect.FAILS: "would fail",
    Effect.CHANGES: "would go to another model",
    Effect.WORKS: "failed and would work",
    Effect.SAME: "stay as they are",
}


@click.command("preview")
@click.argument("file", type=click.File("rb"))
@option(
    "--since",
    type=MOMENT,
    default=f"{IMPACT_DAYS}d",
    show_default=True,
    help="Whose calls to hold it against: how long ago, or a date.",
)
@json_option
def preview_command(file: BinaryIO, since: datetime | timedelta, as_json: bool) -> None:
    """
    Show what the configuration in FILE would have done to the calls of the last days. Nothing is changed.

    It says which keys' calls would fail or be answered by another model, and what that costs or saves. FILE may be -,
    for standard input.
    """
    proposed = start_settings(parse_config(file.read(), file.name)).exposure
    current = start_settings(load_config(DataDirectory.locate(environment()).config)).exposure
    with open_stores() as stores:
        now = stores.clock.now()
        start = resolve_moment(since, now)
        if start >= now:
            raise click.UsageError("--since must be in the past")
        impact = ImpactQuery(stores.keys, stores.usage).run(current, proposed, _known_catalog(stores), start, now)
    if as_json:
        print_json(render_impact(impact))
    else:
        _print_impact(impact)


def _known_catalog(stores: Stores) -> Catalog:
    """The models as a gateway read them last. Raises `CatalogUnavailable`."""
    stored = stores.catalogs.find_latest()
    if stored is None:
        raise CatalogUnavailable("the gateway has not read the catalog yet", hint="start it once, then ask again")
    return stored.parse()


def _print_impact(impact: Impact) -> None:
    if impact.differing:
        print_table(_COLUMNS, [_render_row(row) for row in impact.differing])
        click.echo()
    total = sum(row.requests for row in impact.rows)
    fields = {"calls": f"{total:,} since {impact.since:%Y-%m-%d %H:%M} UTC"}
    fields |= {_WORDS[effect]: f"{impact.count(effect):,}" for effect in Effect}
    fields["keys concerned"] = f"{impact.keys:,}"
    if impact.differing:
        fields["credits"] = _describe_credits(impact)
    if impact.left_out_keys:
        fields["left out"] = (
            f"{impact.left_out_requests:,} calls of {impact.left_out_keys:,} keys that are not valid now"
        )
    print_fields(fields)


def _describe_credits(impact: Impact) -> str:
    unknown = impact.unpriced_requests
    if unknown == sum(row.requests for row in impact.differing):
        return "not known: no price, or no usage, is known of these calls"
    text = f"{impact.nano_aiu_difference / NANO_PER_CREDIT:+,.2f}, by the catalog's prices"
    return f"{text}; without {unknown:,} calls of unknown price or usage" if unknown else text


def _render_row(row: Row) -> list[Cell]:
    before, after = credits_of(row)
    return [row.label, row.model, row.requests, row.effect.value, _text(row.before), _text(row.after), before, after]


def _text(meaning: Meaning) -> str:
    return meaning.model or f"({meaning.error})"
