"""Copilot's list of models: the latest one, and a year of changes."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from copilot_api.errors import StorageUnavailable
from copilot_api.simulator.replies import load_document
from copilot_api.storage import catalogs as catalogs_module
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.upstream.drift import KEPT, CatalogChange, ChangeKind, StoredCatalog
from tests.stored import Stored

AT = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=UTC)
DOCUMENT: list[Any] = [{"id": "m", "name": "☃ \x00", "unknown": {"deep": [1, None, 1.5]}}]
HOUR = timedelta(hours=1)


def change(model: str = "m", kind: ChangeKind = ChangeKind.ADDED, at: datetime = AT) -> CatalogChange:
    return CatalogChange(at, model, kind, "before ☃", "after")


@pytest.fixture
def repository(stored: Stored) -> SqlCatalogRepository:
    return SqlCatalogRepository(stored.database)


def test_a_catalog_comes_back_as_it_was_stored(repository: SqlCatalogRepository) -> None:
    assert repository.find_latest() is None
    repository.record(DOCUMENT, AT, [])
    assert repository.find_latest() == StoredCatalog(DOCUMENT, AT)


def test_the_whole_of_a_real_one_does_and_is_parsed(repository: SqlCatalogRepository) -> None:
    document = load_document("models.json")["data"]
    repository.record(document, AT, [])
    found = repository.find_latest()
    assert found is not None
    assert found.document == document
    assert [model.id for model in found.parse().models] == [entry["id"] for entry in document]


def test_only_the_latest_is_kept(stored: Stored, repository: SqlCatalogRepository) -> None:
    for number in range(5):
        repository.record([{"id": str(number)}], AT + number * HOUR, [])
    assert repository.find_latest() == StoredCatalog([{"id": "4"}], AT + 4 * HOUR)
    with stored.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM catalog_snapshots").scalar() == 1


def test_every_kind_of_change_comes_back_the_newest_first(repository: SqlCatalogRepository) -> None:
    first = [change(kind.value, kind) for kind in ChangeKind]
    later = [change("x", at=AT + HOUR), change("y", at=AT + HOUR)]
    repository.record(DOCUMENT, AT, first)
    repository.record(DOCUMENT, AT + HOUR, later)
    assert repository.list_changes(AT, 100) == [*later, *first]
    assert repository.list_changes(AT + HOUR, 100) == later, "since then, and then itself"
    assert repository.list_changes(AT + 2 * HOUR, 100) == []
    assert repository.list_changes(AT, 3) == [*later, first[0]]
    assert repository.list_changes(AT, 100, AT) == first, "up to then, with it"


def test_changes_of_more_than_a_year_ago_are_forgotten_in_small_steps(
    stored: Stored, repository: SqlCatalogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs_module, "FORGET_ROWS", 7)
    repository.record(DOCUMENT, AT, [change(str(number)) for number in range(30)])
    repository.record(DOCUMENT, AT + KEPT, [])
    assert len(repository.list_changes(AT, 100)) == 30, "to the day"
    repository.record(DOCUMENT, AT + KEPT + HOUR, [change("new", at=AT + KEPT + HOUR)])
    assert [each.model for each in repository.list_changes(AT, 100)] == ["new"]


def test_each_identity_has_its_own(stored: Stored, repository: SqlCatalogRepository) -> None:
    other = SqlCatalogRepository(stored.database, "other")
    repository.record(DOCUMENT, AT, [change()])
    assert other.find_latest() is None
    assert other.list_changes(AT, 100) == []
    other.record([], AT, [])
    assert repository.find_latest() == StoredCatalog(DOCUMENT, AT)


@pytest.mark.parametrize("document", ["", "{", "{}", "null", "[" * 100_000])
def test_a_catalog_that_cannot_be_read_is_none(stored: Stored, repository: SqlCatalogRepository, document: str) -> None:
    repository.record(DOCUMENT, AT, [])
    with stored.database.begin() as connection:
        connection.exec_driver_sql("UPDATE catalog_snapshots SET document = ?", (document,))
    assert repository.find_latest() is None
    repository.record(DOCUMENT, AT, [])
    assert repository.find_latest() is not None


def test_a_kind_that_a_newer_version_knows_hides_no_other(stored: Stored, repository: SqlCatalogRepository) -> None:
    repository.record(DOCUMENT, AT, [change("a"), change("b")])
    with stored.database.begin() as connection:
        connection.exec_driver_sql("UPDATE catalog_changes SET kind = 'renamed' WHERE model = 'a'")
    assert [each.model for each in repository.list_changes(AT, 100)] == ["b"]


def test_the_catalog_and_its_changes_are_stored_together_or_not_at_all(
    stored: Stored, repository: SqlCatalogRepository
) -> None:
    repository.record(DOCUMENT, AT, [])
    with stored.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE catalog_changes RENAME TO elsewhere")
    with pytest.raises(StorageUnavailable):
        repository.record([], AT + HOUR, [change()])
    assert repository.find_latest() == StoredCatalog(DOCUMENT, AT)


def test_a_database_that_is_locked_is_an_error_of_storage_and_reading_goes_on(stored: Stored) -> None:
    impatient = open_sqlite(stored.directory.database, busy_seconds=0.05)
    repository = SqlCatalogRepository(impatient)
    with closing(sqlite3.connect(stored.directory.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            repository.record(DOCUMENT, AT, [])
        assert repository.find_latest() is None
        other.rollback()
    impatient.close()
