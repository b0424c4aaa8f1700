"""The gateway itself: versions, database, journal, retention, captures, and what somebody should look after."""

import asyncio
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec

from copilot_api import __version__
from copilot_api.api.operations.standing import (
    CapturesStanding,
    Check,
    ConfigStanding,
    DatabaseStanding,
    JournalStanding,
    RetentionStanding,
    System,
)
from copilot_api.audit.verify import verify
from copilot_api.capture.recorder import Captures
from copilot_api.capture.service import Traces
from copilot_api.clock import Clock
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Settings
from copilot_api.errors import GatewayError
from copilot_api.observability.health import Health
from copilot_api.upstream.clock_skew import ClockSkew, describe_skew, is_worth_telling
from copilot_api.usage.recorder import UsageRecorder
from copilot_api.usage.upkeep import DatabaseState

LIBRARIES = ("uvicorn", "uvloop", "httptools", "msgspec", "aiohttp", "sqlalchemy", "alembic", "click")
"""Those whose versions are told."""


class LookedAfter(Protocol):
    """Something with rounds of upkeep."""

    @property
    def failure(self) -> str | None:
        """Why the last round did not come to its end; None when it did."""
        ...

    @property
    def ended_at(self) -> datetime | None:
        """When a round last did since the start."""
        ...


class ConfigInForce(Protocol):
    """The configuration in force, as far as it is told here."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def hash(self) -> str:
        """Its hash."""
        ...

    @property
    def rejected(self) -> str | None:
        """Why the file as it is now cannot be used."""
        ...

    @property
    def config(self) -> ConfigFile:
        """The file's values."""
        ...

    @property
    def current(self) -> Settings:
        """The settings that come of it and the flags."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReports:
    """See the module."""

    settings: Settings
    """As they were at the start; what may change while it runs is asked of `source`."""
    started_at: datetime
    began: float
    """The same on the monotonic clock."""
    source: ConfigInForce | None
    database: Callable[[], DatabaseState]
    """Blocks; raises `StorageUnavailable`."""
    recorder: UsageRecorder
    upkeeps: dict[str, LookedAfter]
    captures: Captures
    traces: Traces
    audit_path: Path
    log_lines_dropped: Callable[[], int]
    health: Health
    clock: Clock
    clock_skew: ClockSkew

    @property
    def in_force(self) -> Settings:
        """The settings as they are now."""
        return self.settings if self.source is None else self.source.current

    async def get(self) -> System:
        """How it stands now."""
        checks = [Check(check.name, check.is_ok, check.reason) for check in await self.health.check()]
        database, failure, audit, (files, files_bytes) = await asyncio.to_thread(self._read)
        checks.append(audit)
        settings = self.in_force
        features = ConfigFile().features if self.source is None else self.source.config.features
        ahead = self.clock_skew.ahead
        standing, retention = self.captures.standing(), settings.retention
        system = System(
            version=__version__,
            python=sys.version.split()[0],
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            libraries={name: version(name) for name in LIBRARIES},
            started_at=self.started_at,
            uptime_seconds=round(self.clock.monotonic() - self.began, 3),
            host=self.settings.host,
            port=self.settings.port,
            is_tls=self.settings.tls_cert is not None,
            features=msgspec.to_builtins(features),
            database=database,
            journal=JournalStanding(self.recorder.waiting_bytes, self.recorder.lost, self.recorder.failure),
            retention=RetentionStanding(
                events_days=retention.events_days,
                rollups_days=retention.rollups_days,
                audit_days=retention.audit_days,
                traces_days=settings.captures.days,
                traces_max_bytes=settings.captures.max_bytes,
                failures={name: each.failure for name, each in self.upkeeps.items() if each.failure is not None},
                ended_at={name: each.ended_at for name, each in self.upkeeps.items() if each.ended_at is not None},
            ),
            captures=CapturesStanding(
                is_allowed=settings.captures.is_allowed,
                kept=standing.kept,
                dropped=standing.dropped,
                withheld=standing.withheld,
                not_written=standing.not_written,
                waiting_bytes=standing.waiting_bytes,
                memory_bytes=standing.memory_bytes,
                traces_in_memory=len(self.traces.ring),
                files=files,
                files_bytes=files_bytes,
            ),
            config=None
            if self.source is None
            else ConfigStanding(str(self.source.path), self.source.hash, self.source.rejected),
            log_lines_dropped=self.log_lines_dropped(),
            clock_ahead_seconds=None if ahead is None else ahead.total_seconds(),
            checks=checks,
            warnings=[],
        )
        return msgspec.structs.replace(system, warnings=list(_list_warnings(system, settings, failure)))

    def _read(self) -> tuple[DatabaseStanding | None, str | None, Check, tuple[int, int]]:
        """What is in files and the database; what cannot be read is told, not raised."""
        try:
            database, failure = _describe_database(self.database()), None
        except GatewayError as error:
            database, failure = None, error.message
        return database, failure, self._check_audit(), self._measure_traces()

    def _check_audit(self) -> Check:
        """A quick look: the newest segment and the head. All of it is for the operation that verifies the log."""
        try:
            verdict = verify(self.audit_path, newest_only=True)
        except OSError as error:
            return Check("audit", ok=False, reason=f"the audit log cannot be read: {error}")
        return Check("audit", verdict.is_whole, verdict.problems[0] if verdict.problems else None)

    def _measure_traces(self) -> tuple[int, int]:
        try:
            days = self.traces.files.list_days()
        except (GatewayError, OSError):
            return 0, 0
        return len(days), sum(day.bytes for day in days)


def _describe_database(state: DatabaseState) -> DatabaseStanding:
    ledger = state.ledger
    return DatabaseStanding(
        schema=state.schema,
        bytes=ledger.total_bytes,
        free_bytes=ledger.free_bytes,
        events=ledger.events,
        oldest_event=ledger.oldest_event,
        newest_event=ledger.newest_event,
        oldest_rollup=ledger.oldest_rollup,
        days_closed=ledger.days_closed,
    )


def _list_warnings(system: System, settings: Settings, failure: str | None) -> Iterator[str]:
    """What is not as it should be, the worst first."""
    for check in system.checks:
        if check.reason is not None:
            yield f"{check.name}: {check.reason}"
    if failure is not None:
        yield f"the state of the database cannot be read: {failure}"
    if system.journal.lost_events:
        yield f"{system.journal.lost_events:,} usage events were lost since the start"
    if system.config is not None and system.config.rejected is not None:
        yield f"config.json as it is now is not in force: {system.config.rejected}"
    for name, reason in system.retention.failures.items():
        yield f"the upkeep of {name} did not come to its end: {reason}"
    if system.captures.not_written:
        yield f"{system.captures.not_written:,} captures could not be written to files"
    if system.log_lines_dropped:
        yield f"{system.log_lines_dropped:,} log lines were dropped: nobody took them in time"
    ahead = timedelta(seconds=system.clock_ahead_seconds or 0)
    if is_worth_telling(ahead):
        yield f"this machine's clock is {describe_skew(ahead)}: have it set from the network"
    if settings.is_open:
        yield "authentication is off: whoever reaches the port uses the Copilot account"
    if not settings.is_recording:
        yield "the ledger is off (features.telemetry): nothing is known of past calls"
