"""Readings of the account's quota, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select

from copilot_api.storage.database import Database
from copilot_api.storage.schema import quota_readings
from copilot_api.upstream.identities import DEFAULT_IDENTITY
from copilot_api.upstream.quotas import QuotaReading

CONFIRM_AFTER = timedelta(hours=1)
"""A quota that stands as it stood is stored again this often: that nothing was used is a finding, too."""
FORGET_ROWS = 500
"""How many old readings one transaction forgets: others wait for it."""
_MAX_NAME = 80

_columns = quota_readings.c
_FIELDS = [_columns[field.name] for field in fields(QuotaReading)]
_ONE = delete(quota_readings).where(
    _columns.identity_id == bindparam("of"), _columns.name == bindparam("called"), _columns.at == bindparam("read_at")
)


class SqlQuotaRepository:
    """See `QuotaRepository`; that of one identity."""

    def __init__(self, database: Database, identity_id: str = DEFAULT_IDENTITY) -> None:
        self._database = database
        self._identity_id = identity_id

    def record(self, readings: Sequence[QuotaReading]) -> int:
        """
        See `QuotaRepository`.

        When the clock was set back, what counts as the last reading is the last by the clock as it is now. A reading
        of the very same microsecond is there already, and stays.
        """
        with self._database.connect() as connection:
            new = [reading for reading in readings if self._is_new(connection, reading)]
        if not new:
            return 0
        statement = self._database.backend.insert_new(quota_readings)
        with self._database.begin() as connection:
            return sum(connection.execute(statement.values(self._render_row(reading))).rowcount for reading in new)

    def list_readings(self, name: str, since: datetime, until: datetime) -> list[QuotaReading]:
        """See `QuotaRepository`."""
        statement = (
            select(*_FIELDS).where(*self._of(name), _columns.at >= since, _columns.at <= until).order_by(_columns.at)
        )
        with self._database.connect() as connection:
            return [QuotaReading(*row) for row in connection.execute(statement)]

    def forget(self, before: datetime) -> None:
        """See `QuotaRepository`; of every identity."""
        while self._forget_some(before):
            pass

    def _is_new(self, connection: Connection, reading: QuotaReading) -> bool:
        statement = (
            select(*_FIELDS)
            .where(*self._of(reading.name), _columns.at <= reading.at)
            .order_by(_columns.at.desc())
            .limit(1)
        )
        row = connection.execute(statement).first()
        if row is None:
            return True
        last = QuotaReading(*row)
        return not last.says_the_same(reading) or reading.at - last.at >= CONFIRM_AFTER

    def _forget_some(self, before: datetime) -> bool:
        """Forget some of what is older; says whether there may be more."""
        old = select(_columns.identity_id, _columns.name, _columns.at).where(_columns.at < before).limit(FORGET_ROWS)
        with self._database.connect() as connection:
            found = [{"of": row[0], "called": row[1], "read_at": row[2]} for row in connection.execute(old)]
        if found:
            with self._database.begin() as connection:
                connection.execute(_ONE, found)
        return len(found) == FORGET_ROWS

    def _of(self, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return _columns.identity_id == self._identity_id, _columns.name == name[:_MAX_NAME]

    def _render_row(self, reading: QuotaReading) -> dict[str, object]:
        return {**asdict(reading), "identity_id": self._identity_id, "name": reading.name[:_MAX_NAME]}
