"""
The bearer for the Copilot API, always fresh when a call needs it.

One task does every exchange, so there is never more than one under way. It renews ahead of expiry; a call that finds
no valid bearer, or had one refused, wakes it and waits for its next outcome. A failed renewal leaves the old bearer
in force for as long as it lasts.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from copilot_api.clock import Clock
from copilot_api.errors import (
    CatalogUnavailable,
    GatewayError,
    NoCredential,
    UpstreamFailed,
    UpstreamForbidden,
    UpstreamUnauthorized,
)
from copilot_api.protocols.untyped import object_of, text_of
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.identities import Identity

RETRY_SECONDS = (1.0, 10.0, 30.0, 60.0, 60.0, 120.0, 120.0, 180.0, 240.0, 300.0)
"""How long to wait after the n-th failure in a row; the last stays."""
MIN_RETRY_SECONDS = 1.0
"""Calls that wait for a bearer make an attempt come sooner, not more often than this."""
REFUSED_RETRY_SECONDS = 30.0
"""After a refusal that repeating does not mend (a revoked token), calls hear the reason at once for this long."""
GRACE_SECONDS = 60.0
"""Copilot tokens outlive their refresh time by this; clocks are skewed, so `expires_at` itself is not compared."""
LEAD_SECONDS = 60.0
DIRECT_RECHECK_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class CopilotSession:
    """A bearer, the API that takes it, and until when (monotonic seconds)."""

    bearer: str = field(repr=False)
    api: str
    valid_until: float
    renew_at: float


class CopilotSessions:
    """The sessions of one identity, one after the other."""

    def __init__(
        self,
        github: GitHub,
        identity: Identity | None,
        clock: Clock,
        *,
        on_renewed: Callable[[CopilotSession], None] = lambda _: None,
        on_failed: Callable[[GatewayError], None] = lambda _: None,
    ) -> None:
        self.identity = identity
        self._github = github
        self._clock = clock
        self._on_renewed = on_renewed
        self._on_failed = on_failed
        self._session: CopilotSession | None = None
        self._failure: GatewayError | None = None
        self._failures = 0
        self._failed_at = float("-inf")
        self._wanted = asyncio.Event()
        self._is_attempting = False
        self._outcome: asyncio.Future[None] | None = None

    @property
    def failure(self) -> GatewayError | None:
        """Why the last renewal failed; None when it did not."""
        return self._failure

    def use(self, identity: Identity) -> None:
        """
        Take another credential from now on. Calls under way finish with the bearer that they have; what was known of
        the old credential, good or bad, is forgotten, and the next bearer is fetched at once.
        """
        self.identity = identity
        self._session, self._failure = None, None
        self._failures, self._failed_at = 0, float("-inf")
        self._wanted.set()

    def current(self) -> CopilotSession | None:
        """The session, if it can be used right now."""
        session = self._session
        return session if session is not None and self._clock.monotonic() < session.valid_until else None

    async def get(self) -> CopilotSession:
        """A session that can be used. Raises why there is none."""
        session = self.current()
        if session is not None:
            return session
        if self.identity is None:
            raise NoCredential("the gateway has no GitHub credential")
        if self._failure is not None and self._clock.monotonic() < self._failed_at + self._patience():
            raise self._failure
        await self._next_outcome()
        session = self.current()
        if session is None:
            raise self._failure or CatalogUnavailable("the Copilot token is not known yet")
        return session

    async def renew_after(self, refused: CopilotSession) -> None:
        """
        The upstream refused a session: have another, unless somebody already got one. A failure shows at the next
        `get`.
        """
        if self._session is refused:
            self._session = None
            self._failure = None
            await self._next_outcome()

    async def run(self) -> None:
        """Renew ahead of expiry, for ever; without a credential from when there is one."""
        while self.identity is None:
            await self._wanted.wait()
            self._wanted.clear()
        while True:
            await self._attempt()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wanted.wait()
                # A burst of calls that all lack a bearer must not hammer GitHub.
                await asyncio.sleep(max(0.0, self._failed_at + MIN_RETRY_SECONDS - self._clock.monotonic()))

    async def _next_outcome(self) -> None:
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        if not self._is_attempting:
            self._wanted.set()
        await asyncio.shield(self._outcome)

    async def _attempt(self) -> None:
        self._wanted.clear()
        self._is_attempting = True
        identity, session, failure = self.identity, None, None
        try:
            session = await self._fetch_session()
        except GatewayError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 -- a surprise in an answer must not end every call under way
            failure = UpstreamFailed(f"the Copilot token could not be fetched: {type(error).__name__}")
        self._is_attempting = False
        if self.identity is not identity:
            return  # it is about a credential that is not used any more; `use` has asked for the next attempt
        if session is None:
            self._failed(failure or UpstreamFailed("the Copilot token could not be fetched"))
        else:
            self._session, self._failure, self._failures = session, None, 0
            self._on_renewed(session)
        outcome, self._outcome = self._outcome, None
        if outcome is not None and not outcome.done():
            outcome.set_result(None)

    def _failed(self, error: GatewayError) -> None:
        self._failure, self._failed_at = error, self._clock.monotonic()
        self._failures += 1
        self._on_failed(error)

    async def _fetch_session(self) -> CopilotSession:
        identity = self.identity
        if identity is None:
            raise NoCredential("the gateway has no GitHub credential")
        if not identity.is_exchanged:
            user = await self._github.fetch_copilot_user(identity.github_token)
            api = self._github.hosts.copilot_api(text_of(object_of(user.get("endpoints")).get("api")))
            renew_at = self._clock.monotonic() + _jittered(DIRECT_RECHECK_SECONDS)
            return CopilotSession(identity.github_token, api, float("inf"), renew_at)
        token = await self._github.fetch_copilot_token(identity.github_token)
        api = self._github.hosts.copilot_api(token.endpoints.api if token.endpoints else None)
        now, lasts = self._clock.monotonic(), float(max(1, token.refresh_in))
        lead = min(LEAD_SECONDS, lasts / 5)
        return CopilotSession(token.token, api, now + lasts + GRACE_SECONDS, now + lasts - _jittered(lead))

    def _patience(self) -> float:
        is_refused = isinstance(self._failure, UpstreamUnauthorized | UpstreamForbidden)
        return REFUSED_RETRY_SECONDS if is_refused else MIN_RETRY_SECONDS

    def _pause(self) -> float:
        if self._failures:
            return _jittered(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1])
        session = self._session
        return 0.0 if session is None else max(0.1, session.renew_at - self._clock.monotonic())


def _jittered(seconds: float) -> float:
    """Up to a fifth less or more, so that many gateways do not call at once."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 -- spread, not secrecy
