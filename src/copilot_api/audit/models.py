"""What the audit log records: who did what to what."""

from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """Every action that is put on record; the vocabulary is closed."""

    KEY_ISSUED = "key.issued"
    KEY_UPDATED = "key.updated"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    CONFIG_CHANGED = "config.changed"
    ADMIN_RECOVERED = "admin.recovered"
    IDENTITY_STOPPED = "identity.stopped"
    IDENTITY_RESUMED = "identity.resumed"
    STARTED_WITHOUT_AUTHENTICATION = "gateway.started_without_authentication"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One action. `actor` is a key id, or `local:<user>` for the command line; `detail` never holds a secret."""

    actor: str
    action: Action
    target: str
    detail: dict[str, object] = field(default_factory=dict[str, object])
