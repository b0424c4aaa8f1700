"""Models as their page shows them: what clients can call beside what Copilot's catalog has, and what is new. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from copilot_api.admin.components import Tone
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.gateway.offers import Offer, list_endpoints, list_offers
from copilot_api.upstream.catalog import Catalog, Model
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.upstream.prices import TokenPrices

_NEWS: dict[ChangeKind, tuple[str, Tone]] = {
    ChangeKind.ADDED: ("new upstream", "good"),
    ChangeKind.GONE: ("gone", "bad"),
    ChangeKind.DISABLED: ("disabled", "warn"),
    ChangeKind.ENABLED: ("enabled", "good"),
}
_QUIET_NOTES = ("not served here", "switched off")
_MAX_KEYS = 3


@dataclass(frozen=True, slots=True)
class News:
    """What changed of a model lately, in a word."""

    word: str
    tone: Tone
    title: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A name, and the model that answers for it; or a model of the catalog that has no name here."""

    name: str
    alias: ModelAlias | None
    """None where the configuration says nothing of it."""
    model: Model | None
    """What answers now."""
    upstream: str
    """The model that is wanted."""
    state: str
    tone: Tone
    who: str
    is_exposed: bool
    is_default: bool
    endpoints: tuple[str, ...]
    prices: tuple[float, float] | None
    """Input and output, in credits for a million tokens."""
    news: tuple[News, ...]
    requests: int


def list_rows(
    catalog: Catalog,
    exposure: Exposure,
    changes: Sequence[CatalogChange],
    requests: Mapping[str, int],
    now: datetime,
) -> list[ModelRow]:
    """Every name, aliases first, then what the catalog has and clients cannot call."""
    by_model: dict[str, list[CatalogChange]] = {}
    for change in changes:
        by_model.setdefault(change.model, []).append(change)
    offers = list(list_offers(catalog, exposure, None, now))
    named = {offer.name for offer in offers}
    hidden = [Offer(model.id, None, model, ()) for model in catalog.models if model.id not in named]
    return [
        _make_row(offer, exposure, by_model, requests.get(offer.name, 0), is_exposed=offer.name in named)
        for offer in (*offers, *hidden)
    ]


def _make_row(
    offer: Offer, exposure: Exposure, changes: Mapping[str, list[CatalogChange]], requests: int, *, is_exposed: bool
) -> ModelRow:
    alias, model = offer.alias, offer.model
    upstream = offer.name if alias is None else alias.upstream
    state, tone = _describe_state(offer, is_exposed=is_exposed)
    return ModelRow(
        name=offer.name,
        alias=alias,
        model=model,
        upstream=upstream,
        state=state,
        tone=tone,
        who=describe_keys(("*",) if alias is None else alias.allowed_keys) if is_exposed else "nobody",
        is_exposed=is_exposed,
        is_default=bool(exposure.default_alias) and exposure.default_alias == offer.name,
        endpoints=tuple(list_endpoints(model)),
        prices=None if model is None else price_of(model.prices),
        news=tuple(_list_news(changes.get(upstream, ()))),
        requests=requests,
    )


def _describe_state(offer: Offer, *, is_exposed: bool) -> tuple[str, Tone]:
    if not is_exposed:
        return "not exposed", ""
    if not offer.notes:
        return "works", "good"
    text = ", ".join(offer.notes).removeprefix("BROKEN: ").replace("DISABLED", "disabled")
    if any(note.startswith("BROKEN") for note in offer.notes):
        return text, "bad"
    return text, "" if all(note in _QUIET_NOTES for note in offer.notes) else "warn"


def describe_keys(keys: Sequence[str]) -> str:
    """Who may use a name: `every key`, or the first of them."""
    if "*" in keys:
        return "every key"
    more = len(keys) - _MAX_KEYS
    return ", ".join(keys[:_MAX_KEYS]) + (f" and {more} more" if more > 0 else "") or "nobody"


def price_of(prices: TokenPrices | None) -> tuple[float, float] | None:
    """Input and output, in credits for a million tokens."""
    return None if prices is None else (prices.input / 1000, prices.output / 1000)


def _list_news(changes: Iterable[CatalogChange]) -> Iterator[News]:
    """Each kind of change once, the newest of it."""
    seen = set[ChangeKind]()
    for change in changes:
        if change.kind not in seen:
            seen.add(change.kind)
            yield make_news(change)


def make_news(change: CatalogChange) -> News:
    """A change in a word, with the whole of it in the title."""
    word, tone = _NEWS.get(change.kind, (f"changed: {change.kind}", "warn"))
    return News(word, tone, f"{change.before or 'nothing'} → {change.after or 'nothing'}")
