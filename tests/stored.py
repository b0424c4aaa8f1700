"""A data directory with everything that is kept in it, as one process sees it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock
from copilot_api.config.paths import DataDirectory
from copilot_api.keys.changes import KeyChanges
from copilot_api.keys.service import KeyService
from copilot_api.storage.catalogs import SqlCatalogRepository
from copilot_api.storage.database import Database
from copilot_api.storage.keys import SqlKeyRepository
from copilot_api.storage.migrate import upgrade
from copilot_api.storage.quotas import SqlQuotaRepository
from copilot_api.storage.sqlite import open_sqlite
from copilot_api.storage.stops import SqlStopRepository
from copilot_api.storage.usage import SqlUsageRepository


@dataclass(frozen=True)
class Stored:
    directory: DataDirectory
    database: Database
    audit: AuditLog
    repository: SqlKeyRepository
    keys: KeyService
    usage: SqlUsageRepository
    stops: SqlStopRepository
    catalogs: SqlCatalogRepository
    quotas: SqlQuotaRepository


@contextmanager
def open_stored(path: Path, clock: Clock) -> Generator[Stored]:
    directory = DataDirectory(path)
    directory.prepare()
    if not directory.database.exists():
        directory.database.touch(mode=0o600)
        directory.database.write_bytes(_make_empty())
    database = open_sqlite(directory.database, busy_seconds=2.0)
    try:
        upgrade(database)
        audit = AuditLog(directory.audit, clock)
        repository = SqlKeyRepository(database, audit)
        keys = KeyService(repository, KeyChanges(directory.key_stamp), clock)
        usage, stops = SqlUsageRepository(database), SqlStopRepository(database, audit)
        catalogs, quotas = SqlCatalogRepository(database), SqlQuotaRepository(database)
        yield Stored(directory, database, audit, repository, keys, usage, stops, catalogs, quotas)
    finally:
        database.close()


@cache
def _make_empty() -> bytes:
    """A database of the newest schema with nothing in it: to copy it takes a tenth of what making it takes."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "empty.db"
        database = open_sqlite(path)
        try:
            upgrade(database)
        finally:
            database.close()
        return path.read_bytes()
