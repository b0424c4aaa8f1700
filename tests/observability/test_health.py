"""Readiness, collected from those who know."""

import asyncio

from copilot_api.observability.health import Check, Health


def test_every_probe_is_asked_and_reported_in_order() -> None:
    asked: list[str] = []

    def probe(name: str, reason: str | None) -> object:
        async def run() -> str | None:
            asked.append(name)
            return reason

        return run

    health = Health({"a": probe("a", None), "b": probe("b", "it is broken"), "c": probe("c", None)})  # type: ignore[dict-item]
    checks = asyncio.run(health.check())
    assert checks == [Check("a", True), Check("b", False, "it is broken"), Check("c", True)]
    assert asked == ["a", "b", "c"]


def test_without_conditions_one_is_ready() -> None:
    assert asyncio.run(Health({}).check()) == []


def test_a_warning_is_shown_after_the_conditions_and_keeps_nobody_from_being_ready() -> None:
    async def well() -> str | None:
        return None

    async def odd() -> str | None:
        return "an alias has no model"

    health = Health({"a": well}, warnings={"b": odd, "c": well})
    assert asyncio.run(health.check()) == [
        Check("a", True),
        Check("b", True, "an alias has no model"),
        Check("c", True),
    ]
