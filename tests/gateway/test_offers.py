"""What clients can call, as programs read it."""

from datetime import UTC, datetime, timedelta

import msgspec

from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.gateway.offers import describe_offers, list_endpoints, list_offers
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.upstream.catalog import Catalog
from tests.gateway.calls import make_model

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
CATALOG = Catalog([make_model("gpt-4.1"), make_model("gpt-5-mini")])
ALIASES = {
    "fast": ModelAlias("gpt-5-mini"),
    "gone": ModelAlias("gpt-9"),
    "off": ModelAlias("gpt-4.1", is_enabled=False),
}


def test_aliases_come_first_and_the_rest_of_the_catalog_where_it_is_exposed() -> None:
    names = [offer.name for offer in list_offers(CATALOG, Exposure(ALIASES), None, NOW)]
    assert names == ["fast", "gone", "off", "gpt-4.1", "gpt-5-mini"]
    listed = [offer.name for offer in list_offers(CATALOG, Exposure(ALIASES, is_listed_only=True), None, NOW)]
    assert listed == ["fast", "gone", "off"]


def test_what_speaks_against_a_name_is_noted() -> None:
    notes = {offer.name: offer.notes for offer in list_offers(CATALOG, Exposure(ALIASES), None, NOW)}
    assert (notes["fast"], notes["gone"], notes["off"]) == ((), ("BROKEN: no such model",), ("switched off",))


def test_whether_a_key_may_use_it_is_said_only_where_a_key_is_asked_about() -> None:
    key = ApiKey("key_a", "ci", Tier.CLIENT, "p", NOW, KeyPolicy(models=("fast",)), expires_at=NOW + timedelta(hours=1))
    exposure = Exposure(ALIASES)
    for now, expected in ((NOW, {"fast"}), (NOW + timedelta(hours=2), set[str]())):
        document = describe_offers(list_offers(CATALOG, exposure, key, now), exposure, NOW, now)
        assert {offer.name for offer in document.models if offer.may_use} == expected
    plain = msgspec.to_builtins(describe_offers(list_offers(CATALOG, exposure, None, NOW), exposure, NOW, NOW))
    assert all("may_use" not in offer for offer in plain["models"])
    assert (plain["at"], plain["age_seconds"], plain["exposure"]) == ("2026-07-01T12:00:00+00:00", 0, "catalog")


def test_endpoints_have_names_for_people() -> None:
    assert list_endpoints(None) == []
    assert "chat" in list_endpoints(make_model("gpt-4.1"))
