"""The page of the gateway itself: well, unwell, hostile, in parts; and who is signed in."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from copilot_api.admin.views.system import PAGE_SESSIONS, SystemView
from copilot_api.api.operations.standing import (
    CapturesStanding,
    Check,
    ConfigStanding,
    DatabaseStanding,
    JournalStanding,
    RetentionStanding,
    System,
)
from copilot_api.audit.models import Origin
from tests.admin.services import World, text_of

HOSTILE = "<script>alert(1)</script>"
AT = datetime(2026, 6, 1, tzinfo=UTC)


def make_system(**fields: Any) -> System:
    database = DatabaseStanding(
        schema="0008_sessions",
        bytes=5 * 1024 * 1024,
        free_bytes=1024,
        events=1234,
        oldest_event=AT,
        newest_event=AT,
        oldest_rollup=AT,
        days_closed=AT,
    )
    captures = CapturesStanding(
        is_allowed=True,
        kept=3,
        dropped=0,
        withheld=0,
        not_written=0,
        waiting_bytes=0,
        memory_bytes=0,
        traces_in_memory=3,
        files=0,
        files_bytes=0,
    )
    retention = RetentionStanding(
        events_days=90,
        rollups_days=400,
        audit_days=365,
        traces_days=0,
        traces_max_bytes=0,
        failures={},
        ended_at={"usage": AT},
    )
    values: dict[str, Any] = {
        "version": "1.2.3",
        "python": "3.11",
        "system": "Linux",
        "libraries": {"uvloop": "1"},
        "started_at": AT,
        "uptime_seconds": 90.0,
        "host": "127.0.0.1",
        "port": 4141,
        "is_tls": False,
        "features": {"auth": True, "debug": False},
        "database": database,
        "journal": JournalStanding(0, 0, None),
        "retention": retention,
        "captures": captures,
        "config": ConfigStanding("/data/config.json", "abc" * 20, None),
        "log_lines_dropped": 0,
        "clock_ahead_seconds": 0.4,
        "checks": [Check("database", ok=True, reason=None)],
        "warnings": [],
    }
    return System(**{**values, **fields})


@pytest.fixture
def view(world: World) -> SystemView:
    world.system.told = make_system()
    return SystemView(world.services)


def test_a_gateway_that_is_well_says_so(world: World, view: SystemView) -> None:
    text = text_of(world.show(view.show, "/admin/system"))
    for words in (
        "Uptime",
        "version 1.2.3",
        "of which",
        "Lost events 0",
        "Everything that is looked at is as it should be",
        "0008_sessions",
        "1 of 1 as they should be",
        "Authentication on",
        "Captures off",
        "in memory only",
        "90 days",
        "Clock as GitHub's",
        "not yet",
    ):
        assert words in text


def test_what_is_wrong_stands_out(world: World, view: SystemView) -> None:
    told = make_system(
        database=None,
        journal=JournalStanding(10, 7, "the disk is full"),
        checks=[Check("database", ok=False, reason="away"), Check("aliases", ok=True, reason="one is broken")],
        warnings=["7 usage events were lost since the start"],
    )
    retention = msgspec.structs.replace(told.retention, failures={"usage": "locked"})
    world.system.told = msgspec.structs.replace(told, retention=retention)
    html = world.show(view.show, "/admin/system")
    text = text_of(html)
    assert "7 usage events were lost" in text
    assert "the disk is full" in text
    assert text.count("locked") >= 2
    assert html.count("tile-bad") == 3
    assert "not met" in text


def test_each_part_can_be_had_alone(world: World, view: SystemView) -> None:
    for part in ("standing", "sessions"):
        html = world.show(view.show, "/admin/system", headers={"X-Fragment": part})
        assert html.startswith(f'<template data-fragment="{part}">')


async def open_sessions(world: World, count: int, user_agent: str = "Firefox") -> None:
    issued = world.stored.keys.issue("grace", actor="test")
    world.stored.keys.load()
    for _ in range(count):
        world.clock.advance(1)
        await world.services.sessions.open(
            issued.key, issued.secret, Origin("10.0.0.1", user_agent, "req_1"), replaced=None
        )


def test_whoever_is_signed_in_is_a_row_with_a_way_to_end_it(world: World, view: SystemView) -> None:
    asyncio.run(open_sessions(world, 1, HOSTILE))
    html = world.show(view.show, "/admin/system")
    assert "grace" in html
    assert "/end" in html
    assert 'name="csrf" value="csrf-token"' in html
    assert HOSTILE not in html


def test_the_page_of_sessions_goes_on(world: World, view: SystemView) -> None:
    for _ in range(PAGE_SESSIONS // 10 + 1):
        asyncio.run(open_sessions(world, 10))
    html = world.show(view.show, "/admin/system")
    assert f"{PAGE_SESSIONS} sessions" in html
    older = re.search(r"/admin/system\?(before=\w+)", html)
    assert older is not None
    assert "5 sessions" in world.show(view.show, f"/admin/system?{older[1]}")


def test_what_is_told_is_never_markup(world: World, view: SystemView) -> None:
    world.system.told = make_system(
        warnings=[HOSTILE],
        checks=[Check(HOSTILE, ok=False, reason=HOSTILE)],
        config=ConfigStanding(HOSTILE, "x", HOSTILE),
    )
    assert HOSTILE not in world.show(view.show, "/admin/system")
