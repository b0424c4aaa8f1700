"""
Connections and transactions, alike for every backend.

Everything here blocks: call it from a thread. Whatever the driver raises leaves as `StorageUnavailable`.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.dml import Insert

from copilot_api.errors import StorageUnavailable


class Backend(Protocol):
    """What differs between SQLite and others."""

    @property
    def reading(self) -> Engine:
        """Begins transactions that read."""
        ...

    @property
    def writing(self) -> Engine:
        """Begins transactions that will write: they wait for each other when they begin, not in their middle."""
        ...

    @property
    def writing_durably(self) -> Engine:
        """The same, and what they commit survives a power cut at once."""
        ...

    def insert_new(self, table: Table) -> Insert:
        """An insert that passes over rows whose primary key is there already."""
        ...

    def insert_or_update(self, table: Table) -> Insert:
        """An insert that overwrites rows whose primary key is there already."""
        ...

    def measure(self, connection: Connection) -> tuple[int, int]:
        """How many bytes the database takes, and how many of them are free to be used again."""
        ...

    def overwrite_deleted(self, connection: Connection) -> None:
        """Have what this connection deletes from now on overwritten on the disk."""
        ...

    def expect_much(self, connection: Connection) -> None:
        """Be told that this transaction, and maybe the next ones, change a large part of the database."""
        ...

    def find_bytes(self, patterns: Sequence[bytes]) -> Counter[str]:
        """How often any of `patterns` is in each of the database's files, also where nothing is stored any more."""
        ...

    def write_back(self) -> bool:
        """Bring everything into the database file and empty its log. False where a reader kept that from happening."""
        ...

    def rewrite(self) -> None:
        """Write the database anew, so that nothing is left in it of what was deleted. Others that write wait for it."""
        ...

    @contextmanager
    def migrating(self) -> Generator[None]:
        """Around a migration: one process at a time."""
        ...

    def keep_copy(self, name: str) -> Path | None:
        """Keep a copy of everything before a migration, where the backend's own operator does not."""
        ...


class Database:
    """The connections to one database."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @contextmanager
    def connect(self) -> Generator[Connection]:
        """A connection to read with, in one transaction: it sees one moment."""
        with _translated(), self.backend.reading.connect() as connection:
            yield connection

    @contextmanager
    def begin(self, *, is_durable: bool = False) -> Generator[Connection]:
        """
        A transaction to write in: committed at the end of the block, rolled back if the block raises.

        After a power cut the last few may be missing, but for those that are durable: they wait for the disk.
        """
        engine = self.backend.writing_durably if is_durable else self.backend.writing
        with _translated(), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.backend.reading.dispose()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StorageUnavailable(f"the database cannot be used: {cause}") from error
