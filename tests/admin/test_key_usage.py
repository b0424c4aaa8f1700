"""What keys used, on a real ledger."""

import asyncio
from datetime import timedelta

from copilot_api.admin import key_usage
from copilot_api.admin.date_range import DateRange
from copilot_api.admission.quotas import LocalQuotas
from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.settings import AdmissionLimits
from copilot_api.keys.models import KeyPolicy
from copilot_api.usage.models import Cause, UsageEvent
from tests.admin.services import World


def event(world: World, number: int, key_id: str, **more: object) -> UsageEvent:
    at = world.clock.now() - timedelta(hours=number)
    values: dict[str, object] = {
        "request_id": f"req_{key_id}_{number}",
        "at": at.isoformat(),
        "key_id": key_id,
        "identity_id": "default",
        "model": "gpt-4.1",
        "cause": Cause.OK,
        "status": 200,
        "nano_aiu": 2_000_000_000,
        "duration": 1.0,
    }
    return UsageEvent(**{**values, **more})  # type: ignore[arg-type]


def test_recent_use_is_by_key_and_by_day(world: World) -> None:
    failed = event(world, 30, "key_a", cause=Cause.UPSTREAM_ERROR, status=502, nano_aiu=0)
    others = [event(world, 1, "key_b"), event(world, 1, "key_c"), event(world, 24 * 20, "key_a")]
    world.stored.usage.add_events([event(world, 1, "key_a"), failed, *others])
    found = asyncio.run(key_usage.ask_recent_use(world.services, ["key_a", "key_b", "key_none"], world.clock.now()))
    assert set(found) == {"key_a", "key_b"}
    used = found["key_a"]
    assert (used.requests, used.errors, used.credits) == (2, 1, 2.0)
    assert (len(used.by_day), sum(used.by_day)) == (key_usage.DAYS, 2)
    assert asyncio.run(key_usage.ask_recent_use(world.services, [], world.clock.now())) == {}


def test_figures_are_of_one_key_only(world: World) -> None:
    world.stored.usage.add_events([event(world, 1, "key_a"), event(world, 2, "key_b"), event(world, 30, "key_a")])
    now = world.clock.now()
    period = DateRange("24h", now - timedelta(hours=24), now)
    found = asyncio.run(key_usage.ask_figures(world.services, "key_a", period))
    assert (found.now["requests"], found.before["requests"]) == (1, 1)
    assert [series.name for series in found.requests] == ["gpt-4.1"]
    assert sum(found.totals["requests"]) == 1
    assert len(found.totals["errors"]) == len(found.times)


def test_limits_stand_as_calls_and_the_ledger_have_them(world: World) -> None:
    policy = KeyPolicy(rpm=30, budgets=(Budget(Unit.CREDITS, Window.MONTH, 100.0),))
    key = world.stored.keys.issue("ci", policy=policy, actor="test").key
    world.clock.advance(2 * 86400)  # into the month
    world.stored.usage.add_events([event(world, 1, key.id)])
    world.quotas = LocalQuotas(world.clock, AdmissionLimits(), world.stored.usage)
    found = asyncio.run(key_usage.ask_standings(world.services, [key]))
    assert [(each.name, each.used, each.limit) for each in found[key.id]] == [
        ("rpm", 0, 30),
        ("credits:month", 2.0, 100.0),
    ]


def test_the_ledger_is_asked_no_longer_than_a_moment(world: World) -> None:
    keys = [world.stored.keys.issue(f"k{n}", policy=KeyPolicy(rpm=1), actor="test").key for n in range(3)]
    asked: list[str] = []

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(world.services, name)

        async def standings(self, key: object) -> list[object]:
            asked.append(getattr(key, "id", ""))
            world.clock.advance(1)
            return []

    found = asyncio.run(key_usage.ask_standings(Slow(), keys))  # type: ignore[arg-type]
    assert list(found) == asked == [keys[0].id]
