"""The identities that are stopped: kept, signed, and lifted once."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.audit.verify import find_problems
from copilot_api.errors import StorageUnavailable
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.upstream.brake import Stop
from tests.fakes import FakeClock
from tests.stored import Stored, open_stored

AT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=UTC)
STOP = Stop(AT, "suspicious activity ☃")
STOPPED = AuditEvent("gateway", Action.IDENTITY_STOPPED, "default", {"reason": STOP.reason})
RESUMED = AuditEvent("local:me", Action.IDENTITY_RESUMED, "default", {"reason": STOP.reason})


def audited(stored: Stored) -> list[tuple[str, str, str]]:
    """Who did what to what, as far as it is on record."""
    path = stored.directory.audit
    assert not path.exists() or find_problems(path) == []
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line["actor"], line["action"], line["target"]) for line in map(json.loads, lines)]


def test_a_stop_comes_back_as_it_was_stored(stored: Stored) -> None:
    assert stored.stops.find_stop("default") is None
    stored.stops.add_stop("default", STOP, STOPPED)
    assert stored.stops.find_stop("default") == STOP
    assert stored.stops.find_stop("other") is None


def test_a_time_with_another_offset_is_the_same_moment(stored: Stored) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    stored.stops.add_stop("default", Stop(elsewhere, "x"), STOPPED)
    found = stored.stops.find_stop("default")
    assert found is not None
    assert (found.at, found.at.tzinfo) == (AT, UTC)


def test_every_stop_and_its_end_is_signed(stored: Stored) -> None:
    stored.stops.add_stop("default", STOP, STOPPED)
    assert stored.stops.remove_stop("default", RESUMED)
    assert stored.stops.find_stop("default") is None
    stored.stops.add_stop("default", STOP, STOPPED)
    gateway, operator = ("gateway", "identity.stopped", "default"), ("local:me", "identity.resumed", "default")
    assert audited(stored) == [gateway, operator, gateway]


def test_one_that_is_stopped_already_keeps_its_first_reason_and_its_one_line(stored: Stored) -> None:
    stored.stops.add_stop("default", STOP, STOPPED)
    stored.stops.add_stop("default", Stop(AT + timedelta(days=1), "another"), STOPPED)
    assert stored.stops.find_stop("default") == STOP
    assert len(audited(stored)) == 1


def test_lifting_a_stop_that_is_not_there_is_not_on_record(stored: Stored) -> None:
    assert not stored.stops.remove_stop("default", RESUMED)
    stored.stops.add_stop("default", STOP, STOPPED)
    assert not stored.stops.remove_stop("other", RESUMED)
    assert stored.stops.remove_stop("default", RESUMED)
    assert not stored.stops.remove_stop("default", RESUMED)
    assert len(audited(stored)) == 2


def test_each_identity_has_its_own(stored: Stored) -> None:
    stored.stops.add_stop("a", STOP, STOPPED)
    stored.stops.add_stop("b", STOP, STOPPED)
    stored.stops.remove_stop("a", RESUMED)
    assert stored.stops.find_stop("a") is None
    assert stored.stops.find_stop("b") == STOP


def test_what_cannot_be_signed_is_not_done(stored: Stored) -> None:
    stored.directory.audit.mkdir()
    with pytest.raises(StorageUnavailable, match="audit"):
        stored.stops.add_stop("default", STOP, STOPPED)
    assert stored.stops.find_stop("default") is None
    stored.directory.audit.rmdir()
    stored.stops.add_stop("default", STOP, STOPPED)
    stored.directory.audit.rename(stored.directory.audit.with_name("kept"))
    stored.directory.audit.mkdir()
    with pytest.raises(StorageUnavailable, match="audit"):
        stored.stops.remove_stop("default", RESUMED)
    assert stored.stops.find_stop("default") == STOP


def test_a_stop_survives_the_process_and_is_seen_from_another_connection(stored: Stored, clock: FakeClock) -> None:
    stored.stops.add_stop("default", STOP, STOPPED)
    with open_stored(stored.directory.path, clock) as elsewhere:
        assert elsewhere.stops.find_stop("default") == STOP
        assert elsewhere.stops.remove_stop("default", RESUMED)
    assert stored.stops.find_stop("default") is None


def test_of_many_that_lift_a_stop_together_one_does_and_signs(stored: Stored) -> None:
    stored.stops.add_stop("default", STOP, STOPPED)
    with ThreadPoolExecutor(8) as threads:
        lifted = list(threads.map(lambda _: stored.stops.remove_stop("default", RESUMED), range(8)))
        for _ in threads.map(lambda _: stored.stops.add_stop("default", STOP, STOPPED), range(8)):
            pass
    assert sum(lifted) == 1
    assert [action for _, action, _ in audited(stored)] == ["identity.stopped", "identity.resumed", "identity.stopped"]


def test_a_database_that_is_locked_or_gone_is_an_error_of_storage(stored: Stored) -> None:
    impatient = open_sqlite(stored.directory.database, busy_seconds=0.05)
    repository = SqlStopRepository(impatient, stored.audit)
    with closing(sqlite3.connect(stored.directory.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            repository.add_stop("default", STOP, STOPPED)
        assert repository.find_stop("default") is None, "reading goes on"
        other.rollback()
    stored.database.close()
    stored.directory.database.unlink()
    with pytest.raises(StorageUnavailable):
        repository.find_stop("default")
    impatient.close()
    assert audited(stored) == []
