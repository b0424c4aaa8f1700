"""Old segments go, by the gateway's upkeep and by nothing else, and not by a clock that may be wrong."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import pytest

from copilot_api.audit import upkeep as module
from copilot_api.audit.upkeep import AuditUpkeep
from copilot_api.observability.events import Notice, Observation
from copilot_api.usage.upkeep import ClockTrust
from tests.audit.logs import MONTH, Site


class Room:
    """The upkeep of a log, and what it reports."""

    def __init__(self, site: Site, days: int = 40) -> None:
        self.site = site
        self.observed: list[Observation] = []
        self.upkeep = AuditUpkeep(site.log, site.clock, self.observed.append, days, ClockTrust())

    @property
    def notices(self) -> list[str]:
        return [each.text for each in self.observed if isinstance(each, Notice)]

    @property
    def first(self) -> int:
        return int(self.site.lines[0]["seq"])


def test_segments_that_are_old_enough_go_each_with_its_line(site: Site) -> None:
    site.fill(2, 2, 2, 2)
    room = Room(site)
    room.upkeep.do_round()
    assert (room.first, site.problems) == (5, [])
    assert [line["target"] for line in site.lines if line["action"] == "audit.segments_removed"] == [
        "audit-2026-01-10.jsonl", "audit-2026-02-10.jsonl",
    ]  # fmt: skip
    assert room.notices == [
        "2 audit lines up to 2026-01-10T12:00:01+00:00 were removed, as retention.audit_days says: audit-2026-01-10.jsonl",
        "2 audit lines up to 2026-02-10T12:00:03+00:00 were removed, as retention.audit_days says: audit-2026-02-10.jsonl",
    ]
    room.upkeep.do_round()
    assert len(room.notices) == 2


def test_nothing_goes_before_its_time(site: Site) -> None:
    site.fill(2, 2, 2, 2)
    room = Room(site, days=365)
    room.upkeep.do_round()
    assert room.first == 1
    room.upkeep.days = 40
    room.upkeep.do_round()
    assert room.first == 5, "how long lines are kept may change while it runs"


def test_a_month_that_nothing_follows_goes_too(site: Site) -> None:
    site.append(2)
    room = Room(site)
    room.upkeep.do_round()
    for _ in range(12):
        site.clock.advance(6 * 86_400.0)
        room.upkeep.do_round()
    assert (room.first, len(site.lines), site.problems) == (3, 1, [])


def test_a_clock_that_jumps_removes_nothing_for_a_day(site: Site) -> None:
    site.fill(2, 2, 2)
    room = Room(site)
    room.upkeep.do_round()
    first = room.first
    # Set by ten years, while the other clock goes on as ever.
    monotonic = site.clock.monotonic
    site.clock.advance(10 * 365 * 86_400.0)
    site.clock.monotonic = lambda: monotonic() - 10 * 365 * 86_400.0  # type: ignore[method-assign]
    room.upkeep.do_round()
    assert room.first == first
    site.clock.advance(86_401)
    room.upkeep.do_round()
    assert room.first > first


def test_a_start_that_is_long_after_the_newest_line_removes_nothing_for_a_day(site: Site) -> None:
    site.fill(2, 2)
    site.clock.advance(4 * MONTH)
    room = Room(site)
    room.upkeep.do_round()
    assert room.first == 1
    site.clock.advance(86_401)
    room.upkeep.do_round()
    assert room.first == 5


def test_trouble_is_said_once_and_tried_again(site: Site) -> None:
    site.fill(2, 2, 2, 2)
    segment = site.files[0]
    kept = segment.read_bytes()
    segment.write_bytes(kept[:-1])
    room = Room(site)
    room.upkeep.do_round()
    room.upkeep.do_round()
    assert len(room.notices) == 1
    assert "cannot be looked after" in room.notices[0]
    assert room.upkeep.failure is not None
    segment.write_bytes(kept)
    room.upkeep.do_round()
    assert not room.upkeep.failure
    assert room.first == 5


def test_rounds_follow_each_other_until_they_are_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.001)
    rounds: list[datetime] = []

    class Trust:
        def is_trusted(self, now: datetime, monotonic: float, find_newest: Callable[[], datetime | None]) -> bool:
            rounds.append(now)
            return False

    async def run() -> None:
        upkeep = AuditUpkeep(site.log, site.clock, lambda _: None, 1, Trust())
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(upkeep.run())
                    while len(rounds) < 3:
                        await asyncio.sleep(0.001)
                    task.cancel()

    asyncio.run(run())
    assert len(rounds) >= 3
