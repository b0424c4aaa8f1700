"""Captures become traces behind the calls' backs; what fails on the way is counted and said, and touches nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from copilot_api.capture import worker
from copilot_api.capture.capturing import Capturing
from copilot_api.capture.copies import Room
from copilot_api.capture.raw import RawTrace
from copilot_api.capture.recorder import SAID_AGAIN_SECONDS, CaptureCounts, CapturedCall, Captures
from copilot_api.capture.service import Traces
from copilot_api.capture.worker import Redacted
from copilot_api.capture.worker_process import WorkerFailed, WorkerProcess
from copilot_api.config.settings import CaptureSettings
from copilot_api.observability.events import CaptureFailed, Observation, TraceFilesBroken, TraceFilesRecovered
from tests.capture.raws import JSON, SECRET, make_event
from tests.fakes import FakeClock
from tests.stored import Stored

PLENTY = 10**9


class Inline(WorkerProcess):
    """A worker in this process that can be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.raws: list[RawTrace] = []
        self.stops = 0
        self.before: Callable[[], None] = lambda: None

    def redact(self, raw: RawTrace) -> Redacted:
        self.before()
        if self.failure is not None:
            raise self.failure
        self.raws.append(raw)
        return worker.redact(msgspec.msgpack.encode(raw))

    def stop(self) -> None:
        self.stops += 1


class Bench:
    """Captures on keys that are there, with everything in reach."""

    def __init__(self, traces: Traces, stored: Stored, clock: FakeClock, **settings: Any) -> None:
        self.traces = traces
        self.stored = stored
        self.clock = clock
        self.observed: list[Observation] = []
        self.worker = Inline()
        self.key_id = stored.keys.issue("captured", actor="test").key.id
        stored.keys.load()
        self.room = Room(1_000_000)
        self.captures = Captures(
            traces,
            stored.keys,
            clock,
            self.observed.append,
            CaptureSettings(**settings),
            worker=self.worker,
            room=self.room,
        )

    def begin(self, request_id: str = "req_1", **more: Any) -> Capturing | None:
        call = CapturedCall(
            "key", self.key_id, request_id, self.clock.now(), self.clock.monotonic(), "curl", "/v1/chat/completions"
        )
        return self.captures.begin(replace(call, **more), "POST", "/v1/chat/completions", JSON)

    def call(self, request_id: str = "req_1", body: bytes = b'{"a":1}', **more: Any) -> Capturing:
        capturing = self.begin(request_id, **more)
        assert capturing is not None
        capturing.body_read(body)
        capturing.answer_started(200, JSON, is_streamed=False)
        capturing.answer_piece(b"{}", is_last=True)
        capturing.finish(make_event(request_id=request_id))
        return capturing

    def run(self, act: Callable[[], Awaitable[None]]) -> None:
        """While captures are made into traces; what waits at the end is, too."""

        async def running() -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.captures.run())
                await asyncio.sleep(0)
                await act()
                await self.captures.finish(20)
                task.cancel()

        asyncio.run(running())


@pytest.fixture
def bench(traces: Traces, stored: Stored, clock: FakeClock) -> Bench:
    return Bench(traces, stored, clock)


@pytest.fixture
def writing(traces: Traces, stored: Stored, clock: FakeClock) -> Bench:
    """One that keeps traces on disk."""
    return Bench(traces, stored, clock, days=1, max_bytes=PLENTY)


def test_a_call_becomes_a_trace_and_everything_is_given_back(bench: Bench) -> None:
    async def act() -> None:
        bench.call(body=b'{"token":"%b"}' % SECRET.encode())

    bench.run(act)
    trace = bench.traces.get("req_1")
    assert (trace.key_id, trace.status, trace.number) == (bench.key_id, 200, bench.traces.next_number() - 1)
    assert SECRET not in trace.client_request.body
    assert bench.room.taken_bytes == 0
    assert bench.captures.counts == CaptureCounts(kept=1)
    assert bench.traces.files.list_days() == [], "nothing goes to disk unless it is wanted there"
    assert bench.worker.stops == 1
    standing = bench.captures.standing()
    assert (standing.kept, standing.waiting_bytes, standing.memory_bytes) == (1, 0, bench.traces.ring.bytes)


def test_traces_come_in_the_order_in_which_the_calls_ended(bench: Bench) -> None:
    async def act() -> None:
        slow = bench.begin("req_slow")
        assert slow is not None
        for number in range(5):
            bench.call(f"req_{number}")
        slow.finish(make_event(request_id="req_slow"))

    bench.run(act)
    found = [summary.request_id for summary in bench.traces.ring.list_summaries()]
    assert found == ["req_slow", "req_4", "req_3", "req_2", "req_1", "req_0"]


def test_where_nothing_may_be_captured_nothing_is(traces: Traces, stored: Stored, clock: FakeClock) -> None:
    bench = Bench(traces, stored, clock, is_allowed=False)

    async def act() -> None:
        assert bench.begin() is None

    bench.run(act)
    assert bench.captures.counts == CaptureCounts()


def test_forbidding_captures_ends_those_under_way_without_a_trace_and_without_alarm(bench: Bench) -> None:
    async def act() -> None:
        under_way = bench.begin()
        assert under_way is not None
        bench.captures.apply(CaptureSettings(is_allowed=False))
        await asyncio.sleep(0)
        under_way.finish(make_event())
        assert bench.begin() is None

    bench.run(act)
    assert len(bench.traces.ring) == 0
    assert (bench.room.taken_bytes, bench.observed, bench.captures._open) == (0, [], set())


@pytest.mark.parametrize(
    "failure", [WorkerFailed("the worker that redacts ended with -9"), RuntimeError(SECRET), MemoryError(SECRET)]
)
def test_a_worker_that_fails_costs_that_trace_and_the_next_is_made(bench: Bench, failure: Exception) -> None:
    async def act() -> None:
        bench.worker.failure = failure
        bench.call("req_1")
        await bench.captures.finish()
        bench.worker.failure = None
        bench.call("req_2")

    bench.run(act)
    assert [summary.request_id for summary in bench.traces.ring.list_summaries()] == ["req_2"]
    assert bench.captures.counts == CaptureCounts(kept=1, dropped=1)
    [said] = bench.observed
    assert isinstance(said, CaptureFailed)
    assert SECRET not in said.reason
    assert bench.room.taken_bytes == 0


def test_what_fails_again_and_again_is_said_once_a_minute(bench: Bench) -> None:
    async def act() -> None:
        bench.worker.failure = WorkerFailed("broken")
        for number in range(5):
            bench.call(f"req_{number}")
        await bench.captures.finish()
        bench.clock.advance(SAID_AGAIN_SECONDS)
        bench.call("req_6")

    bench.run(act)
    assert bench.observed == [CaptureFailed("broken", 1), CaptureFailed("broken", 6)]


def test_too_much_at_once_is_dropped_and_counted_and_room_comes_back(bench: Bench) -> None:
    async def act() -> None:
        open_calls = [bench.begin(f"req_{number}") for number in range(3)]
        for number, capturing in enumerate(open_calls):
            assert capturing is not None
            capturing.body_read(b"x" * 400_000)
            assert capturing.is_dropped is (number == 2)
        for capturing in open_calls:
            assert capturing is not None
            capturing.finish(make_event())
        await bench.captures.finish(20)
        bench.call("req_after", body=b'"%b"' % (b"y " * 200_000))

    bench.run(act)
    assert bench.captures.counts == CaptureCounts(kept=3, dropped=1)
    assert bench.observed == [CaptureFailed("too much is being captured at once", 1)]


def test_a_defect_at_the_very_beginning_captures_nothing_and_never_comes_out(bench: Bench) -> None:
    async def act() -> None:
        assert bench.begin(arrived_at=None) is None

    bench.run(act)
    assert bench.captures.counts == CaptureCounts(dropped=1)
    assert bench.observed == [CaptureFailed("a defect: AttributeError", 1)]


def test_what_is_withheld_is_counted(bench: Bench) -> None:
    async def act() -> None:
        bench.call(body=b"\x00\xff no text")

    bench.run(act)
    assert bench.captures.counts == CaptureCounts(kept=1, withheld=1)


def test_one_salt_a_day(bench: Bench) -> None:
    async def act() -> None:
        for number in (1, 2):
            bench.call(f"req_{number}")
        bench.clock.advance(86_400)
        bench.call("req_3")

    bench.run(act)
    first, second, third = [raw.salt for raw in bench.worker.raws]
    assert first == second != third
    assert len(first) == len(third) == 32


# Keys that are gone -------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_a_key_that_was_erased_meanwhile(writing: Bench) -> None:
    """While the call is under way, while it waits, and while it is being redacted."""

    async def act() -> None:
        under_way, waiting = writing.begin("req_1"), writing.call("req_2")
        assert under_way is not None
        forgotten = await asyncio.to_thread(writing.traces.forget_key, writing.key_id)
        assert forgotten.memory == 2
        under_way.finish(make_event(request_id="req_1"))
        await writing.captures.finish()
        assert waiting.is_forgotten

        def forget() -> None:
            writing.traces.forget_key(writing.key_id)

        writing.worker.before = forget
        writing.call("req_3")

    writing.run(act)
    assert len(writing.traces.ring) == 0
    assert list(writing.traces.files.iter_summaries()) == []
    assert writing.observed == []
    assert writing.room.taken_bytes == 0


def test_nothing_is_kept_of_a_key_that_another_process_deleted(writing: Bench) -> None:
    async def act() -> None:
        capturing = writing.begin("req_1")
        assert capturing is not None
        with writing.stored.database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM key_secrets")
        writing.clock.advance(60)
        capturing.finish(make_event())

    writing.run(act)
    assert len(writing.traces.ring) == 0
    assert writing.traces.files.count_key(writing.key_id) == 0


def test_a_key_that_another_process_deletes_during_the_write_leaves_nothing_either(
    writing: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = writing.traces.files.append

    def interrupted(*arguments: Any, **named: Any) -> int:
        written = append(*arguments, **named)
        with writing.stored.database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM key_secrets")
        writing.clock.advance(60)
        return written

    monkeypatch.setattr(writing.traces.files, "append", interrupted)

    async def act() -> None:
        writing.call("req_1")

    writing.run(act)
    assert len(writing.traces.ring) == 0
    assert writing.traces.files.count_key(writing.key_id) == 0


def test_a_replay_goes_with_the_key_whose_request_it_repeats(bench: Bench) -> None:
    async def act() -> None:
        bench.call("req_2", key_id=None, reason="replay", replay_of="req_1", replay_of_key_id=bench.key_id)

    bench.run(act)
    trace = bench.traces.get("req_2")
    assert (trace.reason, trace.replay_of, trace.key_id) == ("replay", "req_1", None)
    assert bench.traces.forget_key(bench.key_id).memory == 1


# On disk ------------------------------------------------------------------------------------------------------------


def test_what_is_wanted_on_disk_is_there_too(writing: Bench) -> None:
    async def act() -> None:
        writing.call()

    writing.run(act)
    assert writing.traces.files.find("req_1") == writing.traces.get("req_1")


def test_a_disk_that_takes_nothing_leaves_the_trace_in_memory_and_is_said_once(writing: Bench) -> None:
    path = writing.stored.directory.traces

    async def act() -> None:
        path.write_text("no directory")
        for number in range(3):
            writing.call(f"req_{number}")
        await writing.captures.finish()
        path.unlink()
        writing.call("req_4")

    writing.run(act)
    assert len(writing.traces.ring) == 4
    assert [summary.request_id for summary in writing.traces.files.iter_summaries()] == ["req_4"]
    assert writing.captures.counts == CaptureCounts(kept=4, not_written=3)
    assert [type(each) for each in writing.observed] == [TraceFilesBroken, TraceFilesRecovered]


def test_a_trace_that_is_too_large_for_the_disk_stays_in_memory(
    traces: Traces, stored: Stored, clock: FakeClock
) -> None:
    bench = Bench(traces, stored, clock, days=1, max_bytes=1500)

    async def act() -> None:
        bench.call("req_1", body=b'"%b"' % (b"word " * 1000))
        bench.call("req_2", body=b"{}")

    bench.run(act)
    assert len(traces.ring) == 2
    assert [summary.request_id for summary in traces.files.iter_summaries()] == ["req_2"]
    assert bench.captures.counts == CaptureCounts(kept=2, not_written=1)
    assert [type(each) for each in bench.observed] == [CaptureFailed]


def test_the_worker_is_ended_after_a_while_without_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilot_api.capture.recorder.IDLE_SECONDS", 0.02)

    async def act() -> None:
        bench.call("req_1")
        await bench.captures.finish()
        await asyncio.sleep(0.2)
        assert bench.worker.stops >= 1
        bench.call("req_2")

    bench.run(act)
    assert len(bench.traces.ring) == 2
