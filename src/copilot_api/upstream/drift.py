"""
Drift: what changes in Copilot's catalog from one reading to the next, kept and listed.

The latest catalog is stored as Copilot sent it, so that commands know it without a running gateway. What is read is
always compared with what is stored, so that a change while no gateway ran is seen too.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, StorageUnavailable
from copilot_api.protocols.untyped import list_of
from copilot_api.upstream.catalog import Catalog, Model, parse_catalog
from copilot_api.upstream.prices import TokenPrices

CONFIRM_AFTER = timedelta(days=1)
"""A catalog that stays as it is is stored again this often: what is stored says how old it is."""
KEPT = timedelta(days=365)
"""How long a change is remembered."""

_MAX_TEXT = 200
_MAX_NAMES = 5


class ChangeKind(StrEnum):
    """What can change of a catalog: the closed set."""

    ADDED = "added"
    GONE = "gone"
    ENABLED = "enabled"
    DISABLED = "disabled"
    ENDPOINTS = "endpoints"
    LIMITS = "limits"
    MULTIPLIER = "multiplier"
    PRICES = "prices"
    EFFORTS = "efforts"


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One thing of one model that is not what it was. `before` and `after` are short texts; empty is nothing."""

    at: datetime
    model: str
    kind: ChangeKind
    before: str = ""
    after: str = ""


class StoredCatalog(NamedTuple):
    """A catalog as it was stored."""

    document: list[Any]
    """The `data` of Copilot's answer."""
    at: datetime
    """When it was read."""

    def parse(self) -> Catalog:
        """The models in it."""
        return parse_catalog({"data": self.document})


class CatalogRepository(Protocol):
    """Stores one identity's catalog. Its methods block: call them from a thread. Raises `StorageUnavailable`."""

    def find_latest(self) -> StoredCatalog | None:
        """The catalog that was stored last; None when there is none, or none that can be read."""
        ...

    def record(self, document: list[Any], at: datetime, changes: Sequence[CatalogChange]) -> None:
        """Have this catalog in place of the last one, and its changes beside those of the last year."""
        ...

    def list_changes(self, since: datetime, limit: int, until: datetime | None = None) -> list[CatalogChange]:
        """The changes from then on, to `until` with it, the newest first; no more than `limit`."""
        ...


# Comparing --------------------------------------------------------------------------------------------------------


def compare(old: Catalog, new: Catalog, at: datetime) -> list[CatalogChange]:
    """What is not in `new` as it is in `old`, in the order of the models. What reads the same is the same."""
    before, after = ({model.id: model for model in catalog.models} for catalog in (old, new))
    changes: list[CatalogChange] = []
    for name, model in after.items():
        was = before.get(name)
        if was is None:
            changes.append(CatalogChange(at, _short(name), ChangeKind.ADDED, after=_short(model.name)))
        else:
            changes += _compare_models(was, model, at)
    gone = [model for name, model in before.items() if name not in after]
    return changes + [CatalogChange(at, _short(model.id), ChangeKind.GONE, before=_short(model.name)) for model in gone]


def _compare_models(old: Model, new: Model, at: datetime) -> Iterator[CatalogChange]:
    if old.is_enabled != new.is_enabled:
        kinds = (ChangeKind.DISABLED, ChangeKind.ENABLED)
        yield CatalogChange(at, _short(new.id), kinds[new.is_enabled], kinds[old.is_enabled], kinds[new.is_enabled])
    for kind, render in _FACETS.items():
        before, after = render(old), render(new)
        if before != after:
            yield CatalogChange(at, _short(new.id), kind, _short(before), _short(after))


def _render_endpoints(model: Model) -> str:
    return ", ".join(sorted(model.endpoints))


def _render_limits(model: Model) -> str:
    traits = model.traits
    limits = (
        ("prompt", traits.max_prompt_tokens),
        ("output", traits.max_output_tokens),
        ("least thinking", traits.min_thinking_budget),
        ("most thinking", traits.max_thinking_budget),
    )
    return ", ".join(f"{name} {value:,}" for name, value in limits if value is not None)


def _render_multiplier(model: Model) -> str:
    return f"{model.multiplier:g}x"


def _render_prices(model: Model) -> str:
    return "" if model.prices is None else render_prices(model.prices)


def render_prices(prices: TokenPrices) -> str:
    """Prices in credits for a million tokens, all of them."""
    text = (
        f"input {prices.input / 1000:g}, output {prices.output / 1000:g},"
        f" cache read {prices.cache_read / 1000:g}, cache write {prices.cache_write / 1000:g}"
    )
    if prices.long_context is None or prices.context_max is None:
        return text
    return f"{text}; above {prices.context_max:,}: {render_prices(prices.long_context)}"


def _render_efforts(model: Model) -> str:
    return ", ".join(model.traits.efforts)


_FACETS: dict[ChangeKind, Callable[[Model], str]] = {
    ChangeKind.ENDPOINTS: _render_endpoints,
    ChangeKind.LIMITS: _render_limits,
    ChangeKind.MULTIPLIER: _render_multiplier,
    ChangeKind.PRICES: _render_prices,
    ChangeKind.EFFORTS: _render_efforts,
}


def summarise(changes: Sequence[CatalogChange]) -> str:
    """Changes in one line, such as `added: gpt-6; prices: gpt-5, gpt-5-mini`; of many models the first few."""
    by_kind: dict[ChangeKind, list[str]] = {}
    for change in changes:
        by_kind.setdefault(change.kind, []).append(change.model)
    return "; ".join(f"{kind}: {_list_names(by_kind[kind])}" for kind in ChangeKind if kind in by_kind)


def render_change(change: CatalogChange) -> dict[str, str]:
    """A change as programs read it."""
    return {
        "at": change.at.isoformat(),
        "model": change.model,
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
    }


def _list_names(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


# Keeping ----------------------------------------------------------------------------------------------------------


class _Reading(NamedTuple):
    document: list[Any]
    catalog: Catalog
    at: datetime


class DriftKeeper:
    """
    Stores each new catalog and what changed. A database that is away costs a report and nothing else: the next
    reading is compared with what is stored, however old that is.
    """

    def __init__(
        self,
        repository: CatalogRepository,
        clock: Clock,
        *,
        on_drifted: Callable[[list[CatalogChange]], None] = lambda _: None,
        on_failed: Callable[[GatewayError], None] = lambda _: None,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._on_drifted = on_drifted
        self._on_failed = on_failed
        self._newest: _Reading | None = None
        self._is_new = asyncio.Event()

    @property
    def read_at(self) -> datetime | None:
        """When the catalog was read last; None before the first time."""
        return None if self._newest is None else self._newest.at

    def read(self, document: dict[str, Any], catalog: Catalog) -> None:
        """The catalog was read: `document` as it came, and what is in it. Returns at once."""
        self._newest = _Reading(list_of(document.get("data")), catalog, self._clock.now())
        self._is_new.set()

    async def run(self) -> None:
        """Store what was read, for ever; of several readings that wait the newest."""
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            if self._newest is not None:
                await self._keep(self._newest)

    async def _keep(self, reading: _Reading) -> None:
        try:
            changes = await asyncio.to_thread(self._store, reading)
        except GatewayError as error:
            self._on_failed(error)
        except Exception as error:  # noqa: BLE001 -- a surprise in a document must not end every call under way
            self._on_failed(StorageUnavailable(f"the catalog could not be compared or stored: {type(error).__name__}"))
        else:
            if changes:
                self._on_drifted(changes)

    def _store(self, reading: _Reading) -> list[CatalogChange]:
        stored = self._repository.find_latest()
        changes = compare(stored.parse(), reading.catalog, reading.at) if stored is not None else []
        if stored is None or changes or reading.at - stored.at >= CONFIRM_AFTER:
            self._repository.record(reading.document, reading.at, changes)
        return changes
