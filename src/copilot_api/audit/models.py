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
    IDENTITY_SIGNED_IN = "identity.signed_in"
    STARTED_WITHOUT_AUTHENTICATION = "gateway.started_without_authentication"
    KEY_REFUSED = "key.refused"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    SESSION_ENDED = "session.ended"
    CAPTURE_STARTED = "capture.started"
    CAPTURE_RENEWED = "capture.renewed"
    CAPTURE_ENDED = "capture.ended"
    TRACE_READ = "trace.read"
    TRACES_LISTED = "traces.listed"
    TRACES_TAILED = "traces.tailed"
    TRACES_DOWNLOADED = "traces.downloaded"
    TRACE_REPLAYED = "trace.replayed"
    CALL_CANCELLED = "call.cancelled"
    USAGE_EXPORTED = "usage.exported"
    PRIVACY_EXPORTED = "privacy.exported"
    PRIVACY_ERASED = "privacy.erased"
    AUDIT_SEGMENTS_REMOVED = "audit.segments_removed"
    AUDIT_HEAD_RESTORED = "audit.head_restored"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an action came from, as far as it came over HTTP. A user agent is kept to its first 200 characters."""

    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


LOCAL = Origin()
"""The command line of this machine."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One action. `actor` is a key id, or `local:<user>` for the command line; `detail` never holds a secret."""

    actor: str
    action: Action
    target: str
    detail: dict[str, object] = field(default_factory=dict[str, object])
    origin: Origin = LOCAL
