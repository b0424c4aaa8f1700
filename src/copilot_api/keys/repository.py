"""
The port of the keys: what the key service asks of whatever stores them.

Every change takes the `AuditEvent` that signs it, and is refused as a whole when that cannot be put on record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from copilot_api.audit.models import AuditEvent
from copilot_api.keys.models import ApiKey


@dataclass(frozen=True, slots=True)
class KeySecret:
    """One secret of a key, as far as it is kept. A key that was rotated has several until the old ones end."""

    digest: bytes = field(repr=False)
    """SHA-256 of the whole secret."""
    key_id: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None = None


SignedEdit = Callable[[ApiKey], tuple[ApiKey, AuditEvent] | None]
"""Makes of a key as it is stored the one that it becomes, and signs for it; None leaves it as it is."""


class KeyRepository(Protocol):
    """
    Stores keys and their secrets. Its methods block: call them from a thread.

    Raises `StorageUnavailable` when it cannot read or write.
    """

    def list_keys(self) -> list[ApiKey]:
        """Every key, oldest first, revoked and expired ones too."""
        ...

    def list_secrets(self) -> list[tuple[KeySecret, ApiKey]]:
        """Every secret with its key, ended ones too: all of them as they were at one moment."""
        ...

    def add_key(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> None:
        """Store a new key with its first secret."""
        ...

    def add_first_admin(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> bool:
        """The same, unless an admin key is valid at `key.created_at`; says whether it was stored."""
        ...

    def recover_admin(
        self, key: ApiKey, secret: KeySecret, event: AuditEvent, *, revoke_others: bool
    ) -> tuple[str, ...]:
        """
        Store a new admin key and, if asked, revoke all others in the same step.

        Gives the ids of the revoked ones, which the audit line names too.
        """
        ...

    def update_key(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        """
        Change a key's label, policy and times, and give it back as it is then.

        Nobody else changes the key between the moment that `edit` sees and the one that it makes. What `edit` raises
        leaves the key as it was. None, and nothing on record, when the key is gone or revoked.
        """
        ...

    def update_capture(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        """The same for a key's capture order and nothing else, also of a revoked key. None when the key is gone."""
        ...

    def rotate_key(self, secret: KeySecret, old_end_at: datetime, event: AuditEvent) -> bool:
        """
        Add a secret to its key, which takes its prefix; the old ones end at `old_end_at`.

        False, and nothing on record, when the key is gone or revoked.
        """
        ...

    def revoke_key(self, key_id: str, at: datetime, event: AuditEvent) -> bool:
        """
        Revoke a key, which ends its capture. False, and nothing on record, when it is gone or was revoked before.
        """
        ...

    def record_last_used(self, last_used: Mapping[str, datetime]) -> None:
        """Note when each key was last used. No change of a key: neither audited nor announced."""
        ...
