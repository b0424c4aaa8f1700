"""`/admin/api/models`: what clients can call now; and what Copilot has changed, a page at a time."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from copilot_api.api.offers import OffersApi
from copilot_api.api.operations.account import Drift
from copilot_api.config.settings import Exposure, ModelAlias
from copilot_api.errors import CatalogUnavailable
from copilot_api.gateway.offers import OffersDocument
from copilot_api.keys.models import KeyPolicy
from copilot_api.upstream.catalog import Catalog
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from tests.api.admin_site import AdminSite, error_of
from tests.gateway.calls import make_model

EXPOSURE = Exposure({"fast": ModelAlias("gpt-5-mini")})
CATALOG = Catalog([make_model("gpt-4.1"), make_model("gpt-5-mini")])


class Known:
    """The catalog, where there is one."""

    def __init__(self) -> None:
        self.catalog: Catalog | None = CATALOG
        self.read_at: datetime | None = None

    async def get(self) -> Catalog:
        if self.catalog is None:
            raise CatalogUnavailable("not known yet")
        return self.catalog


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def site(admin_site: AdminSite, known: Known) -> AdminSite:
    stored, clock = admin_site.stored, admin_site.clock
    api = OffersApi(stored.keys, known.get, lambda: known.read_at, lambda: EXPOSURE, stored.catalogs, clock)
    admin_site.serve({"list_models": api.list_all, "list_drift": api.list_drift})
    return admin_site


def test_what_can_be_called_is_told_by_what_is_in_force(site: AdminSite, known: Known) -> None:
    known.read_at = site.clock.now() - timedelta(minutes=5)
    offers = msgspec.convert(site.call("GET", "/models").json, OffersDocument)
    assert [offer.name for offer in offers.models] == ["fast", "gpt-4.1", "gpt-5-mini"]
    assert offers.age_seconds == 300


def test_of_one_key_it_says_what_that_may_use(site: AdminSite) -> None:
    site.stored.keys.issue("ci", policy=KeyPolicy(models=("fast",)), actor="test")
    offers = site.call("GET", "/models", key="ci").json["models"]
    assert [offer["name"] for offer in offers if offer["may_use"]] == ["fast"]
    assert error_of(site.call("GET", "/models", key="nobody"))[:2] == (404, "key_not_found")


def test_without_a_catalog_there_is_nothing_to_tell(site: AdminSite, known: Known) -> None:
    known.catalog = None
    assert error_of(site.call("GET", "/models"))[:2] == (503, "catalog_unavailable")


def test_drift_comes_in_pages_that_are_all_of_it_and_each_change_once(site: AdminSite) -> None:
    """Also where many changes came in the same moment."""
    now = site.clock.now()
    made: list[CatalogChange] = []
    for age, count in ((1, 3), (2, 7), (3, 1), (40, 2)):
        at = now - timedelta(days=age)
        changes = [CatalogChange(at, f"model-{age}-{number}", ChangeKind.ADDED) for number in range(count)]
        site.stored.catalogs.record([], at, changes)
        made += changes
    for limit in (1, 2, 3, 100):
        found, after, pages = list[str](), "", 0
        while True:
            page = msgspec.convert(site.call("GET", "/models/drift", limit=str(limit), after=after).json, Drift)
            found += [change.model for change in page.changes]
            pages += 1
            if page.next is None:
                break
            after = page.next
        assert found == [change.model for change in made[:11]], "the last 30 days"
        assert pages == -(-11 // limit)
    assert len(site.call("GET", "/models/drift", since="60d").json["changes"]) == 13


@pytest.mark.parametrize(
    ("query", "field"),
    [({"after": "x"}, "after"), ({"after": "MjAyNi0wNy0wMSAtMQ"}, "after"), ({"since": "then"}, "since"), ({"limit": "0"}, "limit")],
)  # fmt: skip
def test_a_question_that_cannot_be_is_refused(site: AdminSite, query: dict[str, str], field: str) -> None:
    assert error_of(site.call("GET", "/models/drift", **query)) == (400, "invalid_request", field)


def test_a_place_far_away_costs_nothing(site: AdminSite) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC)
    site.stored.catalogs.record([], at, [CatalogChange(at, "x", ChangeKind.GONE)])
    assert site.call("GET", "/models/drift").json == {
        "since": (site.clock.now() - timedelta(days=30)).isoformat(),
        "changes": [],
        "next": None,
    }
