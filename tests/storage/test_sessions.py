"""Sessions: kept, signed, listed in order, and gone with their key."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.service import IssuedKey
from copilot_api.keys.sessions import IDLE, LIFETIME, Session, digest_cookie, make_cookie, make_session_id
from copilot_api.privacy.models import EventsFate
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.storage.sessions import SqlSessionRepository
from copilot_api.storage.sqlite import open_sqlite
from tests.stored import Stored

AT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=UTC)
OPENED = AuditEvent("key_x", Action.LOGIN_SUCCEEDED, "key_x", {}, Origin("192.0.2.1", "Firefox", "req_1"))
ENDED = AuditEvent("key_x", Action.SESSION_ENDED, "ses_x", {"reason": "signed out"})


@pytest.fixture
def repository(stored: Stored) -> SqlSessionRepository:
    return SqlSessionRepository(stored.database, stored.audit)


@pytest.fixture
def key(stored: Stored) -> IssuedKey:
    return stored.keys.issue("ada", actor="test")


def make_session(key: IssuedKey, after: float = 0.0) -> Session:
    at = AT + timedelta(seconds=after)
    return Session(
        make_session_id(), digest_cookie(make_cookie()), key.key.id, b"s" * 32, at, at, None, "192.0.2.1", "Firefox ☃"
    )  # fmt: skip


def add(repository: SqlSessionRepository, session: Session, *, most: int = 50) -> Session:
    repository.add_session(session, OPENED, replaced=None, most=most)
    return session


def actions(stored: Stored) -> list[str]:
    return [event.action for event in reversed(stored.audit.list_events()) if event.action != Action.KEY_ISSUED]


def test_a_session_comes_back_as_it_was_stored(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    session = add(repository, make_session(key))
    assert repository.find_session(session.digest) == session
    assert repository.find_session(b"x" * 32) is None
    assert actions(stored) == ["login.succeeded"]


def test_the_one_that_a_browser_had_is_over(repository: SqlSessionRepository, key: IssuedKey) -> None:
    old, other = add(repository, make_session(key)), add(repository, make_session(key))
    repository.add_session(make_session(key), OPENED, replaced=old.digest, most=50)
    assert repository.find_session(old.digest) is None
    assert repository.find_session(other.digest) == other


def test_a_key_has_so_many_and_the_oldest_goes(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    bob = add(repository, make_session(stored.keys.issue("bob", actor="test"), -100))
    sessions = [add(repository, make_session(key, number), most=3) for number in range(5)]
    assert [repository.find_session(each.digest) for each in sessions] == [None, None, *sessions[2:]]
    assert repository.find_session(bob.digest) == bob


def test_a_new_one_stays_also_where_the_clock_was_set_back(repository: SqlSessionRepository, key: IssuedKey) -> None:
    for number in range(3):
        add(repository, make_session(key, number), most=3)
    newest = add(repository, make_session(key, -10), most=3)
    assert repository.find_session(newest.digest) == newest


def test_they_are_listed_newest_first_and_in_pages(repository: SqlSessionRepository, key: IssuedKey) -> None:
    sessions = [add(repository, make_session(key, number // 2)) for number in range(7)]
    listed = repository.list_sessions(limit=100)
    assert sorted(each.id for each in listed) == sorted(each.id for each in sessions)
    assert [each.created_at for each in listed] == sorted((each.created_at for each in sessions), reverse=True)
    paged: list[Session] = []
    while page := repository.list_sessions(limit=2, before=paged[-1].id if paged else None):
        paged += page
    assert paged == listed
    assert repository.list_sessions(limit=2, before="ses_unknown") == []


def test_ending_one_is_signed_and_done_once(repository: SqlSessionRepository, key: IssuedKey, stored: Stored) -> None:
    session = add(repository, make_session(key))
    assert repository.end_session(session.id, ENDED)
    assert repository.find_session(session.digest) is None
    assert not repository.end_session(session.id, ENDED)
    assert actions(stored) == ["login.succeeded", "session.ended"]


def test_stepping_up_is_noted_where_the_session_is_there(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    session = add(repository, make_session(key))
    later = AT + timedelta(minutes=1)
    assert repository.step_up(session.digest, later, OPENED)
    assert repository.find_session(session.digest) == replace(session, stepped_up_at=later)
    assert not repository.step_up(b"x" * 32, later, OPENED)
    assert len(actions(stored)) == 2


def test_use_is_noted_and_never_taken_back(repository: SqlSessionRepository, key: IssuedKey) -> None:
    one, two = add(repository, make_session(key)), add(repository, make_session(key))
    later = AT + timedelta(hours=1)
    repository.record_seen({one.digest: later, b"x" * 32: later})
    repository.record_seen({one.digest: AT})
    repository.record_seen({})
    assert repository.find_session(one.digest) == replace(one, seen_at=later)
    assert repository.find_session(two.digest) == two


def test_what_is_over_is_deleted_and_nothing_else(repository: SqlSessionRepository, key: IssuedKey) -> None:
    idle, used, old = (add(repository, make_session(key)) for _ in range(3))
    young = add(repository, make_session(key, 3600))
    later = AT + IDLE
    repository.record_seen({used.digest: AT + timedelta(hours=5)})
    assert repository.delete_over(later) == 2
    assert repository.find_session(idle.digest) is None
    assert repository.find_session(old.digest) is None
    assert repository.find_session(used.digest) is not None
    assert repository.find_session(young.digest) == young
    repository.record_seen({used.digest: AT + LIFETIME})
    assert repository.delete_over(AT + LIFETIME) == 2


def test_an_erased_key_takes_its_sessions_along(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    session = add(repository, make_session(key))
    event = AuditEvent("test", Action.PRIVACY_ERASED, "erased")
    SqlPrivacyRepository(stored.database, stored.audit).begin(key.key.id, EventsFate.PSEUDONYMISE, AT, event)
    assert repository.find_session(session.digest) is None


def test_what_cannot_be_signed_is_not_done(repository: SqlSessionRepository, key: IssuedKey, stored: Stored) -> None:
    session = add(repository, make_session(key))
    stored.directory.audit.rename(stored.directory.audit.with_name("kept"))
    stored.directory.audit.mkdir()
    unsigned = make_session(key)
    with pytest.raises(StorageUnavailable, match="audit"):
        repository.add_session(unsigned, OPENED, replaced=session.digest, most=50)
    with pytest.raises(StorageUnavailable, match="audit"):
        repository.end_session(session.id, ENDED)
    with pytest.raises(StorageUnavailable, match="audit"):
        repository.step_up(session.digest, AT, OPENED)
    assert repository.find_session(unsigned.digest) is None
    assert repository.find_session(session.digest) == session


def test_a_database_that_is_locked_lets_nobody_in_and_still_tells_who_is(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    session = add(repository, make_session(key))
    impatient = open_sqlite(stored.directory.database, busy_seconds=0.05)
    other = SqlSessionRepository(impatient, stored.audit)
    with closing(sqlite3.connect(stored.directory.database)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            add(other, make_session(key))
        assert other.find_session(session.digest) == session
        holder.rollback()
    impatient.close()
    assert actions(stored) == ["login.succeeded"]


def test_nothing_of_a_cookie_is_in_the_database(
    repository: SqlSessionRepository, key: IssuedKey, stored: Stored
) -> None:
    cookie = make_cookie()
    add(repository, replace(make_session(key), digest=digest_cookie(cookie)))
    stored.database.backend.write_back()
    assert cookie.encode() not in stored.directory.database.read_bytes()
    assert cookie not in json.dumps([event.detail for event in stored.audit.list_events()])
