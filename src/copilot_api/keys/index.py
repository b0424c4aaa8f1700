"""
The keys in memory, by the digest of their secrets: recognising one asks nobody.

The index is read anew as soon as any process changed a key, which `KeyChanges` tells without a query; and every
`max_age_seconds` besides, for the change whose author was killed before announcing it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from copilot_api.clock import Clock
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.changes import Generation, KeyChanges
from copilot_api.keys.models import ApiKey
from copilot_api.keys.repository import KeyRepository

logger = logging.getLogger(__name__)

MAX_AGE_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0

RefreshFailed = Callable[[Exception], None]
"""Is told why the index could not be read anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one secret opens, and until when."""

    key: ApiKey
    secret_expires_at: datetime | None


_Read = tuple[Generation, float, dict[bytes, Entry]]
"""What was read: which generation, when, and what."""


def log_refresh_failed(error: Exception) -> None:
    """The default `RefreshFailed`."""
    logger.error("the API keys could not be read, the last known ones stay in force: %s", error)


class KeyIndex:
    """
    Every secret, and whether they are the ones that are stored now.

    When a refresh fails, or takes longer than calls should wait for it, the old index stays in force, that is reported,
    and it is tried again after a second.
    """

    def __init__(
        self,
        repository: KeyRepository,
        changes: KeyChanges,
        clock: Clock,
        max_age_seconds: float,
        on_refresh_failed: RefreshFailed,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._repository = repository
        self._changes = changes
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._on_refresh_failed = on_refresh_failed
        self._patience_seconds = patience_seconds
        self._entries: Mapping[bytes, Entry] | None = None
        self._size = -1
        self._loaded_at = 0.0
        self._retry_at: float | None = None
        self._refreshing = asyncio.Lock()
        self._reading: asyncio.Future[_Read] | None = None

    def find(self, digest: bytes) -> Entry | None:
        """What the secret with this digest opens."""
        if self._entries is None:
            raise StorageUnavailable("the API keys could not be read yet")
        return self._entries.get(digest)

    def has_key(self, key_id: str) -> bool:
        """Whether any secret leads to this key."""
        return any(entry.key.id == key_id for entry in (self._entries or {}).values())

    def list_keys(self) -> list[ApiKey]:
        """Every key that any secret leads to, each once."""
        return list({entry.key.id: entry.key for entry in (self._entries or {}).values()}.values())

    def list_captured(self) -> list[ApiKey]:
        """The keys that have an order to be captured, over or not; one with several secrets as often."""
        return [entry.key for entry in (self._entries or {}).values() if entry.key.capture is not None]

    def list_ends(self, key_id: str, now: datetime) -> list[datetime]:
        """When those secrets of a key end that end some time after `now`, the next one first."""
        ends = (entry.secret_expires_at for entry in (self._entries or {}).values() if entry.key.id == key_id)
        return sorted(end for end in ends if end is not None and end > now)

    def needs_refresh(self) -> bool:
        """Whether the index may be out of date."""
        now = self._clock.monotonic()
        if self._retry_at is not None:
            return now >= self._retry_at
        return now >= self._loaded_at + self._max_age_seconds or self._changes.size() != self._size

    async def refresh(self) -> None:
        """Read the index anew if need be, once for all who ask at the same time."""
        async with self._refreshing:
            # The first round may end a read that began before a change which its caller has to see; the second cannot.
            for _ in range(2):
                if not self.needs_refresh():
                    return
                try:
                    self._adopt(*await self._finish_reading())
                except Exception as error:  # noqa: BLE001 -- whatever is broken, calls go on with the index that we have
                    self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
                    self._on_refresh_failed(error)

    def load(self) -> None:
        """Read the index now, or raise."""
        self._adopt(*self._read())

    async def _finish_reading(self) -> _Read:
        """Read in a thread. A read that hangs stays the only one: callers give up on it, and later ones look again."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._read)
        done, _ = await asyncio.wait((self._reading,), timeout=self._patience_seconds)
        if not done:
            raise TimeoutError(f"reading the keys takes more than {self._patience_seconds} seconds")
        self._reading = None
        return done.pop().result()

    def _read(self) -> _Read:
        # First the generation: a change after this line is seen as a newer one, and read again.
        generation, at = self._changes.generation(), self._clock.monotonic()
        secrets = self._repository.list_secrets()
        return generation, at, {secret.digest: Entry(key, secret.expires_at) for secret, key in secrets}

    def _adopt(self, generation: Generation, at: float, entries: Mapping[bytes, Entry]) -> None:
        self._size, self._loaded_at, self._entries = generation[1], at, entries
        self._retry_at = None
