"""Sessions: opened with a key, found by their cookie, over with either of them."""

import asyncio
from datetime import timedelta

import pytest

from copilot_api.admin.sessions import MOST_PER_KEY, Opened
from copilot_api.audit.models import Origin
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from copilot_api.keys.sessions import make_cookie
from tests.admin.site import Site
from tests.fakes import FakeClock

HOME = Origin("192.0.2.1", "Firefox", "req_1")
HOUR = 3600.0


def open_session(site: Site, key: IssuedKey, *, replaced: str | None = None) -> Opened:
    return asyncio.run(site.sessions.open(key.key, key.secret, HOME, replaced=replaced))


def is_open(site: Site, cookie: str) -> bool:
    return asyncio.run(site.sessions.find(cookie)) is not None


def test_a_cookie_opens_its_session_and_no_other(site: Site) -> None:
    key = site.issue()
    opened = open_session(site, key)
    found = asyncio.run(site.sessions.find(opened.cookie))
    assert found is not None
    assert found[1].id == key.key.id
    assert (found[0].id, found[0].address, found[0].user_agent) == (opened.session.id, "192.0.2.1", "Firefox")
    assert not is_open(site, make_cookie())
    assert not is_open(site, opened.session.id)
    assert opened.cookie not in repr(opened)


def test_it_is_over_when_nobody_used_it_for_eight_hours(site: Site, clock: FakeClock) -> None:
    cookie = open_session(site, site.issue()).cookie
    clock.advance(8 * HOUR - 1)
    assert is_open(site, cookie)
    clock.advance(8 * HOUR - 1)
    assert is_open(site, cookie), "it was used meanwhile"
    clock.advance(8 * HOUR)
    assert not is_open(site, cookie)


def test_it_is_over_after_a_day_however_much_it_is_used(site: Site, clock: FakeClock) -> None:
    cookie = open_session(site, site.issue()).cookie
    for _ in range(23):
        clock.advance(HOUR)
        assert is_open(site, cookie)
        asyncio.run(site.sessions.store())
    clock.advance(HOUR - 1)
    assert is_open(site, cookie)
    clock.advance(1)
    assert not is_open(site, cookie)


def test_a_revoked_key_ends_its_sessions_on_their_next_request_and_that_is_on_record(site: Site) -> None:
    key = site.issue()
    opened = open_session(site, key)
    site.stored.keys.revoke(key.key.id, actor="test")
    assert not is_open(site, opened.cookie)
    assert site.repository.find_session(opened.session.digest) is None
    assert site.audited()[-1] == (key.key.id, "session.ended", opened.session.id)


def test_an_expired_key_ends_its_sessions(site: Site, clock: FakeClock) -> None:
    key = site.issue(expires_at=clock.now() + timedelta(hours=1))
    cookie = open_session(site, key).cookie
    clock.advance(HOUR - 1)
    assert is_open(site, cookie)
    clock.advance(1)
    assert not is_open(site, cookie)


def test_a_rotated_secret_ends_the_sessions_that_it_opened_and_no_others(site: Site, clock: FakeClock) -> None:
    key = site.issue()
    old = open_session(site, key).cookie
    new_key = site.stored.keys.rotate(key.key.id, overlap_seconds=60, actor="test")
    new = open_session(site, new_key).cookie
    assert is_open(site, old), "while both secrets are good"
    clock.advance(61)
    assert not is_open(site, old)
    assert is_open(site, new)


def test_use_is_stored_so_that_another_process_knows(site: Site, clock: FakeClock) -> None:
    opened = open_session(site, site.issue())
    clock.advance(HOUR)
    is_open(site, opened.cookie)
    asyncio.run(site.sessions.store())
    stored = site.repository.find_session(opened.session.digest)
    assert stored is not None
    assert stored.seen_at == clock.now()


def test_what_cannot_be_stored_now_is_stored_later(
    site: Site, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_session(site, site.issue())
    clock.advance(HOUR)
    is_open(site, opened.cookie)

    def fail(_seen: object) -> None:
        raise StorageUnavailable("locked")

    with monkeypatch.context() as patched:
        patched.setattr(site.repository, "record_seen", fail)
        asyncio.run(site.sessions.store())
    asyncio.run(site.sessions.store())
    stored = site.repository.find_session(opened.session.digest)
    assert stored is not None
    assert stored.seen_at == clock.now()


def test_what_is_over_is_deleted_by_itself(site: Site, clock: FakeClock) -> None:
    opened = open_session(site, site.issue())
    clock.advance(8 * HOUR)
    asyncio.run(site.sessions.store())
    assert site.repository.find_session(opened.session.digest) is None


def test_the_list_has_who_is_signed_in_and_nobody_else(site: Site, clock: FakeClock) -> None:
    gone, revoked, idle, here = (site.issue(label=label) for label in ("gone", "revoked", "idle", "here"))
    open_session(site, idle)
    clock.advance(8 * HOUR)
    ended, _, alive = (open_session(site, key) for key in (gone, revoked, here))
    assert asyncio.run(site.sessions.end(ended.session, actor="test", reason="signed out"))
    assert not asyncio.run(site.sessions.end(ended.session, actor="test", reason="signed out"))
    site.stored.keys.revoke(revoked.key.id, actor="test")
    page = asyncio.run(site.sessions.list_page(limit=100))
    assert [each.id for each in page.sessions] == [alive.session.id]
    assert page.next is None


def test_there_is_no_end_of_signing_in_but_of_what_is_kept(site: Site, clock: FakeClock) -> None:
    key = site.issue()
    first = open_session(site, key)
    for _ in range(MOST_PER_KEY):
        clock.advance(1)
        last = open_session(site, key)
    assert not is_open(site, first.cookie)
    assert is_open(site, last.cookie)
    assert len(site.repository.list_sessions(limit=1000)) == MOST_PER_KEY


def test_signing_in_again_ends_what_the_browser_had(site: Site) -> None:
    key = site.issue()
    old = open_session(site, key)
    new = open_session(site, key, replaced=old.cookie)
    assert not is_open(site, old.cookie)
    assert is_open(site, new.cookie)
    assert old.session.id != new.session.id


def test_signing_in_is_a_use_of_the_key(site: Site, clock: FakeClock) -> None:
    key = site.issue()
    open_session(site, key)
    assert site.stored.keys.take_last_used() == {key.key.id: clock.now()}


def test_it_is_stored_again_and_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilot_api.admin.sessions.STORE_SECONDS", 0.001)
    rounds: list[object] = []
    monkeypatch.setattr(site.repository, "delete_over", rounds.append)

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(site.sessions.run())
            while len(rounds) < 3:
                await asyncio.sleep(0.001)
            task.cancel()

    asyncio.run(run())
