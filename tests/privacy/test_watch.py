"""A running gateway forgets what it holds of a key as soon as the key is erased, and what comes of it later."""

import asyncio
from dataclasses import dataclass, field

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.changes import KeyChanges
from copilot_api.observability.events import Notice, Observation
from copilot_api.privacy import watch as watch_module
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.watch import REPEAT_SECONDS, ErasureWatch, Holder
from tests.privacy.site import ADMIN, Site


@dataclass
class Memory:
    """Something that holds what keys left."""

    held: set[str] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)
    failure: Exception | None = None

    def forget(self, key_id: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.forgotten.append(key_id)
        self.held.discard(key_id)

    def key_ids(self) -> set[str]:
        return set(self.held)


@dataclass
class Watched:
    site: Site
    memory: Memory
    journal: Memory
    seen: list[Observation]
    watch: ErasureWatch

    def erase(self) -> None:
        event = AuditEvent(ADMIN, Action.PRIVACY_ERASED, self.site.key.id)
        with KeyChanges(self.site.stored.directory.key_stamp).announcing():
            self.site.repository.begin(self.site.key.id, EventsFate.DELETE, self.site.clock.now(), event)


@pytest.fixture
def watched(site: Site) -> Watched:
    memory, journal, seen = Memory({site.key.id, site.other.id}), Memory(), list[Observation]()
    holders = (Holder(memory.forget, memory.key_ids), Holder(journal.forget))
    changes = KeyChanges(site.stored.directory.key_stamp)
    watch = ErasureWatch(site.stored.repository, changes, site.repository.list_erased, site.clock, seen.append, holders)
    return Watched(site, memory, journal, seen, watch)


def test_an_erased_key_is_forgotten_at_the_next_look_and_no_other(watched: Watched) -> None:
    watched.watch.look()
    assert (watched.memory.forgotten, watched.journal.forgotten) == ([], [])
    watched.erase()
    watched.watch.look()
    assert set(watched.memory.forgotten) == set(watched.journal.forgotten) == {watched.site.key.id}
    assert watched.memory.held == {watched.site.other.id}


def test_a_key_that_was_erased_before_the_first_look_is_forgotten_too(watched: Watched) -> None:
    watched.erase()
    watched.watch.look()
    assert watched.memory.held == {watched.site.other.id}


def test_a_revoked_key_is_not_erased(watched: Watched) -> None:
    watched.watch.look()
    watched.site.stored.keys.revoke(watched.site.key.id, actor=ADMIN)
    watched.watch.look()
    assert watched.memory.forgotten == []


def test_what_comes_later_of_it_is_forgotten_as_well_for_a_while(watched: Watched) -> None:
    watched.watch.look()
    watched.erase()
    watched.watch.look()
    watched.memory.held.add(watched.site.key.id)
    watched.site.clock.advance(REPEAT_SECONDS - 1)
    watched.watch.look()
    assert watched.site.key.id not in watched.memory.held
    count = len(watched.journal.forgotten)
    watched.site.clock.advance(2)
    watched.watch.look()
    assert len(watched.journal.forgotten) == count


def test_what_fails_is_said_and_tried_again(watched: Watched) -> None:
    watched.watch.look()
    watched.erase()
    watched.journal.failure = StorageUnavailable("the disk is full")
    watched.watch.look()
    assert isinstance(watched.seen[0], Notice)
    watched.journal.failure = None
    watched.watch.look()
    assert watched.site.key.id in watched.journal.forgotten


def test_nobody_is_asked_anything_while_no_key_changes(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.watch.look()

    def refuse() -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(watched.site.stored.repository, "list_keys", refuse)
    watched.watch.look()
    assert watched.seen == []


def test_it_looks_again_and_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "WATCH_SECONDS", 0.01)

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(watched.watch.run())
            await asyncio.sleep(0.05)
            await asyncio.to_thread(watched.erase)
            while watched.site.key.id in watched.memory.held:
                await asyncio.sleep(0.01)
            running.cancel()

    asyncio.run(asyncio.wait_for(run(), 10))
