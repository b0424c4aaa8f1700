"""The usage explorer, rendered with its own template: every metric by everything, and each mistake told in place."""

from datetime import timedelta
from itertools import product

import pytest

from copilot_api.admin.usage_queries import GROUPS, MEASURES
from copilot_api.admin.views.usage import UsageView
from copilot_api.config.budgets import parse_budget
from copilot_api.errors import BadRequest
from copilot_api.keys.models import KeyPolicy
from tests.admin.services import World, text_of
from tests.ledgers import random_events

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def view(world: World) -> UsageView:
    world.stored.usage.add_events(random_events(300, first=world.clock.now() - timedelta(days=4)))
    return UsageView(world.services)


@pytest.mark.parametrize("metric", MEASURES)
def test_every_metric_can_be_shown_by_anything(world: World, view: UsageView, metric: str) -> None:
    for first, second in product(("", *GROUPS), ("", "cause")):
        html = world.show(view.show, f"/admin/usage?range=7d&metric={metric}&by={first}&then={second}&compare=on")
        assert "chart-usage" in html
        assert MEASURES[metric].label in html


@pytest.mark.parametrize("range_name", ["15m", "1h", "24h", "7d", "30d"])
def test_every_range_can_be_shown_in_every_bucket(world: World, view: UsageView, range_name: str) -> None:
    for bucket in ("auto", "minute", "hour", "day"):
        assert "chart-usage" in world.show(view.show, f"/admin/usage?range={range_name}&bucket={bucket}&cumulative=on")


def test_groups_lead_to_their_calls(world: World, view: UsageView) -> None:
    html = world.show(view.show, "/admin/usage?range=7d&by=client&then=cause&q=model:opus")
    assert "/admin/requests?range=7d&amp;q=model%3Aopus+client%3Acodex+cause%3Aok" in html


def test_the_same_can_be_had_as_files(world: World, view: UsageView) -> None:
    html = world.show(view.show, "/admin/usage?range=7d&by=key&metric=credits&q=client:codex")
    assert "/admin/api/usage?q=client%3Acodex&amp;since=2026-06-24" in html
    assert "by=key&amp;metric=credits&amp;bucket=hour&amp;format=csv" in html


def test_a_mistake_in_the_query_is_told_beside_it_and_kept(world: World, view: UsageView) -> None:
    html = world.show(view.show, "/admin/usage?q=ttft:%3E5s")
    assert "sums cannot be told apart by ttft" in html
    assert 'value="ttft:&gt;5s"' in html


def test_what_there_is_not_is_refused(world: World, view: UsageView) -> None:
    with pytest.raises(BadRequest):
        world.ask(view.show, "/admin/usage?metric=happiness")
    with pytest.raises(BadRequest):
        world.ask(view.show, "/admin/usage?since=1990-01-01T00:00")


def test_the_limits_of_the_one_key_are_drawn_in(world: World, view: UsageView) -> None:
    policy = KeyPolicy(rpm=60, budgets=(parse_budget("credits:day:400"), parse_budget("tokens:month:9")))
    key = world.stored.keys.issue("ci", policy=policy, actor="test").key
    world.stored.keys.load()
    target = f"/admin/usage?range=7d&bucket=day&metric=credits&q=key:{key.id}"
    world.stored.usage.add_events([])
    assert "data-limit" not in world.show(view.show, target), "nothing was used, so nothing is drawn"
    for event in random_events(5, seed=3, first=world.clock.now() - timedelta(days=4)):
        event.key_id, event.request_id, event.nano_aiu = key.id, f"{event.request_id}x", 10**9
        world.stored.usage.add_events([event])
    world.stored_count += 1
    html = world.show(view.show, target)
    assert 'data-limit="400.0"' in html
    assert html.count("data-limit") == 1


def test_names_are_never_markup(world: World, view: UsageView) -> None:
    key = world.stored.keys.issue(HOSTILE, actor="test").key
    world.stored.keys.load()
    for event in random_events(5, seed=3, first=world.clock.now() - timedelta(days=4)):
        event.key_id, event.request_id, event.model, event.client = key.id, f"{event.request_id}x", HOSTILE, HOSTILE
        world.stored.usage.add_events([event])
    for by in ("key", "model", "client"):
        assert HOSTILE not in world.show(view.show, f"/admin/usage?range=7d&by={by}")


def test_an_empty_ledger_says_so(world: World) -> None:
    html = world.show(UsageView(world.services).show, "/admin/usage?by=model")
    assert "Calls that are made from now on appear here." in text_of(html)
