"""What is stored about a key is found, and its row goes with its audit line or not at all."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from copilot_api.audit.models import Action, AuditEvent
from copilot_api.errors import BadRequest, StorageUnavailable
from copilot_api.keys.secret import digest_secret
from copilot_api.privacy.models import Ended, EventsFate, LedgerCounts
from copilot_api.storage.privacy import SqlPrivacyRepository
from copilot_api.storage.schema import api_keys, erasures, key_secrets
from tests.fakes import FakeClock
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored


@pytest.fixture
def repository(stored: Stored) -> SqlPrivacyRepository:
    return SqlPrivacyRepository(stored.database, stored.audit)


def sign(key_id: str) -> AuditEvent:
    return AuditEvent("local:x", Action.PRIVACY_ERASED, key_id, {"step": "begun"})


def count(stored: Stored) -> tuple[int, ...]:
    with stored.database.connect() as connection:
        tables = (api_keys, key_secrets, erasures)
        return tuple(connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables)


def test_a_key_is_found_with_its_secrets_and_every_column(stored: Stored, repository: SqlPrivacyRepository) -> None:
    issued = stored.keys.issue("anna", actor="local:x")
    stored.keys.rotate(issued.key.id, overlap_seconds=60, actor="local:x")
    subject = repository.find_subject(issued.key.id)
    assert subject.key == stored.keys.get(issued.key.id)
    assert subject.secrets[0].digest == digest_secret(issued.secret)
    assert len(subject.secrets) == len(subject.prefixes) == 2
    assert subject.columns.keys() == {column.name for column in api_keys.columns}
    assert repository.find_subject("key_nobody").key is None


def test_the_row_and_its_secrets_go_and_it_is_remembered_in_one_step(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    key_id = stored.keys.issue("anna", actor="local:x").key.id
    with stored.database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sessions (digest, id, key_id, secret_digest, created_at, seen_at, address) "
            "VALUES (x'01', 'ses_1', ?, x'02', 1, 1, '192.0.2.7')",
            (key_id,),
        )
    (session,) = repository.find_subject(key_id).sessions
    assert (session["address"], "digest" in session, "secret_digest" in session) == ("192.0.2.7", False, False)
    assert repository.begin(key_id, EventsFate.DELETE, clock.now(), sign(key_id)) == Ended(1, 1, 1, 0)
    assert count(stored) == (0, 0, 1)
    erasure = repository.find_erasure(key_id)
    assert erasure is not None
    assert (erasure.fate, erasure.begun_at, erasure.finished_at) == (EventsFate.DELETE, clock.now(), None)
    repository.finish(key_id, clock.now())
    finished = repository.find_erasure(key_id)
    assert finished is not None
    assert finished.finished_at == clock.now()
    assert repository.find_erasure("key_other") is None


def test_without_its_line_nothing_goes(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = stored.keys.issue("anna", actor="local:x").key.id

    def refuse(_event: object) -> None:
        raise StorageUnavailable("the audit log cannot be written")

    monkeypatch.setattr(stored.audit, "append", refuse)
    with pytest.raises(StorageUnavailable):
        repository.begin(key_id, EventsFate.DELETE, clock.now(), sign(key_id))
    assert count(stored) == (1, 1, 0)


def test_events_cannot_be_erased_before_it_has_begun(repository: SqlPrivacyRepository) -> None:
    with pytest.raises(BadRequest, match="not begun"):
        repository.erase_events("key_a")


def test_the_days_of_a_key_are_those_on_which_it_called(
    stored: Stored, clock: FakeClock, repository: SqlPrivacyRepository
) -> None:
    events = random_events(50, days=3)
    stored.usage.add_events(events)
    expected = sorted({event.at[:10] for event in events if event.key_id == "key_a"})
    assert [f"{day:%Y-%m-%d}" for day in repository.list_days("key_a")] == expected
    assert repository.list_days("key_nobody") == []
    assert all(day - DAY_ONE < timedelta(days=3) for day in repository.list_days("key_a"))


def test_stored_requests_are_told_from_others(stored: Stored, repository: SqlPrivacyRepository) -> None:
    events = random_events(5)
    stored.usage.add_events(events)
    wanted = [event.request_id for event in events]
    assert repository.list_stored([*wanted, "req_other"]) == set(wanted)
    assert repository.list_stored([]) == set()


def test_counts_are_those_of_one_key(stored: Stored, repository: SqlPrivacyRepository) -> None:
    events = random_events(80)
    stored.usage.add_events(events)
    found = repository.count("key_a")
    assert found.events == sum(event.key_id == "key_a" for event in events)
    assert found.series > 0
    assert found.rollups > found.series
    assert repository.count("key_nobody") == LedgerCounts()


def test_the_database_is_written_back_and_anew(stored: Stored, repository: SqlPrivacyRepository) -> None:
    stored.usage.add_events(random_events(20))
    assert repository.write_back()
    assert stored.directory.path.joinpath("copilot-api.db-wal").stat().st_size == 0
    with stored.database.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM usage_events")
        stored.usage.add_events(random_events(40, seed=2))
        assert not repository.write_back()  # a reader still sees the moment before
    repository.rewrite()
    assert repository.write_back()
    assert repository.measure() > 0
