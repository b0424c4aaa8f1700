"""
How a running gateway learns that a key was erased, by whatever process, and forgets what it holds of it in memory.

A key's row goes when the key is erased, and only then; so keys that are no more are erased ones. Calls that were under
way at that moment end later: for a while it is looked again and again.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from copilot_api.clock import Clock
from copilot_api.errors import GatewayError
from copilot_api.keys.changes import Generation, KeyChanges
from copilot_api.keys.repository import KeyRepository
from copilot_api.observability.events import Notice, Observer
from copilot_api.privacy.subjects import find_vanished

WATCH_SECONDS = 1.0
REPEAT_SECONDS = 3600.0
"""How long an erased key's calls may still be under way."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that holds what keys left. Both block."""

    forget_key: Callable[[str], object]
    """Forgets what it holds of a key. May raise `StorageUnavailable` or `OSError`."""
    key_ids: Callable[[], set[str]] | None = None
    """The keys of which it holds something; None where that is not known."""
    is_quick_to_forget: bool = False
    """Whether to forget is as cheap as to look whether there is something to forget."""

    def may_hold(self, key_id: str) -> bool:
        """Whether there may be something to forget."""
        return self.is_quick_to_forget or self.key_ids is None or key_id in self.key_ids()


@dataclass(slots=True)
class ErasureWatch:
    """See the module."""

    keys: KeyRepository
    changes: KeyChanges
    list_erased: Callable[[list[str]], list[str]]
    """Those of some ids that are of erased keys."""
    clock: Clock
    observe: Observer
    holders: tuple[Holder, ...]
    _generation: Generation | None = None
    _known: set[str] = field(default_factory=set[str])
    _erased: dict[str, float] = field(default_factory=dict[str, float])
    """When it was noticed of each of the last ones."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(WATCH_SECONDS)

    def look(self) -> None:
        """Look once, and forget what is to be forgotten. Blocks. What fails is tried again."""
        try:
            self._look()
        except (GatewayError, OSError) as error:
            self.observe(Notice(f"what is left of an erased key could not be forgotten yet: {error}"))

    def _look(self) -> None:
        now, generation = self.clock.monotonic(), self.changes.generation()
        if generation != self._generation:
            fresh = self._notice(now)
            self._generation = generation
            for key_id in fresh:
                _forget(key_id, self.holders)
        self._erased = {key_id: at for key_id, at in self._erased.items() if now - at < REPEAT_SECONDS}
        for key_id in self._erased:
            _forget(key_id, [holder for holder in self.holders if holder.may_hold(key_id)])

    def _notice(self, now: float) -> list[str]:
        """The keys that were erased since the last look."""
        known, vanished = find_vanished(self.keys, self._known)
        held = {key_id for holder in self.holders if holder.key_ids for key_id in holder.key_ids()} - known
        fresh = sorted({*vanished, *self.list_erased(sorted(held))} - self._erased.keys())
        self._erased |= dict.fromkeys(fresh, now)
        self._known = known
        return fresh


def _forget(key_id: str, holders: Iterable[Holder]) -> None:
    for holder in holders:
        holder.forget_key(key_id)
