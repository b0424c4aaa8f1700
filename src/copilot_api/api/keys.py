"""
The operations on keys: each is on record with who asked and from where, and in force on the key's next call.

What reads or writes the database is done in a thread.
"""

import asyncio
from dataclasses import dataclass

import msgspec

from copilot_api.admission.service import Admission
from copilot_api.api.account import render_standing
from copilot_api.api.admin_endpoint import Answered, Asked
from copilot_api.api.operations.keys import KeyList, Limit, LimitList
from copilot_api.clock import Clock
from copilot_api.keys.documents import KeyDocument, Status, describe_key, render_key
from copilot_api.keys.listing import MAX_PAGE, KeyQuery, list_page, parse_place
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.service import IssuedKey, KeyService
from copilot_api.keys.wishes import KeyChange, NewKey, Rotation, resolve_change, resolve_when

_ANY = "any"
_STATUSES: tuple[Status, ...] = ("valid", "not yet valid", "expired", "revoked")


@dataclass(frozen=True, slots=True)
class KeysApi:
    """See the module."""

    keys: KeyService
    admission: Admission
    clock: Clock

    async def list_some(self, asked: Asked) -> KeyList:
        """A page of keys."""
        given, now = asked.given, self.clock.now()
        status, tier = given.choice("status", (_ANY, *_STATUSES)), given.choice("tier", (_ANY, *Tier))
        query = KeyQuery(
            status=next((each for each in _STATUSES if each == status), None),
            tier=None if tier == _ANY else Tier(tier),
            text=given.text("q"),
            after=parse_place(given.text("after")),
            limit=given.number("limit", 50, MAX_PAGE),
        )
        page = list_page(await asyncio.to_thread(self.keys.list_keys), query, now)
        return KeyList([describe_key(key, now) for key in page.keys], page.next)

    async def create(self, asked: Asked) -> Answered:
        """Issue a key."""
        wish: NewKey = asked.body
        now = self.clock.now()
        not_before = resolve_when(wish.not_before, now, "not_before")
        expires_at = resolve_when(wish.expires_at, now, "expires_at")
        issued = await asyncio.to_thread(
            self.keys.issue,
            wish.label,
            tier=wish.tier,
            policy=wish.make_policy(),
            not_before=not_before,
            expires_at=expires_at,
            actor=asked.admin.id,
            origin=asked.origin,
        )
        location = (b"location", f"/admin/api/keys/{issued.key.id}".encode())
        return Answered(self._describe_issued(issued), (location,))

    async def show(self, asked: Asked) -> KeyDocument:
        """One key."""
        return self._describe(await self._get(asked))

    async def change(self, asked: Asked) -> KeyDocument:
        """Change a key."""
        wish: KeyChange = asked.body
        now = self.clock.now()
        key = await asyncio.to_thread(
            self.keys.update,
            asked.names["id"],
            label=None if isinstance(wish.label, msgspec.UnsetType) else wish.label,
            policy=wish.edit,
            not_before=resolve_change(wish.not_before, now, "not_before"),
            expires_at=resolve_change(wish.expires_at, now, "expires_at"),
            actor=asked.admin.id,
            origin=asked.origin,
        )
        return self._describe(key)

    async def revoke(self, asked: Asked) -> KeyDocument:
        """End a key at once."""
        key = await asyncio.to_thread(self.keys.revoke, asked.names["id"], actor=asked.admin.id, origin=asked.origin)
        return self._describe(key)

    async def rotate(self, asked: Asked) -> dict[str, object]:
        """Give a key a new secret."""
        wish: Rotation = asked.body
        issued = await asyncio.to_thread(
            self.keys.rotate,
            asked.names["id"],
            overlap_seconds=wish.count_seconds(),
            actor=asked.admin.id,
            origin=asked.origin,
        )
        return self._describe_issued(issued)

    async def show_limits(self, asked: Asked) -> LimitList:
        """How each limit of a key stands."""
        standings = await self.admission.standings(await self._get(asked))
        return LimitList([msgspec.convert(render_standing(standing), Limit) for standing in standings])

    async def _get(self, asked: Asked) -> ApiKey:
        """By its id only: what stands in a URL is to name one key for ever."""
        return await asyncio.to_thread(self.keys.get_by_id, asked.names["id"])

    def _describe(self, key: ApiKey) -> KeyDocument:
        return describe_key(key, self.clock.now())

    def _describe_issued(self, issued: IssuedKey) -> dict[str, object]:
        """An `IssuedKeyDocument`."""
        return {"key": issued.secret, **render_key(issued.key, self.clock.now())}
