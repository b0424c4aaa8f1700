"""
The schema, brought up to date when a program starts: one process at a time, after a copy, all or nothing.

A database that is up to date costs one query, and Alembic is not even imported.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from copilot_api.errors import StorageUnavailable
from copilot_api.storage.database import Database
from copilot_api.storage.rollup_upkeep import rebuild


class SchemaTooNew(StorageUnavailable):
    """The database was written by a newer version of the program."""

    is_final = True
    hint = "run the newer copilot-api again, or put back the copy that it kept beside the database"


@dataclass(frozen=True, slots=True)
class Migrations:
    """A chain of migrations: its Alembic directory, and its revisions from the first to the newest."""

    directory: Path
    revisions: tuple[str, ...]


_FIRST_WITH_ROLLUPS = "0005"
OURS = Migrations(
    Path(__file__).with_name("migrations"), ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
)


def upgrade(database: Database, migrations: Migrations = OURS) -> Path | None:
    """Bring the schema up to date. Gives the copy that was kept of the old database, if there was need of one."""
    if _is_current(database, migrations):
        return None
    with database.backend.migrating():
        # Somebody else may have done it while we waited.
        if _is_current(database, migrations):
            return None
        kept = _keep_copy(database, migrations)
        with database.begin() as connection:
            before = _fetch_version(connection)
            _run_alembic(connection, migrations)
            if migrations is OURS and before is not None and before < _FIRST_WITH_ROLLUPS:
                rebuild(connection, database.backend)
        return kept


def find_version(database: Database) -> str | None:
    """The revision that the database is at; None when it has no schema yet."""
    with database.connect() as connection:
        return _fetch_version(connection)


def _is_current(database: Database, migrations: Migrations) -> bool:
    version = find_version(database)
    if version is not None and version not in migrations.revisions:
        raise SchemaTooNew(f"the database has a schema that this version does not know: {version}")
    return version == migrations.revisions[-1]


def _fetch_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _keep_copy(database: Database, migrations: Migrations) -> Path | None:
    with database.connect() as connection:
        if not inspect(connection).get_table_names():
            return None
    return database.backend.keep_copy(f"before-{migrations.revisions[-1]}")


def _run_alembic(connection: Connection, migrations: Migrations) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads the path as a configuration parser does, which a percent sign would upset.
    config.set_main_option("script_location", str(migrations.directory).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
