"""
Sessions: that a browser has shown a key, and need not show it again for a while. Values and their port only.

A session is bound to the secret that opened it: when that secret ends, because its key was revoked, has expired or was
rotated, so does the session. Of the id in the browser's cookie only the SHA-256 is stored.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from copilot_api.audit.models import AuditEvent

IDLE = timedelta(hours=8)
"""A session that nobody used for so long has ended."""
LIFETIME = timedelta(hours=24)
"""However much it is used, a session ends after that."""
STEP_UP = timedelta(minutes=5)
"""For how long it counts that the key was shown again."""

_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in."""

    id: str
    """What it is called; no secret, and of no use in a cookie."""
    digest: bytes = field(repr=False)
    """Of the cookie's value."""
    key_id: str
    secret_digest: bytes = field(repr=False)
    """Of the secret that opened it."""
    created_at: datetime
    seen_at: datetime
    """When it was used last; up to a minute late."""
    stepped_up_at: datetime | None
    """When the key was shown again last."""
    address: str | None
    """Where it was opened from."""
    user_agent: str | None

    @property
    def ends_at(self) -> datetime:
        """When it ends if nobody uses it any more."""
        return min(self.created_at + LIFETIME, self.seen_at + IDLE)

    def is_alive_at(self, now: datetime) -> bool:
        """Whether it has not ended of itself. A clock that was set back makes no session younger than it is."""
        return self.created_at <= now + STEP_UP and now < self.ends_at

    def is_stepped_up_at(self, now: datetime) -> bool:
        """Whether the key was shown again just now."""
        return self.stepped_up_at is not None and self.stepped_up_at <= now < self.stepped_up_at + STEP_UP


class SessionRepository(Protocol):
    """
    Stores sessions. Its methods block: call them from a thread.

    Raises `StorageUnavailable` when it cannot read or write. What takes an event is on record, or not done.
    """

    def find_session(self, digest: bytes) -> Session | None:
        """The session whose cookie has this digest, whether it is over or not."""
        ...

    def list_sessions(self, *, limit: int, before: str | None = None) -> list[Session]:
        """So many of those that are stored, newest first; only older ones than the one with the id `before`."""
        ...

    def add_session(self, session: Session, event: AuditEvent, *, replaced: bytes | None, most: int) -> None:
        """Add one in the place of the one with the digest `replaced`. Of its key the newest `most` stay."""
        ...

    def step_up(self, digest: bytes, at: datetime, event: AuditEvent) -> bool:
        """Note that the key was shown again. False where the session is gone."""
        ...

    def end_session(self, session_id: str, event: AuditEvent) -> bool:
        """Delete one. False where there is none by that id."""
        ...

    def record_seen(self, seen: Mapping[bytes, datetime]) -> None:
        """Note when sessions were used, by their digests; an earlier time changes nothing."""
        ...

    def delete_over(self, now: datetime) -> int:
        """Delete the sessions that have ended of themselves. Gives their number."""
        ...


def make_cookie() -> str:
    """A new cookie's value: 256 random bits."""
    return secrets.token_urlsafe(_ID_BYTES)


def digest_cookie(cookie: str) -> bytes:
    """What is stored of a cookie's value; a plain hash, for the reason that `digest_secret` gives."""
    return hashlib.sha256(cookie.encode()).digest()


def make_session_id() -> str:
    """A new session's name."""
    return "ses_" + base64.b32encode(secrets.token_bytes(10)).decode().lower()
