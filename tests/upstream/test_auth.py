import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise

import pytest

from copilot_api.errors import (
    GatewayError,
    NoCredential,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamTimeout,
    UpstreamUnauthorized,
)
from copilot_api.upstream.auth import (
    DIRECT_RECHECK_SECONDS,
    GRACE_SECONDS,
    LEAD_SECONDS,
    REFUSED_RETRY_SECONDS,
    RETRY_SECONDS,
    CopilotSession,
    CopilotSessions,
)
from copilot_api.upstream.github import CopilotToken, GitHub, TokenEndpoints
from copilot_api.upstream.hosts import Hosts
from copilot_api.upstream.identities import CredentialSource, Identity
from tests.upstream.virtual import VirtualClock, run_virtually

EXCHANGED = Identity("ghu_secret", CredentialSource.FILE)
DIRECT = Identity("gho_secret", CredentialSource.FILE)
API = "https://api.business.githubcopilot.com"
DOWN = UpstreamFailed("GitHub is down")

Outcome = Callable[[int], GatewayError | None]
"""What the n-th exchange comes to: a failure, or None for a token."""


class ScriptedGitHub(GitHub):
    """Gives the tokens `tid=0`, `tid=1` and so on, or fails as it is told."""

    def __init__(self, outcome: Outcome, *, refresh_in: int = 1500, seconds: float = 0.2) -> None:
        self.hosts = Hosts()
        self.exchanges: list[float] = []
        """When each exchange began."""
        self.checks: list[float] = []
        """When each look at the user's document began."""
        self.tokens: list[str] = []
        """The GitHub tokens that were exchanged."""
        self.most_at_once = 0
        self._outcome = outcome
        self._refresh_in = refresh_in
        self._seconds = seconds
        self._under_way = 0

    async def fetch_copilot_token(self, github_token: str) -> CopilotToken:
        self.tokens.append(github_token)
        await self._take_time(self.exchanges)
        number = len(self.exchanges) - 1
        return CopilotToken(f"tid={number}", 0, self._refresh_in, TokenEndpoints(API))

    async def fetch_copilot_user(self, github_token: str) -> dict[str, object]:
        assert github_token == DIRECT.github_token
        await self._take_time(self.checks)
        return {"endpoints": {"api": API}}

    async def _take_time(self, calls: list[float]) -> None:
        number = len(calls)
        calls.append(asyncio.get_running_loop().time())
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        await asyncio.sleep(self._seconds)
        self._under_way -= 1
        failure = self._outcome(number)
        if failure is not None:
            raise failure


def works(_: int) -> None:
    return None


def fails(error: GatewayError, *, until: int = 1_000_000, since: int = 0) -> Outcome:
    return lambda number: error if since <= number < until else None


@contextlib.asynccontextmanager
async def running(
    github: ScriptedGitHub, clock: VirtualClock, identity: Identity = EXCHANGED
) -> AsyncGenerator[CopilotSessions]:
    sessions = CopilotSessions(github, identity, clock)
    renewing = asyncio.get_running_loop().create_task(sessions.run())
    try:
        yield sessions
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing


# Having one -------------------------------------------------------------------------------------------------------


def test_a_session_is_the_token_and_the_host_that_github_names() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(works), clock) as sessions:
            session = await sessions.get()
            assert (session.bearer, session.api) == ("tid=0", API)
            assert sessions.current() is session
            assert sessions.failure is None

    run_virtually(test)


def test_calls_that_come_during_the_first_exchange_wait_for_it_and_cause_no_other() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        async with running(github, clock) as sessions:
            await asyncio.sleep(0.1)
            found = await asyncio.gather(*(sessions.get() for _ in range(50)))
            assert {session.bearer for session in found} == {"tid=0"}
            await asyncio.sleep(60)
            assert len(github.exchanges) == 1

    run_virtually(test)


def test_a_call_that_gives_up_waiting_takes_nobody_with_it() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(works, seconds=5), clock) as sessions:
            loop = asyncio.get_running_loop()
            impatient, patient = loop.create_task(sessions.get()), loop.create_task(sessions.get())
            await asyncio.sleep(1)
            impatient.cancel()
            assert (await patient).bearer == "tid=0"
            assert impatient.cancelled()

    run_virtually(test)


def test_no_session_shows_its_bearer() -> None:
    assert "secret" not in repr(CopilotSession("tid=secret", API, 0.0, 0.0))


# Renewing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh_in", [1500, 600, 100, 10])
def test_it_is_renewed_ahead_of_its_refresh_time_and_is_never_missing(refresh_in: int) -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works, refresh_in=refresh_in)
        async with running(github, clock) as sessions:
            await sessions.get()
            for _ in range(1000):
                await asyncio.sleep(refresh_in / 100)
                assert sessions.current() is not None
            lead = min(LEAD_SECONDS, refresh_in / 5)
            for earlier, later in pairwise(github.exchanges):
                assert refresh_in - 1.2 * lead <= later - earlier <= refresh_in - 0.8 * lead + 1
            assert len(github.exchanges) >= 9
            assert github.most_at_once == 1

    run_virtually(test)


@pytest.mark.parametrize("refresh_in", [1, 0, -5])
def test_an_absurd_refresh_time_does_not_hammer_github(refresh_in: int) -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works, refresh_in=refresh_in, seconds=0)
        async with running(github, clock) as sessions:
            await sessions.get()
            await asyncio.sleep(100)
            assert len(github.exchanges) <= 150

    run_virtually(test)


def test_renewals_of_many_gateways_are_spread() -> None:
    async def test(clock: VirtualClock) -> float:
        github = ScriptedGitHub(works)
        async with running(github, clock) as sessions:
            await sessions.get()
            await asyncio.sleep(1500)
            return github.exchanges[1]

    assert len({run_virtually(test) for _ in range(8)}) > 4


def test_a_failed_renewal_leaves_the_old_token_in_force_as_long_as_it_lasts() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(fails(DOWN, since=1)), clock) as sessions:
            first = await sessions.get()
            await asyncio.sleep(1500 + GRACE_SECONDS - 2)
            assert await sessions.get() is first
            assert sessions.failure is DOWN
            await asyncio.sleep(3)
            assert sessions.current() is None
            with pytest.raises(UpstreamFailed, match="GitHub is down"):
                await sessions.get()

    run_virtually(test)


def test_failures_are_repeated_less_and_less_often() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(fails(DOWN), seconds=0)
        async with running(github, clock):
            await asyncio.sleep(4000)
        waits = [later - earlier for earlier, later in pairwise(github.exchanges)]
        assert len(waits) > len(RETRY_SECONDS)
        for number, wait in enumerate(waits):
            planned = RETRY_SECONDS[min(number, len(RETRY_SECONDS) - 1)]
            assert 0.8 * planned <= wait <= 1.2 * planned + 0.01

    run_virtually(test)


def test_a_success_ends_the_failure_and_its_waits() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(fails(DOWN, until=3), seconds=0)
        async with running(github, clock) as sessions:
            await asyncio.sleep(100)
            assert sessions.failure is None
            assert sessions.current() is not None
            assert len(github.exchanges) == 4

    run_virtually(test)


# Having none ------------------------------------------------------------------------------------------------------


def test_a_call_during_a_failure_hears_the_reason() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(fails(UpstreamTimeout("no answer"))), clock) as sessions:
            with pytest.raises(UpstreamTimeout, match="no answer"):
                await sessions.get()

    run_virtually(test)


def test_a_call_that_lacks_a_token_makes_the_next_attempt_come_sooner() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(fails(DOWN, until=3), seconds=0)
        async with running(github, clock) as sessions:
            await asyncio.sleep(5)  # after the second failure the next attempt is ten seconds away
            assert len(github.exchanges) == 2
            with pytest.raises(UpstreamFailed):
                await sessions.get()
            await asyncio.sleep(2)
            began = clock.monotonic()
            assert (await sessions.get()).bearer == "tid=3"
            assert clock.monotonic() - began < 0.5

    run_virtually(test)


def test_many_calls_that_lack_a_token_do_not_hammer_github() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(fails(DOWN), seconds=0.05)

        async def call_all_the_time(sessions: CopilotSessions) -> None:
            while True:
                with pytest.raises(UpstreamFailed):
                    await sessions.get()
                await asyncio.sleep(0.01)

        async with running(github, clock) as sessions:
            loop = asyncio.get_running_loop()
            callers = [loop.create_task(call_all_the_time(sessions)) for _ in range(5)]
            await asyncio.sleep(20)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        assert len(github.exchanges) <= 21  # one a second
        assert github.most_at_once == 1

    run_virtually(test)


@pytest.mark.parametrize("refusal", [UpstreamUnauthorized("bad credentials"), UpstreamForbidden("no Copilot")])
def test_a_refused_credential_is_said_at_once_and_tried_seldom(refusal: GatewayError) -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(fails(refusal))
        async with running(github, clock) as sessions:
            await asyncio.sleep(1)
            heard = 0
            while clock.monotonic() < 1_000 + 300:
                began = clock.monotonic()
                with pytest.raises(type(refusal)):
                    await sessions.get()
                heard += clock.monotonic() == began
                await asyncio.sleep(0.1)
            assert heard > 2900
            planned = sum(1 for number in range(10) if sum(RETRY_SECONDS[:number]) < 300)
            assert len(github.exchanges) <= planned + 300 / REFUSED_RETRY_SECONDS + 1

    run_virtually(test)


def test_without_a_credential_nothing_is_tried() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        sessions = CopilotSessions(github, None, clock)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sessions.run(), 3600)
        with pytest.raises(NoCredential):
            await sessions.get()
        assert github.exchanges == []

    run_virtually(test)


# Refused by the upstream ------------------------------------------------------------------------------------------


def test_a_refused_session_is_renewed_once_for_all_whose_calls_it_was_refused_to() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        async with running(github, clock) as sessions:
            refused = await sessions.get()
            await asyncio.gather(*(sessions.renew_after(refused) for _ in range(20)))
            assert (await sessions.get()).bearer == "tid=1"
            await sessions.renew_after(refused)  # somebody who is late: there is a newer one already
            assert (await sessions.get()).bearer == "tid=1"
            await asyncio.sleep(60)
            assert len(github.exchanges) == 2
            assert github.most_at_once == 1

    run_virtually(test)


def test_a_renewal_that_fails_after_a_refusal_shows_at_the_next_look() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(fails(DOWN, since=1)), clock) as sessions:
            refused = await sessions.get()
            await sessions.renew_after(refused)
            assert sessions.current() is None
            with pytest.raises(UpstreamFailed, match="GitHub is down"):
                await sessions.get()

    run_virtually(test)


# Tokens that are used as they are ---------------------------------------------------------------------------------


def test_a_direct_token_is_the_bearer_itself_and_never_expires() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        async with running(github, clock, DIRECT) as sessions:
            session = await sessions.get()
            assert (session.bearer, session.api) == ("gho_secret", API)
            await asyncio.sleep(10 * DIRECT_RECHECK_SECONDS)
            assert sessions.current() is not None
            assert github.exchanges == []
            assert 8 <= len(github.checks) <= 13

    run_virtually(test)


def test_a_direct_token_stays_in_force_while_github_is_down() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(fails(DOWN, since=1)), clock, DIRECT) as sessions:
            await sessions.get()
            await asyncio.sleep(3 * DIRECT_RECHECK_SECONDS)
            assert (await sessions.get()).bearer == "gho_secret"
            assert sessions.failure is DOWN

    run_virtually(test)


# Telling ----------------------------------------------------------------------------------------------------------


def test_renewals_and_failures_are_told() -> None:
    async def test(clock: VirtualClock) -> None:
        renewed: list[CopilotSession] = []
        failed: list[GatewayError] = []
        sessions = CopilotSessions(
            ScriptedGitHub(fails(DOWN, until=1)), EXCHANGED, clock, on_renewed=renewed.append, on_failed=failed.append
        )
        renewing = asyncio.get_running_loop().create_task(sessions.run())
        await asyncio.sleep(10)
        renewing.cancel()
        assert failed == [DOWN]
        assert [session.bearer for session in renewed] == ["tid=1"]

    run_virtually(test)


# Another credential -----------------------------------------------------------------------------------------------

OTHER = Identity("ghu_other", CredentialSource.FILE)


def test_another_credential_is_used_for_the_next_call() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        async with running(github, clock) as sessions:
            before = await sessions.get()
            sessions.use(OTHER)
            after = await sessions.get()
            assert (before.bearer, after.bearer) == ("tid=0", "tid=1")
            assert github.tokens == [EXCHANGED.github_token, OTHER.github_token]

    run_virtually(test)


def test_what_an_exchange_with_the_old_one_comes_to_is_nothing_any_more() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works, seconds=2.0)
        async with running(github, clock) as sessions:
            waiting = asyncio.ensure_future(sessions.get())
            await asyncio.sleep(1.0)
            sessions.use(OTHER)
            assert (await waiting).bearer == "tid=1"
            assert github.tokens == [EXCHANGED.github_token, OTHER.github_token]
            assert github.most_at_once == 1

    run_virtually(test)


def test_a_credential_that_was_refused_does_not_hold_up_the_next() -> None:
    async def test(clock: VirtualClock) -> None:
        async with running(ScriptedGitHub(fails(UpstreamUnauthorized("revoked"), until=1)), clock) as sessions:
            with pytest.raises(UpstreamUnauthorized):
                await sessions.get()
            began = clock.monotonic()
            sessions.use(OTHER)
            assert (await sessions.get()).bearer == "tid=1"
            assert clock.monotonic() - began < 2
            assert sessions.failure is None

    run_virtually(test)


def test_without_a_credential_the_first_one_is_waited_for() -> None:
    async def test(clock: VirtualClock) -> None:
        github = ScriptedGitHub(works)
        sessions = CopilotSessions(github, None, clock)
        renewing = asyncio.get_running_loop().create_task(sessions.run())
        with pytest.raises(NoCredential):
            await sessions.get()
        sessions.use(EXCHANGED)
        assert (await sessions.get()).bearer == "tid=0"
        renewing.cancel()

    run_virtually(test)
