"""The receipt of an erasure: what went, what stayed and why, what a second look found. Its hash goes on record."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from copilot_api.config.paths import DataDirectory
from copilot_api.privacy.models import EventsFate

VERSION = 1
AUDIT_KEPT = (
    "the audit log is append-only: who had a key, and that it was erased, stays on record until retention.audit_days"
)


class Backup(msgspec.Struct, frozen=True):
    """A copy of the database from before a migration. Nothing is erased in it."""

    name: str
    age_days: int
    bytes: int


class Remaining(msgspec.Struct, frozen=True):
    """Something of the key that a second look found."""

    where: str
    what: str
    count: int


class Receipt(msgspec.Struct, kw_only=True):
    """
    See the module. Counts are of this run; one that finishes what another began counts what was left for it.

    `hash` is the SHA-256 of the receipt as JSON without it, its keys sorted.
    """

    version: int = VERSION
    key_id: str
    fate: EventsFate
    begun_at: datetime
    finished_at: datetime | None = None
    """None where something is left."""
    program: str = ""
    """Which version of the program made it."""
    keys: int = 0
    secrets: int = 0
    sessions: int = 0
    """Sessions of the admin pages."""
    events: int = 0
    """Events that got a pseudonym, or were deleted."""
    series: int = 0
    """Combinations of what calls were, which bore the key's id."""
    rollups: int = 0
    """Hourly and daily sums of the key that were deleted, or moved to its pseudonym."""
    journal_lines: int = 0
    """Lines of the journal about the key when the erasure began; they are in `events` once they are brought in."""
    traces_in_files: int = 0
    trace_files: int = 0
    traces_in_memory: int | None = None
    """None where no gateway could be asked; one that runs forgets them by itself."""
    config_mentions: int = 0
    config_versions_rewritten: int = 0
    config_versions_deleted: int = 0
    admin_key_file: bool = False
    """Whether the file with the first admin key held this one's secret, and was deleted."""
    audit_lines_kept: int = 0
    audit_lines_kept_because: str = AUDIT_KEPT
    was_rewritten: bool = False
    """Whether the database was written anew, since its files held what was deleted from it earlier."""
    backups_not_touched: list[Backup] = []
    not_reached: list[str] = []
    """Where else something may be, out of this program's reach."""
    leftovers: list[Remaining] = []
    hash: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether a second look found nothing."""
        return not self.leftovers


def seal(receipt: Receipt) -> Receipt:
    """The receipt with its hash."""
    return msgspec.structs.replace(receipt, hash=hash_of(receipt))


def hash_of(receipt: Receipt) -> str:
    """What `hash` has to be."""
    fields: dict[str, Any] = msgspec.to_builtins(receipt)
    del fields["hash"]
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def list_backups(directory: DataDirectory, now: datetime) -> list[Backup]:
    """The copies of the database that lie beside it."""
    patterns = (f"{directory.database.name}.before-*", "*.backup")
    return [_describe(path, now) for pattern in patterns for path in sorted(directory.path.glob(pattern))]


def _describe(path: Path, now: datetime) -> Backup:
    entry = path.stat()
    return Backup(path.name, max(0, int((now.timestamp() - entry.st_mtime) // 86_400)), entry.st_size)
