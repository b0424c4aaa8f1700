"""What the ledger's operations declare is what they take and answer."""

import re
from datetime import timedelta

import msgspec
import pytest

from copilot_api.api.door import Door
from copilot_api.api.operations.ledger import EventList, Line, Sums, Usage, Waste
from copilot_api.api.operations.table import BY_ID
from copilot_api.keys.service import IssuedKey
from copilot_api.usage.explorer import Metric
from tests.api.ledger_site import Site
from tests.fakes import FakeClock
from tests.ledgers import random_events
from tests.stored import Stored


def stored_count(site: Site) -> int:
    day = timedelta(days=1)
    return len(list(site.stored.usage.list_events(site.clock.now() - day, site.clock.now())))


@pytest.fixture
def site(stored: Stored, door: Door, clock: FakeClock, admin: IssuedKey) -> Site:
    stored.usage.add_events(random_events(200, days=1, first=clock.now() - timedelta(hours=20)))
    return Site(stored, door, clock, admin, stored.usage)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"by": "key,model", "bucket": "hour", "metric": ",".join(Metric), "top": "2"},
        {"compare": "1", "percentiles": "1", "bucket": "none"},
        {"by": "status", "percentiles": "yes"},
    ],
)
def test_sums_are_of_the_declared_form(site: Site, query: dict[str, str]) -> None:
    usage = msgspec.convert(site.find("/admin/api/usage", **query), Usage)
    assert usage.total.requests == stored_count(site)
    if "compare" in query:
        assert isinstance(usage.total.duration, msgspec.Struct)


def test_waste_and_events_are_too(site: Site) -> None:
    assert msgspec.convert(site.find("/admin/api/usage/waste"), Waste).total.requests == stored_count(site)
    events = msgspec.convert(site.find("/admin/api/events", limit="3"), EventList)
    assert len(events.events) == 3
    assert events.next is not None


def test_every_metric_has_its_field() -> None:
    for kind in (Sums, Line):
        assert {metric.value for metric in Metric} <= set(kind.__struct_fields__)


@pytest.mark.parametrize("name", ["get_usage", "get_waste", "list_events"])
def test_the_parameters_that_are_read_are_those_that_are_declared(site: Site, name: str) -> None:
    operation = BY_ID[name]
    message = site.ask(operation.path, colour="red").json["error"]["message"]
    found = re.search(r"there are ([a-z, _]+)", message)
    assert found is not None
    assert set(found[1].strip().split(", ")) == {parameter.name for parameter in operation.parameters}
