"""
`GET /admin/api/identities`: whose GitHub credential calls use, and how it stands with it.

For admin keys only, and kept by no cache. Nothing of it is secret: of a credential it says the kind and where it came
from. GitHub is not asked on its account.
"""

from datetime import timedelta
from typing import Any

from copilot_api.admission.in_flight import Slots
from copilot_api.api.door import Door
from copilot_api.api.http_exchange import Receive, Scope, Send
from copilot_api.api.responses import send_json
from copilot_api.clock import Clock
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.identities import Identity
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.usage.credit_reports import AccountReports, render_account, render_readings


class Identities:
    """See the module."""

    def __init__(
        self,
        door: Door,
        sessions: CopilotSessions,
        quota: QuotaKeeper,
        reports: AccountReports,
        slots: Slots,
        clock: Clock,
    ) -> None:
        self._door = door
        self._sessions = sessions
        self._quota = quota
        self._reports = reports
        self._slots = slots
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await self._door.authenticate_admin(self._door.read_head(scope), scope)
        identity = self._sessions.identity
        found = [] if identity is None else [await self._render(identity)]
        await send_json(send, {"identities": found}, is_private=True)

    async def _render(self, identity: Identity) -> dict[str, Any]:
        quota = await self._render_quota()
        return {
            "id": identity.id,
            "kind": identity.kind,
            "source": identity.source,
            "login": quota and quota["login"],
            "plan": quota and quota["plan"],
            "token": self._render_token(),
            "slots": self._render_slots(),
            "brake": self._render_brake(),
            "quota": quota,
            "quota_failure": self._quota.failure and self._quota.failure.message,
        }

    async def _render_quota(self) -> dict[str, Any] | None:
        """What `GET /usage` says to an admin, as of the last reading, and the readings before it."""
        reading = self._quota.reading
        if reading is None:
            return None
        report = await self._reports.get(reading)
        return {**render_account(report, self._quota.age(reading)), "readings": render_readings(report.readings)}

    def _render_token(self) -> dict[str, Any]:
        """The Copilot token; one that is used as it is does not expire here."""
        session, failure = self._sessions.current(), self._sessions.failure
        expires_at = None
        if session is not None and session.valid_until < float("inf"):
            left = timedelta(seconds=session.valid_until - self._clock.monotonic())
            expires_at = (self._clock.now() + left).isoformat(timespec="seconds")
        return {
            "is_valid": session is not None,
            "expires_at": expires_at,
            "failure": None if failure is None else failure.message,
        }

    def _render_slots(self) -> dict[str, Any]:
        slots, now = self._slots, self._clock.monotonic()
        return {
            "in_flight": slots.in_flight,
            "waiting": slots.waiting,
            "allowed": slots.brake.slots(now),
            "most": slots.brake.most,
        }

    def _render_brake(self) -> dict[str, Any]:
        brake, now = self._slots.brake, self._clock.monotonic()
        stop = brake.stop
        return {
            "is_braking": brake.slots(now) < brake.most,
            "is_paced": brake.is_paced(now),
            "hold_seconds": round(brake.hold_seconds(now), 1),
            "stopped_at": None if stop is None else stop.at.isoformat(timespec="seconds"),
            "stop_reason": None if stop is None else stop.reason,
        }
