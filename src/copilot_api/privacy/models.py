"""
What an erasure is, and the counts of what it did.

An erased key is remembered by a digest of its id alone. The id is random, so the digest leads nowhere by itself; it
recognises the id when it comes again, out of a journal that nobody had read yet or of a call that was still under way.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from copilot_api.keys.models import ApiKey

ERASED = "erased"
"""The key of calls that were found only after the events of their key had got their pseudonym: one for all such keys,
since what leads from a key to its pseudonym is gone by then."""

_PSEUDONYM_MARK = "erased_"
_DIGEST_MARK = b"copilot-api erased key\0"


class EventsFate(StrEnum):
    """What becomes of the usage events of an erased key."""

    PSEUDONYMISE = "pseudonymise"
    """They stay, under a random name instead of the key's id."""
    DELETE = "delete"
    """They go, and with them their part of every sum."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erased key, as far as it is remembered."""

    digest: bytes = field(repr=False)
    """See `digest_key_id`."""
    fate: EventsFate
    begun_at: datetime
    finished_at: datetime | None = None
    """When a second look found nothing left; None until then."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What is kept of one secret of a key."""

    digest: bytes = field(repr=False)
    prefix: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subject:
    """The key that an export or an erasure is about, as it is stored. The row may be gone already."""

    id: str
    key: ApiKey | None = None
    secrets: tuple[StoredSecret, ...] = ()
    columns: dict[str, object] = field(default_factory=dict[str, object])
    """Everything that the row of the key holds, by its column."""
    sessions: tuple[dict[str, object], ...] = ()
    """The same of each session of the admin pages, but for what recognises it."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Every visible prefix that the key had."""
        found = {secret.prefix for secret in self.secrets} | ({self.key.prefix} if self.key else set[str]())
        return tuple(sorted(found - {""}))


@dataclass(slots=True)
class LedgerCounts:
    """How much of the ledger is about a key, or was."""

    events: int = 0
    series: int = 0
    rollups: int = 0
    """Hourly and daily sums that are of this key alone."""

    def add(self, more: "LedgerCounts") -> None:
        """Add what another pass did."""
        self.events += more.events
        self.series += more.series
        self.rollups += more.rollups


@dataclass(frozen=True, slots=True)
class Ended:
    """What the first step of an erasure did."""

    keys: int
    secrets: int
    sessions: int
    series: int
    """How many of the ledger's series have the pseudonym since."""


@dataclass(frozen=True, slots=True)
class Needles:
    """What a second look searches for."""

    key_id: str
    prefixes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Looked for as whole values only, since a label may be any word; without those that another key has."""
    digests: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def texts(self) -> tuple[str, ...]:
        """Those that are looked for as a part of any text."""
        return (self.key_id, *self.prefixes)

    @property
    def patterns(self) -> tuple[bytes, ...]:
        """All that is looked for in bytes."""
        return (*(text.encode() for text in self.texts), *self.digests)


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of the key that is still there."""

    where: str
    what: str
    count: int


@lru_cache(maxsize=4096)
def digest_key_id(key_id: str) -> bytes:
    """What is remembered of the id of an erased key."""
    return hashlib.sha256(_DIGEST_MARK + key_id.encode(errors="replace")).digest()


def make_pseudonym() -> str:
    """A name for events that have lost theirs. Nothing leads back from it."""
    return _PSEUDONYM_MARK + base64.b32encode(secrets.token_bytes(8)).decode().lower()[:12]
