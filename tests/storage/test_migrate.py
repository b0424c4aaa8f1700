import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from copilot_api.audit.log import AuditLog
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.models import KeyPolicy
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.database import Database
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import OURS, Migrations, SchemaTooNew, find_version, upgrade
from copilot_api.storage.schema import metadata
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.usage.totals import Group, list_totals
from tests.fakes import FakeClock

REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {name!r}, {before!r}, None, None
def upgrade():
    op.execute("CREATE TABLE of_{name} (a)")
    {then}
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_sqlite(tmp_path / "copilot-api.db")
    yield database
    database.close()


def make_migrations(directory: Path, *names: str, then: str = "pass") -> Migrations:
    """A chain of migrations that each make a table; the last one does `then` besides."""
    (directory / "versions").mkdir(parents=True)
    (directory / "env.py").write_text((OURS.directory / "env.py").read_text())
    for before, name in zip((None, *names), names, strict=False):
        revision = REVISION.format(name=name, before=before, then=then if name == names[-1] else "pass")
        (directory / "versions" / f"{name}.py").write_text(revision)
    return Migrations(directory, names)


def tables(database: Database) -> set[str]:
    with database.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_a_new_database_gets_every_table_and_needs_no_copy(database: Database, tmp_path: Path) -> None:
    assert upgrade(database) is None
    assert tables(database) == {*metadata.tables, "alembic_version"}
    assert not list(tmp_path.glob("*before*"))


def test_the_migrations_lead_to_the_tables_that_the_program_uses(database: Database) -> None:
    upgrade(database)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_program_knows_all_its_revisions_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(OURS.directory))
    script = ScriptDirectory.from_config(config)
    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == OURS.revisions


def test_the_revision_of_a_database_can_be_told(database: Database) -> None:
    assert find_version(database) is None
    migrate_to(database, "0002")
    assert find_version(database) == "0002"
    upgrade(database)
    assert find_version(database) == OURS.revisions[-1]


def test_an_older_database_is_copied_first_then_migrated(database: Database, tmp_path: Path) -> None:
    upgrade(database, make_migrations(tmp_path / "old", "one"))
    kept = upgrade(database, make_migrations(tmp_path / "new", "one", "two"))
    assert {"of_one", "of_two"} <= tables(database)
    assert kept == tmp_path / "copilot-api.db.before-two"
    copy = open_sqlite(kept)
    assert "of_one" in tables(copy)
    assert "of_two" not in tables(copy)
    copy.close()


def migrate_to(database: Database, revision: str) -> None:
    """The schema as an older version of the program made it."""
    with database.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(OURS.directory))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


OLDER = Migrations(OURS.directory, ("0001",))
OLD_EVENT = (
    "INSERT INTO usage_events (request_id, at, key_id, client, endpoint, stream, status, cause, input_tokens,"
    " output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_unknown, nano_aiu,"
    " premium_requests, identity_id, queue_seconds, duration, bytes_in, bytes_out) VALUES"
    " ('req_1', 1782864000000000, 'key_a', 'curl', '/v1/messages', 1, 200, 'ok', 100, 20, 90, 0, 5, 0, 5000,"
    " 0.33, 'default', 0, 1.5, 10, 20)"
)
OLD_KEY = (
    "INSERT INTO api_keys (id, label, tier, prefix, policy, created_at)"
    " VALUES ('key_a', 'ci', 'client', 'sk-cap-x', '{\"models\":[\"gpt-5-mini\"]}', 1782864000000000)"
)


def test_what_an_older_version_stored_is_kept_and_counts(database: Database, tmp_path: Path) -> None:
    """Its events have no estimates and were not observed; its keys have no limits; nobody is stopped."""
    migrate_to(database, "0001")
    with database.begin() as connection:
        connection.exec_driver_sql(OLD_EVENT)
        connection.exec_driver_sql(OLD_KEY)
    upgrade(database)
    usage = SqlUsageRepository(database)
    since, until = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)
    (event,) = usage.list_events(since, until)
    assert (event.request_id, event.input_tokens, event.nano_aiu, event.key_id) == ("req_1", 100, 5000, "key_a")
    assert (event.nano_aiu_estimated, event.estimated_tokens, event.would_limit) == (False, 0, None)
    assert usage.spent("key_a", since, until) == (5000, 0.33, 120, 1)
    assert list_totals(usage, since, until, Group.KEY)[0].would_limit == 0
    audit = AuditLog(tmp_path / "audit.jsonl", FakeClock())
    (key,) = SqlKeyRepository(database, audit).list_keys()
    assert key.policy == KeyPolicy(models=("gpt-5-mini",))
    assert SqlStopRepository(database, audit).find_stop("default") is None
    assert SqlCatalogRepository(database).find_latest() is None
    assert usage.add_events([msgspec.structs.replace(event, request_id="req_2", would_limit="rpm")]) == 1


def test_the_older_version_finds_its_copy_as_it_was(database: Database, tmp_path: Path) -> None:
    migrate_to(database, "0001")
    with database.begin() as connection:
        connection.exec_driver_sql(OLD_EVENT)
    kept = upgrade(database)
    assert kept == tmp_path / f"copilot-api.db.before-{OURS.revisions[-1]}"
    copy = open_sqlite(kept)
    assert "identity_stops" not in tables(copy)
    assert upgrade(copy, OLDER) is None, "there is nothing to do for it"
    with copy.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM usage_events")) == 1
    copy.close()


def test_the_older_version_refuses_what_is_migrated(database: Database) -> None:
    """It would store events without what budgets go by."""
    upgrade(database)
    with pytest.raises(SchemaTooNew, match=OURS.revisions[-1]):
        upgrade(database, OLDER)


def test_a_migration_that_fails_changes_nothing_and_can_be_tried_again(database: Database, tmp_path: Path) -> None:
    upgrade(database, make_migrations(tmp_path / "old", "one"))
    broken = make_migrations(tmp_path / "broken", "one", "two", "three", then='op.execute("nonsense")')
    with pytest.raises(StorageUnavailable, match="nonsense"):
        upgrade(database, broken)
    assert tables(database) == {"of_one", "alembic_version"}
    upgrade(database, make_migrations(tmp_path / "mended", "one", "two", "three"))
    assert {"of_one", "of_two", "of_three"} <= tables(database)


def test_a_newer_schema_is_refused_and_left_alone(database: Database) -> None:
    upgrade(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999"):
        upgrade(database)
    with database.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_percent_sign_in_the_path_is_just_a_character(tmp_path: Path) -> None:
    migrations = make_migrations(tmp_path / "100%(here)s", "one")
    database = open_sqlite(tmp_path / "db")
    upgrade(database, migrations)
    assert "of_one" in tables(database)
    database.close()


UPGRADE = """
import sys
from pathlib import Path
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
database = open_sqlite(Path(sys.argv[1]))
upgrade(database)
database.close()
print("alembic" in sys.modules)
"""


def start_upgrade(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-W", "error", "-c", UPGRADE, path], stdout=subprocess.PIPE, text=True)


def test_of_programs_that_start_together_one_migrates_and_all_go_on(tmp_path: Path) -> None:
    processes = [start_upgrade(tmp_path / "db") for _ in range(3)]
    outputs = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(outputs) == 3
    database = open_sqlite(tmp_path / "db")
    assert set(metadata.tables) <= tables(database)
    database.close()


def test_with_nothing_to_do_alembic_is_not_even_imported(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "db")
    upgrade(database)
    database.close()
    with start_upgrade(tmp_path / "db") as process:
        assert process.communicate(timeout=30)[0].strip() == "False"
