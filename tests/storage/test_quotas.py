"""Readings of the account's quota: what is kept of them, and for how long."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.storage import quotas as quotas_module
from copilot_api.storage.quotas import CONFIRM_AFTER, SqlQuotaRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.upstream.quotas import QuotaReading
from tests.stored import Stored

AT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
READING = QuotaReading(
    "premium_interactions",
    AT,
    entitlement=1500.0,
    used=29.33,
    overage=0.5,
    is_token_based=True,
    resets_at=datetime(2026, 8, 1, tzinfo=UTC),
)


@pytest.fixture
def repository(stored: Stored) -> SqlQuotaRepository:
    return stored.quotas


def used(amount: float, minutes: float, name: str = READING.name) -> QuotaReading:
    return replace(READING, used=amount, at=AT + minutes * MINUTE, name=name)


def kept(repository: SqlQuotaRepository, name: str = READING.name) -> list[QuotaReading]:
    return repository.list_readings(name, AT - 1000 * DAY, AT + 1000 * DAY)


def test_a_reading_comes_back_as_it_was_stored(repository: SqlQuotaRepository) -> None:
    silent = QuotaReading("chat", AT, None, None, is_unlimited=True)
    assert repository.record([READING, silent]) == 2
    assert kept(repository) == [READING]
    assert kept(repository, "chat") == [silent]


def test_what_stands_as_it_stood_is_stored_once_an_hour(repository: SqlQuotaRepository) -> None:
    hour = CONFIRM_AFTER / MINUTE
    stored = [repository.record([used(5, minutes)]) for minutes in (0, 5, 10, hour - 1, hour, hour + 5, 2 * hour)]
    assert stored == [1, 0, 0, 0, 1, 0, 1]
    assert [reading.at for reading in kept(repository)] == [AT, AT + CONFIRM_AFTER, AT + 2 * CONFIRM_AFTER]


def test_what_changed_is_stored_at_once_and_alone(repository: SqlQuotaRepository) -> None:
    repository.record([used(5, 0), used(1, 0, "chat")])
    assert repository.record([used(6, 5), used(1, 5, "chat")]) == 1
    assert repository.record([replace(used(6, 10), entitlement=300.0), used(1, 10, "chat")]) == 1
    assert [(reading.used, reading.entitlement) for reading in kept(repository)] == [(5, 1500), (6, 1500), (6, 300)]
    assert len(kept(repository, "chat")) == 1


def test_readings_of_a_period_are_listed_in_order_ends_included(repository: SqlQuotaRepository) -> None:
    for minutes in (0, 5, 10, 15):
        repository.record([used(minutes, minutes)])
    listed = repository.list_readings(READING.name, AT + 5 * MINUTE, AT + 10 * MINUTE)
    assert [reading.used for reading in listed] == [5, 10]
    assert repository.list_readings("nothing", AT, AT + DAY) == []


def test_a_clock_that_is_set_back_stores_what_is_new_by_then(repository: SqlQuotaRepository) -> None:
    repository.record([used(5, 0)])
    repository.record([used(9, 60)])
    assert repository.record([used(10, 20)]) == 1, "the last reading before it is another"
    assert repository.record([used(10, 25)]) == 0
    assert repository.record([used(10, 60)]) == 0, "the microsecond is taken, and that is no error"
    assert [reading.used for reading in kept(repository)] == [5, 10, 9]
    assert repository.record([used(3, -1000)]) == 1, "nor is a clock that is before all that is stored"


def test_one_reading_twice_is_stored_once(repository: SqlQuotaRepository) -> None:
    assert repository.record([READING, READING]) == 1
    assert repository.record([READING]) == 0


def test_names_are_as_long_as_their_column(repository: SqlQuotaRepository) -> None:
    long = "x" * 200
    assert repository.record([used(1, 0, long)]) == 1
    assert repository.record([used(1, 5, long)]) == 0
    assert [reading.name for reading in kept(repository, long)] == ["x" * 80]


def test_each_identity_has_its_own(stored: Stored, repository: SqlQuotaRepository) -> None:
    other = SqlQuotaRepository(stored.database, "other")
    repository.record([READING])
    assert kept(other) == []
    assert other.record([READING]) == 1
    assert len(kept(repository)) == 1


def test_old_readings_are_forgotten_in_small_steps(
    stored: Stored, repository: SqlQuotaRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas_module, "FORGET_ROWS", 7)
    repository.record([used(day, day * 1440) for day in range(30)])
    SqlQuotaRepository(stored.database, "gone").record([READING])
    repository.forget(AT + 20 * DAY)
    assert [reading.used for reading in kept(repository)] == list(range(20, 30))
    assert kept(SqlQuotaRepository(stored.database, "gone")) == [], "also those of an identity that is no more"
    repository.forget(AT)


def test_a_database_that_is_away_is_said_to_be(stored: Stored) -> None:
    impatient = open_sqlite(stored.directory.database, busy_seconds=0.05)
    repository = SqlQuotaRepository(impatient)
    with closing(sqlite3.connect(stored.directory.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            repository.record([READING])
        assert kept(repository) == [], "reading still works"
        other.rollback()
    impatient.close()
