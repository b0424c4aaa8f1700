"""Requests, rendered with their own templates: the list forth and back, one call in full, and ending one under way."""

import asyncio
import re
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest

from copilot_api.admin.answers import Page, Redirect
from copilot_api.admin.views.requests import PAGE_EVENTS, RequestViews
from copilot_api.capture.lines import encode_trace
from copilot_api.capture.models import Leg, Trace
from copilot_api.errors import BadRequest
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.gateway.under_way import CallNotUnderWay, Phase
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World, text_of

HOSTILE = "<script>alert(1)</script>"


def event(world: World, number: int = 1, **fields: object) -> UsageEvent:
    at = world.clock.now() - timedelta(seconds=30 * number)
    values: dict[str, object] = {
        "request_id": f"req_{9999 - number:04}",
        "at": at.isoformat(),
        "identity_id": "default",
        "endpoint": "/v1/chat/completions",
        "model": "gpt-4.1",
        "upstream_model": "gpt-4.1",
        "cause": Cause.OK,
        "status": 200,
        "duration": 2.0,
        "time_to_first_token": 0.4,
    }
    return UsageEvent(**{**values, **fields})  # type: ignore[arg-type]


def rows(html: str) -> list[str]:
    return re.findall(r'<tr data-href="/admin/requests/([^"]+)"', html)


def pager(html: str) -> dict[str, str]:
    found = re.findall(r'<a class="button button-small" href="([^"]+)"[^>]*>(Newest|Newer|Older)</a>', html)
    return {label: unescape(href) for href, label in found}


@pytest.fixture
def views(world: World) -> RequestViews:
    return RequestViews(world.services)


def test_an_empty_list_says_how_to_fill_it(world: World, views: RequestViews) -> None:
    text = text_of(world.show(views.browse, "/admin/requests"))
    assert "No calls in this range" in text
    assert "OPENAI_BASE_URL=http://127.0.0.1:4141/v1" in text


def test_one_walks_all_calls_forth_and_back(world: World, views: RequestViews) -> None:
    events = [event(world, number) for number in range(1, 2 * PAGE_EVENTS + 20)]
    world.stored.usage.add_events(events)
    target, seen, pages = "/admin/requests?q=model:gpt", list[str](), list[str]()
    while True:
        html = world.show(views.browse, target)
        seen += rows(html)
        pages.append(target)
        if "Older" not in (ways := pager(html)):
            break
        target = ways["Older"]
    assert seen == [each.request_id for each in events]
    assert len(pages) == 3
    html = world.show(views.browse, pages[-1])
    for _ in range(2):
        html = world.show(views.browse, pager(html)["Newer"])
    assert rows(html) == seen[:PAGE_EVENTS]
    assert "Newer" not in pager(html)


def test_only_the_newest_page_renews_itself(world: World, views: RequestViews) -> None:
    world.stored.usage.add_events([event(world, number) for number in range(1, PAGE_EVENTS + 20)])
    first = world.show(views.browse, "/admin/requests")
    assert 'data-fragment="list" data-live="usage"' in first
    assert 'data-fragment="list" data-live' not in world.show(views.browse, pager(first)["Older"])


def test_a_query_narrows_and_its_terms_can_be_taken_off(world: World, views: RequestViews) -> None:
    key = world.stored.keys.issue("grace hopper", actor="test").key
    world.stored.keys.load()
    world.stored.usage.add_events(
        [event(world, 1), event(world, 2, key_id=key.id, status=502, cause=Cause.UPSTREAM_CUT)]
    )
    html = world.show(views.browse, "/admin/requests?q=key:%22grace+hopper%22+status:%3E=400")
    assert rows(html) == ["req_9997"]
    assert 'aria-label="Remove key:&#34;grace hopper&#34;"' in html
    assert "Nothing fits" in world.show(views.browse, "/admin/requests?q=status:429")


def test_a_mistake_is_told_beside_the_query_with_what_was_typed(world: World, views: RequestViews) -> None:
    answer = world.ask(views.browse, "/admin/requests?q=statsu:500")
    assert isinstance(answer, Page)
    assert answer.status == 200
    html = world.show(views.browse, "/admin/requests?q=statsu:500")
    assert "no field for" in html
    assert 'value="statsu:500"' in html


@pytest.mark.parametrize("after", ["x", "!!", "MTIz"])
def test_a_position_that_is_none_is_refused(world: World, views: RequestViews, after: str) -> None:
    with pytest.raises(BadRequest):
        world.ask(views.browse, f"/admin/requests?after={after}")


def test_one_call_has_all_its_facts(world: World, views: RequestViews) -> None:
    known = event(
        world,
        input_tokens=1000,
        cache_read_tokens=900,
        nano_aiu=1_500_000_000,
        would_limit="rpm,credits:day",
        fallback_from="claude-opus-4.7",
        queue_seconds=0.25,
    )
    world.stored.usage.add_events([known])
    text = text_of(world.show(views.show, "/admin/requests/x", request_id=known.request_id))
    for words in (
        "req_9998",
        "900 (90",
        "Would have been limited",
        "rpm credits:day",
        "claude-opus-4.7",
        "Queue",
        "1.5",
    ):
        assert words in text
    assert "curl 'http://127.0.0.1:4141/v1/chat/completions'" in text or "curl http://127.0.0.1:4141" in text


def test_a_failure_says_whose_doing_it_was_and_what_to_do(world: World, views: RequestViews) -> None:
    world.stored.usage.add_events([event(world, cause=Cause.UPSTREAM_TIMEOUT, status=504, time_to_first_token=None)])
    text = text_of(world.show(views.show, "/admin/requests/x", request_id="req_9998"))
    assert "504 upstream_timeout: caused by GitHub Copilot" in text
    assert "What to do: try again" in text


def test_a_capture_is_linked_where_there_is_one(world: World, views: RequestViews) -> None:
    known = event(world)
    world.stored.usage.add_events([known])
    html = world.show(views.show, "/admin/requests/x", request_id=known.request_id)
    assert "No capture of it is in memory" in html
    trace = Trace(request_id=known.request_id, at=known.at, number=1, client_request=Leg())
    kept = SimpleNamespace(line=encode_trace(trace))
    world.ring._numbers, world.ring._kept = {known.request_id: 1}, {1: kept}  # type: ignore[assignment]
    html = world.show(views.show, "/admin/requests/x", request_id=known.request_id)
    assert f'href="/admin/traces/{known.request_id}"' in html


def test_every_cause_has_its_page(world: World, views: RequestViews) -> None:
    for number, cause in enumerate(Cause):
        world.stored.usage.add_events([event(world, number + 10, cause=cause, status=0, identity_id=None, model=None)])
        assert cause.value in world.show(views.show, "/x", request_id=f"req_{9989 - number:04}")


def test_a_call_that_nobody_knows_is_not_found(world: World, views: RequestViews) -> None:
    answer = world.ask(views.show, "/x", request_id=HOSTILE)
    assert isinstance(answer, Page)
    assert answer.status == 404
    html = world.show(views.show, "/x", request_id=HOSTILE)
    assert "No call by this id" in html
    assert HOSTILE not in html


def test_names_are_never_markup(world: World, views: RequestViews) -> None:
    key = world.stored.keys.issue(HOSTILE, actor="test").key
    world.stored.keys.load()
    hostile = event(
        world, key_id=key.id, model=HOSTILE, upstream_model=HOSTILE, client=HOSTILE, would_limit=HOSTILE, kind=HOSTILE
    )
    world.stored.usage.add_events([hostile])
    assert HOSTILE not in world.show(views.browse, f"/admin/requests?q=model:%22{HOSTILE.replace('/', '%2F')}%22")
    assert HOSTILE not in world.show(views.browse, "/admin/requests")
    assert HOSTILE not in world.show(views.show, "/x", request_id=hostile.request_id)


class UnderWay:
    """A call that waits to be ended."""

    def __init__(self, world: World, phase: Phase = Phase.WAITING) -> None:
        self.cancelled: list[Any] = []
        self.phase = phase
        self.event = event(world, request_id="req_live", key_id="key_ci", time_to_first_token=None)
        began = world.clock.monotonic() - 3
        self.call = SimpleNamespace(
            request_id="req_live", arrived_at=world.clock.now(), began=began, surface=CHAT_SURFACE, client="codex"
        )
        self.task = SimpleNamespace(cancel=self.cancelled.append)


def test_a_call_under_way_is_shown_as_it_is(world: World, views: RequestViews) -> None:
    world.under_way["req_live"] = UnderWay(world)
    html = world.show(views.show, "/admin/requests/req_live", request_id="req_live")
    assert "It is under way" in html
    assert 'data-live="calls usage"' in html
    assert 'action="/admin/requests/req_live/cancel"' in html


def test_whoever_opens_a_call_that_has_just_ended_waits_for_the_ledger(world: World, views: RequestViews) -> None:
    request_id = "req_1a22fd65845ab2f536f00193"

    async def inside() -> Any:
        async with asyncio.TaskGroup() as group:
            shown = group.create_task(views.show(world.request("/x", request_id=request_id)))
            await asyncio.sleep(0.05)
            world.stored.usage.add_events([event(world, request_id=request_id)])
        return shown.result()

    answer = asyncio.run(inside())
    assert answer.template == "requests/detail.html"


def test_whoever_watches_a_call_is_told_that_it_has_ended(world: World, views: RequestViews) -> None:
    html = world.show(views.show, "/x", request_id="req_live", headers={"X-Fragment": "call"})
    assert "on its way to the ledger" in html
    missing = world.show(views.show, "/x", request_id="req_live", headers={"X-Fragment": "missing"})
    assert "No call by this id" in missing


def test_ending_a_call_is_on_record_and_goes_back(world: World, views: RequestViews) -> None:
    world.under_way["req_live"] = call = UnderWay(world)
    answer = world.ask(views.cancel, "/x", method="POST", form={"next": "/admin?range=1h"}, request_id="req_live")
    assert answer == Redirect("/admin?range=1h")
    assert len(call.cancelled) == 1
    (record,) = world.stored.audit.list_events(action="call.cancelled")
    assert (record.actor, record.target, record.request_id) == (world.asking.id, "req_live", "req_page")


@pytest.mark.parametrize("phase", [None, Phase.ENDING])
def test_what_has_ended_is_not_ended_again_and_not_on_record(
    world: World, views: RequestViews, phase: Phase | None
) -> None:
    if phase is not None:
        world.under_way["req_live"] = UnderWay(world, phase)
    with pytest.raises(CallNotUnderWay):
        world.ask(views.cancel, "/x", method="POST", request_id="req_live")
    assert world.stored.audit.list_events(action="call.cancelled") == []


def test_where_to_go_back_to_is_a_page_of_ours(world: World, views: RequestViews) -> None:
    world.under_way["req_live"] = UnderWay(world)
    answer = world.ask(views.cancel, "/x", method="POST", form={"next": "https://evil.example"}, request_id="req_live")
    assert answer == Redirect("/admin")


def test_pages_are_found_beside_the_loop(world: World, views: RequestViews) -> None:
    async def inside() -> None:
        world.stored.usage.add_events([event(world)])
        request = world.request("/admin/requests")
        async with asyncio.timeout(5):
            await asyncio.gather(*(views.browse(request) for _ in range(8)))

    asyncio.run(inside())
