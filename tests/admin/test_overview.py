"""What the overview finds in the ledger, and that it is not found again for every tab."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from copilot_api.admin import overview
from copilot_api.admin.date_range import CUSTOM, DateRange
from copilot_api.audit.models import Action, AuditEvent
from copilot_api.protocols.untyped import object_of
from copilot_api.upstream.drift import CatalogChange, ChangeKind
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World
from tests.fakes import FakeClock
from tests.ledgers import random_events

T = TypeVar("T")
HOUR = timedelta(hours=1)


def now_range(world: World, span: timedelta = 4 * 24 * HOUR) -> DateRange:
    return DateRange("7d", world.clock.now() - span, world.clock.now())


def fill(world: World) -> list[UsageEvent]:
    events = random_events(300, first=world.clock.now() - timedelta(days=4))
    world.stored.usage.add_events(events)
    world.stored_count += len(events)
    return events


def ask(question: Callable[..., Awaitable[T]], *given: Any) -> T:
    async def inside() -> T:
        return await question(*given)

    return asyncio.run(inside())


def test_tiles_and_charts_tell_of_the_same_calls(world: World) -> None:
    events = fill(world)
    found = ask(overview.ask_figures, world.services, now_range(world))
    assert found.now["requests"] == len(events)
    assert found.before["requests"] == 0
    assert sum(found.totals["requests"]) == len(events)
    assert sum(sum(value or 0 for value in each.values) for each in found.requests) == len(events)
    assert len(found.times) == len(found.totals["tokens"]) == len(found.first_tokens)
    assert all(0 <= share <= 1 for share in found.totals["errors"])


def test_failures_are_counted_by_cause_with_the_newest_of_each(world: World) -> None:
    events = fill(world)
    found = ask(overview.ask_failures, world.services, now_range(world))
    counts = {failure.cause: failure.count for failure in found}
    wrong = [event.cause.value for event in events if event.cause not in {Cause.OK, Cause.CLIENT_ABORTED}]
    assert counts == {cause: wrong.count(cause) for cause in set(wrong)}
    assert [failure.count for failure in found] == sorted(counts.values(), reverse=True)
    for failure in found:
        assert failure.last is None or failure.last.cause == failure.cause


def test_of_a_short_range_only_that_is_told(world: World) -> None:
    fill(world)
    short = DateRange("15m", world.clock.now() - timedelta(minutes=15), world.clock.now())
    events = world.stored.usage.list_events(short.since, short.until)
    found = ask(overview.ask_keys, world.services, short)
    assert sum(row["requests"] for row in found) == len(list(events))


def test_an_empty_ledger_is_no_trouble(world: World) -> None:
    assert ask(overview.ask_figures, world.services, now_range(world)).now["requests"] == 0
    assert ask(overview.ask_keys, world.services, now_range(world)) == []
    assert ask(overview.ask_failures, world.services, now_range(world)) == []


def test_what_tabs_show_is_found_once_until_there_is_more(world: World) -> None:
    fill(world)
    period = now_range(world)

    async def inside() -> list[int]:
        counts: list[int] = []
        for event in random_events(3, seed=9, days=0.01, first=world.clock.now() - HOUR):
            counts.append((await overview.ask_figures(world.services, period)).now["requests"])
            renamed = msgspec.structs.replace(event, request_id=f"req_new_{len(counts)}")
            world.stored.usage.add_events([renamed])
            counts.append((await overview.ask_figures(world.services, period)).now["requests"])
            world.stored_count += 1
        return counts

    assert asyncio.run(inside()) == [300, 300, 301, 301, 302, 302]


def test_changes_of_the_configuration_mark_the_charts(world: World) -> None:
    period = DateRange(CUSTOM, world.clock.now() - HOUR, world.clock.now() + HOUR)
    for action in (Action.KEY_ISSUED, Action.CONFIG_CHANGED, Action.IDENTITY_STOPPED):
        world.stored.audit.append(AuditEvent("local:test", action, "x"))
        world.clock.advance(60)
    marks = ask(overview.ask_marks, world.services, period)
    assert [(mark.tone, mark.at.minute) for mark in marks] == [("config", 1), ("incident", 2)]


def test_the_latest_changes_of_the_catalog_are_news(world: World, clock: FakeClock) -> None:
    change = CatalogChange(clock.now() - HOUR, "gpt-6", ChangeKind.ADDED, after="GPT-6")
    old = CatalogChange(clock.now() - timedelta(days=60), "gpt-2", ChangeKind.GONE)
    world.stored.catalogs.record([object_of({"id": "gpt-6"})], clock.now(), [old, change])
    found = ask(overview.ask_changes, world.services, clock.now())
    assert [each.model for each in found] == ["gpt-6"]
