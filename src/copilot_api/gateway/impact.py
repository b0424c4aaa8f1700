"""
The impact of a change of the configuration, before it is made: what the calls of the last days would have met with it.

What a name means is asked of `choose`, with both configurations, as for a call; so preview and reality cannot disagree.
Calls that fail for other reasons (limits, budgets, mistakes of their own) are not looked at: see `Traffic`.

Credits are an estimate: of both models by the catalog's prices, for the tokens that were used of the one. A model that
the catalog has no price of costs what the ledger says, where the calls went to that very model, and else nobody knows
what. Another model would have used other numbers of tokens: nobody knows how many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from copilot_api.config.settings import Exposure
from copilot_api.errors import GatewayError
from copilot_api.gateway.plan import ModelLacksEndpoint, choose
from copilot_api.gateway.surface import Surface
from copilot_api.gateway.surfaces import (
    CHAT_SURFACE,
    EMBEDDINGS_SURFACE,
    GEMINI_SURFACE,
    MESSAGES_SURFACE,
    RESPONSES_SURFACE,
)
from copilot_api.gateway.upstreams import UPSTREAMS
from copilot_api.keys.models import ANONYMOUS, ApiKey, anonymous_key
from copilot_api.keys.service import KeyService
from copilot_api.protocols.base import Usage
from copilot_api.upstream.catalog import Catalog, Model
from copilot_api.upstream.prices import NANO_PER_CREDIT, Tariff, TokenPrices
from copilot_api.usage.repository import UsageRepository
from copilot_api.usage.totals import Traffic, list_traffic

IMPACT_DAYS = 7
"""Whose calls a change is held against, unless another period is asked for."""

_SURFACES = {
    surface.endpoint: surface
    for surface in (CHAT_SURFACE, RESPONSES_SURFACE, MESSAGES_SURFACE, GEMINI_SURFACE, EMBEDDINGS_SURFACE)
}
"""The endpoints that need a model. To count tokens needs none: a model that nobody knows is counted too."""


class Effect(StrEnum):
    """What a change does to calls."""

    FAILS = "fails"
    """They work, and would not."""
    CHANGES = "changes"
    """Another model would answer."""
    WORKS = "works"
    """They fail, and would not."""
    SAME = "same"
    """The same model answers, or they fail as before."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means to a key: the id of the model that answers, or the code of the error that calls get."""

    model: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The calls of one key by one name, as far as they fare alike."""

    key_id: str
    label: str
    model: str
    """The name that the calls used."""
    before: Meaning
    after: Meaning
    requests: int = 0
    priced_requests: int = 0
    """Those whose credits are known, before and after; the sums are theirs."""
    nano_aiu_before: int = 0
    nano_aiu_after: int = 0

    @property
    def effect(self) -> Effect:
        """What the change does to them."""
        if self.before.model == self.after.model:
            return Effect.SAME
        if self.after.model is None:
            return Effect.FAILS
        return Effect.WORKS if self.before.model is None else Effect.CHANGES


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change would have done to the calls of a period."""

    since: datetime
    until: datetime
    rows: tuple[Row, ...] = ()
    """What fails first, then what changes, what works newly, and what stays; of each the most calls first."""
    left_out_keys: int = 0
    """Keys with calls in the period that are not valid any more: revoked, expired, gone."""
    left_out_requests: int = 0

    def count(self, effect: Effect) -> int:
        """How many calls fare so."""
        return sum(row.requests for row in self.rows if row.effect is effect)

    @property
    def differing(self) -> tuple[Row, ...]:
        """The rows that the change does something to."""
        return tuple(row for row in self.rows if row.effect is not Effect.SAME)

    @property
    def keys(self) -> int:
        """How many keys the change does something to."""
        return len({row.key_id for row in self.differing})

    @property
    def nano_aiu_difference(self) -> int:
        """What the period would have cost more, as far as that is known."""
        return sum(row.nano_aiu_after - row.nano_aiu_before for row in self.differing)

    @property
    def unpriced_requests(self) -> int:
        """How many of the calls that the change does something to are not in that difference."""
        return sum(row.requests - row.priced_requests for row in self.differing)


@dataclass(frozen=True, slots=True)
class ImpactQuery:
    """Holds a change against what is stored. Blocks: call it from a thread."""

    keys: KeyService
    usage: UsageRepository
    tariff: Tariff = field(default_factory=Tariff)
    """Prices beyond the catalog's, where a running gateway has learned any."""

    def run(self, old: Exposure, new: Exposure, catalog: Catalog, since: datetime, until: datetime) -> Impact:
        """The impact on the calls of a period of the keys that are valid at its end."""
        traffic, keys = list_traffic(self.usage, since, until), self.keys.list_keys()
        return preview(old, new, catalog, keys, traffic, since=since, until=until, tariff=self.tariff)


def preview(
    old: Exposure,
    new: Exposure,
    catalog: Catalog,
    keys: Sequence[ApiKey],
    traffic: Iterable[Traffic],
    *,
    since: datetime,
    until: datetime,
    tariff: Tariff | None = None,
) -> Impact:
    """What `traffic`, that of a period, meets with `old` and would meet with `new`."""
    tariff = tariff or Tariff()
    valid = {key.id: key for key in keys if key.is_valid_at(until)}
    valid[ANONYMOUS] = anonymous_key(since)
    rows: dict[Row, Row] = {}
    left_out: dict[str, int] = {}
    for calls in traffic:
        surface, key = _SURFACES.get(calls.endpoint), valid.get(calls.key_id)
        if surface is None:
            continue
        if key is None:
            left_out[calls.key_id] = left_out.get(calls.key_id, 0) + calls.requests
            continue
        before, after = (_find(calls.model, key, surface, catalog, exposure) for exposure in (old, new))
        kind = Row(key.id, key.label, calls.model, _meaning(before), _meaning(after))
        rows[kind] = _add(rows.get(kind, kind), calls, before, after, tariff)
    ordered = sorted(rows.values(), key=lambda row: (_ORDER[row.effect], -row.requests, row.label, row.model))
    return Impact(since, until, tuple(ordered), len(left_out), sum(left_out.values()))


def render_impact(impact: Impact) -> dict[str, Any]:
    """The impact for programs; charges are in AI credits."""
    return {
        "since": impact.since.isoformat(),
        "until": impact.until.isoformat(),
        "rows": [_render_row(row) for row in impact.rows],
        "total": {
            "requests": sum(row.requests for row in impact.rows),
            **{effect.value: impact.count(effect) for effect in Effect},
            "keys": impact.keys,
            "credits_difference": impact.nano_aiu_difference / NANO_PER_CREDIT,
            "unpriced_requests": impact.unpriced_requests,
        },
        "left_out": {"keys": impact.left_out_keys, "requests": impact.left_out_requests},
    }


def credits_of(row: Row) -> tuple[float | None, float | None]:
    """What the calls cost before and after, as far as that is known; None where nothing of it is."""
    if not row.priced_requests:
        return None, None
    return row.nano_aiu_before / NANO_PER_CREDIT, row.nano_aiu_after / NANO_PER_CREDIT


def can_serve(model: Model, surface: Surface) -> bool:
    """Whether calls on `surface` have a route to `model`, as `make_plan` finds one."""
    if surface.native is not None and surface.native.upstream_endpoint in model.endpoints:
        return True
    return surface.client is not None and not model.endpoints.isdisjoint(UPSTREAMS)


_ORDER = {effect: place for place, effect in enumerate(Effect)}


def _find(name: str, key: ApiKey, surface: Surface, catalog: Catalog, exposure: Exposure) -> Model | str:
    """The model that answers, or the code of the error: the first that has a route, as an exchange tries them."""
    try:
        models = choose(name, key, catalog, exposure).models
    except GatewayError as error:
        return error.public_code
    return next((model for model in models if can_serve(model, surface)), ModelLacksEndpoint.code)


def _meaning(found: Model | str) -> Meaning:
    return Meaning(error=found) if isinstance(found, str) else Meaning(model=found.id)


def _add(row: Row, calls: Traffic, before: Model | str, after: Model | str, tariff: Tariff) -> Row:
    costs = _cost(before, calls, tariff), _cost(after, calls, tariff)
    row = replace(row, requests=row.requests + calls.requests)
    if costs[0] is None or costs[1] is None:
        return row
    has_none = isinstance(before, str) and isinstance(after, str)
    return replace(
        row,
        priced_requests=row.priced_requests + (calls.requests if has_none else calls.measured_requests),
        nano_aiu_before=row.nano_aiu_before + costs[0],
        nano_aiu_after=row.nano_aiu_after + costs[1],
    )


def _cost(found: Model | str, calls: Traffic, tariff: Tariff) -> int | None:
    """What `calls` come to when `found` answers them; None where that cannot be told."""
    if isinstance(found, str):
        return 0
    if not calls.measured_requests:
        return None
    prices = tariff.find(found.id, found.prices)
    if prices is not None:
        return _charge(prices, calls)
    return calls.nano_aiu if calls.upstream_model == found.id else None


def _charge(prices: TokenPrices, calls: Traffic) -> int:
    """All of `calls` at one set of prices: that of their mean, where long prompts cost more."""
    mean = calls.input_tokens / calls.measured_requests
    if prices.long_context is not None and prices.context_max is not None and mean > prices.context_max:
        prices = prices.long_context
    return replace(prices, long_context=None).charge(
        Usage(
            input_tokens=calls.input_tokens,
            output_tokens=calls.output_tokens,
            cache_read_tokens=calls.cache_read_tokens,
            cache_write_tokens=calls.cache_write_tokens,
        )
    )


def _render_row(row: Row) -> dict[str, Any]:
    before, after = credits_of(row)
    return {
        "key_id": row.key_id,
        "label": row.label,
        "model": row.model,
        "effect": row.effect.value,
        "before": {"model": row.before.model, "error": row.before.error},
        "after": {"model": row.after.model, "error": row.after.error},
        "requests": row.requests,
        "priced_requests": row.priced_requests,
        "credits_before": before,
        "credits_after": after,
    }
