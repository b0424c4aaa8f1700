"""
Everything that is stored about a key, as one archive for its holder: in JSON, JSON lines and CSV, with a page of plain
words and the hash of every part.

The export is on record before the archive is where it was asked for; without the audit line there is no archive.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from copilot_api import __version__
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.capture.files import TraceFiles
from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory
from copilot_api.config.store import ConfigStore
from copilot_api.privacy import spool
from copilot_api.privacy.archives import ArchiveWriter, Member, writing
from copilot_api.privacy.audit_lines import list_lines_about, render_for
from copilot_api.privacy.config_mentions import ConfigMentions
from copilot_api.privacy.gateways import Gateways
from copilot_api.privacy.models import Subject
from copilot_api.privacy.repository import PrivacyRepository
from copilot_api.privacy.subjects import Subjects
from copilot_api.privacy.traces import list_traces
from copilot_api.privacy.traces import render_for as render_trace_for
from copilot_api.usage.exports import render_csv
from copilot_api.usage.queries import Bucket, Dimension, SumQuery
from copilot_api.usage.repository import UsageRepository
from copilot_api.usage.totals import make_totals, name_bucket, of_key

FORMAT_VERSION = 1
_PORTION = 500
_COLUMNS = (
    "day",
    "model",
    "requests",
    "errors",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "nano_aiu",
    "premium_requests",
    "would_limit",
)
_README = """\
What this is
============

Everything that a copilot-api gateway has stored about the key {key_id}, as of {at} (UTC).
A gateway passes requests on to GitHub Copilot. It is run by whoever gave you the key; they are who to ask.

key.json            The key: its label, what it may do, when it was made and used last, which aliases of models name it.
                    Sessions of the admin pages are in it too.
                    Of its secrets only the first characters are stored, and a hash, which is not in here.
usage-events.jsonl  One line for each request: when, which program, which model, how it ended, how many tokens, what it
                    cost, how long it took. Never what was asked or answered. Older ones may have been deleted by now.
usage-summary.csv   The same added up by day (UTC) and model; it may reach further back than the requests.
traces.jsonl        What was asked and answered, where an administrator had that recorded for a while, with secrets
                    taken out. Mostly there is none.
audit.jsonl         What the audit log says about the key: what an administrator did with it, and what was done to it.
                    Other people are left out of these lines.
manifest.json       What is in here, how much, with the SHA-256 of every file, and what could not be reached.

What is not in here: what GitHub keeps of the requests, the logs of the service and copies that the operator made.
Ask the operator about those.
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """An archive that was handed over."""

    path: Path
    sha256: str
    members: tuple[Member, ...]
    notes: tuple[str, ...]
    """What is not in it that could be."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """See the module. Blocks."""

    repository: PrivacyRepository
    subjects: Subjects
    ledger: UsageRepository
    directory: DataDirectory
    audit: AuditLog
    config: ConfigStore
    traces: TraceFiles
    gateways: Gateways
    clock: Clock

    def export(self, subject: Subject, path: Path, *, actor: str, origin: Origin = LOCAL) -> Exported:
        """
        Write the archive, which must not be there yet.

        Raises `BadRequest` where it is, `StorageUnavailable` when something cannot be read or the audit log cannot be
        written, and `OSError`; then there is no archive.
        """
        at = self.clock.now()
        with writing(path, at) as (archive, handover):
            notes = self._write(archive, subject, at)
            members = tuple(archive.members)
            digest = handover.finish()
            detail: dict[str, object] = {"sha256": digest, "records": {each.name: each.records for each in members}}
            self.audit.append(AuditEvent(actor, Action.PRIVACY_EXPORTED, subject.id, detail, origin))
            handover.give()
        return Exported(path, digest, members, notes)

    def _write(self, archive: ArchiveWriter, subject: Subject, at: datetime) -> tuple[str, ...]:
        key_id, notes = subject.id, list[str]()
        readme = _README.format(key_id=key_id, at=at.isoformat(timespec="seconds"))
        archive.add("README.txt", "this archive in plain words", [readme.encode()])
        archive.add("key.json", "the key", [_lay_out(self._render_key(subject))])
        if under_way := spool.count_under_way(self.directory.spool, key_id):
            notes.append(f"{under_way} calls are under way, or broke off and are not counted yet")
        archive.add("usage-events.jsonl", "every request that is still stored", self._list_events(key_id))
        archive.add("usage-summary.csv", "requests by day and model, and a head line", self._list_sums(key_id))
        archive.add("traces.jsonl", "what was recorded of requests and answers", self._list_traces(key_id))
        if not self.gateways.count():
            notes.append("no running gateway could be asked: captures in a gateway's memory are not included")
        archive.add("audit.jsonl", "lines of the audit log about the key", self._list_audit(key_id))
        manifest = {
            "format": FORMAT_VERSION,
            "about": key_id,
            "made_at": at.isoformat(),
            "made_by": f"copilot-api {__version__}",
            "files": archive.members,
            "notes": notes,
        }
        archive.add("manifest.json", "what is in this archive", [_lay_out(manifest)])
        return tuple(notes)

    def _render_key(self, subject: Subject) -> Mapping[str, Any]:
        erasure = self.repository.find_erasure(subject.id)
        return {
            "id": subject.id,
            **{name: value for name, value in subject.columns.items() if name != "capture_by"},
            "secrets": [
                {
                    "prefix": secret.prefix,
                    "created_at": secret.created_at.isoformat(),
                    "expires_at": secret.expires_at and secret.expires_at.isoformat(),
                }
                for secret in subject.secrets
            ],
            "sessions": subject.sessions,
            "named_by_aliases": ConfigMentions(self.config, self.subjects.name(subject)).list_models(),
            "erasure_begun_at": erasure and erasure.begun_at.isoformat(),
        }

    def _list_events(self, key_id: str) -> Iterator[bytes]:
        """Those in the journal first: what is brought into the ledger meanwhile is then met once and not never."""
        encode, seen = msgspec.json.Encoder().encode, set[str]()
        stored = self.repository.list_stored
        for event in spool.list_waiting(self.directory.spool, key_id, stored, portion=_PORTION):
            seen.add(event.request_id)
            yield encode(event) + b"\n"
        for day in self.repository.list_days(key_id):
            for event in self.ledger.list_events(day, day + timedelta(days=1), (of_key(key_id),)):
                if event.request_id not in seen:
                    yield encode(event) + b"\n"

    def _list_sums(self, key_id: str) -> Iterator[bytes]:
        rows: list[tuple[str | int | float | None, ...]] = []
        if days := self.repository.list_days(key_id):
            until = days[-1] + timedelta(days=1)
            query = SumQuery(days[0], until, (Dimension.MODEL,), Bucket.DAY, (of_key(key_id),))
            for row in self.ledger.sum_up(query):
                model = row.group[0]
                totals = make_totals(None if model is None else str(model), row.sums)
                day = "" if row.start is None else name_bucket(row.start, Bucket.DAY)
                rows.append((day, totals.group, *(getattr(totals, name) for name in _COLUMNS[2:])))
        rows.sort(key=lambda each: (str(each[0]), str(each[1])))
        for text in render_csv(_COLUMNS, rows):
            yield from (line.encode() for line in text.splitlines(keepends=True))

    def _list_traces(self, key_id: str) -> Iterator[bytes]:
        seen = set[str]()
        for trace in list_traces(self.traces, key_id):
            seen.add(trace.request_id)
            yield render_trace_for(trace, key_id)
        for trace in self.gateways.list_traces(key_id, seen):
            yield render_trace_for(trace, key_id)

    def _list_audit(self, key_id: str) -> Iterator[bytes]:
        lines = [render_for(record, key_id) for record in list_lines_about(self.audit, key_id)]
        return (msgspec.json.encode(line) + b"\n" for line in reversed(lines))


def name_archive(key_id: str, at: datetime) -> str:
    """What an archive is called where nobody says it."""
    return f"privacy-{key_id}-{at:%Y%m%dT%H%M%SZ}.zip"


def _lay_out(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
