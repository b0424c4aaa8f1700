"""The page for whoever holds a key: about that key and no other."""

from datetime import timedelta

import pytest

from copilot_api.admin.views.my_usage import MyUsageView
from copilot_api.keys.models import KeyPolicy
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World, text_of


def event(world: World, number: int, key_id: str, **more: object) -> UsageEvent:
    values: dict[str, object] = {
        "request_id": f"req_{number}",
        "at": (world.clock.now() - timedelta(hours=number)).isoformat(),
        "key_id": key_id,
        "model": "gpt-4.1",
        "cause": Cause.OK,
        "status": 200,
        "nano_aiu": 2_000_000_000,
        "input_tokens": 1000,
        "duration": 1.0,
    }
    return UsageEvent(**{**values, **more})  # type: ignore[arg-type]


@pytest.fixture
def view(world: World) -> MyUsageView:
    world.asking = world.stored.keys.issue("grace", policy=KeyPolicy(rpm=30), actor="test").key
    world.stored.keys.load()
    return MyUsageView(world.services)


def test_it_shows_what_is_left_and_what_was_used_of_this_key_only(world: World, view: MyUsageView) -> None:
    world.stored.usage.add_events(
        [event(world, 1, world.asking.id), event(world, 2, "key_other", model="secret-model")]
    )
    html = world.show(view.show, "/admin/my-usage")
    text = text_of(html)
    for words in ("30 requests left", "gpt-4.1", "only counts are kept", world.asking.prefix):
        assert words in text
    assert "secret-model" not in html
    assert "req_2" not in html


def test_without_calls_it_says_how_to_make_one(world: World, view: MyUsageView) -> None:
    text = text_of(world.show(view.show, "/admin/my-usage?range=24h"))
    assert "No calls in this range" in text
    assert "Set up a client" in text


def test_the_holder_is_told_who_listens_and_why(world: World, view: MyUsageView) -> None:
    world.asking = world.stored.keys.start_capture(world.asking.id, "<b>why</b>", 60, actor="test")
    html = world.show(view.show, "/admin/my-usage")
    assert "is recorded, redacted" in html
    assert "&lt;b&gt;why" in html
    world.may_capture = False
    assert "is recorded, redacted" not in world.show(view.show, "/admin/my-usage")


@pytest.mark.parametrize("block", ["limits", "tiles", "charts", "calls"])
def test_each_part_can_be_had_alone(world: World, view: MyUsageView, block: str) -> None:
    html = world.show(view.show, "/admin/my-usage", headers={"X-Fragment": block})
    assert html.startswith(f'<template data-fragment="{block}">')
