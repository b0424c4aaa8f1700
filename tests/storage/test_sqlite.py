import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from copilot_api.config.paths import DataDirectoryUnusable
from copilot_api.errors import StorageUnavailable
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import count_bytes, open_sqlite
from tests.ledgers import random_events
from tests.stored import Stored


def pragma(stored: Stored, name: str) -> object:
    with stored.database.connect() as connection:
        return connection.scalar(text(f"PRAGMA {name}"))


def test_every_connection_keeps_a_wal_syncs_at_checkpoints_and_checks_foreign_keys(stored: Stored) -> None:
    assert pragma(stored, "journal_mode") == "wal"
    assert pragma(stored, "synchronous") == 1
    assert pragma(stored, "foreign_keys") == 1
    assert pragma(stored, "busy_timeout") == 2000


def test_a_durable_transaction_waits_for_the_disk_and_others_do_not(stored: Stored) -> None:
    for is_durable, level in ((True, 2), (False, 1), (True, 2)):
        with stored.database.begin(is_durable=is_durable) as connection:
            assert connection.scalar(text("PRAGMA synchronous")) == level
    assert pragma(stored, "synchronous") == 1


def test_what_is_expected_of_one_transaction_is_not_of_the_next(stored: Stored) -> None:
    usual = 1000
    with stored.database.begin() as connection:
        assert connection.scalar(text("PRAGMA wal_autocheckpoint")) == usual
        stored.database.backend.expect_much(connection)
        assert connection.scalar(text("PRAGMA wal_autocheckpoint")) > 10 * usual
    with stored.database.begin() as connection:
        assert connection.scalar(text("PRAGMA wal_autocheckpoint")) == usual


def test_a_log_that_grew_with_a_backlog_is_small_again_once_it_is_over(stored: Stored) -> None:
    log = stored.directory.path / "copilot-api.db-wal"
    for batch in range(6):
        stored.usage.add_events(random_events(6000, seed=batch))
    assert log.stat().st_size > 20 * 1024 * 1024
    for number in range(3):
        stored.usage.add_events(random_events(1, seed=100 + number))
    assert log.stat().st_size <= 16 * 1024 * 1024


def test_the_database_and_its_log_are_private(stored: Stored) -> None:
    with stored.database.begin() as connection:
        connection.execute(text("CREATE TABLE anything (a)"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in stored.directory.path.glob("copilot-api.db*")}
    assert {"copilot-api.db", "copilot-api.db-wal", "copilot-api.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link.db"
    link.symlink_to(target)
    with pytest.raises(DataDirectoryUnusable, match="symbolic link"):
        open_sqlite(link)
    assert not target.exists()


def test_a_block_that_raises_changes_nothing(stored: Stored) -> None:
    def change_and_fail() -> None:
        with stored.database.begin() as connection:
            connection.execute(text("CREATE TABLE anything (a)"))
            connection.execute(text("INSERT INTO anything VALUES (1)"))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change_and_fail()
    with stored.database.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'anything'")) == 0


def test_a_writer_takes_its_turn_when_it_begins(stored: Stored) -> None:
    """Otherwise two that read before they write would each wait for the other, and one be turned away."""
    other = open_sqlite(stored.directory.database, busy_seconds=0.05)
    try:
        with (
            stored.database.begin(),
            pytest.raises(StorageUnavailable, match="database is locked"),
            other.begin(),
        ):
            pytest.fail("two writers at once")
    finally:
        other.close()


def test_readers_do_not_wait_for_a_writer_and_see_one_moment(stored: Stored) -> None:
    with stored.database.begin() as connection:
        connection.execute(text("CREATE TABLE anything (a)"))
    with stored.database.connect() as reader:
        assert reader.scalar(text("SELECT count(*) FROM anything")) == 0
        with stored.database.begin() as writer:
            writer.execute(text("INSERT INTO anything VALUES (1)"))
        assert reader.scalar(text("SELECT count(*) FROM anything")) == 0
    with stored.database.connect() as reader:
        assert reader.scalar(text("SELECT count(*) FROM anything")) == 1


def test_a_file_that_is_no_database_is_named_as_the_trouble(tmp_path: Path) -> None:
    path = tmp_path / "copilot-api.db"
    path.write_bytes(b"this is not a database" * 100)
    database = open_sqlite(path)
    with pytest.raises(StorageUnavailable, match="not a database"), database.connect():
        pytest.fail("connected")
    database.close()


def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        open_sqlite(tmp_path / "missing" / "copilot-api.db")
    with pytest.raises(StorageUnavailable, match="not a regular file"):
        open_sqlite(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_database_that_may_only_be_read_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "copilot-api.db"
    path.touch(0o400)
    with pytest.raises(StorageUnavailable, match="Permission denied"):
        open_sqlite(path)


def test_errors_never_show_the_values_of_a_statement(stored: Stored) -> None:
    with pytest.raises(StorageUnavailable) as failure, stored.database.connect() as connection:
        connection.execute(text("SELECT :value FROM nowhere"), {"value": "s3cret"})
    assert "s3cret" not in str(failure.value) + str(failure.value.__cause__)


def test_a_copy_holds_what_is_still_in_the_log(stored: Stored) -> None:
    stored.keys.issue("ci", actor="local:me")
    kept = stored.database.backend.keep_copy("copy")
    assert kept is not None
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(f"file:{kept}?mode=ro", uri=True)) as copy:
        assert copy.execute("SELECT label FROM api_keys").fetchall() == [("ci",)]
    assert [path.name for path in stored.directory.path.glob("*copy*")] == ["copilot-api.db.copy"]


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "copilot-api.db"
    path.write_bytes(b"this is not a database" * 100)
    database = open_sqlite(path)
    with pytest.raises(StorageUnavailable, match="could not be copied"):
        database.backend.keep_copy("copy")
    database.close()
    assert list(tmp_path.iterdir()) == [path]


def test_a_locked_database_is_unavailable_not_broken(stored: Stored) -> None:
    with closing(sqlite3.connect(stored.directory.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        impatient = open_sqlite(stored.directory.database, busy_seconds=0.05)
        with pytest.raises(StorageUnavailable, match="locked"), impatient.begin():
            pytest.fail("began")
        other.execute("COMMIT")
        with impatient.begin():
            pass
        impatient.close()


def test_opening_it_again_in_the_same_process_takes_no_lock_away(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file when any descriptor of it is closed; then the next to leave is the last."""
    path = tmp_path / "ours.db"
    first = open_sqlite(path)
    try:
        upgrade(first)
        with first.connect() as connection:
            connection.exec_driver_sql("SELECT 1 FROM api_keys")
            open_sqlite(path).close()
            program = (
                f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT 1 FROM api_keys'); c.close()"
            )
            subprocess.run([sys.executable, "-c", program], check=True)
            assert path.with_name("ours.db-wal").exists()
    finally:
        first.close()


@pytest.mark.parametrize("offset", [0, 5, 1024 * 1024 - 7, 1024 * 1024 - 1, 1024 * 1024])
def test_bytes_are_found_once_wherever_they_lie(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"." * offset + b"key_abcdef" + b"." * 100)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert count_bytes(descriptor, [b"key_abcdef"]) == 1
        assert count_bytes(descriptor, [b"key_abcdef", b"other"]) == 1
        assert count_bytes(descriptor, [b"other"]) == 0
    finally:
        os.close(descriptor)
