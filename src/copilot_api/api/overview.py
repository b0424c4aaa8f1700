"""What is going on, at a glance: calls under way, the last hour and day, the account, and whether all is well."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from copilot_api.api.identities import Identities
from copilot_api.api.operations.account import Change
from copilot_api.api.operations.ledger import Sums
from copilot_api.api.operations.standing import Captured, Check, Overview, Period, Readiness
from copilot_api.clock import Clock
from copilot_api.gateway.settlement import Settlement
from copilot_api.gateway.under_way import CallUnderWay, list_under_way
from copilot_api.keys.models import ApiKey
from copilot_api.keys.service import KeyService
from copilot_api.observability.health import Health
from copilot_api.upstream.drift import CatalogRepository, render_change
from copilot_api.usage.explorer import render_sums
from copilot_api.usage.queries import SumQuery
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from copilot_api.usage.totals import Summing

DRIFT = timedelta(days=7)
MAX_CHANGES = 20


@dataclass(frozen=True, slots=True)
class Overviews:
    """See the module."""

    settlement: Settlement
    identities: Identities
    keys: KeyService
    ledger: Summing
    catalogs: CatalogRepository
    health: Health
    clock: Clock

    async def get(self) -> Overview:
        """How it stands now. Raises `StorageUnavailable`."""
        now, identities = self.clock.now(), self.identities
        hour, day, drift = await asyncio.to_thread(self._read, now)
        account, readiness = await identities.describe_account(), await self.describe_readiness()
        keys = self.keys.list_known()
        # Last of all, so that what is told of calls is how it stands when the answer leaves.
        calls = self.list_calls()
        named = {call.key_id for call in calls}
        return Overview(
            at=now,
            calls=calls,
            labels={key.id: key.label for key in keys if key.id in named},
            slots=identities.describe_slots(),
            brake=identities.describe_brake(),
            token=identities.describe_token(),
            last_hour=hour,
            last_day=day,
            account=account,
            account_failure=identities.account_failure,
            captured=list(_list_captured(keys, now)),
            drift=drift,
            readiness=readiness,
        )

    def list_calls(self) -> list[CallUnderWay]:
        """The calls that are under way, the oldest first. Asks nobody."""
        places = self.identities.slots.places()
        return list_under_way(self.settlement.under_way, places, self.clock.monotonic())

    async def describe_readiness(self) -> Readiness:
        """What `GET /readyz` says."""
        checks = await self.health.check()
        return Readiness(
            all(check.is_ok for check in checks), [Check(check.name, check.is_ok, check.reason) for check in checks]
        )

    def _read(self, now: datetime) -> tuple[Period, Period, list[Change]]:
        hour, day = (self._sum_up(now - timedelta(hours=hours), now) for hours in (1, 24))
        changes = self.catalogs.list_changes(now - DRIFT, MAX_CHANGES)
        return hour, day, [msgspec.convert(render_change(change), Change) for change in changes]

    def _sum_up(self, since: datetime, until: datetime) -> Period:
        rows = self.ledger.sum_up(SumQuery(since, until, histograms=HISTOGRAMS))
        sums = rows[0].sums if rows else [0] * (len(COUNTERS) + len(HISTOGRAMS))
        return Period(since, until, msgspec.convert(render_sums(sums, has_percentiles=True), Sums))


def _list_captured(keys: Iterable[ApiKey], now: datetime) -> Iterator[Captured]:
    for key in keys:
        order = key.capture_at(now)
        if order is not None:
            yield Captured(key_id=key.id, label=key.label, reason=order.reason, until=order.until)
