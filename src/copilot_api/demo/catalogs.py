"""What Copilot's catalog was in the last two weeks, before it became what it is."""

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from copilot_api.simulator.catalog import Catalog as SimulatedCatalog
from copilot_api.upstream.catalog import parse_catalog
from copilot_api.upstream.drift import CatalogRepository, compare

Document = list[dict[str, Any]]


def record_catalogs(repository: CatalogRepository, now: datetime) -> None:
    """Have it changed step by step: to what the simulator offers now, as far as that is known."""
    earlier: Document | None = None
    for at, document in _list_catalogs(now):
        changes = [] if earlier is None else compare(_parse(earlier), _parse(document), at)
        repository.record(document, at, changes)
        earlier = document


def _list_catalogs(now: datetime) -> Iterator[tuple[datetime, Document]]:
    today: Document = SimulatedCatalog().document["data"]
    catalog = copy.deepcopy(today)
    opus = _take(catalog, "claude-opus-4.8")
    old = copy.deepcopy(_find(catalog, "gpt-4.1"))
    old |= {"id": "gpt-4", "name": "GPT-4", "version": "gpt-4"}
    catalog.append(old)
    sonnet = _find(catalog, "claude-sonnet-4.6")
    window = sonnet["capabilities"]["limits"]
    large = window["max_prompt_tokens"]
    window["max_prompt_tokens"] = large // 2
    mini = _find(catalog, "gpt-5-mini")
    efforts = mini["capabilities"]["supports"].pop("reasoning_effort", None)
    yield now - timedelta(days=13, hours=3), copy.deepcopy(catalog)
    catalog.append(opus)
    yield now - timedelta(days=9, hours=7), copy.deepcopy(catalog)
    if efforts is not None:
        mini["capabilities"]["supports"]["reasoning_effort"] = efforts
    yield now - timedelta(days=6, hours=2), copy.deepcopy(catalog)
    window["max_prompt_tokens"] = large
    yield now - timedelta(days=3, hours=4), copy.deepcopy(catalog)
    yield now - timedelta(days=1, hours=6), copy.deepcopy(today)


def _find(catalog: Document, model: str) -> dict[str, Any]:
    return next(entry for entry in catalog if entry["id"] == model)


def _take(catalog: Document, model: str) -> dict[str, Any]:
    entry = _find(catalog, model)
    catalog.remove(entry)
    return entry


def _parse(document: Document) -> Any:
    return parse_catalog({"data": document})
