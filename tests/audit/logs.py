"""Logs in a directory of the test's own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from copilot_api.audit.log import SEGMENT_BYTES, AuditLog
from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.audit.verify import find_problems
from tests.fakes import FakeClock

JANUARY = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=31).total_seconds()


def make_event(number: int = 0, origin: Origin = LOCAL, **detail: object) -> AuditEvent:
    return AuditEvent("local:me", Action.KEY_ISSUED, f"key_{number}", detail, origin)


class Site:
    """A log, its clock, and its files as they are."""

    def __init__(self, path: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        self.clock = FakeClock(JANUARY)
        self.log = AuditLog(path, self.clock, segment_bytes=segment_bytes)
        self._number = 0

    def append(self, count: int = 1, **detail: object) -> None:
        for _ in range(count):
            self._number += 1
            self.log.append(make_event(self._number, LOCAL, **detail))
            self.clock.advance(1)

    def fill(self, *counts: int) -> None:
        """So many lines in each of so many months, which makes a segment of each but the last."""
        for number, count in enumerate(counts):
            if number:
                self.clock.advance(MONTH)
            self.append(count)

    @property
    def files(self) -> list[Path]:
        """The segments, and the file that grows, by their names."""
        return [*sorted(self.path.parent.glob("audit-*.jsonl")), *([self.path] if self.path.exists() else [])]

    @property
    def head(self) -> Path:
        return self.path.with_suffix(".head")

    @property
    def lines(self) -> list[Any]:
        """All lines there are, by their numbers."""
        found = [json.loads(line) for path in self.files for line in path.read_bytes().splitlines()]
        return sorted(found, key=lambda line: line["seq"])

    @property
    def problems(self) -> list[str]:
        return find_problems(self.path)
