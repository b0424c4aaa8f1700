"""The door: who is calling. Every protected endpoint goes through it, and through it only."""

import urllib.parse
from dataclasses import dataclass

from copilot_api.api.http_exchange import Scope
from copilot_api.api.intake import (
    Networks,
    RequestHead,
    client_address,
    client_program,
    find_secret,
    refuse_foreign_page,
)
from copilot_api.clock import Clock
from copilot_api.errors import AddressNotAllowed, AdminRequired, Unauthorized
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.service import KeyService

_MAX_CLIENTS = 512
_MAX_AGENT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    key: ApiKey
    would_limit: tuple[str, ...] = ()
    """What would have refused them at the door, were it not only observed."""


class Door:
    """Recognises callers. With authentication off everybody is the same client key, but no page of another site is."""

    def __init__(
        self, keys: KeyService, clock: Clock, *, is_open: bool, is_local: bool = True, trusted: Networks = ()
    ) -> None:
        self._trusted = trusted
        self._keys = keys
        self._clock = clock
        self._is_open = is_open
        self._is_local = is_local
        self._clients: dict[bytes, str] = {}
        self._everybody = ApiKey("anonymous", "anonymous", Tier.CLIENT, "", clock.now())

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

    async def authenticate(self, head: RequestHead, scope: Scope) -> ApiKey:
        """The caller's key. Raises `Unauthorized`, or `AddressNotAllowed`."""
        return (await self.enter(head, scope)).key

    async def enter(self, head: RequestHead, scope: Scope) -> Caller:
        """Who calls, and what would have refused them here. Raises as `authenticate` does."""
        key = await self._recognise(head)
        if not key.policy.cidrs:
            return Caller(key)
        address = client_address(scope, head, self._trusted)
        if key.policy.allows_address(address):
            return Caller(key)
        if key.policy.observes("cidrs"):
            return Caller(key, ("cidrs",))
        raise AddressNotAllowed(f"this key may not be used from {address or 'an unknown address'}")

    async def _recognise(self, head: RequestHead) -> ApiKey:
        if self._keys.needs_refresh():
            await self._keys.refresh()
        secret = find_secret(head)
        if self._is_open and not secret.startswith("sk-cap-"):
            refuse_foreign_page(head, is_local=self._is_local)
            return self._everybody
        now = self._clock.now()
        key = self._keys.authenticate(secret, now)
        self._keys.mark_used(key.id, now)
        return key

    async def authenticate_admin(self, head: RequestHead, scope: Scope) -> ApiKey:
        """The caller's admin key. Raises `Unauthorized` or `AdminRequired`."""
        key = await self.authenticate(head, scope)
        if key is self._everybody:
            raise Unauthorized("this endpoint needs an admin key, also while authentication is off")
        if key.tier is not Tier.ADMIN:
            raise AdminRequired("this endpoint needs an admin key")
        return key
