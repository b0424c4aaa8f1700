"""API keys: who may call. Values only; nothing here reads a clock or a database."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Tier(StrEnum):
    """What a key may reach: the data plane only, or the admin plane too."""

    ADMIN = "admin"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What a key may do. `models` holds names as clients use them; `*` is every model."""

    models: tuple[str, ...] = ("*",)

    def allows_model(self, name: str) -> bool:
        """Whether this key may use the model that clients call `name`."""
        return "*" in self.models or name in self.models


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as everyone may see it: its secret is not here, only the prefix that its holder recognises it by."""

    id: str
    label: str
    tier: Tier
    prefix: str
    created_at: datetime
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    not_before: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the key may be used at `now`."""
        return (
            self.revoked_at is None
            and (self.not_before is None or self.not_before <= now)
            and (self.expires_at is None or now < self.expires_at)
        )
