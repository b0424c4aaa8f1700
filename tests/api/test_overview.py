"""What is going on, at a glance."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from copilot_api.admission.in_flight import Slots
from copilot_api.api.identities import Identities
from copilot_api.api.operations.standing import Overview
from copilot_api.api.overview import Overviews
from copilot_api.clock import Clock
from copilot_api.errors import StorageUnavailable
from copilot_api.gateway.under_way import Phase
from copilot_api.keys.service import IssuedKey
from copilot_api.observability.health import Health
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.usage.credit_reports import AccountReports
from copilot_api.usage.models import Cause, UsageEvent
from tests.api.test_identities import StubGitHub
from tests.fakes import FakeClock
from tests.gateway.calls import make_call, make_settlement
from tests.stored import Stored


class Site:
    def __init__(self, stored: Stored, clock: FakeClock) -> None:
        self.stored, self.clock, self.brake = stored, clock, Brake(8)
        self.settlement, _, _ = make_settlement(clock)
        self.ledger: Any = stored.usage

        async def database() -> str | None:
            return None

        async def token() -> str | None:
            return "not fetched yet"

        self.health = Health({"database": database, "token": token})

    def get(self) -> Overview:
        async def test() -> Overview:
            github, clock = StubGitHub(), cast("Clock", self.clock)
            sessions = CopilotSessions(github, None, clock)
            quota = QuotaKeeper(github, sessions, self.brake, self.stored.quotas, clock)
            reports = AccountReports(self.stored.quotas, self.stored.usage)
            identities = Identities(sessions, quota, reports, Slots(self.brake, clock), self.stored.stops, clock)
            keys = self.stored.keys
            keys.load()
            return await Overviews(
                self.settlement, identities, keys, self.ledger, self.stored.catalogs, self.health, clock
            ).get()

        return asyncio.run(test())


@pytest.fixture
def site(stored: Stored, clock: FakeClock) -> Site:
    return Site(stored, clock)


def test_nothing_going_on_is_told_too(site: Site) -> None:
    found = site.get()
    assert (found.calls, found.labels, found.account, found.drift, found.captured) == ([], {}, None, [], [])
    assert (found.last_hour.total.requests, found.last_day.total.credits) == (0, 0)
    assert [(check.name, check.ok) for check in found.readiness.checks] == [("database", True), ("token", False)]
    assert not found.readiness.ready


def test_calls_under_way_are_told_with_the_labels_of_their_keys(site: Site, client: IssuedKey) -> None:
    call = make_call(site.clock)
    with site.settlement.follow(call) as record:
        record.authenticated(client.key.id)
        site.clock.advance(3)
        found = site.get()
    (told,) = found.calls
    assert (told.request_id, told.phase, told.age_seconds) == (call.request_id, Phase.READING, 3)
    assert found.labels == {client.key.id: "client"}


def test_the_last_hour_and_day_are_exact_to_the_moment(site: Site) -> None:
    now = site.clock.now()
    for number, minutes in enumerate((0.5, 59.9, 60.1, 24 * 60 - 1, 24 * 60 + 1)):
        at = (now - timedelta(minutes=minutes)).isoformat()
        site.stored.usage.add_events([UsageEvent(request_id=f"req_{number}", at=at, cause=Cause.OK, status=200)])
    found = site.get()
    assert (found.last_hour.total.requests, found.last_day.total.requests) == (2, 4)


def test_drift_captures_and_a_stop_are_told(site: Site, client: IssuedKey) -> None:
    now = site.clock.now()
    changes = [CatalogChange(now - timedelta(days=1), "gpt-6", ChangeKind.ADDED)]
    site.stored.catalogs.record([], now, changes)
    site.stored.keys.start_capture(client.key.id, "slow answers", 600, actor="test")
    site.brake.stop = Stop(now, "suspicious")
    found = site.get()
    assert [change.model for change in found.drift] == ["gpt-6"]
    assert [(each.key_id, each.label, each.reason) for each in found.captured] == [
        (client.key.id, "client", "slow answers")
    ]
    assert found.brake.stop_reason == "suspicious"


def test_a_database_that_is_away_is_said(site: Site) -> None:
    class Away:
        def sum_up(self, _query: object) -> Any:
            raise StorageUnavailable("the disk is full")

    site.ledger = Away()
    with pytest.raises(StorageUnavailable):
        site.get()
