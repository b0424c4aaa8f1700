"""A flagged account: nothing is sent from then on, also after a restart, until somebody says otherwise."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.audit.verify import find_problems
from copilot_api.errors import AccountFlagged, StorageUnavailable
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.upstream import stops as stops_module
from copilot_api.upstream.brake import IDLE_RECOVERY_SECONDS, Brake, Stop
from copilot_api.upstream.stops import LOOK_SECONDS, StopKeeper, StopRepository
from tests.fakes import FakeClock
from tests.stored import Stored, open_stored

ABUSE = AccountFlagged("suspicious activity")
OPERATOR = AuditEvent("local:me", Action.IDENTITY_RESUMED, "default")


class MemoryStops:
    """A `StopRepository` in memory that fails when it is told to."""

    def __init__(self) -> None:
        self.stops: dict[str, Stop] = {}
        self.events: list[AuditEvent] = []
        self.failure: Exception | None = None
        self.asked = 0
        self.threads: set[str] = set()

    def _may_fail(self) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure

    def find_stop(self, identity_id: str) -> Stop | None:
        self._may_fail()
        return self.stops.get(identity_id)

    def add_stop(self, identity_id: str, stop: Stop, event: AuditEvent) -> None:
        self.threads.add(threading.current_thread().name)
        self._may_fail()
        if identity_id not in self.stops:
            self.stops[identity_id] = stop
            self.events.append(event)

    def remove_stop(self, identity_id: str, event: AuditEvent) -> bool:
        self._may_fail()
        self.events.append(event)
        return self.stops.pop(identity_id, None) is not None


class Process:
    """A gateway, as far as it has to do with stops."""

    def __init__(self, repository: StopRepository, identity_id: str = "default") -> None:
        self.clock = FakeClock()
        self.stopped: list[Stop] = []
        self.resumed = 0
        self.brake = Brake(8, on_flagged=self._flagged)
        self.keeper = StopKeeper(
            identity_id,
            self.brake,
            repository,
            self.clock,
            on_stopped=self.stopped.append,
            on_resumed=self._count_resumed,
        )
        self.keeper.load()

    def _flagged(self, error: AccountFlagged) -> None:
        self.keeper.flagged(error)

    def _count_resumed(self) -> None:
        assert self.brake.stop is None, "whoever is told may go on"
        self.resumed += 1

    def flag(self, error: AccountFlagged = ABUSE) -> None:
        """Copilot answers a call so."""
        self.brake.refused(error, self.clock.monotonic(), self.clock.monotonic())

    def is_stopped(self) -> bool:
        return self.brake.stop is not None

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        """The keeper runs while `test` does."""

        async def main() -> None:
            keeping = asyncio.get_running_loop().create_task(self.keeper.run())
            try:
                await test()
                assert not keeping.done(), "it runs for ever"
            finally:
                keeping.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await keeping

        asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops_module, "LOOK_SECONDS", 0.005)


@pytest.fixture
def repository() -> MemoryStops:
    return MemoryStops()


@pytest.fixture
def process(repository: MemoryStops) -> Process:
    return Process(repository)


def test_resuming_works_within_about_a_second() -> None:
    assert LOOK_SECONDS <= 1.0


def test_nothing_is_stopped_at_first_and_the_database_is_asked_seldom(
    process: Process, repository: MemoryStops
) -> None:
    async def test() -> None:
        await asyncio.sleep(0.05)

    process.run(test)
    assert not process.is_stopped()
    assert (process.stopped, process.resumed) == ([], 0)
    assert repository.asked <= 3


def test_a_stop_by_another_process_on_the_same_identity_is_found(process: Process, repository: MemoryStops) -> None:
    async def test() -> None:
        event = AuditEvent("gateway", Action.IDENTITY_STOPPED, "default")
        repository.add_stop("default", Stop(FakeClock().now(), "flagged elsewhere"), event)
        await asyncio.sleep(0.3)

    process.run(test)
    assert process.is_stopped()
    assert [stop.reason for stop in process.stopped] == ["flagged elsewhere"]


def test_a_flagged_account_is_stopped_at_once(process: Process) -> None:
    process.flag()
    assert process.stopped == [Stop(process.clock.now(), "suspicious activity")]
    assert process.brake.stop == process.stopped[0]


def test_a_stop_is_stored_and_signed(process: Process, repository: MemoryStops) -> None:
    async def test() -> None:
        process.flag()
        await until(lambda: "default" in repository.stops)

    process.run(test)
    assert repository.stops == {"default": process.stopped[0]}
    detail: dict[str, object] = {"reason": "suspicious activity"}
    assert repository.events == [AuditEvent("gateway", Action.IDENTITY_STOPPED, "default", detail)]
    assert process.is_stopped()
    assert threading.main_thread().name not in repository.threads, "it blocks"


def test_a_stop_is_stored_without_waiting_for_the_next_look(
    monkeypatch: pytest.MonkeyPatch, process: Process, repository: MemoryStops
) -> None:
    """A process that is killed a moment later must find it."""
    monkeypatch.setattr(stops_module, "LOOK_SECONDS", 60.0)

    async def test() -> None:
        await asyncio.sleep(0.01)
        process.flag()
        await until(lambda: bool(repository.stops))

    process.run(test)
    assert len(repository.events) == 1


def test_a_stop_in_the_last_moment_is_stored_all_the_same(process: Process, repository: MemoryStops) -> None:
    async def test() -> None:
        await asyncio.sleep(0.01)
        process.flag()

    process.run(test)
    assert repository.stops == {"default": process.stopped[0]}
    assert Process(repository).is_stopped()


def test_a_database_that_is_away_in_the_last_moment_does_not_keep_the_process(
    process: Process, repository: MemoryStops
) -> None:
    async def test() -> None:
        repository.failure = StorageUnavailable("locked")
        process.flag()

    process.run(test)
    assert repository.stops == {}


def test_while_nothing_can_be_stored_it_is_not_tried_all_the_time(
    monkeypatch: pytest.MonkeyPatch, process: Process, repository: MemoryStops
) -> None:
    monkeypatch.setattr(stops_module, "LOOK_SECONDS", 60.0)
    repository.failure = StorageUnavailable("locked")
    before = repository.asked

    async def test() -> None:
        process.flag()
        await asyncio.sleep(0.05)
        assert repository.asked == before + 1

    process.run(test)


def test_of_many_signs_the_first_is_the_reason(process: Process, repository: MemoryStops) -> None:
    """Calls under way come back with the same, and each counts as one stop."""

    async def test() -> None:
        for number in range(5):
            process.flag(AccountFlagged(f"reason {number}"))
        await until(lambda: bool(repository.stops))
        process.flag(AccountFlagged("later"))
        await asyncio.sleep(0.05)

    process.run(test)
    assert [stop.reason for stop in process.stopped] == ["reason 0"]
    assert repository.stops["default"].reason == "reason 0"
    assert len(repository.events) == 1


def test_a_stop_survives_a_restart(process: Process, repository: MemoryStops) -> None:
    repository.stops["default"] = Stop(process.clock.now(), "of yesterday")
    later = Process(repository)
    assert later.brake.stop == repository.stops["default"]
    assert later.stopped == [repository.stops["default"]]

    async def test() -> None:
        await asyncio.sleep(0.05)

    later.run(test)
    assert later.is_stopped()
    assert repository.events == [], "it is on record already"


def test_a_stop_of_another_identity_is_none_of_ours(process: Process, repository: MemoryStops) -> None:
    repository.stops["other"] = Stop(process.clock.now(), "not us")
    assert not Process(repository).is_stopped()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_stop_is_lifted_from_elsewhere(repository: MemoryStops, *, is_restarted: bool) -> None:
    """With one slot to begin with, and all of them come back."""
    process = Process(repository)
    if is_restarted:
        repository.stops["default"] = Stop(process.clock.now(), "of yesterday")
        process = Process(repository)

    async def test() -> None:
        process.flag()
        await until(lambda: bool(repository.stops))
        repository.remove_stop("default", OPERATOR)
        await until(lambda: not process.is_stopped())
        await asyncio.sleep(0.02)

    process.run(test)
    assert process.resumed == 1
    now = process.clock.monotonic()
    assert process.brake.slots(now) == 1
    assert process.brake.slots(now + 7 * IDLE_RECOVERY_SECONDS) == 8


def test_an_account_that_is_flagged_again_is_stopped_again(process: Process, repository: MemoryStops) -> None:
    async def test() -> None:
        for number in range(3):
            process.flag(AccountFlagged(f"reason {number}"))
            await until(lambda: bool(repository.stops))
            repository.remove_stop("default", OPERATOR)
            await until(lambda: not process.is_stopped())

    process.run(test)
    assert [stop.reason for stop in process.stopped] == ["reason 0", "reason 1", "reason 2"]
    assert process.resumed == 3
    assert [event.action for event in repository.events] == [Action.IDENTITY_STOPPED, Action.IDENTITY_RESUMED] * 3


def test_a_stop_that_cannot_be_stored_is_in_force_and_stored_later(process: Process, repository: MemoryStops) -> None:
    """And not taken for one that was lifted, since there is nothing in the database."""
    repository.failure = StorageUnavailable("locked")

    async def test() -> None:
        process.flag()
        before = repository.asked
        await until(lambda: repository.asked > before + 3)
        assert process.is_stopped()
        repository.failure = None
        await until(lambda: bool(repository.stops))
        await asyncio.sleep(0.03)

    process.run(test)
    assert process.is_stopped()
    assert repository.stops == {"default": process.stopped[0]}
    assert len(repository.events) == 1


def test_while_the_database_is_away_a_stop_stays(process: Process, repository: MemoryStops) -> None:
    async def test() -> None:
        process.flag()
        await until(lambda: bool(repository.stops))
        repository.stops.clear()
        repository.failure = StorageUnavailable("locked")
        await asyncio.sleep(0.03)
        assert process.is_stopped()
        repository.failure = None
        await until(lambda: not process.is_stopped())

    process.run(test)


def test_at_the_start_a_database_that_cannot_be_read_is_an_error(repository: MemoryStops) -> None:
    """Not a licence to call GitHub."""
    repository.failure = StorageUnavailable("locked")
    with pytest.raises(StorageUnavailable):
        Process(repository)


# The real database ------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    with open_stored(tmp_path / "data", FakeClock()) as stored:
        return stored  # it opens again by itself


def test_the_same_with_the_real_database_and_another_connection(stored: Stored) -> None:
    process = Process(stored.stops)

    async def stop() -> None:
        process.flag()
        await until(lambda: stored.stops.find_stop("default") is not None)

    process.run(stop)
    restarted = Process(stored.stops)
    assert restarted.brake.stop == process.stopped[0]
    elsewhere = open_sqlite(stored.directory.database)
    upgrade(elsewhere)

    async def resume() -> None:
        assert SqlStopRepository(elsewhere, stored.audit).remove_stop("default", OPERATOR)
        await until(lambda: not restarted.is_stopped())

    restarted.run(resume)
    elsewhere.close()
    stored.database.close()
    assert Process(stored.stops).brake.stop is None
    stored.database.close()
    assert find_problems(stored.directory.audit) == []
    assert stored.directory.audit.read_text().count("identity.stopped") == 1
    assert stored.directory.audit.read_text().count("identity.resumed") == 1
