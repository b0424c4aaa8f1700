"""The identities that are stopped, in SQL."""

from sqlalchemy import delete, select

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import AuditEvent
from copilot_api.storage.database import Database
from copilot_api.storage.schema import identity_stops
from copilot_api.upstream.brake import Stop


class SqlStopRepository:
    """See `StopRepository`. Each change is signed in the audit log as its last act, or not made."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def find_stop(self, identity_id: str) -> Stop | None:
        """See `StopRepository`."""
        statement = select(identity_stops).where(identity_stops.c.identity_id == identity_id)
        with self._database.connect() as connection:
            row = connection.execute(statement).mappings().first()
        return None if row is None else Stop(row["at"], row["reason"])

    def add_stop(self, identity_id: str, stop: Stop, event: AuditEvent) -> None:
        """See `StopRepository`."""
        statement = self._database.backend.insert_new(identity_stops)
        with self._database.begin(is_durable=True) as connection:
            row = {"identity_id": identity_id, "at": stop.at, "reason": stop.reason}
            if connection.execute(statement.values(row)).rowcount:
                self._audit.append(event)

    def remove_stop(self, identity_id: str, event: AuditEvent) -> bool:
        """See `StopRepository`."""
        statement = delete(identity_stops).where(identity_stops.c.identity_id == identity_id)
        with self._database.begin(is_durable=True) as connection:
            if not connection.execute(statement).rowcount:
                return False
            self._audit.append(event)
            return True
