"""What commands work on: the data directory of this user, its database brought up to date. Works beside a gateway."""

import os
import pwd
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock, SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.config.schema import ConfigFile
from copilot_api.config.settings import Settings
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.service import KeyService
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.database import Database
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.drift import CatalogRepository
from copilot_api.upstream.stops import StopRepository
from copilot_api.usage.repository import UsageRepository


@dataclass(frozen=True, slots=True)
class Stores:
    """The services over what is stored."""

    clock: Clock
    keys: KeyService
    usage: UsageRepository
    stops: StopRepository
    catalogs: CatalogRepository
    directory: DataDirectory
    database: Database
    audit: AuditLog


@contextmanager
def open_stores() -> Generator[Stores]:
    """Open what is stored in the data directory, which is made if it is missing."""
    directory, clock = DataDirectory.locate(environment()), SystemClock()
    directory.prepare()
    database = open_sqlite(directory.database)
    try:
        if kept := upgrade(database):
            click.echo(f"the database was brought up to date; a copy of the old one: {kept}", err=True)
        audit = AuditLog(directory.audit, clock)
        keys = KeyService(SqlKeyRepository(database, audit), KeyChanges(directory.key_stamp), clock)
        yield Stores(
            clock,
            keys,
            SqlUsageRepository(database),
            SqlStopRepository(database, audit),
            SqlCatalogRepository(database),
            directory,
            database,
            audit,
        )
    finally:
        database.close()


def find_database(directory: DataDirectory, *, busy_seconds: float) -> Database | None:
    """The database as it is, not migrated; None when there is none that can be opened. The caller closes it."""
    with suppress(StorageUnavailable):
        if directory.database.exists():
            return open_sqlite(directory.database, busy_seconds=busy_seconds)
    return None


def list_faults(directory: Path) -> Iterator[str]:
    """What of a data directory and all that is in it is not private to this user. Changes nothing."""
    for path in (directory, *sorted(directory.rglob("*"))):
        try:
            found = path.lstat()
        except OSError:
            continue  # a file of a running gateway's that came and went
        if stat.S_ISLNK(found.st_mode):
            yield f"{path} is a symbolic link"
        elif found.st_uid != os.geteuid():
            yield f"{path} belongs to another user (uid {found.st_uid})"
        elif found.st_mode & 0o077:
            yield f"{path} has mode {stat.S_IMODE(found.st_mode):04o}"


def start_settings(config: ConfigFile) -> Settings:
    """What 'copilot-api start' without flags would go by: this configuration and the environment. Raises like it."""
    from copilot_api.cli.gateway_options import GatewayFlags, make_settings
    from copilot_api.cli.start import command

    given = command.make_context("start", []).params
    return make_settings(GatewayFlags(**{name: given[name] for name in GatewayFlags.__dataclass_fields__}), config)


def local_actor() -> str:
    """Who the audit log says it was: the user as the system knows them, not as the environment claims."""
    uid = os.getuid()
    try:
        return f"local:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"local:{uid}"
