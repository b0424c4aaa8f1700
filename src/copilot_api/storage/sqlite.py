"""
SQLite: one file, one writer at a time, readers beside it (WAL).

Python's driver would begin transactions on its own, late and never IMMEDIATE; so it is told to leave them alone, and
they are begun here. https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
"""

import errno
import fcntl
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from copilot_api.config.paths import check_private, open_private
from copilot_api.errors import StorageUnavailable
from copilot_api.storage.database import Database

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's lock."""

_CACHE_KIBIBYTES = 16 * 1024
"""Of each connection, and taken as it is needed: the series of a large ledger, which every sum joins, fit in it."""
_LOG_PAGES, _LOG_PAGES_OF_MUCH = 1000, 32_000
"""
So many pages of 4 KiB are written to the log before they are brought into the database. Where batch after batch changes
much the same pages, as a backlog of usage does in a large ledger, the more of them are brought over at once the better.
"""
_LOG_BYTES_KEPT = 16 * 1024 * 1024
"""What the file of the log keeps of its size once all of it is in the database."""

_MODE = "sqlite_begin"
_INODE = "inode"
_SYNCHRONOUS = "sqlite_synchronous"
_READ_BYTES = 1024 * 1024
_WAL_ATTEMPTS = 100
_WAL_PAUSE_SECONDS = 0.02


def open_sqlite(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Database:
    """The database in this file, which is made, private, if it is missing."""
    return Database(SqliteBackend(path, busy_seconds))


class SqliteBackend:
    """See `Backend`."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._raw = -1  # for `find_bytes`; kept open for the reason that follows
        # SQLite follows links, and its -wal and -shm files take the mode of the database: hence made and checked here.
        # Only made, never opened: to close a descriptor would take away the locks of all other connections to the file
        # that this process has, and the next program to leave would delete the log from under them.
        try:
            with suppress(FileExistsError):
                os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
            check_private(path)
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise StorageUnavailable(f"the database cannot be opened ({error.strerror}): {path}") from error
        self._reading = create_engine(
            # Not to be made anew if somebody deletes it: an empty file would take nothing and say nothing.
            URL.create("sqlite", database=f"file:{quote(os.fspath(path))}", query={"uri": "true", "mode": "rw"}),
            connect_args={"timeout": busy_seconds},
            # A statement's values, digests of keys among them, have no place in an error.
            hide_parameters=True,
        )
        event.listen(self._reading, "connect", self._connected)
        event.listen(self._reading, "checkout", self._checked_out)
        event.listen(self._reading, "handle_error", _forget_broken)
        event.listen(self._reading, "begin", _begin)
        self._writing = self._reading.execution_options(**{_MODE: "IMMEDIATE"})
        self._writing_durably = self._writing.execution_options(**{_SYNCHRONOUS: "FULL"})

    @property
    def reading(self) -> Engine:
        """See `Backend`."""
        return self._reading

    @property
    def writing(self) -> Engine:
        """See `Backend`; a second engine on the same connections."""
        return self._writing

    @property
    def writing_durably(self) -> Engine:
        """See `Backend`; a third one."""
        return self._writing_durably

    def insert_new(self, table: Table) -> Insert:
        """See `Backend`."""
        return insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key.columns))

    def insert_or_update(self, table: Table) -> Insert:
        """See `Backend`."""
        keys, statement = list(table.primary_key.columns), insert(table)
        values = {each.name: each for each in statement.excluded if each.name not in table.primary_key.columns}
        return statement.on_conflict_do_update(index_elements=keys, set_=values)

    def measure(self, connection: Connection) -> tuple[int, int]:
        """See `Backend`."""
        size, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_size", "page_count", "freelist_count")
        )
        return size * pages, size * free

    def overwrite_deleted(self, connection: Connection) -> None:
        """See `Backend`; it stays so for this connection."""
        connection.exec_driver_sql("PRAGMA secure_delete=ON").close()

    def expect_much(self, connection: Connection) -> None:
        """See `Backend`."""
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={_LOG_PAGES_OF_MUCH}").close()

    def find_bytes(self, patterns: Sequence[bytes]) -> Counter[str]:
        """See `Backend`."""
        found: Counter[str] = Counter()
        if self._raw < 0:
            self._raw = open_private(self._path, os.O_RDONLY)
        found[self._path.name] = count_bytes(self._raw, patterns)
        with suppress(FileNotFoundError):
            log = open_private(self._beside_log(), os.O_RDONLY)
            try:
                found[self._beside_log().name] = count_bytes(log, patterns)
            finally:
                os.close(log)  # locks are on the database and its shared memory, none on the log
        return +found

    def write_back(self) -> bool:
        """See `Backend`."""
        with self._alone() as connection:
            return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

    def rewrite(self) -> None:
        """See `Backend`."""
        with self._alone() as connection:
            connection.execute("VACUUM")

    @contextmanager
    def _alone(self) -> Generator[sqlite3.Connection]:
        """A connection beside the others, for what cannot be done in a transaction."""
        try:
            uri = f"file:{quote(os.fspath(self._path))}?mode=rw"
            connection = sqlite3.connect(uri, uri=True, timeout=self._busy_seconds, isolation_level=None)
            with closing(connection):
                yield connection
        except sqlite3.Error as error:
            raise StorageUnavailable(f"the database cannot be used: {error}") from error

    def _beside_log(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def _connected(self, connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_INODE] = self._inode()
        _prepare_connection(connection)

    def _checked_out(self, _connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        """A file that was deleted or replaced is still open here, and what is written to it is written for nobody."""
        if entry.info.get(_INODE) != self._inode():
            raise DisconnectionError("the database file was deleted or replaced")

    def _inode(self) -> int:
        try:
            return self._path.stat().st_ino
        except OSError:
            return 0

    @contextmanager
    def migrating(self) -> Generator[None]:
        """See `Backend`; a lock file beside the database, since a database being made cannot lock itself."""
        descriptor = open_private(self._beside("migrate.lock"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def keep_copy(self, name: str) -> Path | None:
        """See `Backend`; made with SQLite's own backup, so that what is still in the WAL is in it."""
        new, kept = self._beside(f"{name}.new"), self._beside(name)
        new.unlink(missing_ok=True)
        os.close(open_private(new, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        try:
            with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(new)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
        except sqlite3.Error as error:
            new.unlink()
            raise StorageUnavailable(f"the database could not be copied before its migration: {error}") from error
        descriptor = open_private(new, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return new.replace(kept)

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{suffix}")


def count_bytes(descriptor: int, patterns: Sequence[bytes]) -> int:
    """How often any of `patterns` is in a file; one that is changed meanwhile is read as it comes."""
    found, offset, rest = 0, 0, b""
    most = max(map(len, patterns), default=1) - 1
    while chunk := os.pread(descriptor, _READ_BYTES, offset):
        offset += len(chunk)
        piece = rest + chunk
        found += sum(piece.count(pattern) for pattern in patterns)
        rest = piece[-most:] if most else b""
        found -= sum(rest.count(pattern) for pattern in patterns)  # counted again with what follows
    return found + sum(rest.count(pattern) for pattern in patterns)


def _forget_broken(context: ExceptionContext) -> None:
    """A connection keeps what it has read of a broken file, also when the file has been mended: so it is not kept."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0)
    if code & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR}:
        context.is_disconnect = True


def _prepare_connection(connection: DBAPIConnection) -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 -- for the type checker: the engine has no other driver
    try:
        connection.isolation_level = None
        _switch_to_wal(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
        connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES_KEPT}")
    except sqlite3.Error:
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    # It belongs to the connection, which may come from the pool and have been somebody else's.
    connection.exec_driver_sql(f"PRAGMA synchronous={options.get(_SYNCHRONOUS, 'NORMAL')}")
    mode = options.get(_MODE, "DEFERRED")
    if mode == "IMMEDIATE":
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}").close()
    connection.exec_driver_sql(f"BEGIN {mode}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Have the database keep a WAL, outside any transaction, and make sure that it does."""
    for _ in range(_WAL_ATTEMPTS):
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        # Of two processes that switch together one is turned away at once: here SQLite does not wait for the other.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            continue
        time.sleep(_WAL_PAUSE_SECONDS)
    raise sqlite3.OperationalError("it cannot be switched to write-ahead logging (PRAGMA journal_mode=WAL)")
