"""
Whose GitHub credential calls use, and how it stands with it.

Nothing of it is secret: of a credential it says the kind and where it came from. GitHub is not asked on its account.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from copilot_api.admission.in_flight import Slots
from copilot_api.api.operations.account import (
    AccountStanding,
    BrakeStanding,
    IdentityList,
    IdentityStanding,
    Resumed,
    SlotsStanding,
    TokenStanding,
)
from copilot_api.audit.models import Origin
from copilot_api.clock import Clock
from copilot_api.upstream.auth import CopilotSessions
from copilot_api.upstream.identities import DEFAULT_IDENTITY, Identity, IdentityNotFound
from copilot_api.upstream.quota_keeper import QuotaKeeper
from copilot_api.upstream.stops import StopRepository, lift_stop
from copilot_api.usage.credit_reports import AccountReports, render_account, render_readings


@dataclass(frozen=True, slots=True)
class Identities:
    """See the module."""

    sessions: CopilotSessions
    quota: QuotaKeeper
    reports: AccountReports
    slots: Slots
    stops: StopRepository
    clock: Clock

    async def list_all(self) -> IdentityList:
        """Every identity that there is."""
        identity = self.sessions.identity
        return IdentityList([] if identity is None else [await self._describe(identity)])

    async def resume(self, identity_id: str, actor: str, origin: Origin) -> Resumed:
        """
        Let an identity's calls go on; the gateway follows within a second or two. Raises `IdentityNotFound` or
        `StorageUnavailable`.
        """
        if identity_id != DEFAULT_IDENTITY:
            raise IdentityNotFound("there is no such identity")
        stop = await asyncio.to_thread(lift_stop, self.stops, identity_id, actor, origin)
        return Resumed(
            identity=identity_id,
            was_stopped=stop is not None,
            since=None if stop is None else stop.at.isoformat(timespec="seconds"),
            reason=None if stop is None else stop.reason,
        )

    async def describe_account(self) -> AccountStanding | None:
        """What `GET /usage` says to an admin, as of the last reading, and the readings before it; None before one."""
        reading = self.quota.reading
        if reading is None:
            return None
        report = await self.reports.get(reading)
        readings = render_readings(report.readings)
        found = {**render_account(report, self.quota.age(reading)), "readings": readings}
        return msgspec.convert(found, AccountStanding)

    @property
    def account_failure(self) -> str | None:
        """Why the quota could not be read the last time."""
        failure = self.quota.failure
        return None if failure is None else failure.message

    def describe_token(self) -> TokenStanding:
        """The Copilot token; one that is used as it is does not expire here."""
        session, failure = self.sessions.current(), self.sessions.failure
        expires_at = None
        if session is not None and session.valid_until < float("inf"):
            left = timedelta(seconds=session.valid_until - self.clock.monotonic())
            expires_at = (self.clock.now() + left).isoformat(timespec="seconds")
        return TokenStanding(session is not None, expires_at, None if failure is None else failure.message)

    def describe_slots(self) -> SlotsStanding:
        """The slots, and the line before them."""
        slots = self.slots
        return SlotsStanding(
            slots.in_flight, slots.waiting, slots.brake.slots(self.clock.monotonic()), slots.brake.most
        )

    def describe_brake(self) -> BrakeStanding:
        """What Copilot tolerates now."""
        brake, now = self.slots.brake, self.clock.monotonic()
        stop = brake.stop
        return BrakeStanding(
            is_braking=brake.slots(now) < brake.most,
            is_paced=brake.is_paced(now),
            hold_seconds=round(brake.hold_seconds(now), 1),
            stopped_at=None if stop is None else stop.at.isoformat(timespec="seconds"),
            stop_reason=None if stop is None else stop.reason,
        )

    async def _describe(self, identity: Identity) -> IdentityStanding:
        account = await self.describe_account()
        return IdentityStanding(
            id=identity.id,
            kind=identity.kind,
            source=identity.source.value,
            login=None if account is None else account.login,
            plan=None if account is None else account.plan,
            token=self.describe_token(),
            slots=self.describe_slots(),
            brake=self.describe_brake(),
            quota=account,
            quota_failure=self.account_failure,
        )
