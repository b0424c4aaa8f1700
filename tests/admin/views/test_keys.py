"""The list of keys and the page of one, rendered with their own templates."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from copilot_api.admin.answers import Page
from copilot_api.admin.key_lists import PAGE_KEYS
from copilot_api.admin.views.keys import KeyViews
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.gateway.surfaces import CHAT_SURFACE
from copilot_api.gateway.under_way import Phase
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier
from copilot_api.keys.service import KeyNotFound
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World, text_of

HOSTILE = "<script>alert(1)</script>"


def issue(world: World, label: str, **more: object) -> ApiKey:
    key = world.stored.keys.issue(label, actor="test", **more).key  # type: ignore[arg-type]
    world.stored.keys.load()
    return key


def use(world: World, key: ApiKey, number: int = 1, **more: object) -> None:
    values: dict[str, object] = {
        "request_id": f"req_{key.id}_{number}",
        "at": (world.clock.now() - timedelta(hours=number)).isoformat(),
        "key_id": key.id,
        "model": "gpt-4.1",
        "cause": Cause.OK,
        "status": 200,
        "nano_aiu": 2_000_000_000,
        "input_tokens": 1000,
        "duration": 1.0,
    }
    world.stored.usage.add_events([UsageEvent(**{**values, **more})])  # type: ignore[arg-type]


@pytest.fixture
def views(world: World) -> KeyViews:
    return KeyViews(world.services)


def test_a_key_is_listed_with_its_use_its_fullest_limit_and_its_posture(world: World, views: KeyViews) -> None:
    budget = Budget(Unit.CREDITS, Window.DAY, 50.0)
    key = issue(world, "ci", policy=KeyPolicy(budgets=(budget,), observe=("rpm",)))
    use(world, key)
    use(world, key, 2, cause=Cause.UPSTREAM_ERROR, status=502)
    world.stored.keys.start_capture(key.id, "why", 60, actor="test")
    world.stored.keys.load()
    html = world.show(views.browse, "/admin/keys")
    text = text_of(html)
    for words in ("ci", "2 (1 failed)", "4.00", "of 50 credits today", "captured", "observed", "never", "ada"):
        assert words in text
    assert f'data-href="/admin/keys/{key.id}"' in html
    assert f'name="key" value="{key.id}"' in html


def test_ended_keys_are_behind_their_own_tab_and_cannot_be_chosen_once_revoked(world: World, views: KeyViews) -> None:
    key = issue(world, "old")
    world.stored.keys.revoke(key.id, actor="test")
    world.stored.keys.load()
    assert "old" not in text_of(world.show(views.browse, "/admin/keys"))
    html = world.show(views.browse, "/admin/keys?show=ended")
    assert "revoked" in text_of(html)
    assert f'value="{key.id}"' not in html


def test_empty_lists_say_what_to_do(world: World, views: KeyViews) -> None:
    assert "No key fits" in text_of(world.show(views.browse, "/admin/keys?q=nothing"))
    assert "No key has ended" in text_of(world.show(views.browse, "/admin/keys?show=ended"))
    assert "No key fits" in text_of(world.show(views.browse, "/admin/keys?tier=client"))


def test_a_page_leads_to_the_next_and_a_hostile_label_stays_text(world: World, views: KeyViews) -> None:
    for number in range(PAGE_KEYS + 3):
        world.stored.keys.issue(f"{HOSTILE}{number}", actor="test")
    world.stored.keys.load()
    html = world.show(views.browse, "/admin/keys?sort=created&done=revoked")
    assert "<script>alert" not in html
    assert "after=key_" in html
    assert "done=" not in html.split('class="pager"')[1]
    assert "Revoked: refused from the next call on." in html


def test_only_the_list_is_rendered_where_only_it_is_asked_for(world: World, views: KeyViews) -> None:
    issue(world, "ci")
    html = world.show(views.browse, "/admin/keys", headers={"X-Fragment": "keys"})
    assert html.startswith('<template data-fragment="keys">')
    assert "ci" in html


def test_the_page_of_a_key_tells_use_limits_facts_and_what_was_done(world: World, views: KeyViews) -> None:
    policy = KeyPolicy(models=("gpt-4.1",), rpm=30, cidrs=("10.0.0.0/8",), weight=2)
    key = issue(world, "ci", policy=policy)
    use(world, key)
    world.stored.keys.update(key.id, label="ci two", actor=world.asking.id)
    world.stored.keys.load()
    text = text_of(world.show(views.show, f"/admin/keys/{key.id}", id=key.id))
    for words in (
        "ci two",
        "0 of 30 requests",
        "10.0.0.0/8",
        "key.updated",
        "by ada",
        "label: ci → ci two",
        "Capture its calls",
        "No call is under way with it.",
    ):
        assert words in text
    assert "Erase" not in text  # no tools for it in this world


def test_what_is_known_of_a_rotation_a_capture_and_a_call_under_way_is_shown(world: World, views: KeyViews) -> None:
    key = issue(world, "ci")
    world.stored.keys.rotate(key.id, overlap_seconds=3600, actor="test")
    world.stored.keys.start_capture(key.id, HOSTILE, 60, actor=world.asking.id)
    world.stored.keys.load()
    call = SimpleNamespace(
        request_id="req_1", arrived_at=world.clock.now(), began=0.0, surface=CHAT_SURFACE, client="codex"
    )
    event = UsageEvent(request_id="req_1", at=world.clock.now().isoformat(), key_id=key.id, model="o3")
    world.under_way["req_1"] = SimpleNamespace(call=call, event=event, phase=Phase.STREAMING, task=None)
    html = world.show(views.show, f"/admin/keys/{key.id}", id=key.id)
    text = text_of(html)
    assert "The secret that it had before still works" in text
    assert "Go on capturing" in text
    assert "asked for by ada" in text
    assert "<script>alert" not in html
    assert "1 call under way goes on to the end" in text
    assert "/admin/requests/req_1" in html


@pytest.mark.parametrize("block", ["tiles", "charts", "limits", "calls"])
def test_each_part_can_be_had_alone(world: World, views: KeyViews, block: str) -> None:
    key = issue(world, "ci")
    html = world.show(views.show, f"/admin/keys/{key.id}", id=key.id, headers={"X-Fragment": block})
    assert html.startswith(f'<template data-fragment="{block}">')


def test_a_part_that_there_is_not_is_the_whole_page(world: World, views: KeyViews) -> None:
    key = issue(world, "ci")
    page = world.ask(views.show, f"/admin/keys/{key.id}", id=key.id, headers={"X-Fragment": "tiles,none"})
    assert isinstance(page, Page)
    assert {"found", "standings", "calls", "lines", "revocation"} <= set(page.data)


def test_a_revoked_key_offers_nothing_that_could_be_done(world: World, views: KeyViews) -> None:
    key = issue(world, "ci", tier=Tier.ADMIN)
    world.stored.keys.revoke(key.id, actor="test")
    world.stored.keys.load()
    html = world.show(views.show, f"/admin/keys/{key.id}", id=key.id)
    assert 'id="rotate"' not in html
    assert "/edit" not in html
    assert "there is nothing to capture" in text_of(html)


def test_where_captures_are_forbidden_that_is_said(world: World, views: KeyViews) -> None:
    world.may_capture = False
    key = issue(world, "ci")
    assert "features.debug" in text_of(world.show(views.show, f"/admin/keys/{key.id}", id=key.id))


def test_a_key_that_is_not_there_is_told(world: World, views: KeyViews) -> None:
    with pytest.raises(KeyNotFound):
        world.ask(views.show, "/admin/keys/key_none", id="key_none")
