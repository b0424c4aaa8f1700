"""
Who is signed in at the admin pages.

Each request looks the session up, so that one that was ended anywhere is over everywhere. When a session was used last
is kept in memory and stored once a minute: no page waits for the database to be written to, and none fails with it.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, Unauthorized
from copilot_api.keys.models import ApiKey
from copilot_api.keys.secret import digest_secret
from copilot_api.keys.service import KeyService
from copilot_api.keys.sessions import Session, SessionRepository, digest_cookie, make_cookie, make_session_id

STORE_SECONDS = 60.0
MOST_PER_KEY = 50
"""A further session of a key ends its oldest one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was just opened, and the cookie for its browser."""

    session: Session
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some of the sessions."""

    sessions: list[Session]
    next: str | None
    """What to ask for to get those that follow; None where there are none."""


class SessionService:
    """Opens, finds and ends sessions."""

    def __init__(self, repository: SessionRepository, keys: KeyService, clock: Clock) -> None:
        self._repository = repository
        self._keys = keys
        self._clock = clock
        self._seen: dict[bytes, datetime] = {}

    async def find(self, cookie: str, *, is_use: bool = True) -> tuple[Session, ApiKey] | None:
        """
        The session that this cookie opens now, and its key as it is now. None where there is none, or no more. It is
        used by this, unless nobody asked for it (`is_use`): a page that renews itself keeps no session alive.

        Raises `StorageUnavailable` when that cannot be known.
        """
        session = await asyncio.to_thread(self._repository.find_session, digest_cookie(cookie))
        if session is None:
            return None
        session, now = self._as_seen(session), self._clock.now()
        if not session.is_alive_at(now):
            return None
        if self._keys.needs_refresh():
            await self._keys.refresh()
        try:
            key = self._keys.authenticate_digest(session.secret_digest, now)
        except Unauthorized as error:
            with suppress(GatewayError):  # it is over, whether or not that can be written down
                await self.end(session, actor=session.key_id, reason=error.message)
            return None
        if is_use:
            self._seen[session.digest] = now
        return session, key

    async def open(self, key: ApiKey, secret: str, origin: Origin, *, replaced: str | None) -> Opened:
        """
        Open a session for whoever has just shown `secret`, under an id that nobody knew before; the one that the same
        browser had (`replaced`, its cookie) is over.
        """
        cookie, now = make_cookie(), self._clock.now()
        session = Session(
            id=make_session_id(),
            digest=digest_cookie(cookie),
            key_id=key.id,
            secret_digest=digest_secret(secret),
            created_at=now,
            seen_at=now,
            stepped_up_at=None,
            address=origin.address,
            user_agent=origin.user_agent,
        )
        detail: dict[str, object] = {"tier": key.tier, "session": session.id}
        event = AuditEvent(key.id, Action.LOGIN_SUCCEEDED, key.id, detail, origin)
        old = None if replaced is None else digest_cookie(replaced)
        await asyncio.to_thread(self._repository.add_session, session, event, replaced=old, most=MOST_PER_KEY)
        self._keys.mark_used(key.id, now)
        return Opened(session, cookie)

    async def step_up(self, session: Session, origin: Origin) -> Session | None:
        """Note that the session's key was shown again. None where the session is over."""
        now = self._clock.now()
        detail: dict[str, object] = {"session": session.id, "purpose": "step-up"}
        event = AuditEvent(session.key_id, Action.LOGIN_SUCCEEDED, session.key_id, detail, origin)
        is_done = await asyncio.to_thread(self._repository.step_up, session.digest, now, event)
        return replace(session, stepped_up_at=now) if is_done else None

    async def end(self, session: Session, *, actor: str, reason: str, origin: Origin = LOCAL) -> bool:
        """End a session, on record. False where it is over already."""
        self._seen.pop(session.digest, None)
        return await self.end_by_id(session.id, actor=actor, reason=reason, origin=origin)

    async def end_by_id(self, session_id: str, *, actor: str, reason: str, origin: Origin = LOCAL) -> bool:
        """The same by its name."""
        event = AuditEvent(actor, Action.SESSION_ENDED, session_id, {"reason": reason}, origin)
        return await asyncio.to_thread(self._repository.end_session, session_id, event)

    async def list_page(self, *, limit: int, before: str | None = None) -> SessionPage:
        """So many sessions, newest first, from behind the one with the id `before`. None that is over is among them."""
        found = await asyncio.to_thread(self._repository.list_sessions, limit=limit, before=before)
        if self._keys.needs_refresh():
            await self._keys.refresh()
        now = self._clock.now()
        seen = [self._as_seen(session) for session in found]
        alive = [session for session in seen if session.is_alive_at(now) and self._is_key_valid(session, now)]
        return SessionPage(alive, found[-1].id if len(found) == limit else None)

    async def run(self) -> None:
        """Store when sessions were used, and delete those that are over, once a minute, for ever."""
        while True:
            await asyncio.sleep(STORE_SECONDS)
            await self.store()

    async def store(self) -> None:
        """Do it now. What cannot be stored is kept for the next time."""
        taken = dict(self._seen)
        with suppress(GatewayError):
            await asyncio.to_thread(self._repository.record_seen, taken)
            for digest, at in taken.items():
                if self._seen.get(digest) == at:
                    del self._seen[digest]
            await asyncio.to_thread(self._repository.delete_over, self._clock.now())

    def _as_seen(self, session: Session) -> Session:
        seen_at = self._seen.get(session.digest)
        return session if seen_at is None or seen_at <= session.seen_at else replace(session, seen_at=seen_at)

    def _is_key_valid(self, session: Session, now: datetime) -> bool:
        try:
            self._keys.authenticate_digest(session.secret_digest, now)
        except Unauthorized:
            return False
        return True
