"""The sessions of the admin pages, in SQL."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, insert, or_, select, update

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import AuditEvent
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.sessions import IDLE, LIFETIME, Session
from copilot_api.storage.database import Database
from copilot_api.storage.schema import sessions


class SqlSessionRepository:
    """See `SessionRepository`. Who signs in, and who is signed out, is on record as the last act of the transaction."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def find_session(self, digest: bytes) -> Session | None:
        """See `SessionRepository`."""
        with self._database.connect() as connection:
            row = connection.execute(select(sessions).where(sessions.c.digest == digest)).mappings().first()
        return None if row is None else _parse(row)

    def list_sessions(self, *, limit: int, before: str | None = None) -> list[Session]:
        """See `SessionRepository`."""
        columns = sessions.c
        statement = select(sessions).order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)
        with self._database.connect() as connection:
            if before is not None:
                mark = connection.execute(select(columns.created_at).where(columns.id == before)).first()
                if mark is None:
                    return []
                is_as_old = and_(columns.created_at == mark.created_at, columns.id < before)
                statement = statement.where(or_(columns.created_at < mark.created_at, is_as_old))
            return [_parse(row) for row in connection.execute(statement).mappings()]

    def add_session(self, session: Session, event: AuditEvent, *, replaced: bytes | None, most: int) -> None:
        """See `SessionRepository`."""
        columns = sessions.c
        with self._changing(event) as change:
            connection = change.connection
            if replaced is not None:
                connection.execute(delete(sessions).where(columns.digest == replaced))
            connection.execute(insert(sessions).values(_render(session)))
            newest = select(columns.digest).where(columns.key_id == session.key_id)
            newest = newest.order_by(columns.created_at.desc(), columns.id.desc()).limit(most)
            is_older = and_(columns.key_id == session.key_id, columns.digest.not_in(newest.scalar_subquery()))
            connection.execute(delete(sessions).where(is_older, columns.digest != session.digest))
            change.sign()

    def step_up(self, digest: bytes, at: datetime, event: AuditEvent) -> bool:
        """See `SessionRepository`."""
        statement = update(sessions).where(sessions.c.digest == digest).values(stepped_up_at=at)
        with self._changing(event) as change:
            if not change.connection.execute(statement).rowcount:
                return False
            change.sign()
            return True

    def end_session(self, session_id: str, event: AuditEvent) -> bool:
        """See `SessionRepository`."""
        with self._changing(event) as change:
            if not change.connection.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount:
                return False
            change.sign()
            return True

    def record_seen(self, seen: Mapping[bytes, datetime]) -> None:
        """See `SessionRepository`."""
        if not seen:
            return
        at = bindparam("at", type_=sessions.c.seen_at.type)
        is_older = and_(sessions.c.digest == bindparam("of"), sessions.c.seen_at < at)
        statement = update(sessions).where(is_older).values(seen_at=at)
        with self._database.begin() as connection:
            connection.execute(statement, [{"of": digest, "at": moment} for digest, moment in seen.items()])

    def delete_over(self, now: datetime) -> int:
        """See `SessionRepository`."""
        is_over = or_(sessions.c.created_at <= now - LIFETIME, sessions.c.seen_at <= now - IDLE)
        with self._database.begin() as connection:
            return connection.execute(delete(sessions).where(is_over)).rowcount

    @contextmanager
    def _changing(self, event: AuditEvent) -> Generator["_Change"]:
        change: _Change | None = None
        try:
            # Signed out is signed out, whatever becomes of the power.
            with self._database.begin(is_durable=True) as connection:
                change = _Change(connection, self._audit, event)
                yield change
        except Exception:
            if change is not None and change.is_signed:
                with suppress(StorageUnavailable):
                    self._audit.append(replace(event, detail={**event.detail, "outcome": "not committed"}))
            raise


@dataclass(slots=True)
class _Change:
    """A transaction that is on record once it is signed."""

    connection: Connection
    audit: AuditLog
    event: AuditEvent
    is_signed: bool = False

    def sign(self) -> None:
        self.audit.append(self.event)
        self.is_signed = True


def _parse(row: RowMapping) -> Session:
    return Session(**row)


def _render(session: Session) -> dict[str, object]:
    return {each.name: getattr(session, each.name) for each in fields(session)}
