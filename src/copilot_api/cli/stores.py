"""What commands work on: the data directory of this user, its database brought up to date. Works beside a gateway."""

import os
import pwd
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock, SystemClock
from copilot_api.config.environment import environment
from copilot_api.config.paths import DataDirectory
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.service import KeyService
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository
from copilot_api.upstream.stops import StopRepository
from copilot_api.usage.repository import UsageRepository


@dataclass(frozen=True, slots=True)
class Stores:
    """The services over what is stored."""

    clock: Clock
    keys: KeyService
    usage: UsageRepository
    stops: StopRepository


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
        yield Stores(clock, keys, SqlUsageRepository(database), SqlStopRepository(database, audit))
    finally:
        database.close()


def local_actor() -> str:
    """Who the audit log says it was: the user as the system knows them, not as the environment claims."""
    uid = os.getuid()
    try:
        return f"local:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"local:{uid}"
