"""
The account's quota, read gently and kept.

GitHub is asked when the gateway starts; then every five minutes while calls go upstream, once an hour while none do,
and ever more seldom while it fails. Whoever wants to see the quota in between gets the last reading with its age. For
an account that is stopped, nothing is asked at all.

Copilot's answers say how the quota stands too, in `x-quota-snapshot-*`. They are left alone: they round to tenths of a
per cent, which of a large allowance is many credits, so that beside the exact readings the quota would seem to go up
and down.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from copilot_api.clock import Clock
from copilot_api.errors import (
    AccountFlagged,
    GatewayError,
    NoCredential,
    StorageUnavailable,
    UpstreamFailed,
    UpstreamStopped,
)
from copilot_api.observability.events import (
    Observer,
    QuotaReadable,
    QuotaStorageBroken,
    QuotaStorageRecovered,
    QuotaUnreadable,
)
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.brake import Brake
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.quotas import AccountQuota, QuotaReading, parse_quota

POLL_SECONDS = 300.0
"""How often the quota is read while calls go upstream."""
IDLE_SECONDS = 3600.0
"""How often it is read while none do; and the longest pause between attempts that fail."""
FRESH_SECONDS = 60.0
"""A reading that is older than this is read again for somebody who looks."""
MAX_RETRY_AFTER_SECONDS = 86_400.0
"""For how long a `Retry-After` is believed."""
PATIENCE_SECONDS = 5.0
"""How long somebody who looks waits for it; then they get the old one."""
KEPT = timedelta(days=400)
"""How long readings are remembered: a year, and the month to compare it with."""

_FORGET_SECONDS = 86_400.0
_SLACK_SECONDS = POLL_SECONDS / 2
"""It is looked at intervals of about `POLL_SECONDS`: an hour is over at the look that is nearest to it."""


class QuotaRepository(Protocol):
    """Stores one identity's readings. Its methods block: call them from a thread. Raises `StorageUnavailable`."""

    def record(self, readings: Sequence[QuotaReading]) -> int:
        """
        Keep the readings that say something else than the last one before them, or follow it by an hour or more. Says
        how many those are.
        """
        ...

    def list_readings(self, name: str, since: datetime, until: datetime) -> list[QuotaReading]:
        """The readings of one allowance in [since, until], in order of time."""
        ...

    def forget(self, before: datetime) -> None:
        """Forget what is older, in small steps."""
        ...


@dataclass(frozen=True, slots=True)
class AccountReading:
    """The account's quota as GitHub told it, and when: by the wall clock, and in monotonic seconds."""

    quota: AccountQuota
    at: datetime
    moment: float


class QuotaKeeper:
    """See the module. One task asks, so there is never more than one question under way; others wake it and wait."""

    def __init__(
        self,
        github: GitHub,
        sessions: CopilotSessions,
        brake: Brake,
        repository: QuotaRepository,
        clock: Clock,
        *,
        observe: Observer = lambda _: None,
        on_flagged: Callable[[AccountFlagged], None] = lambda _: None,
    ) -> None:
        self._github = github
        self._sessions = sessions
        self._brake = brake
        self._repository = repository
        self._clock = clock
        self._observe = observe
        self._on_flagged = on_flagged
        self._reading: AccountReading | None = None
        self._unstored: AccountReading | None = None
        self._failure: GatewayError | None = None
        self._failures = 0
        self._ask_at = self._look_at = self._forget_at = float("-inf")
        self._is_storage_broken = False
        self._wanted = asyncio.Event()
        self._is_attempting = False
        self._outcome: asyncio.Future[None] | None = None

    @property
    def reading(self) -> AccountReading | None:
        """The last reading; None before the first."""
        return self._reading

    @property
    def failure(self) -> GatewayError | None:
        """Why the last attempt failed; None when it did not."""
        return self._failure

    def age(self, reading: AccountReading) -> float:
        """How old a reading is, in seconds."""
        return max(0.0, self._clock.monotonic() - reading.moment)

    async def get(self) -> AccountReading:
        """
        A reading that is fresh; or the last, when GitHub does not give another soon, or should not be asked. Raises
        why there is none.
        """
        reading = self._reading
        if (reading is None or self.age(reading) > FRESH_SECONDS) and self._may_ask():
            await self._next_outcome(None if reading is None else PATIENCE_SECONDS)
            reading = self._reading
        if reading is None:
            raise self._reason()
        return reading

    def renew(self) -> None:
        """Forget what was read: the account is another one, or may be. GitHub is asked at once."""
        self._reading, self._failure, self._failures = None, None, 0
        self._ask_at = float("-inf")
        self._wanted.set()

    async def run(self) -> None:
        """Read and store, for ever; without a credential from when there is one."""
        while self._sessions.identity is None:
            await self._wanted.wait()
            self._wanted.clear()
        while True:
            now = self._clock.monotonic()
            if self._wanted.is_set() or (now >= self._look_at and self._is_due(now)):
                await self._attempt()
                await self._store()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._look_at - self._clock.monotonic())):
                    await self._wanted.wait()

    # Reading ----------------------------------------------------------------------------------------------------

    def _is_due(self, now: float) -> bool:
        """Whether there is a reason to read, now that it is looked; if not, it is looked again after a while."""
        self._look_at = now + _jittered(POLL_SECONDS)
        reading = self._reading
        if reading is None or self._failure is not None:
            return True
        return self._brake.last_start > reading.moment or now - reading.moment >= IDLE_SECONDS - _SLACK_SECONDS

    def _may_ask(self) -> bool:
        is_able = self._sessions.identity is not None and self._brake.stop is None
        return is_able and self._clock.monotonic() >= self._ask_at

    async def _next_outcome(self, seconds: float | None) -> None:
        """Have GitHub asked, unless it is being asked already, and wait for the outcome, but no longer than that."""
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        if not self._is_attempting:
            self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._outcome)

    async def _attempt(self) -> None:
        self._wanted.clear()
        self._is_attempting = True
        identity, moment = self._sessions.identity, self._clock.monotonic()
        try:
            if identity is not None and self._may_ask():
                quota = parse_quota(await self._github.fetch_copilot_user(identity.github_token))
                if self._sessions.identity is identity:  # else it is about an account that is not used any more
                    self._read(AccountReading(quota, self._clock.now(), moment))
        except GatewayError as error:
            if self._sessions.identity is identity:
                self._failed(error)
        except Exception as error:  # noqa: BLE001 -- a surprise in an answer must not end every call under way
            self._failed(UpstreamFailed(f"the account's quota could not be read: {type(error).__name__}"))
        self._is_attempting = False
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(None)

    def _read(self, reading: AccountReading) -> None:
        self._reading = self._unstored = reading
        if self._failure is not None:
            self._observe(QuotaReadable())
        self._failure, self._failures = None, 0
        self._look_at = self._clock.monotonic() + _jittered(POLL_SECONDS)

    def _failed(self, error: GatewayError) -> None:
        if self._failure is None:
            self._observe(QuotaUnreadable(error.message))
        self._failure = error
        self._failures += 1
        now = self._clock.monotonic()
        told = min(error.retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)
        pause = min(IDLE_SECONDS, POLL_SECONDS * 2.0 ** min(10, self._failures - 1))
        self._ask_at = now + max(told, FRESH_SECONDS)
        self._look_at = now + max(told, _jittered(pause))
        if isinstance(error, AccountFlagged):
            self._on_flagged(error)

    def _reason(self) -> GatewayError:
        if self._sessions.identity is None:
            return NoCredential("the gateway has no GitHub credential")
        stop = self._brake.stop
        if stop is not None:
            return UpstreamStopped(f"GitHub is not asked for this account's quota: {stop.reason}", retry_after=60.0)
        return self._failure or UpstreamFailed("the account's quota is not known yet", retry_after=1.0)

    # Storing ----------------------------------------------------------------------------------------------------

    async def _store(self) -> None:
        reading, self._unstored = self._unstored, None
        if reading is None:
            return
        try:
            await asyncio.to_thread(self._record, reading)
        except GatewayError as error:
            self._storage_failed(error)
        except Exception as error:  # noqa: BLE001 -- a surprise in a reading must not end every call under way
            self._storage_failed(StorageUnavailable(f"the quota could not be stored: {type(error).__name__}"))
        else:
            if self._is_storage_broken:
                self._observe(QuotaStorageRecovered())
            self._is_storage_broken = False

    def _record(self, reading: AccountReading) -> None:
        self._repository.record(reading.quota.readings(reading.at))
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_SECONDS
            self._repository.forget(reading.at - KEPT)

    def _storage_failed(self, error: GatewayError) -> None:
        if not self._is_storage_broken:
            self._observe(QuotaStorageBroken(error.message))
        self._is_storage_broken = True


def _jittered(seconds: float) -> float:
    """Up to a tenth less or more, so that many gateways do not call at once."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 -- spread, not secrecy
