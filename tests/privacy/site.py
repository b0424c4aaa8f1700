"""A data directory in which a key has left something everywhere, and the privacy tools over it."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from copilot_api.capture.files import TraceFiles
from copilot_api.capture.models import Trace
from copilot_api.config.store import ConfigStore
from copilot_api.keys.models import ApiKey
from copilot_api.privacy.erasing import Eraser
from copilot_api.privacy.exporting import Exporter
from copilot_api.privacy.subjects import Subjects
from copilot_api.storage.ledger_upkeep import SqlLedgerUpkeep
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.storage.rollup_upkeep import find_differences
from copilot_api.usage.journal import BEGIN, END, JournalWriter
from copilot_api.usage.models import UsageEvent
from tests.capture.kept import make_line
from tests.fakes import FakeClock
from tests.ledgers import random_events
from tests.stored import Stored, open_stored

LABEL = "anna@example.org"
OTHER = "the other one"
ADMIN = "local:admin"


@dataclass
class FakeGateways:
    """Gateways that hold traces in memory. See `Gateways`."""

    traces: list[Trace] = field(default_factory=list)
    running: int = 0

    def count(self) -> int:
        return self.running

    def count_traces(self, key_id: str, without: set[str]) -> int:
        return sum(1 for _ in self.list_traces(key_id, without))

    def list_traces(self, key_id: str, without: set[str]) -> Iterator[Trace]:
        return (trace for trace in self.traces if trace.key_id == key_id and trace.request_id not in without)


def at_once() -> None:
    """No pause."""


@dataclass
class Site:
    stored: Stored
    clock: FakeClock
    key: ApiKey
    secret: str
    other: ApiKey
    events: list[UsageEvent]
    """What the ledger has."""
    gateways: FakeGateways = field(default_factory=FakeGateways)
    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        directory, audit, clock = self.stored.directory, self.stored.audit, self.clock
        self.repository = SqlPrivacyRepository(self.stored.database, audit, pause=at_once)
        self.subjects = Subjects(self.stored.keys, self.repository, audit)
        self.config = ConfigStore(directory.config, directory.config_history, clock)
        self.traces = TraceFiles(directory.traces)
        self.eraser = Eraser(
            self.repository,
            self.subjects,
            self.stored.usage,
            directory,
            audit,
            self.config,
            self.traces,
            self.gateways,
            clock,
            self.slept.append,
            process_name="eraser",
            tell=self.told.append,
        )
        self.exporter = Exporter(
            self.repository,
            self.subjects,
            self.stored.usage,
            directory,
            audit,
            self.config,
            self.traces,
            self.gateways,
            clock,
        )

    @property
    def others_events(self) -> list[UsageEvent]:
        return [event for event in self.events if event.key_id != self.key.id]

    @property
    def own_events(self) -> list[UsageEvent]:
        return [event for event in self.events if event.key_id == self.key.id]

    def audit_lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stored.directory.audit.read_text().splitlines()]

    def stored_events(self) -> list[UsageEvent]:
        first = self.clock.now() - timedelta(days=30)
        return list(self.stored.usage.list_events(first, self.clock.now() + timedelta(days=1)))

    def check_sums(self) -> None:
        assert list(find_differences(self.stored.database)) == []

    def files_with(self, needle: str | bytes) -> set[str]:
        """Which files below the data directory hold these bytes, but for the audit log."""
        wanted = needle.encode() if isinstance(needle, str) else needle
        paths = (path for path in self.stored.directory.path.rglob("*") if path.is_file())
        return {path.name for path in paths if not path.name.startswith("audit") and wanted in path.read_bytes()}

    def write_config(self, *lists: list[str]) -> None:
        """Each list of keys in a version of its own, the last in the file."""
        for number, keys in enumerate(lists):
            document = {"version": 1, "models": {"fast": {"upstream": "gpt-4.1", "allowed_keys": keys}}}
            document["limits"] = {"max_body_mb": number + 1}
            _, version = self.config.read_content()
            content = json.dumps(document, indent=2).encode()
            self.config.replace(content, expected=version, actor=ADMIN, audit=self.stored.audit)

    def fill_journal(self, *, ended: int = 3, begun: int = 0) -> list[UsageEvent]:
        """What a process that is gone has left: calls of both keys that ended, and some that never did."""
        writer = JournalWriter(self.stored.directory.spool, name="dead", segment_bytes=65_536)
        written: list[UsageEvent] = []
        for number in range(ended + begun):
            for place, key in enumerate((self.key, self.other)):
                event = UsageEvent(request_id=f"req_zz{number}{place}", at=self.clock.now().isoformat(), key_id=key.id)
                writer.append(BEGIN, event)
                if number < ended:
                    writer.append(END, event)
                written.append(event)
        for segment in writer.segments:
            segment.close()
        return written

    def write_traces(self) -> None:
        for number, more in enumerate(
            ({"key_id": self.key.id}, {"key_id": self.other.id}, {"key_id": "key_x", "replay_of_key_id": self.key.id}),
            1,
        ):
            self.traces.append(make_line(number, **more), self.clock.now().date(), 1_000_000)


@contextmanager
def open_site(path: Path, *, events: int = 60) -> Generator[Site]:
    """A site whose ledger has events of two keys and of none, in days that are closed and one that is not."""
    clock = FakeClock()
    with open_stored(path, clock) as stored:
        issued = stored.keys.issue(LABEL, actor=ADMIN)
        other = stored.keys.issue(OTHER, actor=ADMIN).key
        names = {"key_a": issued.key.id, "key_b": other.id}
        made = random_events(events, days=4, first=clock.now() - timedelta(days=4))
        found = [msgspec.structs.replace(each, key_id=names.get(each.key_id or "", each.key_id)) for each in made]
        stored.usage.add_events(found)
        upkeep = SqlLedgerUpkeep(stored.database, pause=at_once)
        while upkeep.close_day(clock.now() - timedelta(days=1)):
            pass
        yield Site(stored, clock, issued.key, issued.secret, other, found)
