"""Fills a data directory for show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory
from copilot_api.demo.catalogs import record_catalogs
from copilot_api.demo.history import History, set_near_its_budget
from copilot_api.demo.usage import make_sample_events, make_sample_readings
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.service import KeyService
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.database import Database
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.quotas import SqlQuotaRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.prices import NANO_PER_CREDIT
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.upkeep import CLOSED_AFTER

CLIENT, CAPTURED, NEAR_ITS_BUDGET = "ada", "margaret", "katherine"
"""Who is shown how a key is used; whose calls are captured; whose budget is nearly used up."""
_CAPTURED_FOR = 2 * 3600.0
_REASON = "tool calls of Claude Code end early since this morning"


@dataclass(frozen=True, slots=True)
class Filled:
    """What whoever shows it needs."""

    admin: str = field(repr=False)
    """The secret of an admin key."""
    team: Mapping[str, str] = field(repr=False)
    """Those of the keys that calls are made with, by label."""
    credits_used: float = 0.0
    """How much of the account's credits is used this month."""


def fill(directory: DataDirectory, clock: Clock) -> Filled:
    """Have the team's last two weeks in an empty data directory. Blocks for a second or two."""
    database = open_sqlite(directory.database)
    try:
        upgrade(database)
        now = clock.now()
        history = History(
            directory,
            lambda audit: SqlKeyRepository(database, audit),
            lambda audit: SqlStopRepository(database, audit),
            now,
        )
        team = history.make()
        events = make_sample_events({label: issued.key.id for label, issued in team.keys.items()}, now)
        _store(database, events, now)
        readings = make_sample_readings(events, now)
        SqlQuotaRepository(database).record(readings)
        record_catalogs(SqlCatalogRepository(database), now)

        repository = SqlKeyRepository(database, history.audit)
        repository.record_last_used(_last_used(events))
        keys, admin = KeyService(repository, KeyChanges(directory.key_stamp), clock), team.admin.key.id
        near = team.keys[NEAR_ITS_BUDGET].key.id
        set_near_its_budget(keys, near, _credits_this_week(events, near, now), admin)
        keys.start_capture(team.keys[CAPTURED].key.id, _REASON, _CAPTURED_FOR, actor=admin)
        secrets = {label: issued.secret for label, issued in team.keys.items()}
        return Filled(team.admin.secret, secrets, readings[-1].used or 0.0)
    finally:
        database.close()


def _store(database: Database, events: list[UsageEvent], now: datetime) -> None:
    """The events, and the rollups of their days as the gateway makes them by night."""
    SqlUsageRepository(database).add_events(events)
    upkeep = SqlLedgerUpkeep(database, pause=lambda: None)
    while upkeep.close_day(now - CLOSED_AFTER):
        pass


def _last_used(events: list[UsageEvent]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for event in events:
        if event.key_id is not None:
            at = datetime.fromisoformat(event.at)
            last[event.key_id] = max(last.get(event.key_id, at), at)
    return last


def _credits_this_week(events: list[UsageEvent], key_id: str, now: datetime) -> float:
    monday = (now - timedelta(days=now.weekday())).date().isoformat()
    spent = sum(event.nano_aiu or 0 for event in events if event.key_id == key_id and event.at >= monday)
    return spent / NANO_PER_CREDIT
