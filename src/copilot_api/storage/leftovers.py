"""
The second look at the database: is anything of an erased key still in it?

It knows nothing of how keys are stored. It reads every text and every binary value of every table that is there, and
then the bytes of the files, which also hold what was deleted and not yet overwritten.
"""

from collections.abc import Iterator

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, Text, func, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from copilot_api.privacy.models import Leftover, Needles
from copilot_api.storage.database import Database

_OF_MODELS = {"usage_events", "usage_series", "catalog_snapshots", "catalog_changes", "quota_readings"}
"""Here texts are names of models, programs and causes, which a label may be equal to; no label is ever stored here."""


def search_database(database: Database, needles: Needles) -> list[Leftover]:
    """What of the key any table holds, by column."""
    found: list[Leftover] = []
    with database.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            conditions = dict(_list_conditions(table, needles))
            # Once over the table for all columns; only where there is something it is asked which.
            if conditions and _count(connection, table, or_(*conditions.values())):
                for name, condition in conditions.items():
                    if count := _count(connection, table, condition):
                        found.append(Leftover("database", f"{table.name}.{name}", count))
    return found


def search_bytes(database: Database, needles: Needles) -> list[Leftover]:
    """What of the key the files of the database hold, stored or deleted."""
    found = database.backend.find_bytes(needles.patterns)
    return [Leftover("bytes of the database's files", name, count) for name, count in found.items()]


def _list_conditions(table: Table, needles: Needles) -> Iterator[tuple[str, ColumnElement[bool]]]:
    for column in table.columns:
        wanted: list[ColumnElement[bool]] = []
        if isinstance(column.type, String | Text):
            wanted += [_contains(column, text) for text in needles.texts]
            if needles.labels and table.name not in _OF_MODELS:
                wanted.append(column.in_(needles.labels))
        elif isinstance(column.type, LargeBinary):
            wanted += [column == digest for digest in needles.digests]
        if wanted:
            yield column.name, or_(*wanted)


def _contains(column: "Column[str]", text: str) -> ColumnElement[bool]:
    """LIKE would take underscores for any character, and case for none."""
    return func.instr(column, literal(text)) > 0


def _count(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(condition)) or 0)
