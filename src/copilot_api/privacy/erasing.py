"""
Erasing a key: every store in its turn, then a second look that knows nothing of what was done.

The order is what makes it safe to be killed anywhere. First the audit line, and in the same transaction the key, its
secrets and the note that it is erased: from then on nobody is let in with it, and no event is stored under its id. All
that follows is found again by what is still there, so running it once more finishes it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from copilot_api import __version__
from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.capture.files import TraceFiles
from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory, open_private
from copilot_api.config.store import ConfigStore
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.secret import visible_prefix
from copilot_api.privacy import spool
from copilot_api.privacy.audit_lines import list_lines_about
from copilot_api.privacy.config_mentions import ConfigMentions
from copilot_api.privacy.gateways import Gateways
from copilot_api.privacy.leftovers import CAPTURES, JOURNAL, search_files
from copilot_api.privacy.models import EventsFate, LedgerCounts, Leftover, Needles, Subject
from copilot_api.privacy.receipts import Backup, Receipt, Remaining, list_backups, seal
from copilot_api.privacy.repository import PrivacyRepository
from copilot_api.privacy.subjects import Subjects
from copilot_api.privacy.traces import list_request_ids
from copilot_api.usage.repository import UsageRepository

NOTICE_SECONDS = 3.0
"""How long a running gateway may take to notice that a key was erased; see `copilot_api.privacy.watch`."""
PATIENCE_ROUNDS = 5
"""How often a running gateway is waited for, as long as something is left in its files."""
_WRITTEN_BY_GATEWAYS = {JOURNAL, CAPTURES}
_WRITE_BACK_TRIES, _WRITE_BACK_SECONDS = 20, 0.25

NOT_REACHED = (
    "logs of the gateway where the service manager or a log collector keeps them: lines about calls name the key's id",
    "metrics and traces that were sent to or fetched by other systems (Prometheus, OpenTelemetry)",
    "backups and copies that somebody made; after one is put back, erase the key again",
    "what GitHub keeps of the requests that were sent to Copilot",
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an erasure would find."""

    subject: Subject
    ledger: LedgerCounts
    journal_lines: int
    traces_in_files: int
    models: tuple[str, ...]
    """The aliases whose lists of keys name it."""
    gateways: int
    """How many run on the data directory."""
    database_bytes: int
    backups: tuple[Backup, ...]
    is_begun: bool
    """Whether an erasure of it was begun, and did not come to its end."""
    erased_at: datetime | None
    """When an erasure of it came to its end."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, and by whom."""

    fate: EventsFate
    actor: str
    origin: Origin = LOCAL
    may_rewrite: bool = True
    """Whether the database may be written anew where its files still hold what was deleted."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """See the module. Blocks, for as long as it takes."""

    repository: PrivacyRepository
    subjects: Subjects
    ledger: UsageRepository
    directory: DataDirectory
    audit: AuditLog
    config: ConfigStore
    traces: TraceFiles
    gateways: Gateways
    clock: Clock
    sleep: Callable[[float], None]
    process_name: str
    """Under which the journal is adopted."""
    tell: Callable[[str], None] = field(default=lambda _: None)
    """Is told what is being done."""

    def preview(self, reference: str) -> Preview:
        """What an erasure would find. Raises `KeyNotFound`. Changes nothing."""
        subject = self.subjects.get(reference)
        erasure = self.repository.find_erasure(subject.id)
        return Preview(
            subject,
            self.repository.count(subject.id),
            spool.count_lines(self.directory.spool, subject.id),
            self.traces.count_key(subject.id),
            tuple(ConfigMentions(self.config, self.subjects.name(subject)).list_models()),
            self.gateways.count(),
            self.repository.measure(),
            tuple(list_backups(self.directory, self.clock.now())),
            erasure is not None and erasure.finished_at is None,
            None if erasure is None else erasure.finished_at,
        )

    def erase(self, subject: Subject, order: Order) -> Receipt:
        """
        Erase a key, or finish doing so. Gives the receipt, whose `leftovers` say what is still there.

        Raises `StorageUnavailable` when the audit log or the database cannot be written; then nothing has changed, or
        the next run finishes it.
        """
        needles = self.subjects.name(subject)
        receipt = Receipt(key_id=subject.id, fate=order.fate, begun_at=self.clock.now(), program=__version__)
        receipt.journal_lines = spool.count_lines(self.directory.spool, subject.id)
        receipt.traces_in_memory = self._count_in_memory(subject.id)
        self._begin(subject, order, receipt)
        receipt.admin_key_file = self._erase_admin_key_file(needles)
        mentions = ConfigMentions(self.config, needles).erase(actor=order.actor, audit=self.audit)
        receipt.config_mentions = mentions.mentions
        receipt.config_versions_rewritten = mentions.versions_rewritten
        receipt.config_versions_deleted = mentions.versions_deleted
        self._erase_rounds(needles, receipt)
        self.tell("looking for what is left")
        left = self._look_again(needles, order, receipt)
        self._conclude(order, receipt, left)
        return seal(receipt)

    def _count_in_memory(self, key_id: str) -> int | None:
        if not self.gateways.count():
            return None
        return self.gateways.count_traces(key_id, set(list_request_ids(self.traces, key_id)))

    def _begin(self, subject: Subject, order: Order, receipt: Receipt) -> None:
        self.tell("ending the key")
        detail: dict[str, object] = {"step": "begun", "events": order.fate.value}
        event = AuditEvent(order.actor, Action.PRIVACY_ERASED, subject.id, detail, order.origin)
        with KeyChanges(self.directory.key_stamp).announcing():
            ended = self.repository.begin(subject.id, order.fate, receipt.begun_at, event)
        receipt.keys, receipt.secrets = ended.keys, ended.secrets
        receipt.sessions, receipt.series = ended.sessions, ended.series

    def _erase_admin_key_file(self, needles: Needles) -> bool:
        """The first admin key lies in a file until somebody has read it."""
        path = self.directory.admin_key
        try:
            with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
                text = file.read(1024).decode(errors="replace").strip()
        except FileNotFoundError:
            return False
        # By its prefix: the digest is gone where an earlier run was killed.
        if visible_prefix(text) not in needles.prefixes:
            return False
        path.unlink(missing_ok=True)
        return True

    def _erase_rounds(self, needles: Needles, receipt: Receipt) -> None:
        """The stores that running gateways still write to, until nothing more comes or patience ends."""
        done = LedgerCounts()
        for number in range(PATIENCE_ROUNDS):
            if number or self.gateways.count():
                self.tell("waiting for the running gateway to notice")
                self.sleep(NOTICE_SECONDS)
            self.tell("the journal, the ledger and the captures")
            spool.bring_in(self.directory.spool, self.ledger, name=f"{self.process_name}-{number}")
            done.add(self.repository.erase_events(needles.key_id))
            traces, files = self.traces.forget_key(needles.key_id)
            receipt.traces_in_files += traces
            receipt.trace_files += files
            if not any(each.where in _WRITTEN_BY_GATEWAYS for each in search_files(self.directory, needles)):
                break
        receipt.events, receipt.rollups = done.events, done.rollups
        receipt.series += done.series

    # The second look ------------------------------------------------------------------------------------------------

    def _look_again(self, needles: Needles, order: Order, receipt: Receipt) -> list[Leftover]:
        left = [*self.repository.search(needles), *search_files(self.directory, needles)]
        found = self._look_at_bytes(needles)
        if found and order.may_rewrite and not any(each.where == "database" for each in left):
            self.tell("writing the database anew, without what was deleted from it")
            self.repository.rewrite()
            receipt.was_rewritten = True
            found = self._look_at_bytes(needles)
        return left + found

    def _look_at_bytes(self, needles: Needles) -> list[Leftover]:
        for _ in range(_WRITE_BACK_TRIES):
            if self.repository.write_back():
                break
            self.sleep(_WRITE_BACK_SECONDS)
        return self.repository.search_bytes(needles)

    def _conclude(self, order: Order, receipt: Receipt, left: list[Leftover]) -> None:
        now = self.clock.now()
        receipt.leftovers = [Remaining(each.where, each.what, each.count) for each in left]
        receipt.backups_not_touched = list_backups(self.directory, now)
        receipt.not_reached = list(NOT_REACHED)
        # The line that this receipt is about to get is one of them.
        receipt.audit_lines_kept = sum(1 for _ in list_lines_about(self.audit, receipt.key_id)) + 1
        if receipt.is_complete:
            receipt.finished_at = self._finish(receipt.key_id, now)
        detail: dict[str, object] = {
            "step": "finished" if receipt.is_complete else "incomplete",
            "events": order.fate.value,
            "erased_events": receipt.events,
            "erased_traces": receipt.traces_in_files,
            "leftovers": sum(each.count for each in left),
            "receipt": seal(receipt).hash,
        }
        self.audit.append(AuditEvent(order.actor, Action.PRIVACY_ERASED, receipt.key_id, detail, order.origin))

    def _finish(self, key_id: str, now: datetime) -> datetime:
        self.repository.finish(key_id, now)
        return now
