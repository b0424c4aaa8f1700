"""The ledger is looked after in small steps; a clock that cannot be believed forgets nothing."""

import asyncio
import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.config.settings import RetentionSettings
from copilot_api.errors import StorageUnavailable
from copilot_api.observability.events import ClockMistrusted, Observation, UpkeepFailed, UpkeepRecovered, UsageForgotten
from copilot_api.usage.upkeep import (
    CLOSED_AFTER,
    DISTRUST_SECONDS,
    FIRST_SECONDS,
    ROUND_SECONDS,
    STEP_EVENTS,
    STEP_SECONDS,
    UNUSUAL_SILENCE,
    UNUSUAL_STEP_SECONDS,
    ClockTrust,
    LedgerUpkeep,
)
from tests.fakes import FakeClock
from tests.upstream.virtual import START, VirtualClock, run_virtually

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime(2026, 7, 31, 12, 0, tzinfo=UTC)


class WrongClock(FakeClock):
    """A clock that somebody sets."""

    def set(self, now: datetime) -> None:
        self._now = now


class LedgerInMemory:
    """Events by their times, rollups by their days, and a note of what was done."""

    def __init__(self, events: list[datetime]) -> None:
        self.events = sorted(events)
        self.rollups = sorted({day_of(at) for at in events})
        self.open_days = list(self.rollups)
        self.series = 2500
        self.done: list[str] = []
        self.broken: str | None = None
        """The step that fails."""

    def _do(self, step: str) -> None:
        if step == self.broken:
            raise StorageUnavailable("the database cannot be used: disk full")
        self.done.append(step)

    def close_day(self, before: datetime) -> bool:
        self._do("close")
        if not self.open_days or self.open_days[0] + DAY > before:
            return False
        del self.open_days[0]
        return True

    def forget_events(self, before: datetime, limit: int) -> int:
        self._do("events")
        count = min(limit, bisect_left(self.events, before))
        del self.events[:count]
        return count

    def forget_rollups(self, before: datetime) -> int:
        self._do("rollups")
        if not self.rollups or self.rollups[0] >= before:
            return 0
        del self.rollups[0]
        return 1

    def find_newest_event(self) -> datetime | None:
        self._do("newest")
        return self.events[-1] if self.events else None

    def forget_series(self, after: int) -> int | None:
        self._do("series")
        return min(after + 1000, self.series) if after < self.series else None


def day_of(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass
class Room:
    """An upkeep with all that it needs."""

    ledger: LedgerInMemory
    clock: WrongClock = field(default_factory=lambda: WrongClock(NOW))
    settings: RetentionSettings = field(default_factory=lambda: RetentionSettings(events_days=7, rollups_days=20))
    observed: list[Observation] = field(default_factory=list[Observation])
    pauses: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.upkeep = LedgerUpkeep(
            self.ledger, self.clock, self.observed.append, self.settings, sleep=self.pauses.append
        )

    def later(self, seconds: float = ROUND_SECONDS) -> None:
        """The next round."""
        self.clock.advance(seconds)
        self.upkeep.do_round()


def hourly(days: int, *, until: datetime = NOW) -> list[datetime]:
    return [until - number * HOUR for number in range(1, days * 24)]


@pytest.fixture
def room() -> Room:
    return Room(LedgerInMemory(hourly(30)))


# What a round does ---------------------------------------------------------------------------------------------------


def test_every_day_that_is_over_is_closed(room: Room) -> None:
    room.upkeep.do_round()
    assert room.ledger.open_days == [day_of(NOW)]
    assert room.ledger.done.count("close") == 31  # thirty days, and once in vain


def test_a_day_is_closed_some_time_after_its_end() -> None:
    """Calls of its last minutes may still be under way."""
    midnight = day_of(NOW)
    room = Room(LedgerInMemory([midnight - HOUR]), WrongClock(midnight + CLOSED_AFTER - timedelta(seconds=1)))
    room.upkeep.do_round()
    assert room.ledger.open_days
    room.later(1)
    assert not room.ledger.open_days


def test_events_are_forgotten_by_whole_days(room: Room) -> None:
    room.upkeep.do_round()
    first_kept = day_of(NOW) - 7 * DAY
    assert room.ledger.events == sorted(at for at in hourly(30) if at >= first_kept)
    assert room.ledger.events[0] == first_kept


def test_rollups_outlive_their_events(room: Room) -> None:
    room.upkeep.do_round()
    assert room.ledger.rollups[0] == day_of(NOW) - 20 * DAY
    assert room.ledger.events[0] > room.ledger.rollups[0] + 12 * DAY


def test_rollups_never_go_before_their_events() -> None:
    room = Room(LedgerInMemory(hourly(30)), settings=RetentionSettings(events_days=10, rollups_days=3))
    room.upkeep.do_round()
    assert room.ledger.rollups[0] == day_of(room.ledger.events[0]) == day_of(NOW) - 10 * DAY


def test_days_are_closed_before_anything_of_them_is_forgotten(room: Room) -> None:
    room.upkeep.do_round()
    done = room.ledger.done
    assert max(place for place, step in enumerate(done) if step == "close") < done.index("events")


def test_it_goes_in_small_steps_with_a_pause_after_each() -> None:
    old = [NOW - 20 * DAY + timedelta(seconds=second) for second in range(5 * STEP_EVENTS + 1)]
    room = Room(LedgerInMemory([*old, NOW - HOUR]))
    room.upkeep.do_round()
    assert room.ledger.events == [NOW - HOUR]
    assert room.ledger.done.count("events") == 7  # six with something to do, the last of them with one
    in_vain = 3  # a day, events and rollups that were no more
    assert len(room.pauses) == len(room.ledger.done) - in_vain - room.ledger.done.count("newest")
    assert set(room.pauses) == {STEP_SECONDS}


def test_how_much_was_forgotten_is_said_where_it_was_something(room: Room) -> None:
    room.upkeep.do_round()
    kept = [at for at in hourly(30) if at >= day_of(NOW) - 7 * DAY]
    assert room.observed == [UsageForgotten(len(hourly(30)) - len(kept), 10)]
    room.later()
    assert len(room.observed) == 1


def test_the_next_day_the_next_day_is_forgotten(room: Room) -> None:
    room.upkeep.do_round()
    room.ledger.events += hourly(1, until=NOW + DAY)
    room.later(86_400)
    assert room.ledger.events[0] == day_of(NOW) - 6 * DAY
    assert room.observed[1:] == [UsageForgotten(24, 1)]


def test_how_long_things_are_kept_may_change_while_it_runs(room: Room) -> None:
    room.upkeep.do_round()
    room.upkeep.settings = RetentionSettings(events_days=1, rollups_days=2)
    room.later()
    assert room.ledger.events[0] == day_of(NOW) - DAY
    assert room.ledger.rollups[0] == day_of(NOW) - 2 * DAY


def test_series_are_gone_through_to_the_last_once_a_day(room: Room) -> None:
    room.upkeep.do_round()
    assert room.ledger.done.count("series") == 4
    room.later()
    assert room.ledger.done.count("series") == 4
    room.later(86_400)
    assert room.ledger.done.count("series") == 8


def test_an_empty_ledger_is_no_work() -> None:
    room = Room(LedgerInMemory([]))
    room.upkeep.do_round()
    assert (room.observed, room.upkeep.failure) == ([], None)


# Failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["close", "newest", "events", "rollups", "series"])
def test_a_step_that_fails_is_said_once_and_tried_again_with_the_next_round(room: Room, step: str) -> None:
    room.ledger.broken = step
    room.upkeep.do_round()
    reason = "the database cannot be used: disk full"
    assert room.upkeep.failure == reason
    room.later()
    assert [each for each in room.observed if isinstance(each, UpkeepFailed)] == [UpkeepFailed(reason)]
    room.ledger.broken = None
    room.later()
    assert not room.upkeep.failure
    assert room.observed.count(UpkeepRecovered()) == 1
    assert (room.ledger.open_days, room.ledger.events[0]) == ([day_of(NOW)], day_of(NOW) - 7 * DAY)
    assert room.ledger.rollups[0] == day_of(NOW) - 20 * DAY
    assert "series" in room.ledger.done
    room.later()
    assert room.observed.count(UpkeepRecovered()) == 1


def test_what_failed_again_after_it_went_well_is_said_again(room: Room) -> None:
    for broken in ("close", None, "close", None):
        room.ledger.broken = broken
        room.later()
    said = [type(each) for each in room.observed if not isinstance(each, UsageForgotten)]
    assert said == [UpkeepFailed, UpkeepRecovered, UpkeepFailed, UpkeepRecovered]


# The end -------------------------------------------------------------------------------------------------------------


def test_who_stops_it_waits_for_one_step_and_not_for_the_round() -> None:
    old = [NOW - 20 * DAY + timedelta(seconds=second) for second in range(50 * STEP_EVENTS)]
    room = Room(LedgerInMemory([*old, NOW - HOUR]))

    def sleep(seconds: float) -> None:
        if room.ledger.done.count("events") == 2:
            room.upkeep.stop()

    room.upkeep = LedgerUpkeep(room.ledger, room.clock, room.observed.append, room.settings, sleep=sleep)
    room.upkeep.do_round()
    assert room.ledger.done.count("events") == 3
    assert (room.observed, room.upkeep.failure) == ([], None)


def test_the_first_round_comes_soon_after_the_start_and_then_one_after_the_other() -> None:
    began: list[float] = []
    enough = threading.Event()

    async def main(clock: VirtualClock) -> None:
        class Watched(LedgerInMemory):
            def close_day(self, before: datetime) -> bool:
                began.append(clock.monotonic() - start)
                if len(began) == 3:
                    enough.set()
                return super().close_day(before)

        start = clock.monotonic()
        upkeep = LedgerUpkeep(Watched([]), clock, lambda _: None, RetentionSettings(), sleep=lambda _: None)
        await cancelled_when(enough, upkeep)

    run_virtually(main)
    assert began[:3] == [FIRST_SECONDS, FIRST_SECONDS + ROUND_SECONDS, FIRST_SECONDS + 2 * ROUND_SECONDS]


async def cancelled_when(reached: threading.Event, upkeep: LedgerUpkeep) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(upkeep.run())
        assert await asyncio.to_thread(reached.wait, 10)
        task.cancel()


def test_when_the_gateway_stops_so_does_the_round_under_way() -> None:
    room = Room(LedgerInMemory(hourly(30, until=START)))
    pausing, is_cancelled = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        pausing.set()
        assert is_cancelled.wait(10)

    async def main(clock: VirtualClock) -> None:
        upkeep = LedgerUpkeep(room.ledger, clock, room.observed.append, room.settings, sleep=sleep)
        await cancelled_when(pausing, upkeep)
        is_cancelled.set()

    run_virtually(main)  # returns when the thread has ended
    assert room.ledger.done == ["close", "close"]


# The clock -----------------------------------------------------------------------------------------------------------


def test_with_a_usual_clock_it_forgets_at_once(room: Room) -> None:
    room.upkeep.do_round()
    assert "events" in room.ledger.done


@pytest.mark.parametrize("years", [1, 10, 900, -1])
def test_a_clock_that_jumps_by_years_forgets_nothing_for_a_day(room: Room, years: int) -> None:
    room.upkeep.do_round()
    before = list(room.ledger.events), list(room.ledger.rollups)
    room.clock.set(NOW + years * 365 * DAY)
    room.ledger.done.clear()
    for _ in range(int(DISTRUST_SECONDS / ROUND_SECONDS)):
        room.later()
        assert (room.ledger.events, room.ledger.rollups) == before
    assert set(room.ledger.done) == {"close"}
    room.later()
    assert "events" in room.ledger.done
    assert bool(room.ledger.events) is (years < 0)


def test_that_the_clock_is_not_believed_is_said_once(room: Room) -> None:
    room.upkeep.do_round()
    room.clock.set(NOW + 3650 * DAY)
    for _ in range(5):
        room.later()
    assert [type(each) for each in room.observed].count(ClockMistrusted) == 1


def test_a_clock_that_is_set_right_within_the_day_has_forgotten_nothing(room: Room) -> None:
    room.upkeep.do_round()
    before = list(room.ledger.events)
    room.clock.set(NOW + 3650 * DAY)
    room.later()
    room.clock.set(NOW + HOUR)
    for _ in range(300):
        room.later()
    assert room.ledger.events == [at for at in before if at >= day_of(room.clock.now()) - 7 * DAY]


def test_a_clock_that_is_set_again_and_again_is_never_believed(room: Room) -> None:
    room.upkeep.do_round()
    before = list(room.ledger.events)
    for month in range(1, 60):
        room.clock.set(NOW + month * 30 * DAY)
        room.later(DISTRUST_SECONDS / 2)
    assert room.ledger.events == before


def test_after_a_month_of_silence_at_the_start_nothing_is_forgotten_for_a_day() -> None:
    """Either nobody called, or the clock is wrong; in a day somebody has seen which."""
    start = NOW + UNUSUAL_SILENCE
    room = Room(LedgerInMemory(hourly(30)), WrongClock(start))
    for _ in range(int(DISTRUST_SECONDS / ROUND_SECONDS)):
        room.upkeep.do_round()
        room.clock.advance(ROUND_SECONDS)
    assert room.ledger.events == sorted(hourly(30))
    assert len(room.ledger.rollups) == 31
    room.later()
    assert room.ledger.events == []


def test_a_shorter_silence_is_a_holiday() -> None:
    room = Room(LedgerInMemory(hourly(30)), WrongClock(NOW + UNUSUAL_SILENCE - HOUR))
    room.upkeep.do_round()
    assert room.ledger.events == []


def test_silence_while_it_runs_is_nothing_unusual(room: Room) -> None:
    """Only at the start is the age of the newest event asked for: afterwards the clock itself is watched."""
    room.upkeep.do_round()
    for _ in range(70):
        room.later(86_400)
    assert room.ledger.events == []
    assert room.ledger.done.count("newest") == 1


# Trust by itself -----------------------------------------------------------------------------------------------------


def trusts(trust: ClockTrust, wall: float, monotonic: float, newest: datetime | None = None) -> bool:
    return trust.is_trusted(NOW + timedelta(seconds=wall), monotonic, lambda: newest)


def test_without_any_event_there_is_nothing_to_mistrust() -> None:
    assert trusts(ClockTrust(), 0, 5.0)


def test_an_event_that_is_newer_than_now_is_no_reason() -> None:
    """The clock was wrong before, or is behind now: what is behind forgets nothing."""
    assert trusts(ClockTrust(), 0, 5.0, NOW + 3650 * DAY)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, True),
        (UNUSUAL_STEP_SECONDS - 1, True),
        (-UNUSUAL_STEP_SECONDS + 1, True),
        (UNUSUAL_STEP_SECONDS + 1, False),
        (-UNUSUAL_STEP_SECONDS - 1, False),
    ],
)
def test_a_clock_may_be_set_by_a_week(step: float, expected: bool) -> None:
    trust = ClockTrust()
    assert trusts(trust, 0, 0.0)
    assert trusts(trust, 600 + step, 600.0) is expected
    assert trusts(trust, 600 + step + DISTRUST_SECONDS - 1, 600.0 + DISTRUST_SECONDS - 1) is expected
    assert trusts(trust, 600 + step + DISTRUST_SECONDS, 600.0 + DISTRUST_SECONDS)


@given(st.lists(st.floats(1, 10**6), max_size=30), st.floats(0, 10**6))
def test_a_clock_that_only_runs_is_always_trusted(passed: list[float], began: float) -> None:
    trust, wall = ClockTrust(), 0.0
    for seconds in [0.0, *passed]:
        wall += seconds
        assert trusts(trust, wall, began + wall, NOW)


def test_a_failing_question_at_the_start_is_asked_again() -> None:
    def fail() -> datetime | None:
        raise StorageUnavailable("locked")

    trust = ClockTrust()
    with pytest.raises(StorageUnavailable):
        trust.is_trusted(NOW, 0.0, fail)
    assert not trusts(trust, 0, 1.0, NOW - 365 * DAY)
