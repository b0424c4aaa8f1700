"""
Who may look at captures: the holder of an admin key or, over the local socket, a user of this machine.

What they look at is put on record first: `sign` writes the audit line, and what cannot be put on record is not shown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from copilot_api.api.door import Door
from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import Scope
from copilot_api.api.local_socket import ACTOR
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.keys.models import ApiKey

Append = Callable[[AuditEvent], None]
"""Puts an event on record, or raises; blocks."""
_MAX_AGENT_BYTES = 256


async def _always() -> None:
    """A user of this machine stays one."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks."""

    actor: str
    """As the audit log says it."""
    origin: Origin
    key: ApiKey | None = None
    """The admin key; None for a user of this machine."""
    check: Callable[[], Awaitable[object]] = field(default=_always)
    """Raises once they may look no longer, because the key was revoked, say."""


class Access(Protocol):
    """Recognises visitors."""

    async def enter(self, scope: Scope) -> Visitor:
        """Who sends this request. Raises `Unauthorized` or `AdminRequired`."""
        ...


class KeyAccess:
    """Lets admin keys in."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def enter(self, scope: Scope) -> Visitor:
        """See `Access`."""
        head = self._door.read_head(scope)
        key = await self._door.authenticate_admin(head, scope)

        async def check() -> None:
            await self._door.authenticate_admin(head, scope)

        return Visitor(key.id, self._door.find_origin(head, scope), key, check)


class LocalAccess:
    """Lets in whoever comes by the local socket, which has looked at who they are."""

    async def enter(self, scope: Scope) -> Visitor:
        """See `Access`."""
        user_agent = dict(scope["headers"]).get(b"user-agent", b"")[:_MAX_AGENT_BYTES].decode("latin-1")
        return Visitor(scope["state"][ACTOR], Origin(None, user_agent or None, request_id_of(scope)))


async def sign(append: Append, visitor: Visitor, action: Action, target: str, **detail: object) -> None:
    """Put on record what `visitor` is about to do. Raises `StorageUnavailable` when that cannot be."""
    await asyncio.to_thread(append, AuditEvent(visitor.actor, action, target, detail, visitor.origin))
