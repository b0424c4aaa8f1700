import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from copilot_api.errors import StorageUnavailable
from copilot_api.storage.database import Database
from copilot_api.storage.migrate import OURS, Migrations, SchemaTooNew, upgrade
from copilot_api.storage.schema import metadata
from copilot_api.storage.sqlite import open_sqlite

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


def test_an_older_database_is_copied_first_then_migrated(database: Database, tmp_path: Path) -> None:
    upgrade(database, make_migrations(tmp_path / "old", "one"))
    kept = upgrade(database, make_migrations(tmp_path / "new", "one", "two"))
    assert {"of_one", "of_two"} <= tables(database)
    assert kept == tmp_path / "copilot-api.db.before-two"
    copy = open_sqlite(kept)
    assert "of_one" in tables(copy)
    assert "of_two" not in tables(copy)
    copy.close()


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
