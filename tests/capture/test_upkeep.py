"""Orders end when they are over, and traces go when they are old, too many, or of a key that is gone."""

import asyncio
from datetime import timedelta

import pytest

from copilot_api.capture.service import Traces
from copilot_api.capture.upkeep import SWEEP_ROUNDS, CaptureUpkeep
from copilot_api.config.settings import CaptureSettings
from copilot_api.observability.events import CaptureEnded, Observation, TraceFilesBroken, TraceFilesRecovered
from tests.capture.kept import make_kept, make_line
from tests.fakes import FakeClock
from tests.stored import Stored


class Bench:
    def __init__(self, traces: Traces, stored: Stored, clock: FakeClock) -> None:
        self.traces = traces
        self.stored = stored
        self.clock = clock
        self.observed: list[Observation] = []
        self.upkeep = CaptureUpkeep(traces, stored.keys, clock, self.observed.append, CaptureSettings(days=7))

    def new_key(self, seconds: float) -> str:
        key_id = self.stored.keys.issue("captured", actor="test").key.id
        self.stored.keys.start_capture(key_id, "why", seconds, actor="test")
        return key_id

    def is_captured(self, key_id: str) -> bool:
        return next(key for key in self.stored.keys.list_keys() if key.id == key_id).capture is not None

    def rounds(self, count: int = 1) -> None:
        async def run() -> None:
            for _ in range(count):
                await self.upkeep.do_round()

        asyncio.run(run())


@pytest.fixture
def bench(traces: Traces, stored: Stored, clock: FakeClock) -> Bench:
    return Bench(traces, stored, clock)


def test_what_is_over_is_ended_and_said(bench: Bench) -> None:
    short, long = bench.new_key(60), bench.new_key(600)
    bench.rounds()
    assert bench.observed == []
    bench.clock.advance(61)
    bench.rounds(2)
    assert (bench.is_captured(short), bench.is_captured(long)) == (False, True)
    assert bench.observed == [CaptureEnded(short)]


def test_what_cannot_be_put_on_record_is_ended_later(bench: Bench) -> None:
    key_id = bench.new_key(60)
    bench.clock.advance(61)
    audit = bench.stored.directory.audit
    audit.rename(audit.with_name("kept"))
    audit.mkdir()
    bench.rounds()
    assert bench.is_captured(key_id)
    audit.rmdir()
    audit.with_name("kept").rename(audit)
    bench.rounds()
    assert not bench.is_captured(key_id)


def test_a_change_of_the_settings_is_acted_upon_at_once(bench: Bench) -> None:
    async def run() -> None:
        key_id = bench.new_key(600)
        today = bench.clock.now().date()
        bench.traces.files.append(make_line(1, key_id=key_id), today, 10**9)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.upkeep.run())
            await asyncio.sleep(0.2)
            assert bench.is_captured(key_id)
            bench.upkeep.apply(CaptureSettings(is_allowed=False, days=0))
            for _ in range(500):
                await asyncio.sleep(0.01)
                if not bench.traces.files.list_days() and not bench.is_captured(key_id):
                    break
            task.cancel()
        assert bench.traces.files.list_days() == []
        assert not bench.is_captured(key_id)

    asyncio.run(run())


def test_files_are_looked_at_now_and_then_and_old_ones_go(bench: Bench) -> None:
    today = bench.clock.now().date()
    bench.rounds()
    bench.traces.files.append(make_line(1), today - timedelta(days=7), 10**9)
    bench.traces.files.append(make_line(2), today, 10**9)
    bench.rounds(SWEEP_ROUNDS - 1)
    assert len(bench.traces.files.list_days()) == 2
    bench.rounds()
    assert [day.date for day in bench.traces.files.list_days()] == [today.isoformat()]


@pytest.mark.parametrize(("days", "kept_days"), [(0, 1), (1, 1), (3, 3), (7, 7), (99, 7)])
def test_in_memory_a_trace_stays_a_day_or_as_long_as_on_disk(bench: Bench, days: int, kept_days: int) -> None:
    key_id = bench.new_key(60)
    for age in (timedelta(days=kept_days, seconds=1), timedelta(days=kept_days, seconds=-1)):
        number = bench.traces.next_number()
        kept = make_kept(number, key_id=key_id, at=(bench.clock.now() - age).isoformat())
        bench.traces.keep(kept, lambda: True)
    bench.upkeep.apply(CaptureSettings(days=days))
    bench.rounds()
    assert len(bench.traces.ring) == 1


def test_what_is_left_of_a_key_that_is_gone_goes(bench: Bench) -> None:
    key_id = bench.new_key(60)
    for owner in (key_id, "key_gone"):
        number = bench.traces.next_number()
        bench.traces.keep(make_kept(number, key_id=owner), lambda: True)
        bench.traces.files.append(make_line(number, key_id=owner), bench.clock.now().date(), 10**9)
    bench.rounds()
    assert bench.traces.ring.key_ids() == {key_id}
    assert bench.traces.files.count_key("key_gone") == 0
    assert bench.traces.files.count_key(key_id) == 1


def test_files_that_cannot_be_looked_at_are_said_once_until_they_can(bench: Bench) -> None:
    bench.stored.directory.traces.write_text("no directory")
    bench.rounds(2 * SWEEP_ROUNDS)
    failure = bench.upkeep.failure
    bench.stored.directory.traces.unlink()
    bench.rounds(SWEEP_ROUNDS)
    assert failure is not None
    assert bench.upkeep.failure is None
    assert [type(each) for each in bench.observed] == [TraceFilesBroken, TraceFilesRecovered]
