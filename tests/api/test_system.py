"""The gateway itself: what it is, how it stands, and what somebody should look after."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, cast

import pytest

from copilot_api import __version__
from copilot_api.api.operations.standing import System
from copilot_api.api.system import SystemReports
from copilot_api.capture.recorder import Captures
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import CaptureSettings, Settings
from copilot_api.errors import StorageUnavailable
from copilot_api.observability.health import Health
from copilot_api.storage.ledger_upkeep import read_database_state
from copilot_api.storage.migrate import OURS
from copilot_api.upstream.clock_skew import ClockSkew
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.recorder import UsageRecorder
from tests.api.trace_site import keep, make_traces
from tests.fakes import FakeClock
from tests.stored import Stored


@dataclass
class Source:
    """A configuration in force."""

    config: ConfigFile = field(default_factory=ConfigFile)
    current: Settings = field(default_factory=Settings)
    path: Path = Path("/data/config.json")
    hash: str = "9f2c"
    rejected: str | None = None


@dataclass
class Upkeep:
    failure: str | None = None
    ended_at: datetime | None = None


class Site:
    def __init__(self, stored: Stored, clock: FakeClock, path: Path) -> None:
        self.stored, self.clock = stored, clock
        self.source = Source()
        self.upkeep = Upkeep()
        self.recorder = UsageRecorder(stored.usage, stored.directory.spool, lambda _: None, name="a")
        self.traces = make_traces(path, clock)
        self.dropped = 0
        self.skew = ClockSkew(clock)
        self.database: Any = lambda: read_database_state(stored.database)
        self.reason: str | None = None

    def get(self) -> System:
        async def test() -> System:
            clock, keys = self.clock, self.stored.keys
            captures = Captures(self.traces, keys, clock, lambda _: None, CaptureSettings())

            async def check() -> str | None:
                return self.reason

            reports = SystemReports(
                settings=Settings(port=4141),
                started_at=clock.now(),
                began=clock.monotonic() - 90,
                source=cast("Any", self.source),
                database=self.database,
                recorder=self.recorder,
                upkeeps={"usage": self.upkeep},
                captures=captures,
                traces=self.traces,
                audit_path=self.stored.directory.audit,
                log_lines_dropped=lambda: self.dropped,
                health=Health({"database": check}),
                clock=clock,
                clock_skew=self.skew,
            )
            return await reports.get()

        return asyncio.run(test())


@pytest.fixture
def site(stored: Stored, clock: FakeClock, tmp_path: Path) -> Site:
    stored.keys.issue("client", actor="test")
    return Site(stored, clock, tmp_path / "traces")


def test_it_says_what_it_is_and_how_it_stands(site: Site) -> None:
    at = site.clock.now().isoformat()
    site.stored.usage.add_events([UsageEvent(request_id="req_1", at=at)])
    keep(site.traces, "req_1")
    keep(site.traces, "req_2", to_file="2026-07-01")
    found = site.get()
    assert (found.version, found.uptime_seconds, found.port) == (__version__, 90, 4141)
    assert found.database is not None
    assert (found.database.schema, found.database.events) == (OURS.revisions[-1], 1)
    assert (found.captures.traces_in_memory, found.captures.files) == (1, 1)
    assert (found.retention.events_days, found.retention.failures) == (90, {})
    assert found.features["auth"] is True
    assert [(check.name, check.ok) for check in found.checks] == [("database", True), ("audit", True)]
    assert found.warnings == []
    assert found.clock_ahead_seconds is None


def test_rounds_of_upkeep_are_told_once_they_were(site: Site) -> None:
    assert site.get().retention.ended_at == {}
    site.upkeep.ended_at = site.clock.now()
    assert site.get().retention.ended_at == {"usage": site.clock.now()}


@pytest.mark.parametrize(("seconds", "is_told"), [(0, False), (29, False), (30, True), (-240, True)])
def test_a_clock_that_is_off_is_a_warning(site: Site, seconds: int, is_told: bool) -> None:
    site.skew.note(format_datetime(site.clock.now().replace(microsecond=0) - timedelta(seconds=seconds), usegmt=True))
    found = site.get()
    assert found.clock_ahead_seconds == pytest.approx(seconds, abs=1)
    assert any("clock" in warning for warning in found.warnings) == is_told


def test_whatever_is_not_as_it_should_be_is_a_warning(site: Site) -> None:
    site.reason, site.dropped, site.upkeep.failure, site.recorder.lost = "locked", 7, "no room", 2
    site.source = Source(rejected="line 1: no JSON", current=Settings(is_open=True, is_recording=False))
    audit = site.stored.directory.audit
    audit.write_bytes(audit.read_bytes().replace(b"key.issued", b"key.edited"))
    found = site.get()
    text = "\n".join(found.warnings)
    for words in ("locked", "audit:", "2 usage events", "not in force", "no room", "7 log lines", "authentication is off",
                  "the ledger is off"):  # fmt: skip
        assert words in text
    assert found.retention.failures == {"usage": "no room"}


def test_a_database_that_is_away_leaves_the_rest_to_be_told(site: Site) -> None:
    def away() -> Any:
        raise StorageUnavailable("the disk is gone")

    site.database = away
    found = site.get()
    assert found.database is None
    assert any("the disk is gone" in warning for warning in found.warnings)


def test_a_gateway_without_a_file_has_no_configuration_to_tell(site: Site) -> None:
    site.source = None  # type: ignore[assignment]
    found = site.get()
    assert (found.config, found.features) == (None, dict.fromkeys(found.features, True))
