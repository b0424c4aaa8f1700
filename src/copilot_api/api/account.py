"""
`GET /usage`: the caller's own usage, or the account's quota for an admin. `GET /token`: the Copilot token, for an
admin.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from copilot_api.admission.models import LimitStanding
from copilot_api.admission.service import Admission
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.clock import Clock
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.usage.credit_reports import AccountReports, render_account
from copilot_api.usage.reports import report_usage
from copilot_api.usage.repository import UsageRepository
from copilot_api.usage.totals import Group

OWN_USAGE_DAYS = 30


class Usage:
    """`GET /usage`."""

    def __init__(
        self,
        door: Door,
        repository: UsageRepository,
        admission: Admission,
        quota: QuotaKeeper,
        reports: AccountReports,
        clock: Clock,
        *,
        may_capture: Callable[[], bool],
    ) -> None:
        self._may_capture = may_capture
        self._admission = admission
        self._door = door
        self._repository = repository
        self._quota = quota
        self._reports = reports
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        key = await self._door.authenticate(self._door.read_head(scope), scope)
        until = self._clock.now()
        if key.tier is Tier.ADMIN:
            reading = await self._quota.get()
            account = await self._reports.get(reading)
            document: dict[str, Any] = render_account(account, self._quota.age(reading))
            await send_json(send, {**document, "capture": self._render_capture(key, until)}, is_private=True)
            return
        since = until - timedelta(days=OWN_USAGE_DAYS)
        report = await asyncio.to_thread(report_usage, self._repository, since, until, Group.KEY, key_id=key.id)
        document = {
            "since": report["since"],
            "until": report["until"],
            "total": report["total"],
            "limits": [render_standing(standing) for standing in await self._admission.standings(key)],
            "capture": self._render_capture(key, until),
        }
        await send_json(send, document, is_private=True)

    def _render_capture(self, key: ApiKey, now: datetime) -> dict[str, str] | None:
        """Until when this key's calls are recorded, and why: its holder may know."""
        order = key.capture_at(now) if self._may_capture() else None
        return None if order is None else {"until": order.until.isoformat(timespec="seconds"), "reason": order.reason}


def render_standing(standing: LimitStanding) -> dict[str, Any]:
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
