"""The account's quota is read gently, told with its age, and kept."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    NoCredential,
    StorageUnavailable,
    UpstreamFailed,
    UpstreamStopped,
)
from copilot_api.observability.events import (
    Observation,
    QuotaReadable,
    QuotaStorageBroken,
    QuotaStorageRecovered,
    QuotaUnreadable,
)
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.brake import Brake, Stop
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity
from copilot_api.upstream.quota_keeper import (
    FRESH_SECONDS,
    IDLE_SECONDS,
    KEPT,
    MAX_RETRY_AFTER_SECONDS,
    PATIENCE_SECONDS,
    POLL_SECONDS,
    QuotaKeeper,
)
from copilot_api.upstream.quotas import QuotaReading
from tests.upstream.virtual import START, VirtualClock, VirtualLoop, run_virtually

IDENTITY = Identity("gho_the_github_token", CredentialSource.FLAG)
STOP = Stop(START, "suspicious activity")
JITTER = 0.11


class GitHubStub(GitHub):
    """A GitHub that answers when and what it is told, and remembers when it was asked."""

    def __init__(self) -> None:
        self.hosts = Hosts()
        self.asked: list[float] = []
        self.used = 0.0
        self.seconds = 0.0
        self.failure: Exception | None = None
        self.under_way = self.most_under_way = 0

    async def fetch_copilot_user(self, github_token: str) -> dict[str, Any]:
        assert github_token == IDENTITY.github_token
        self.asked.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.seconds)
        self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        return {
            "login": "octocat",
            "quota_snapshots": {"premium_interactions": {"entitlement": 300, "quota_remaining": 300 - self.used}},
        }


class MemoryQuotas:
    """A `QuotaRepository` in memory."""

    def __init__(self) -> None:
        self.readings: list[QuotaReading] = []
        self.forgotten: list[datetime] = []
        self.failure: Exception | None = None
        self.threads: set[str] = set()

    def record(self, readings: Sequence[QuotaReading]) -> int:
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        self.readings += readings
        return len(readings)

    def list_readings(self, name: str, since: datetime, until: datetime) -> list[QuotaReading]:
        raise NotImplementedError

    def forget(self, before: datetime) -> None:
        self.forgotten.append(before)


class AtOnce(ThreadPoolExecutor):
    """What is given to a thread is done at once: no time passes in a loop whose time is not real."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


class Process:
    """A gateway, as far as it has to do with the quota, in time that is not real."""

    def __init__(self, identity: Identity | None = IDENTITY) -> None:
        self.identity = identity
        self.github = GitHubStub()
        self.repository = MemoryQuotas()
        self.brake = Brake(8)
        self.observed: list[Observation] = []
        self.flagged: list[AccountFlagged] = []

    def run(self, test: Callable[["Process"], Awaitable[None]]) -> None:
        """The keeper runs while `test` does."""

        async def main(clock: VirtualClock) -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.set_default_executor(AtOnce())
            self.loop, self.began = loop, loop.time()
            sessions = CopilotSessions(self.github, self.identity, clock)
            self.keeper = QuotaKeeper(
                self.github,
                sessions,
                self.brake,
                self.repository,
                clock,
                observe=self.observed.append,
                on_flagged=self.flagged.append,
            )
            keeping = loop.create_task(self.keeper.run())
            try:
                await test(self)
                assert not keeping.done() or self.identity is None, "it runs for ever"
            finally:
                keeping.cancel()

        run_virtually(main)

    @property
    def asked(self) -> list[float]:
        """When GitHub was asked, in seconds since the start."""
        return [at - self.began for at in self.github.asked]

    @property
    def pauses(self) -> list[float]:
        """How long it was each time until GitHub was asked again."""
        return [later - earlier for earlier, later in zip(self.asked, self.asked[1:], strict=False)]

    def call(self) -> None:
        """A call goes upstream."""
        self.brake.started(self.loop.time())

    async def call_for(self, seconds: float) -> None:
        """A call every minute."""
        for _ in range(int(seconds / 60)):
            await asyncio.sleep(60)
            self.call()


@pytest.fixture
def process() -> Process:
    return Process()


def seconds(expected: float) -> object:
    """So many, give or take the jitter."""
    return pytest.approx(expected, rel=JITTER)


# When GitHub is asked ---------------------------------------------------------------------------------------------


def test_it_is_read_at_the_start(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        assert process.asked == [0]
        assert process.keeper.reading is not None

    process.run(test)


def test_while_calls_go_upstream_it_is_read_every_five_minutes(process: Process) -> None:
    async def test(process: Process) -> None:
        await process.call_for(4 * 3600)

    process.run(test)
    assert all(pause == seconds(POLL_SECONDS) for pause in process.pauses)
    assert len(set(process.pauses)) > 10, "not all gateways at the same time"
    assert len(process.asked) == pytest.approx(4 * 12, abs=4)


def test_while_none_do_it_is_read_once_an_hour(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(24 * 3600)

    process.run(test)
    assert all(pause == pytest.approx(IDLE_SECONDS, abs=POLL_SECONDS) for pause in process.pauses)
    assert len(process.asked) == pytest.approx(25, abs=1)


def test_the_first_call_after_a_pause_brings_a_reading_within_five_minutes(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1800)
        process.call()
        await asyncio.sleep(POLL_SECONDS * 1.2)
        assert len(process.asked) == 2
        await asyncio.sleep(1200)
        assert len(process.asked) == 2, "and no other before the hour"

    process.run(test)


def test_failures_make_the_pauses_longer_up_to_an_hour(process: Process) -> None:
    process.github.failure = UpstreamFailed("no answer")

    async def test(process: Process) -> None:
        await process.call_for(8 * 3600)
        process.github.failure = None
        await process.call_for(2 * 3600)

    process.run(test)
    expected = [300, 600, 1200, 2400, 3600, 3600, 3600]
    assert process.pauses[:7] == [seconds(pause) for pause in expected]
    assert process.pauses[-1] == seconds(POLL_SECONDS), "all is well again"


@pytest.mark.parametrize(("told", "waited"), [(7200.0, 7200.0), (1e9, MAX_RETRY_AFTER_SECONDS)])
def test_retry_after_is_obeyed_for_a_day_at_most(process: Process, told: float, waited: float) -> None:
    process.github.failure = UpstreamFailed("rate limited", retry_after=told)

    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        for _ in range(10):
            with pytest.raises(UpstreamFailed):
                await process.keeper.get()
        await asyncio.sleep(waited - 10)
        assert len(process.asked) == 1
        await asyncio.sleep(20)
        assert len(process.asked) == 2

    process.run(test)


def test_a_stopped_account_is_not_asked_about(process: Process) -> None:
    process.brake.stop = STOP

    async def test(process: Process) -> None:
        await process.call_for(3 * 3600)
        with pytest.raises(UpstreamStopped, match="suspicious activity"):
            await process.keeper.get()
        assert process.asked == []
        process.brake.stop = None
        await asyncio.sleep(POLL_SECONDS * 1.2)
        assert len(process.asked) == 1, "once it is resumed it is"

    process.run(test)


def test_what_was_read_before_the_stop_is_still_told(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        process.brake.stop = STOP
        await asyncio.sleep(1000)
        assert process.keeper.age(await process.keeper.get()) == pytest.approx(1001)
        assert len(process.asked) == 1

    process.run(test)


def test_without_a_credential_nothing_is_asked() -> None:
    process = Process(identity=None)

    async def test(process: Process) -> None:
        await asyncio.sleep(2 * 3600)
        with pytest.raises(NoCredential):
            await process.keeper.get()

    process.run(test)
    assert process.asked == []


def test_an_answer_that_flags_the_account_is_told(process: Process) -> None:
    process.github.failure = AccountFlagged("suspended")

    async def test(process: Process) -> None:
        await asyncio.sleep(1)

    process.run(test)
    assert [error.message for error in process.flagged] == ["suspended"]


# Whoever looks ----------------------------------------------------------------------------------------------------


def test_whoever_looks_gets_the_last_reading_while_it_is_fresh(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        first = await process.keeper.get()
        await asyncio.sleep(FRESH_SECONDS - 1)
        assert await process.keeper.get() is first
        assert process.keeper.age(first) == FRESH_SECONDS
        await asyncio.sleep(1)
        later = await process.keeper.get()
        assert (later is first, process.keeper.age(later), len(process.asked)) == (False, 0, 2)

    process.run(test)


def test_many_who_look_at_once_ask_one_question(process: Process) -> None:
    process.github.seconds = 2.0

    async def test(process: Process) -> None:
        found = await asyncio.gather(*[process.keeper.get() for _ in range(50)])
        assert len({id(reading) for reading in found}) == 1
        await asyncio.sleep(FRESH_SECONDS + 1)
        await asyncio.gather(*[process.keeper.get() for _ in range(50)])
        assert len(process.asked) == 2

    process.run(test)
    assert process.github.most_under_way == 1


def test_whoever_hangs_up_takes_the_answer_from_nobody(process: Process) -> None:
    process.github.seconds = 2.0

    async def test(process: Process) -> None:
        impatient, patient = (process.loop.create_task(process.keeper.get()) for _ in range(2))
        await asyncio.sleep(1)
        impatient.cancel()
        assert (await patient).quota.login == "octocat"
        assert len(process.asked) == 1

    process.run(test)


def test_a_look_puts_off_the_next_reading_of_the_gateway_s_own(process: Process) -> None:
    async def test(process: Process) -> None:
        for _ in range(20):
            await asyncio.sleep(200)
            process.call()
            await process.keeper.get()

    process.run(test)
    assert process.pauses == [pytest.approx(200, abs=1)] * 20


def test_when_github_fails_the_old_reading_is_told_with_its_age(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        process.github.failure = UpstreamFailed("no answer")
        await asyncio.sleep(100)
        reading = await process.keeper.get()
        assert (process.keeper.age(reading), len(process.asked)) == (101, 2)
        assert await process.keeper.get() is reading
        assert len(process.asked) == 2, "nor is it asked again at once"
        assert process.keeper.failure is process.github.failure

    process.run(test)


def test_when_github_is_slow_the_old_reading_is_told_after_a_while(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        process.github.seconds = 25.0
        await asyncio.sleep(99)
        began = process.loop.time()
        reading = await process.keeper.get()
        assert process.loop.time() - began == pytest.approx(PATIENCE_SECONDS)
        await asyncio.sleep(30)
        assert process.keeper.reading is not reading, "what was asked for comes nevertheless"
        assert len(process.asked) == 2

    process.run(test)


def test_without_any_reading_the_reason_is_told(process: Process) -> None:
    process.github.failure = UpstreamFailed("no answer")

    async def test(process: Process) -> None:
        with pytest.raises(UpstreamFailed, match="no answer"):
            await process.keeper.get()

    process.run(test)


# Said once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [UpstreamFailed("no answer"), ValueError("surprise")])
def test_a_failure_and_its_end_are_said_once(process: Process, failure: Exception) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        for _ in range(2):
            process.github.failure = failure
            await process.call_for(6 * 3600)
            process.github.failure = None
            await process.call_for(2 * 3600)

    process.run(test)
    assert [type(each) for each in process.observed] == [QuotaUnreadable, QuotaReadable] * 2
    assert isinstance(process.observed[0], QuotaUnreadable)
    assert process.observed[0].reason in {"no answer", "the account's quota could not be read: ValueError"}


@pytest.mark.parametrize("failure", [StorageUnavailable("locked"), UnicodeError("surprise")])
def test_a_database_that_is_away_is_said_once_and_ends_nothing(process: Process, failure: Exception) -> None:
    process.repository.failure = failure

    async def test(process: Process) -> None:
        await process.call_for(2 * 3600)
        assert process.keeper.reading is not None
        process.repository.failure = None
        await process.call_for(2 * 3600)

    process.run(test)
    assert [type(each) for each in process.observed] == [QuotaStorageBroken, QuotaStorageRecovered]
    assert len(process.repository.readings) > 10


# Kept -------------------------------------------------------------------------------------------------------------


def test_every_reading_is_kept_whoever_asked_for_it(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(1)
        process.github.used = 5.0
        await asyncio.sleep(100)
        await process.keeper.get()
        await asyncio.sleep(1)

    process.run(test)
    found = [(reading.name, reading.used) for reading in process.repository.readings]
    assert found == [("premium_interactions", 0), ("premium_interactions", 5)]


def test_once_a_day_old_readings_are_forgotten(process: Process) -> None:
    async def test(process: Process) -> None:
        await asyncio.sleep(3.5 * 86_400)

    process.run(test)
    assert len(process.repository.forgotten) == 4
    assert process.repository.forgotten[0] == START - KEPT
    assert timedelta(days=365) < KEPT


def test_what_blocks_is_done_in_a_thread() -> None:
    process = Process()

    async def main() -> None:
        clock = _RealClock()
        sessions = CopilotSessions(process.github, IDENTITY, clock)
        keeper = QuotaKeeper(process.github, sessions, process.brake, process.repository, clock)
        keeping = asyncio.get_running_loop().create_task(keeper.run())
        async with asyncio.timeout(5):
            while not process.repository.threads:
                await asyncio.sleep(0.002)
        keeping.cancel()

    asyncio.run(main())
    assert threading.main_thread().name not in process.repository.threads


class _RealClock:
    def now(self) -> datetime:
        return START

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def test_every_reason_is_an_error_that_can_be_answered(process: Process) -> None:
    process.github.failure = KeyError("surprise")

    async def test(process: Process) -> None:
        with pytest.raises(GatewayError):
            await process.keeper.get()

    process.run(test)
