"""
`GET /usage`: the caller's own usage, or the account's quota for an admin. `GET /token`: the Copilot token, for an
admin.
"""

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from copilot_api.admission.models import LimitStanding
from copilot_api.admission.service import Admission
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.clock import Clock
from copilot_api.errors import NoCredential
from copilot_api.keys.models import Tier
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.github import GitHub
from copilot_api.upstream.quotas import parse_quota
from copilot_api.usage.reports import report_usage
from copilot_api.usage.repository import Group, UsageRepository

OWN_USAGE_DAYS = 30
QUOTA_SECONDS = 60.0
"""How long a reading of the account's quota is shown before GitHub is asked again."""


class Usage:
    """`GET /usage`."""

    def __init__(
        self,
        door: Door,
        repository: UsageRepository,
        admission: Admission,
        github: GitHub,
        sessions: CopilotSessions,
        clock: Clock,
    ) -> None:
        self._admission = admission
        self._door = door
        self._repository = repository
        self._github = github
        self._sessions = sessions
        self._clock = clock
        self._quota: tuple[float, dict[str, Any]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        key = await self._door.authenticate(self._door.read_head(scope), scope)
        if key.tier is Tier.ADMIN:
            await send_json(send, await self._fetch_quota(), is_private=True)
            return
        until = self._clock.now()
        since = until - timedelta(days=OWN_USAGE_DAYS)
        report = await asyncio.to_thread(report_usage, self._repository, since, until, Group.KEY, key_id=key.id)
        document: dict[str, Any] = {
            "since": report["since"],
            "until": report["until"],
            "total": report["total"],
            "limits": [_render_standing(standing) for standing in await self._admission.standings(key)],
        }
        await send_json(send, document, is_private=True)

    async def _fetch_quota(self) -> dict[str, Any]:
        identity = self._sessions.identity
        if identity is None:
            raise NoCredential("the gateway has no GitHub credential")
        now = self._clock.monotonic()
        if self._quota is None or now - self._quota[0] > QUOTA_SECONDS:
            quota = parse_quota(await self._github.fetch_copilot_user(identity.github_token))
            self._quota = (now, asdict(quota))
        return self._quota[1]


def _render_standing(standing: LimitStanding) -> dict[str, Any]:
    """One limit, in its own unit, credits as credits. What is reserved for calls under way counts as used."""
    used = round(standing.used, 9)
    return {
        "name": standing.name,
        "scope": standing.scope,
        "unit": standing.unit,
        "limit": standing.limit,
        "used": used,
        "remaining": max(0, round(standing.limit - used, 9)),
        "resets_at": standing.resets_at.isoformat(timespec="seconds") if standing.resets_at else None,
        "mode": "observed" if standing.is_observed else "enforced",
    }


class Token:
    """`GET /token`, for tools that talk to Copilot themselves. Admin keys only: whoever has it acts as the account."""

    def __init__(self, door: Door, sessions: CopilotSessions) -> None:
        self._door = door
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._door.authenticate_admin(self._door.read_head(scope), scope)
        session = await self._sessions.get()
        await send_json(send, {"token": session.bearer, "api": session.api}, is_private=True)
