import asyncio
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from copilot_api.audit.models import AuditEvent
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.index import MAX_AGE_SECONDS, KeyIndex
from copilot_api.keys.models import ApiKey, Tier
from copilot_api.keys.repository import KeySecret, SignedEdit
from tests.fakes import FakeClock


class Secrets:
    """A repository that can only be read; it counts how often, and breaks on demand."""

    def __init__(self, clock: FakeClock) -> None:
        self.stored: list[tuple[KeySecret, ApiKey]] = []
        self.reads = 0
        self.failure: Exception | None = None
        self._clock = clock

    def add(self, digest: bytes) -> None:
        key = ApiKey(f"key_{len(self.stored)}", "ci", Tier.CLIENT, "sk-cap-abcde", self._clock.now())
        self.stored.append((KeySecret(digest, key.id, key.prefix, key.created_at), key))

    def list_secrets(self) -> list[tuple[KeySecret, ApiKey]]:
        self.reads += 1
        if self.failure:
            raise self.failure
        return list(self.stored)

    def list_keys(self) -> list[ApiKey]:
        raise NotImplementedError

    def add_key(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> None:
        raise NotImplementedError

    def add_first_admin(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> bool:
        raise NotImplementedError

    def recover_admin(
        self, key: ApiKey, secret: KeySecret, event: AuditEvent, *, revoke_others: bool
    ) -> tuple[str, ...]:
        raise NotImplementedError

    def update_key(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        raise NotImplementedError

    def update_capture(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        raise NotImplementedError

    def rotate_key(self, secret: KeySecret, old_end_at: datetime, event: AuditEvent) -> bool:
        raise NotImplementedError

    def revoke_key(self, key_id: str, at: datetime, event: AuditEvent) -> bool:
        raise NotImplementedError

    def record_last_used(self, last_used: Mapping[str, datetime]) -> None:
        raise NotImplementedError


class Scene:
    """An index over such a repository."""

    def __init__(self, stamp: Path) -> None:
        self.clock = FakeClock()
        self.secrets = Secrets(self.clock)
        self.changes = KeyChanges(stamp)
        self.failures: list[Exception] = []
        self.index = KeyIndex(self.secrets, self.changes, self.clock, MAX_AGE_SECONDS, self.failures.append)

    def store(self, digest: bytes) -> None:
        with self.changes.announcing():
            self.secrets.add(digest)

    def refresh(self) -> None:
        asyncio.run(self.index.refresh())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "keys.stamp")


def test_an_index_that_was_never_read_says_so_instead_of_refusing_good_keys(scene: Scene) -> None:
    assert scene.index.needs_refresh()
    with pytest.raises(StorageUnavailable):
        scene.index.find(b"a")


def test_a_change_is_seen_at_once_and_costs_one_read(scene: Scene) -> None:
    scene.refresh()
    assert not scene.index.needs_refresh()
    scene.store(b"a")
    assert scene.index.needs_refresh()
    scene.refresh()
    scene.refresh()
    assert scene.index.find(b"a") is not None
    assert scene.secrets.reads == 2


def test_older_secrets_that_still_work_are_listed_with_their_ends(scene: Scene) -> None:
    scene.store(b"a")
    now = scene.clock.now()
    key = scene.secrets.stored[0][1]
    for digest, seconds in ((b"b", 60), (b"c", -60), (b"d", 30)):
        secret = KeySecret(digest, key.id, key.prefix, now, now + timedelta(seconds=seconds))
        scene.secrets.stored.append((secret, key))
    scene.index.load()
    assert scene.index.list_ends(key.id, now) == [now + timedelta(seconds=30), now + timedelta(seconds=60)]
    assert scene.index.list_ends("key_x", now) == []


def test_a_change_made_while_the_rows_are_read_is_seen_later(scene: Scene) -> None:
    class ChangedWhileRead(Secrets):
        def list_secrets(self) -> list[tuple[KeySecret, ApiKey]]:
            rows = super().list_secrets()
            if self.reads == 1:
                scene.store(b"late")
            return rows

    secrets = scene.secrets = ChangedWhileRead(scene.clock)
    index = KeyIndex(secrets, scene.changes, scene.clock, MAX_AGE_SECONDS, scene.failures.append)
    index.load()
    assert index.find(b"late") is None
    assert index.needs_refresh()


def test_all_who_ask_together_share_one_read(scene: Scene) -> None:
    async def ask_together() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(scene.index.refresh())

    asyncio.run(ask_together())
    assert scene.secrets.reads == 1


def test_a_change_that_nobody_announced_is_seen_after_a_while(scene: Scene) -> None:
    scene.refresh()
    scene.secrets.add(b"quiet")
    scene.clock.advance(MAX_AGE_SECONDS - 1)
    assert not scene.index.needs_refresh()
    scene.clock.advance(1)
    assert scene.index.needs_refresh()


def test_a_failed_read_leaves_the_old_index_and_is_tried_again_once_a_second(scene: Scene) -> None:
    scene.store(b"a")
    scene.refresh()
    scene.secrets.failure = StorageUnavailable("gone")
    scene.store(b"b")
    for _ in range(3):
        scene.refresh()
    assert scene.index.find(b"a") is not None
    assert scene.secrets.reads == 2
    assert scene.failures == [scene.secrets.failure]

    scene.clock.advance(1)
    scene.secrets.failure = None
    assert scene.index.needs_refresh()
    scene.refresh()
    assert scene.index.find(b"b") is not None
    assert not scene.index.needs_refresh()


def test_a_broken_start_does_not_ask_the_database_on_every_call(scene: Scene) -> None:
    scene.secrets.failure = StorageUnavailable("gone")
    for _ in range(3):
        scene.refresh()
    assert scene.secrets.reads == 1


def test_a_read_that_hangs_holds_calls_up_once_and_is_not_begun_again(scene: Scene) -> None:
    released = threading.Event()

    class Hanging(Secrets):
        def list_secrets(self) -> list[tuple[KeySecret, ApiKey]]:
            if self.reads == 1:
                released.wait(20)
            return super().list_secrets()

    secrets = Hanging(scene.clock)
    index = KeyIndex(secrets, scene.changes, scene.clock, MAX_AGE_SECONDS, scene.failures.append, 0.02)

    async def call() -> None:
        await index.refresh()
        with scene.changes.announcing():
            secrets.add(b"a")
        await index.refresh()
        assert [type(failure) for failure in scene.failures] == [TimeoutError]
        assert not index.needs_refresh()
        assert index.find(b"a") is None
        with scene.changes.announcing():
            secrets.add(b"b")
        released.set()
        while index.find(b"b") is None:
            scene.clock.advance(1)
            await index.refresh()

    asyncio.run(call())
    assert secrets.reads == 3


def test_a_read_goes_on_when_the_caller_that_began_it_hangs_up(scene: Scene) -> None:
    scene.store(b"a")

    async def hang_up_then_call() -> None:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(scene.index.refresh())
            await asyncio.sleep(0)
            first.cancel()
            group.create_task(scene.index.refresh())

    asyncio.run(hang_up_then_call())
    assert scene.index.find(b"a") is not None
    assert scene.secrets.reads == 1


def test_loading_says_what_is_wrong(scene: Scene) -> None:
    scene.secrets.failure = StorageUnavailable("gone")
    with pytest.raises(StorageUnavailable, match="gone"):
        scene.index.load()
