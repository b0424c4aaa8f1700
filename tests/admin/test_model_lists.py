"""Rows of models: what is exposed, what answers, what is new."""

from datetime import UTC, datetime

from copilot_api.admin.model_lists import describe_keys, list_rows, make_news, price_of
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.upstream.prices import TokenPrices
from tests.gateway.calls import make_model

NOW = datetime(2026, 7, 1, tzinfo=UTC)
CATALOG = Catalog([make_model("a"), make_model("b", is_enabled=False), make_model("c", "/other")])


def test_aliases_come_first_then_the_catalog() -> None:
    exposure = Exposure({"x": ModelAlias("a")}, default_alias="x")
    rows = list_rows(CATALOG, exposure, [], {"x": 3}, NOW)
    assert [(row.name, row.requests, row.is_default) for row in rows] == [
        ("x", 3, True),
        ("a", 0, False),
        ("b", 0, False),
        ("c", 0, False),
    ]


def test_a_state_says_what_speaks_against_using_it() -> None:
    exposure = Exposure(
        {
            "gone": ModelAlias("nothing"),
            "off": ModelAlias("a", is_enabled=False),
            "saved": ModelAlias("nothing", fallback=("a",)),
        }
    )
    states = {row.name: (row.state, row.tone) for row in list_rows(CATALOG, exposure, [], {}, NOW)}
    assert states["gone"] == ("no such model", "bad")
    assert states["off"] == ("switched off", "")
    assert states["saved"] == ("fallback a answers", "warn")
    assert states["b"] == ("disabled at GitHub", "warn")
    assert states["c"] == ("not served here", "")
    assert states["a"] == ("works", "good")


def test_what_is_not_exposed_comes_last_and_is_nobodys() -> None:
    rows = list_rows(CATALOG, Exposure({"x": ModelAlias("a")}, is_listed_only=True), [], {}, NOW)
    assert [(row.name, row.is_exposed, row.who) for row in rows] == [
        ("x", True, "every key"),
        ("a", False, "nobody"),
        ("b", False, "nobody"),
        ("c", False, "nobody"),
    ]


def test_news_is_each_kind_once_the_newest_of_it() -> None:
    changes = [
        CatalogChange(NOW, "a", ChangeKind.PRICES, "2", "3"),
        CatalogChange(NOW, "a", ChangeKind.PRICES, "1", "2"),
        CatalogChange(NOW, "a", ChangeKind.ADDED, "", "A"),
    ]
    row = next(row for row in list_rows(CATALOG, Exposure(), changes, {}, NOW) if row.name == "a")
    assert [(news.word, news.title) for news in row.news] == [
        ("changed: prices", "2 → 3"),
        ("new upstream", "nothing → A"),
    ]
    assert make_news(CatalogChange(NOW, "a", ChangeKind.GONE, "A")).tone == "bad"


def test_keys_are_named_or_counted() -> None:
    assert describe_keys(("a", "*")) == "every key"
    assert describe_keys(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"
    assert describe_keys(()) == "nobody"


def test_prices_are_credits_for_a_million() -> None:
    assert price_of(TokenPrices(3000, 15000, 300, 0)) == (3.0, 15.0)
    assert price_of(None) is None
