"""
`copilot-api models`: what clients can call, what stands behind it, and what Copilot has changed.

From the catalog that the gateway stored and from config.json: it works beside a running gateway and without one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import click
import msgspec

from copilot_api.cli.options import MOMENT, json_option, option, resolve_moment
from copilot_api.cli.output import print_json, print_table
from copilot_api.cli.stores import Stores, open_stores, start_settings
from copilot_api.clock import render_age
from copilot_api.config.environment import environment
from copilot_api.config.loader import load_config
from copilot_api.config.paths import DataDirectory
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import CatalogUnavailable
from copilot_api.gateway.offers import Offer, describe_offers, list_endpoints, list_offers
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.catalog import Model
from copilot_api.upstream.drift import render_change
from copilot_api.usage.exports import Cell

MAX_CHANGES = 1000
"""The most changes that are listed."""

_CAPTION = "price: credits for a million tokens in / out where Copilot says so, else premium requests a call (1x)"


@click.command("models")
@option("--key", metavar="KEY", help="Say which of them this key may use: an id, a label or a visible prefix.")
@option("--drift", is_flag=True, help="List what Copilot has changed instead, the newest first.")
@option("--since", type=MOMENT, default="30d", show_default=True, help="With --drift: from when on.")
@json_option
def command(*, key: str | None, drift: bool, since: datetime | timedelta, as_json: bool) -> None:
    """
    Show the models: alias, model at Copilot, fallback, endpoints, price, and who may use it.

    The list is the one that a gateway stored last, however it was configured since; it says how old it is.
    """
    if drift and key is not None:
        raise click.UsageError("--key and --drift exclude each other")
    with open_stores() as stores:
        now = stores.clock.now()
        if drift:
            _print_drift(stores, resolve_moment(since, now), as_json=as_json)
            return
        exposure = start_settings(load_config(DataDirectory.locate(environment()).config)).exposure
        found = stores.keys.get(key) if key is not None else None
        stored = stores.catalogs.find_latest()
        if stored is None:
            raise _nothing_stored()
        if found is not None and not found.is_valid_at(now):
            click.echo(f"this key is not valid now, and may use nothing: {found.id} ({found.label})", err=True)
        offers = list(list_offers(stored.parse(), exposure, found, now))
    if as_json:
        print_json(msgspec.to_builtins(describe_offers(offers, exposure, stored.at, now)))
    else:
        _print_offers(offers, exposure, found)
        click.echo(
            f"\n{_CAPTION}\nas a gateway stored it {render_age(now - stored.at)} ago, {stored.at:%Y-%m-%d %H:%M} UTC"
        )


def _nothing_stored() -> CatalogUnavailable:
    return CatalogUnavailable(
        "no list of models is stored yet", hint="start the gateway once, it stores the list: copilot-api start"
    )


# For people -------------------------------------------------------------------------------------------------------


def _print_offers(offers: Sequence[Offer], exposure: Exposure, key: ApiKey | None) -> None:
    columns = ["model", "upstream", "fallback", "speaks", "price", "who" if key is None else "may use", "note"]
    rows = [_render_row(offer, exposure) for offer in offers]
    kept = [place for place, name in enumerate(columns) if name not in _MAY_BE_EMPTY or any(row[place] for row in rows)]
    if not rows:
        click.echo("no model is exposed: config.json says 'listed' and has no models", err=True)
        return
    print_table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])


_MAY_BE_EMPTY = {"upstream", "fallback", "note"}


def _render_row(offer: Offer, exposure: Exposure) -> list[Cell]:
    alias = offer.alias
    notes = (*(("the default",) if offer.name == exposure.default_alias else ()), *offer.notes)
    return [
        offer.name,
        alias.upstream if alias is not None and alias.upstream != offer.name else None,
        ", ".join(alias.fallback) or None if alias is not None else None,
        ", ".join(list_endpoints(offer.model)) or None,
        _render_price(offer.model),
        _render_callers(alias) if offer.may_use is None else offer.may_use,
        ", ".join(notes) or None,
    ]


def _render_price(model: Model | None) -> str | None:
    if model is None:
        return None
    if model.prices is not None:
        return f"{model.prices.input / 1000:g} / {model.prices.output / 1000:g}"
    return f"{model.multiplier:g}x"


def _render_callers(alias: ModelAlias | None) -> str:
    return "all" if alias is None or "*" in alias.allowed_keys else ", ".join(alias.allowed_keys) or "nobody"


# Drift ------------------------------------------------------------------------------------------------------------


def _print_drift(stores: Stores, since: datetime, *, as_json: bool) -> None:
    if stores.catalogs.find_latest() is None:
        raise _nothing_stored()
    changes = stores.catalogs.list_changes(since, MAX_CHANGES)
    if as_json:
        print_json({"since": since.isoformat(), "changes": [render_change(change) for change in changes]})
    elif not changes:
        click.echo(f"no change since {since:%Y-%m-%d %H:%M} UTC", err=True)
    else:
        rows = [
            (f"{change.at:%Y-%m-%d %H:%M}", change.model, change.kind, change.before or None, change.after or None)
            for change in changes
        ]
        print_table(("when (UTC)", "model", "change", "before", "after"), rows)
    if len(changes) == MAX_CHANGES:
        click.echo(f"these are the newest {MAX_CHANGES:,}; there may be more: give a later --since", err=True)
