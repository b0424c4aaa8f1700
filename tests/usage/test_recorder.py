"""
What is journalled arrives: all, once, and with how it ended. The database is a fake that can fail; the files are real.
"""

import gc
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import (
    EventsLost,
    JournalBroken,
    JournalRecovered,
    Observation,
    UsageStorageBroken,
    UsageStorageRecovered,
)
from copilot_api.usage import recorder as recorder_module
from copilot_api.usage.filters import Condition
from copilot_api.usage.journal import BEGIN, END, JournalWriter, adopt_segments, render_record
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.queries import SumQuery, SumRow
from copilot_api.usage.recorder import BATCH_EVENTS, MAX_BACKLOG, UsageRecorder, last_used_store
from copilot_api.usage.repository import EventPage, EventQuery
from tests.fakes import FakeClock
from tests.stored import Stored, open_stored

AT = "2026-07-01T12:00:00+00:00"


class MemoryUsage:
    """A `UsageRepository` in memory: keeps the first event of each id, and fails when it is told to."""

    def __init__(self) -> None:
        self.events: dict[str, UsageEvent] = {}
        self.failure: Exception | None = None
        self.batches: list[int] = []
        self.repeated = 0
        """How many events came that were there already."""
        self._lock = threading.Lock()

    def add_events(self, events: Sequence[UsageEvent]) -> int:
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self.batches.append(len(events))
            before = len(self.events)
            for event in events:
                self.events.setdefault(event.request_id, event)
            new = len(self.events) - before
            self.repeated += len(events) - new
            return new

    def list_events(
        self, since: datetime, until: datetime, conditions: tuple[Condition, ...] = ()
    ) -> Iterator[UsageEvent]:
        raise NotImplementedError

    def get_page(self, query: EventQuery) -> EventPage:
        raise NotImplementedError

    def find_event(self, request_id: str) -> UsageEvent | None:
        return self.events.get(request_id)

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        raise NotImplementedError

    @property
    def causes(self) -> dict[str, str]:
        return {request_id: event.cause.value for request_id, event in self.events.items()}


def begun(request_id: str) -> UsageEvent:
    return UsageEvent(request_id=request_id, at=AT, cause=Cause.INTERRUPTED, usage_unknown=True)


def ended(request_id: str, **fields: Any) -> UsageEvent:
    return UsageEvent(request_id=request_id, at=AT, cause=Cause.OK, status=200, **fields)


class Process:
    """A recorder as one process has it."""

    def __init__(self, repository: MemoryUsage, spool: Path, name: str = "b") -> None:
        self.seen: list[Observation] = []
        self.recorder = UsageRecorder(repository, spool, self.seen.append, name=name)

    def call(self, *names: str) -> None:
        for name in names:
            self.recorder.begin(begun(name))
            self.recorder.end(ended(name))

    def run_briefly(self) -> None:
        """From start to stop: brings in what there is."""
        self.recorder.start()
        self.recorder.stop()

    def failure(self) -> str | None:
        return self.recorder.failure

    def saw(self, kind: type[Observation]) -> int:
        return sum(isinstance(observation, kind) for observation in self.seen)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def repository() -> MemoryUsage:
    return MemoryUsage()


@pytest.fixture
def process(repository: MemoryUsage, spool: Path) -> Process:
    return Process(repository, spool)


def leave(spool: Path, *records: tuple[bytes, UsageEvent], name: str = "a", segment_bytes: int = 1_000_000) -> None:
    """What a killed process has left in the journal."""
    writer = JournalWriter(spool, name=name, segment_bytes=segment_bytes)
    for kind, event in records:
        writer.append(kind, event)
    for segment in writer.segments:
        segment.close()


def files(spool: Path) -> list[str]:
    return sorted(path.name for path in spool.iterdir()) if spool.exists() else []


# In the life of one process ---------------------------------------------------------------------------------------


def test_a_call_that_has_ended_is_stored_as_it_ended(process: Process, repository: MemoryUsage) -> None:
    process.recorder.begin(begun("r1"))
    process.recorder.end(ended("r1", input_tokens=3, output_tokens=5))
    assert process.recorder.drain()
    assert repository.events == {"r1": ended("r1", input_tokens=3, output_tokens=5)}


def test_a_call_under_way_is_not_stored(process: Process, repository: MemoryUsage) -> None:
    process.recorder.begin(begun("r1"))
    process.recorder.drain()
    assert repository.events == {}


def test_a_call_that_was_never_dispatched_is_stored_too(process: Process, repository: MemoryUsage) -> None:
    process.recorder.end(ended("r1"))
    process.recorder.drain()
    assert repository.causes == {"r1": "ok"}


def test_nothing_is_stored_twice(process: Process, repository: MemoryUsage) -> None:
    process.call("r1", "r2")
    for _ in range(3):
        process.recorder.drain()
    process.call("r3")
    process.recorder.drain()
    assert list(repository.events) == ["r1", "r2", "r3"]
    assert repository.repeated == 0


def test_the_thread_stores_what_comes(process: Process, repository: MemoryUsage, spool: Path) -> None:
    process.recorder.start()
    process.call("r1", "r2")
    for _ in range(500):
        if len(repository.events) == 2:
            break
        threading.Event().wait(0.01)
    assert repository.causes == {"r1": "ok", "r2": "ok"}
    process.recorder.stop()
    assert files(spool) == []


def test_a_clean_stop_stores_the_last_event_and_leaves_no_file(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    process.recorder.start()
    process.call("r1")
    process.recorder.stop()
    assert repository.causes == {"r1": "ok"}
    assert files(spool) == []


def test_many_events_are_stored_in_batches(process: Process, repository: MemoryUsage) -> None:
    process.call(*(f"r{number}" for number in range(2 * BATCH_EVENTS + 1)))
    process.recorder.drain()
    assert sum(repository.batches) == 2 * BATCH_EVENTS + 1
    assert max(repository.batches) <= BATCH_EVENTS
    assert len(repository.batches) < 20, "by segment of the journal, and not one by one"


def test_nobody_looks_for_cycles_while_a_batch_is_stored_and_somebody_does_afterwards(
    process: Process, repository: MemoryUsage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    add_events = repository.add_events

    def add(events: Sequence[UsageEvent]) -> int:
        seen.append(gc.isenabled())
        return add_events(events)

    monkeypatch.setattr(repository, "add_events", add)
    process.recorder.end(ended("r1"))
    assert process.recorder.drain()
    repository.failure = StorageUnavailable("the database is away")
    process.recorder.end(ended("r2"))
    assert not process.recorder.drain()
    assert seen == [False, False]
    assert gc.isenabled()


def test_what_waits_in_the_journal_is_known(process: Process, repository: MemoryUsage) -> None:
    assert process.recorder.waiting_bytes == 0
    process.call("r1")
    assert process.recorder.waiting_bytes == len(render_record(BEGIN, begun("r1")) + render_record(END, ended("r1")))
    process.recorder.drain()
    assert process.recorder.waiting_bytes == 0


# Segments ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_segments(process: Process) -> Process:
    """Every record begins a segment of its own."""
    process.recorder._writer._segment_bytes = 1
    return process


def test_a_call_may_begin_in_one_segment_and_end_in_the_next(
    small_segments: Process, repository: MemoryUsage, spool: Path
) -> None:
    """The segment of its beginning stays until its end is stored."""
    small_segments.recorder.begin(begun("r1"))
    small_segments.recorder.end(ended("r2"))
    small_segments.recorder.drain()
    assert repository.causes == {"r2": "ok"}
    assert files(spool) == ["b-000001.journal", "b-000002.journal"]
    small_segments.recorder.end(ended("r1"))
    small_segments.recorder.drain()
    assert repository.causes == {"r2": "ok", "r1": "ok"}
    assert files(spool) == ["b-000003.journal"]  # the one that is written to


def test_rotating_while_the_thread_stores_loses_nothing(
    repository: MemoryUsage, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads change places as often as they can: the recorder must never take a new segment for a finished one."""
    monkeypatch.setattr(recorder_module, "DRAIN_SECONDS", 0.0001)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(3):
            process = Process(repository, spool, f"p{number}")
            process.recorder._writer._segment_bytes = 600
            process.recorder.start()
            process.call(*(f"{number}-{call}" for call in range(200)))
            process.recorder.stop()
    finally:
        sys.setswitchinterval(interval)
    assert len(repository.events) == 600
    assert set(repository.causes.values()) == {"ok"}
    assert files(spool) == []


# What others have left --------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_brought_in_and_what_had_not_ended_was_interrupted(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    leave(spool, (BEGIN, begun("r1")), (BEGIN, begun("r2")), (END, ended("r1")))
    process.run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert repository.events["r2"].usage_unknown
    assert files(spool) == []


def test_a_torn_last_line_is_passed_over(process: Process, repository: MemoryUsage, spool: Path) -> None:
    leave(spool, (BEGIN, begun("r1")), (BEGIN, begun("r2")), (END, ended("r1")))
    (path,) = spool.iterdir()
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole + render_record(END, ended("r2"))[:-1] + bytes(1000))
    process.run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert files(spool) == []


def test_a_line_that_was_tampered_with_is_passed_over(process: Process, repository: MemoryUsage, spool: Path) -> None:
    leave(spool, (BEGIN, begun("r1")), (END, ended("r1", output_tokens=5)), (BEGIN, begun("r2")), (END, ended("r2")))
    (path,) = spool.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"output_tokens":5', b'"output_tokens":6'))
    process.run_briefly()
    assert repository.causes == {"r1": "interrupted", "r2": "ok"}


def test_an_orphaned_call_may_begin_in_one_segment_and_end_in_the_next(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    leave(spool, (BEGIN, begun("r1")), (BEGIN, begun("r2")), (END, ended("r1")), segment_bytes=1)
    process.run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert files(spool) == []


def test_reading_a_segment_again_changes_nothing(repository: MemoryUsage, spool: Path) -> None:
    """A process may die between storing a segment and deleting it."""
    records = ((BEGIN, begun("r1")), (BEGIN, begun("r2")), (END, ended("r1")))
    for name in ("x", "y"):
        leave(spool, *records)
        Process(repository, spool, name).run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert repository.repeated == 2


def test_segments_of_many_dead_processes_are_brought_in(process: Process, repository: MemoryUsage, spool: Path) -> None:
    for number in range(10):
        records = ((BEGIN, begun(f"{number}-1")), (END, ended(f"{number}-1")), (BEGIN, begun(f"{number}-2")))
        leave(spool, *records, name=f"a{number}")
    process.run_briefly()
    assert len(repository.events) == 20
    assert sum(cause == "interrupted" for cause in repository.causes.values()) == 10
    assert files(spool) == []


def test_the_calls_of_a_living_process_are_left_to_it(repository: MemoryUsage, spool: Path) -> None:
    """Also those in segments that it has filled: a second process beside it must not call them interrupted."""
    living, second = Process(repository, spool, "living"), Process(repository, spool, "second")
    living.recorder._writer._segment_bytes = 1
    living.recorder.begin(begun("r1"))
    living.recorder.begin(begun("r2"))
    second.run_briefly()
    assert repository.events == {}
    living.recorder.end(ended("r1"))
    living.recorder.end(ended("r2"))
    living.run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "ok"}
    assert files(spool) == []


@pytest.mark.parametrize("attempt", range(5))
def test_two_processes_that_adopt_at_once_store_every_event_once(
    repository: MemoryUsage, spool: Path, attempt: int
) -> None:
    """However they share the segments out between them: a call that had ended is never called interrupted."""
    for number in range(20):
        records = [(BEGIN, begun(f"{number}-{call}")) for call in range(10)]
        records += [(END, ended(f"{number}-{call}")) for call in range(9)]
        leave(spool, *records, name=f"a{number:02}", segment_bytes=1500)
    processes = [Process(repository, spool, name) for name in ("x", "y")]
    barrier = threading.Barrier(2)

    def live(process: Process) -> None:
        barrier.wait()
        process.run_briefly()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=live, args=(process,)) for process in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(repository.events) == 200
    wrong = {name for name, cause in repository.causes.items() if (cause == "interrupted") != name.endswith("-9")}
    assert wrong == set()
    assert files(spool) == []


def test_a_call_whose_end_another_process_is_bringing_in_is_not_interrupted(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    """Its beginning is in one segment, its end in the next, and each has been adopted by another process."""
    leave(spool, (BEGIN, begun("r1")), (END, ended("r1")), segment_bytes=1)
    first, second = adopt_segments(spool, "other")
    first.close()  # this one is left to the process; the other is still being read
    process.run_briefly()
    second.close()
    Process(repository, spool, "c").run_briefly()
    assert repository.causes == {"r1": "ok"}
    assert files(spool) == []


def test_a_segment_that_was_never_finished_being_made_is_cleared_away(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    """A process may be killed after making a segment's file and before giving it its name."""
    spool.mkdir()
    (spool / "a-000001.new").write_bytes(b"")
    process.call("r1")
    process.run_briefly()
    assert repository.causes == {"r1": "ok"}
    assert files(spool) == []


# The database is away ---------------------------------------------------------------------------------------------


def test_events_wait_for_the_database_and_arrive_once_it_is_back(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    repository.failure = StorageUnavailable("it is locked")
    process.call("r1")
    assert not process.recorder.drain()
    process.call("r2")
    assert not process.recorder.drain()
    assert process.failure() == "usage events cannot be stored: it is locked"
    assert process.recorder.waiting_bytes > 0
    assert process.saw(UsageStorageBroken) == 1
    repository.failure = None
    assert process.recorder.drain()
    assert list(repository.causes) == ["r1", "r2"]
    assert repository.repeated == 0
    assert process.failure() is None
    assert process.saw(UsageStorageRecovered) == 1


def test_a_database_that_fails_between_two_batches_gets_the_rest_later(process: Process) -> None:
    class FailsOnce(MemoryUsage):
        def add_events(self, events: Sequence[UsageEvent]) -> int:
            if len(self.batches) == 1 and self.failure is None:
                self.failure = StorageUnavailable("the disk is full")
                raise self.failure
            self.failure = None
            return super().add_events(events)

    repository = FailsOnce()
    process.recorder._repository = repository
    process.call(*(f"r{number}" for number in range(2 * BATCH_EVENTS)))
    assert not process.recorder.drain()
    repository.failure = RuntimeError("from now on it works")
    assert process.recorder.drain()
    assert len(repository.events) == 2 * BATCH_EVENTS
    assert repository.repeated == 0


def test_what_cannot_be_stored_at_the_stop_waits_for_the_next_start(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    repository.failure = StorageUnavailable("it is locked")
    process.recorder.start()
    process.call("r1")
    process.recorder.begin(begun("r2"))
    process.recorder.stop()
    assert repository.events == {}
    repository.failure = None
    Process(repository, spool, "c").run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert files(spool) == []


def test_orphans_wait_for_the_database_too(process: Process, repository: MemoryUsage, spool: Path) -> None:
    leave(spool, (BEGIN, begun("r1")), (END, ended("r1")), (BEGIN, begun("r2")))
    repository.failure = StorageUnavailable("it is locked")
    process.recorder.start()
    for _ in range(500):
        if process.recorder.storage_failure is not None:
            break
        threading.Event().wait(0.01)
    assert process.recorder.storage_failure == "it is locked"
    repository.failure = None
    process.recorder.stop()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}
    assert files(spool) == []


def test_a_defect_in_the_storage_does_not_end_the_recording(process: Process, repository: MemoryUsage) -> None:
    """The thread goes on whatever is raised: without it, no event would arrive until the next start."""
    repository.failure = ValueError("nobody expected this")
    process.recorder.start()
    process.call("r1")
    for _ in range(500):
        if process.recorder.storage_failure is not None or not process.recorder._thread.is_alive():
            break
        threading.Event().wait(0.01)
    assert process.recorder._thread.is_alive()
    assert process.recorder.storage_failure is not None
    repository.failure = None
    process.recorder.stop()
    assert repository.causes == {"r1": "ok"}


# Whoever needs the ledger complete --------------------------------------------------------------------------------


def test_what_earlier_processes_left_is_waited_for(repository: MemoryUsage, spool: Path) -> None:
    leave(spool, *[(END, ended(f"r{number}")) for number in range(2 * BATCH_EVENTS)], (BEGIN, begun("open")))
    recorder = Process(repository, spool).recorder
    assert not recorder.wait_caught_up(0.0)
    recorder.start()
    assert recorder.wait_caught_up(5.0)
    assert len(repository.events) == 2 * BATCH_EVENTS + 1, "what was under way when it was killed is among them"
    recorder.stop()


def test_where_nothing_was_left_nobody_waits_long(process: Process) -> None:
    process.recorder.start()
    assert process.recorder.wait_caught_up(5.0)
    assert process.recorder.wait_caught_up(0.0), "and not again"
    process.recorder.stop()


def test_while_the_database_is_away_the_ledger_is_not_complete(repository: MemoryUsage, spool: Path) -> None:
    leave(spool, (END, ended("r1")))
    recorder = Process(repository, spool).recorder
    repository.failure = StorageUnavailable("locked")
    recorder.start()
    assert not recorder.wait_caught_up(0.3)
    repository.failure = None
    assert recorder.wait_caught_up(5.0)
    assert repository.causes == {"r1": "ok"}
    recorder.stop()


def test_what_comes_meanwhile_does_not_keep_the_ledger_incomplete(process: Process, repository: MemoryUsage) -> None:
    process.recorder.start()
    for number in range(50):
        process.call(f"r{number}")
    assert process.recorder.wait_caught_up(5.0)
    repository.failure = StorageUnavailable("locked")
    process.call("later")
    assert process.recorder.wait_caught_up(0.0), "it is a matter of what earlier processes left"
    repository.failure = None
    process.recorder.stop()


# The journal is away ----------------------------------------------------------------------------------------------


def test_without_a_journal_events_wait_in_memory_and_are_stored(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    spool.write_text("in the way")
    process.call("r1", "r2")
    assert process.saw(JournalBroken) == 1
    assert process.failure() == "the usage journal cannot be written"
    assert process.recorder.drain()
    assert repository.causes == {"r1": "ok", "r2": "ok"}
    spool.unlink()
    process.call("r3")
    process.recorder.drain()
    assert repository.causes == {"r1": "ok", "r2": "ok", "r3": "ok"}
    assert process.saw(JournalRecovered) == 1
    assert process.failure() is None
    assert process.recorder.lost == 0


def test_a_call_that_began_in_the_journal_and_ended_in_memory_is_over(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    """Its beginning must not keep the segment: nothing is left behind by a clean stop."""
    process.recorder.begin(begun("r1"))
    process.recorder.drain()
    process.recorder._writer.rotate()
    blocked = spool / "b-000002.new"
    blocked.mkdir()
    process.recorder.end(ended("r1"))
    assert process.saw(JournalBroken) == 1
    blocked.rmdir()
    process.run_briefly()
    assert repository.causes == {"r1": "ok"}
    assert files(spool) == []


def test_memory_is_bounded_and_what_does_not_fit_is_counted(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    spool.write_text("in the way")
    repository.failure = StorageUnavailable("it is locked, too")
    for number in range(MAX_BACKLOG + 5):
        process.recorder.end(ended(f"r{number}"))
    assert process.recorder.lost == 5
    assert [seen.lost for seen in process.seen if isinstance(seen, EventsLost)] == [1]
    repository.failure = None
    process.recorder.drain()
    assert len(repository.events) == MAX_BACKLOG
    assert process.recorder.lost == 5


def test_what_is_in_memory_and_cannot_be_stored_at_the_stop_is_counted_as_lost(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    spool.write_text("in the way")
    repository.failure = StorageUnavailable("it is locked, too")
    process.recorder.start()
    process.call("r1", "r2")
    process.recorder.stop()
    assert process.recorder.lost == 2
    assert [seen.lost for seen in process.seen if isinstance(seen, EventsLost)][-1:] == [2]


def test_what_is_in_memory_goes_to_the_journal_again_where_that_works(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    """At the stop at the latest: the database is away, but the disk takes lines again."""
    spool.write_text("in the way")
    repository.failure = StorageUnavailable("it is locked")
    process.recorder.start()
    process.call("r1")
    spool.unlink()
    process.recorder.stop()
    repository.failure = None
    Process(repository, spool, "c").run_briefly()
    assert repository.causes == {"r1": "ok"}


def remove(spool: Path) -> None:
    for path in spool.iterdir():
        path.unlink()
    spool.rmdir()


def replace(spool: Path) -> None:
    remove(spool)
    spool.mkdir()


@pytest.mark.parametrize("lose", [remove, replace])
def test_events_survive_the_loss_of_the_journals_directory(
    process: Process, repository: MemoryUsage, spool: Path, lose: Callable[[Path], None]
) -> None:
    process.call("r1")
    process.recorder.begin(begun("r2"))
    lose(spool)
    process.call("r3")
    process.recorder.drain()
    process.recorder.end(ended("r2"))
    process.call("r4")
    assert process.recorder.drain()
    assert repository.causes == dict.fromkeys(["r1", "r3", "r2", "r4"], "ok")
    assert process.recorder.lost == 0
    process.run_briefly()
    assert files(spool) == []


def test_events_reach_the_database_while_the_journals_directory_is_a_file(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    """Nothing can be written there and nothing be deleted; the database is fine, so nothing waits."""
    process.recorder.start()
    process.call("r1")
    process.recorder.begin(begun("r2"))
    remove(spool)
    spool.write_text("in the way")
    for number in range(40):
        process.call(f"x{number}")
        threading.Event().wait(0.01)  # some of them before it is noticed, and some after
    process.recorder.end(ended("r2"))
    process.recorder.stop()
    assert repository.causes == dict.fromkeys(["r1", "r2", *(f"x{number}" for number in range(40))], "ok")
    assert process.recorder.lost == 0
    assert process.saw(JournalBroken) == 1
    assert process.saw(UsageStorageBroken) == 0


def test_after_the_loss_of_the_directory_the_journal_survives_a_kill_again(
    process: Process, repository: MemoryUsage, spool: Path
) -> None:
    process.call("r1")
    remove(spool)
    process.recorder.drain()
    process.recorder.begin(begun("r2"))
    assert files(spool) == ["b-000002.journal"]
    for segment in process.recorder._writer.segments:
        segment.close()  # killed
    Process(repository, spool, "c").run_briefly()
    assert repository.causes == {"r1": "ok", "r2": "interrupted"}


def test_an_absurd_number_from_an_upstream_neither_fails_the_call_nor_is_lost(
    process: Process, repository: MemoryUsage
) -> None:
    process.recorder.begin(begun("r1"))
    process.recorder.end(ended("r1", nano_aiu=10**30, output_tokens=10**25))
    process.call("r2")
    process.recorder.drain()
    assert repository.causes == {"r1": "ok", "r2": "ok"}


# The real database, and keys --------------------------------------------------------------------------------------


def test_the_same_with_the_real_database(tmp_path: Path, spool: Path) -> None:
    since, until = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)
    with open_stored(tmp_path / "data", FakeClock()) as stored:
        leave(spool, (BEGIN, begun("r1")), (BEGIN, begun("r2")), (END, ended("r1", nano_aiu=5)))
        recorder = UsageRecorder(stored.usage, spool, lambda _: None, name="b")
        recorder.start()
        recorder.begin(begun("r3"))
        recorder.end(ended("r3", input_tokens=9))
        recorder.stop()
        events = {event.request_id: event for event in stored.usage.list_events(since, until)}
    assert events == {"r1": ended("r1", nano_aiu=5), "r2": begun("r2"), "r3": ended("r3", input_tokens=9)}


@pytest.fixture
def keys(stored: Stored) -> KeyService:
    stored.keys.issue("ci", actor="test")
    stored.keys.load()
    return stored.keys


def test_when_keys_were_last_used_is_stored_now_and_then(stored: Stored, keys: KeyService, clock: FakeClock) -> None:
    (key,) = keys.list_keys()
    store = last_used_store(keys, stored.repository.record_last_used)
    store()
    assert keys.get("ci").last_used_at is None
    keys.mark_used(key.id, clock.now())
    store()
    assert keys.get("ci").last_used_at == clock.now()


def test_last_used_times_are_stored_at_the_stop_at_the_latest(repository: MemoryUsage, spool: Path) -> None:
    stored: list[bool] = []
    recorder = UsageRecorder(repository, spool, lambda _: None, name="b", store_last_used=lambda: stored.append(True))
    recorder.start()
    recorder.stop()
    assert stored == [True]


def test_what_the_journal_still_says_of_an_erased_key_is_taken_out_of_it(process: Process, spool: Path) -> None:
    for key_id in ("key_a", "key_b"):
        process.recorder.begin(UsageEvent(request_id=f"r_{key_id}", at=AT, key_id=key_id))
        process.recorder.end(ended(f"r_{key_id}", key_id=key_id))
    assert process.recorder.forget_key("key_a") == 0
    process.recorder.drain()
    assert process.recorder.forget_key("key_a") == 2
    (segment,) = spool.glob("*.journal")
    assert b"key_a" not in segment.read_bytes()
    assert b"key_b" in segment.read_bytes()
    process.run_briefly()


def test_it_tells_whose_calls_its_journal_tells_of(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    writer = JournalWriter(spool, name="1-here")
    writer.append(BEGIN, UsageEvent(request_id="req_1", at=AT, key_id="key_a"))
    writer.append(BEGIN, UsageEvent(request_id="req_2", at=AT))
    with open_stored(tmp_path / "data", FakeClock()) as stored:
        recorder = UsageRecorder(stored.usage, spool, lambda _: None, name="2-next")
        assert recorder.list_key_ids() == {"key_a"}
