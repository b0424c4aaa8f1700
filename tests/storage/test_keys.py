import json
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, event

from copilot_api.audit.log import verify
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.models import KeyPolicy, Tier
from tests.fakes import FakeClock
from tests.stored import Stored

ME = "local:me"


def test_a_key_comes_back_as_it_was_stored(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue(
        "ci ☃",
        tier=Tier.ADMIN,
        policy=KeyPolicy(("a", "b")),
        not_before=clock.now() + timedelta(microseconds=1),
        expires_at=clock.now() + timedelta(days=1),
        actor=ME,
    )
    assert stored.repository.list_keys() == [issued.key]


def test_keys_are_listed_oldest_first(stored: Stored, clock: FakeClock) -> None:
    for label in "cab":
        stored.keys.issue(label, actor=ME)
        clock.advance(1)
    assert [key.label for key in stored.repository.list_keys()] == ["c", "a", "b"]


def test_every_secret_comes_with_its_key_ended_ones_too(stored: Stored, clock: FakeClock) -> None:
    first = stored.keys.issue("a", actor=ME)
    second = stored.keys.rotate(first.key.id, overlap_seconds=9, actor=ME)
    found = stored.repository.list_secrets()
    assert [key for _, key in found] == [second.key, second.key]
    ends = {secret.prefix: secret.expires_at for secret, _ in found}
    assert ends == {first.key.prefix: clock.now() + timedelta(seconds=9), second.key.prefix: None}


def test_last_use_only_ever_moves_forward(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    later = clock.now() + timedelta(seconds=5)
    stored.repository.record_last_used({key.id: later, "key_gone": later})
    stored.repository.record_last_used({key.id: clock.now()})
    stored.repository.record_last_used({})
    assert stored.repository.list_keys()[0].last_used_at == later


def test_last_use_is_no_change_of_a_key(stored: Stored, clock: FakeClock) -> None:
    key = stored.keys.issue("ci", actor=ME).key
    stored.keys.load()
    lines = stored.directory.audit.read_text()
    stored.repository.record_last_used({key.id: clock.now()})
    assert not stored.keys.needs_refresh()
    assert stored.directory.audit.read_text() == lines


def test_a_commit_that_fails_leaves_no_change_and_a_line_that_says_so(stored: Stored) -> None:
    def fail(_: Connection) -> None:
        raise OSError("disk full")

    writing: Engine = stored.database.backend.writing
    event.listen(writing, "commit", fail)
    with pytest.raises(OSError, match="disk full"):
        stored.keys.issue("ci", actor=ME)
    event.remove(writing, "commit", fail)

    assert stored.keys.list_keys() == []
    first, second = (json.loads(line) for line in stored.directory.audit.read_text().splitlines())
    assert "outcome" not in first["detail"]
    assert second["detail"].pop("outcome") == "not committed"
    assert first["detail"] == second["detail"]
    assert verify(stored.directory.audit) == []


def test_a_database_without_tables_is_unavailable(stored: Stored) -> None:
    with stored.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE key_secrets")
        connection.exec_driver_sql("DROP TABLE api_keys")
    with pytest.raises(StorageUnavailable, match="no such table"):
        stored.keys.load()
