"""
What clients can call, and what stands behind it: each alias and model with what answers for it and what speaks against
using it. Pure, on a catalog and an exposure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import GatewayError
from copilot_api.gateway.plan import broken_aliases, choose
from copilot_api.keys.models import ApiKey
from copilot_api.upstream.catalog import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Catalog, Model
from copilot_api.upstream.prices import TokenPrices

_ENDPOINTS = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "messages", EMBEDDINGS: "embeddings"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One name that clients can use, or could."""

    name: str
    alias: ModelAlias | None
    model: Model | None
    """What answers for it now."""
    notes: tuple[str, ...]
    may_use: bool | None = None
    """Whether the key that was asked about may use it."""


def list_offers(catalog: Catalog, exposure: Exposure, key: ApiKey | None, now: datetime) -> Iterator[Offer]:
    """Every name, aliases first, with what speaks against using it."""
    broken = set(broken_aliases(exposure, catalog))
    names = list(exposure.aliases)
    if not exposure.is_listed_only:
        names += [model.id for model in catalog.models if model.id not in exposure.aliases]
    for name in names:
        alias = exposure.aliases.get(name)
        model = _find_model(catalog, name, alias)
        may_use = None if key is None else key.is_valid_at(now) and _may_use(name, key, catalog, exposure)
        yield Offer(name, alias, model, tuple(_list_notes(name, alias, model, broken)), may_use)


def list_endpoints(model: Model | None) -> list[str]:
    """What a model is called with here, in words."""
    return [] if model is None else [name for path, name in _ENDPOINTS.items() if path in model.endpoints]


def _find_model(catalog: Catalog, name: str, alias: ModelAlias | None) -> Model | None:
    """What answers: the first model of the entry that is there and enabled, else one that is there."""
    wanted = (name,) if alias is None else (alias.upstream, *alias.fallback)
    found = [model for model in map(catalog.find, wanted) if model is not None]
    return next((model for model in found if model.is_enabled), found[0] if found else None)


def _may_use(name: str, key: ApiKey, catalog: Catalog, exposure: Exposure) -> bool:
    try:
        choose(name, key, catalog, exposure)
    except GatewayError:
        return False
    return True


def _list_notes(name: str, alias: ModelAlias | None, model: Model | None, broken: set[str]) -> Iterator[str]:
    if alias is not None and not alias.is_enabled:
        yield "switched off"
    elif name in broken:
        yield "BROKEN: no such model"
    if model is None:
        return
    if not model.is_enabled:
        yield "DISABLED at GitHub"
    if not model.endpoints & _ENDPOINTS.keys():
        yield "not served here"
    if alias is not None and model.id != alias.upstream and model.id in alias.fallback:
        yield f"fallback {model.id} answers"


class PricesDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model's tokens cost, in credits for a million."""

    input: float
    output: float
    cache_read: float
    cache_write: float


class OfferDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One name that clients can use, or could, as programs read it."""

    name: str
    upstream: str
    fallback: list[str]
    answered_by: str | None
    """The id of the model that answers now."""
    endpoints: list[str]
    prices: PricesDocument | None
    multiplier: float | None
    allowed_keys: list[str]
    is_enabled: bool
    is_enabled_upstream: bool
    notes: list[str]
    may_use: bool | UnsetType = UNSET
    """Only where a key was asked about."""


class OffersDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All that clients can call."""

    at: str
    """When the catalog was read."""
    age_seconds: int
    exposure: Literal["listed", "catalog"]
    default_model_alias: str
    models: list[OfferDocument]


def describe_offers(offers: Iterable[Offer], exposure: Exposure, at: datetime, now: datetime) -> OffersDocument:
    """Offers of the catalog that was read at `at`, as programs read them."""
    return OffersDocument(
        at=at.isoformat(),
        age_seconds=max(0, int((now - at).total_seconds())),
        exposure="listed" if exposure.is_listed_only else "catalog",
        default_model_alias=exposure.default_alias,
        models=[_describe_offer(offer) for offer in offers],
    )


def _describe_offer(offer: Offer) -> OfferDocument:
    alias, model = offer.alias, offer.model
    return OfferDocument(
        name=offer.name,
        upstream=offer.name if alias is None else alias.upstream,
        fallback=[] if alias is None else list(alias.fallback),
        answered_by=None if model is None else model.id,
        endpoints=[] if model is None else sorted(model.endpoints),
        prices=None if model is None or model.prices is None else _describe_prices(model.prices),
        multiplier=None if model is None else model.multiplier,
        allowed_keys=["*"] if alias is None else list(alias.allowed_keys),
        is_enabled=alias is None or alias.is_enabled,
        is_enabled_upstream=model is not None and model.is_enabled,
        notes=list(offer.notes),
        may_use=UNSET if offer.may_use is None else offer.may_use,
    )


def _describe_prices(prices: TokenPrices) -> PricesDocument:
    return PricesDocument(
        prices.input / 1000, prices.output / 1000, prices.cache_read / 1000, prices.cache_write / 1000
    )
