"""The door: who is calling. Every protected endpoint goes through it, and through it only."""

import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from copilot_api.api.errors import request_id_of
from copilot_api.api.http_exchange import Scope
from copilot_api.api.intake import (
    Networks,
    RequestHead,
    client_address,
    client_program,
    find_secret,
    refuse_foreign_page,
)
from copilot_api.audit.models import Origin
from copilot_api.clock import Clock
from copilot_api.errors import AddressNotAllowed, AdminRequired, GatewayError, Unauthorized
from copilot_api.keys.models import ApiKey, Tier, anonymous_key
from copilot_api.keys.service import KeyService

_MAX_CLIENTS = 512
_MAX_AGENT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    key: ApiKey
    would_limit: tuple[str, ...] = ()
    """What would have refused them at the door, were it not only observed."""
    refusal: GatewayError | None = None
    """Why they may not enter, though they are known."""


class SessionKeys(Protocol):
    """Recognises whoever is signed in at the admin pages."""

    async def find_key(self, head: RequestHead, scope: Scope) -> ApiKey | None:
        """
        The key of the session that came along with a request; None where none did. Raises a `GatewayError` where it is
        over, or does not suffice for what is asked.
        """
        ...


OnRefused = Callable[[str, str, Origin], None]
"""Is told of a key that was refused (empty where there was none), why, and from where. Takes no time."""


def tell_nobody(_secret: str, _reason: str, _origin: Origin) -> None:
    """Refused keys are nobody's business."""


class Door:
    """Recognises callers. With authentication off everybody is the same client key, but no page of another site is."""

    def __init__(
        self,
        keys: KeyService,
        clock: Clock,
        *,
        is_open: bool,
        is_local: bool = True,
        trusted: Networks = (),
        on_refused: OnRefused = tell_nobody,
        sessions: SessionKeys | None = None,
    ) -> None:
        self._on_refused = on_refused
        self._sessions = sessions
        self._trusted = trusted
        self._keys = keys
        self._clock = clock
        self.is_open = is_open
        self._is_local = is_local
        self._clients: dict[bytes, str] = {}
        self._everybody = anonymous_key(clock.now())

    def read_head(self, scope: Scope) -> RequestHead:
        """The request's head. Google's clients may put the key into the query: there it counts like their header."""
        head: RequestHead = dict(scope["headers"])
        if scope["query_string"] and (":" in scope["path"] or scope["path"].startswith("/v1beta")):
            for value in urllib.parse.parse_qs(scope["query_string"].decode("latin-1")).get("key", ())[:1]:
                head.setdefault(b"x-goog-api-key", value.encode("latin-1", errors="replace"))
        return head

    def client(self, head: RequestHead) -> str:
        """Which program calls."""
        user_agent = head.get(b"user-agent", b"")
        name = self._clients.get(user_agent)
        if name is None:
            name = client_program(user_agent)
            if len(self._clients) < _MAX_CLIENTS and len(user_agent) <= _MAX_AGENT_BYTES:
                self._clients[user_agent] = name
        return name

    def find_origin(self, head: RequestHead, scope: Scope) -> Origin:
        """Where a request comes from, for the audit log; the address as trusted proxies have it."""
        user_agent = head.get(b"user-agent", b"")[:_MAX_AGENT_BYTES].decode("latin-1")
        return Origin(client_address(scope, head, self._trusted), user_agent or None, request_id_of(scope))

    async def authenticate(self, head: RequestHead, scope: Scope) -> ApiKey:
        """The caller's key. Raises `Unauthorized`, or `AddressNotAllowed`."""
        caller = await self.enter(head, scope)
        if caller.refusal is not None:
            raise caller.refusal
        return caller.key

    async def enter(self, head: RequestHead, scope: Scope) -> Caller:
        """Who calls, what would have refused them here, and what does. Raises `Unauthorized`."""
        try:
            key, now = await self._recognise(head)
        except Unauthorized as error:
            self._on_refused(find_secret(head), error.message, self.find_origin(head, scope))
            raise
        if key.policy.cidrs:
            address = client_address(scope, head, self._trusted)
            if not key.policy.allows_address(address):
                if not key.policy.observes("cidrs"):
                    refusal = AddressNotAllowed(f"this key may not be used from {address or 'an unknown address'}")
                    self._on_refused(find_secret(head), refusal.message, self.find_origin(head, scope))
                    return Caller(key, refusal=refusal)
                self._mark_used(key, now)
                return Caller(key, ("cidrs",))
        self._mark_used(key, now)
        return Caller(key)

    def _mark_used(self, key: ApiKey, now: datetime) -> None:
        if key is not self._everybody:
            self._keys.mark_used(key.id, now)

    async def _recognise(self, head: RequestHead) -> tuple[ApiKey, datetime]:
        if self._keys.needs_refresh():
            await self._keys.refresh()
        secret, now = find_secret(head), self._clock.now()
        if self.is_open and not secret.startswith("sk-cap-"):
            refuse_foreign_page(head, is_local=self._is_local)
            return self._everybody, now
        return self._keys.authenticate(secret, now), now

    async def authenticate_admin(self, head: RequestHead, scope: Scope) -> ApiKey:
        """
        The caller's admin key, or that of their session at the admin pages: it counts where no key came along, and only
        here. Raises `Unauthorized` or `AdminRequired`, and what `SessionKeys` raises.
        """
        key = await self._find_signed_in(head, scope) or await self.authenticate(head, scope)
        if key is self._everybody:
            error = Unauthorized("this endpoint needs an admin key, also while authentication is off")
            self._on_refused(find_secret(head), error.message, self.find_origin(head, scope))
            raise error
        if key.tier is not Tier.ADMIN:
            raise AdminRequired("this endpoint needs an admin key")
        return key

    async def _find_signed_in(self, head: RequestHead, scope: Scope) -> ApiKey | None:
        if self._sessions is None or find_secret(head):
            return None
        return await self._sessions.find_key(head, scope)
