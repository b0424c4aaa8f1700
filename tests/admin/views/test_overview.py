"""The overview, rendered with its own template: empty, full, hostile, and in parts."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from copilot_api.admin.views.overview import OverviewView
from copilot_api.errors import BadRequest, UpstreamFailed
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.gateway.under_way import Phase
from copilot_api.upstream.brake import Stop
from copilot_api.upstream.quota_keeper import AccountReading
from copilot_api.upstream.quotas import parse_quota
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World, text_of

HOSTILE = "<script>alert(1)</script>"


def event(world: World, number: int, **fields: object) -> UsageEvent:
    at = world.clock.now() - timedelta(minutes=10 * number + 1)
    values: dict[str, object] = {
        "request_id": f"req_{number}",
        "at": at.isoformat(),
        "identity_id": "default",
        "model": "gpt-4.1",
        "cause": Cause.OK,
        "status": 200,
        "nano_aiu": 2_000_000_000,
        "input_tokens": 1000,
        "time_to_first_token": 0.5,
        "duration": 2.0,
    }
    return UsageEvent(**{**values, **fields})  # type: ignore[arg-type]


def under_way(world: World, request_id: str, phase: Phase, **fields: object) -> None:
    call = SimpleNamespace(
        request_id=request_id,
        arrived_at=world.clock.now(),
        began=world.clock.monotonic() - 70,
        surface=CHAT_SURFACE,
        client=fields.get("client", "codex"),
    )
    known = event(world, 0, request_id=request_id, **fields)
    world.under_way[request_id] = SimpleNamespace(call=call, event=known, phase=phase, task=None)


@pytest.fixture
def view(world: World) -> OverviewView:
    return OverviewView(world.services)


def test_an_empty_gateway_says_what_would_be_here(world: World, view: OverviewView) -> None:
    text = text_of(world.show(view.show, "/admin"))
    for words in (
        "Nothing is under way",
        "No key called in this range",
        "Nothing went wrong",
        "No calls in this range",
    ):
        assert words in text
    assert "Not read yet" in text
    assert "calm" in text


def test_what_happened_is_on_one_page(world: World, view: OverviewView) -> None:
    ci = world.stored.keys.issue("ci", actor="test").key
    world.stored.keys.load()
    failed = event(world, 9, key_id=ci.id, cause=Cause.UPSTREAM_CUT, status=502)
    world.stored.usage.add_events([*(event(world, number, key_id=ci.id) for number in range(9)), failed])
    html = world.show(view.show, "/admin?range=24h")
    text = text_of(html)
    assert "Requests 10" in text
    assert "Error rate 10" in text
    assert "upstream_cut 1 GitHub Copilot" in text
    assert "/admin/requests/req_9" in html
    assert f"key%3A{ci.id}" in html
    assert "ci 10 20.00" in text


def test_calls_under_way_are_rows_with_a_way_to_end_them(world: World, view: OverviewView) -> None:
    under_way(world, "req_a", Phase.STREAMING)
    under_way(world, "req_b", Phase.WAITING, time_to_first_token=None)
    html = world.show(view.show, "/admin", headers={"X-Fragment": "calls"})
    text = text_of(html.replace("template", "div"))
    assert "2 under way" in text
    assert "streaming" in text
    assert 'class="badge badge-bad"' in html, "one that waits for a minute stands out"
    assert 'action="/admin/requests/req_a/cancel"' in html
    assert 'name="csrf" value="csrf-token"' in html


def test_a_part_of_the_page_asks_only_for_itself(world: World, view: OverviewView) -> None:
    class Deaf:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"the ledger was asked for {name}")

    object.__setattr__(world.services, "ledger", Deaf())
    html = world.show(view.show, "/admin", headers={"X-Fragment": "calls"})
    assert "Nothing is under way" in html
    assert "chart" not in html


def test_each_part_can_be_had_alone(world: World, view: OverviewView) -> None:
    world.stored.usage.add_events([event(world, 1, key_id="key_x")])
    for part in ("tiles", "charts", "calls", "keys", "failures", "account", "news", "notices", "range"):
        html = world.show(view.show, "/admin", headers={"X-Fragment": part})
        assert html.startswith(f'<template data-fragment="{part}">')


def test_the_allowance_has_a_meter(world: World, view: OverviewView) -> None:
    premium = {"entitlement": 4000, "quota_remaining": 2520, "token_based_billing": True}
    document = {
        "login": "octocat",
        "copilot_plan": "business",
        "quota_reset_date": "2026-08-01",
        "quota_snapshots": {"premium_interactions": premium},
    }
    world.quota.reading = AccountReading(parse_quota(document), world.clock.now(), world.clock.monotonic())
    html = world.show(view.show, "/admin")
    text = text_of(html)
    assert "1,480 of 4,000 credits" in text
    assert "ahead of an even pace" in text
    assert 'role="meter"' in html


def test_why_the_allowance_is_not_known_is_said(world: World, view: OverviewView) -> None:
    world.quota.failure = UpstreamFailed("GitHub answered 500")
    assert "GitHub answered 500" in text_of(world.show(view.show, "/admin"))


def test_an_account_that_is_stopped_is_red(world: World, view: OverviewView) -> None:
    world.brake.stop = Stop(datetime(2026, 7, 1, tzinfo=UTC), "abuse detected")
    html = world.show(view.show, "/admin")
    assert "abuse detected" in html
    assert "meter-bad" in html


def test_names_are_never_markup(world: World, view: OverviewView) -> None:
    key = world.stored.keys.issue(HOSTILE, actor="test").key
    world.stored.keys.load()
    hostile = event(world, 1, key_id=key.id, model=HOSTILE, client=HOSTILE, cause=Cause.INTERNAL, request_id='"><b>')
    world.stored.usage.add_events([hostile])
    under_way(world, "req_x", Phase.QUEUED, model=HOSTILE, client=HOSTILE, key_id=key.id)
    html = world.show(view.show, "/admin")
    assert HOSTILE not in html
    assert '"><b>' not in html


def test_a_range_that_there_is_not_is_refused(world: World, view: OverviewView) -> None:
    with pytest.raises(BadRequest):
        world.ask(view.show, "/admin?range=5y")
