"""What is stored about one key, in SQL: found, handed out, and erased; see `copilot_api.privacy`."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import AuditEvent
from copilot_api.errors import BadRequest, StorageUnavailable
from copilot_api.privacy.models import (
    ERASED,
    Ended,
    Erasure,
    EventsFate,
    LedgerCounts,
    Leftover,
    Needles,
    StoredSecret,
    Subject,
    digest_key_id,
    make_pseudonym,
)
from copilot_api.storage.database import Database
from copilot_api.storage.erasures import list_erased
from copilot_api.storage.instants import from_microseconds
from copilot_api.storage.keys import parse_key
from copilot_api.storage.ledger_erasure import LedgerErasure, list_series
from copilot_api.storage.leftovers import search_bytes, search_database
from copilot_api.storage.rollup_upkeep import Pause, rest
from copilot_api.storage.rollups import parts
from copilot_api.storage.schema import api_keys, erasures, key_secrets, sessions, usage_events, usage_hours
from copilot_api.usage.rollups import Grain, day_of

_SESSION = [column for column in sessions.columns if column.name not in {"digest", "secret_digest", "key_id"}]


class SqlPrivacyRepository:
    """See `PrivacyRepository`."""

    def __init__(self, database: Database, audit: AuditLog, *, pause: Pause = rest) -> None:
        self._database = database
        self._audit = audit
        self._ledger = LedgerErasure(database, pause=pause)

    # Looking --------------------------------------------------------------------------------------------------------

    def find_subject(self, key_id: str) -> Subject:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().first()
            columns = key_secrets.c
            secrets = connection.execute(
                select(columns.digest, columns.prefix, columns.created_at, columns.expires_at)
                .where(columns.key_id == key_id)
                .order_by(columns.created_at)
            ).all()
            found = connection.execute(select(*_SESSION).where(sessions.c.key_id == key_id)).mappings().all()
        if row is None:
            return Subject(key_id)
        values = _render(row)
        policy = {"policy": msgspec.json.decode(row["policy"])}
        return Subject(
            key_id,
            parse_key(row),
            tuple(StoredSecret(*each) for each in secrets),
            {**values, **policy},
            tuple(map(_render, found)),
        )

    def find_erasure(self, key_id: str) -> Erasure | None:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            row = _find_erasure(connection, key_id)
        if row is None:
            return None
        return Erasure(row.digest, EventsFate(row.fate), row.begun_at, row.finished_at)

    def list_erased(self, key_ids: Sequence[str]) -> list[str]:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            return list_erased(connection, key_ids)

    def count(self, key_id: str) -> LedgerCounts:
        """See `PrivacyRepository`."""
        return self._ledger.count(key_id)

    def list_days(self, key_id: str) -> list[datetime]:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            ids = list_series(connection, [key_id], Grain.KEY)
            starts = connection.scalars(select(usage_hours.c.start).where(usage_hours.c.series_id.in_(ids)).distinct())
            return [from_microseconds(day) for day in sorted({day_of(start) for start in starts})]

    def list_stored(self, request_ids: Sequence[str]) -> set[str]:
        """See `PrivacyRepository`."""
        column, found = usage_events.c.request_id, set[str]()
        with self._database.connect() as connection:
            for part in parts(request_ids):
                found.update(connection.scalars(select(column).where(column.in_(part))))
        return found

    # Erasing --------------------------------------------------------------------------------------------------------

    def begin(self, key_id: str, fate: EventsFate, at: datetime, event: AuditEvent) -> Ended:
        """See `PrivacyRepository`."""
        with self._signed(event) as connection:
            before = _find_erasure(connection, key_id)
            pseudonym: str | None = None
            series = 0
            if before is not None and before.finished_at is None:
                if before.fate == EventsFate.DELETE.value and fate is not EventsFate.DELETE:
                    raise BadRequest("some of the key's events are deleted already", hint="go on with --events delete")
                pseudonym = before.pseudonym
            if fate is EventsFate.PSEUDONYMISE:
                pseudonym = pseudonym or make_pseudonym()
                series = self._ledger.rename_series(connection, key_id, pseudonym)
            row: dict[str, Any] = {"fate": fate.value, "pseudonym": pseudonym, "begun_at": at, "finished_at": None}
            statement = self._database.backend.insert_or_update(erasures)
            connection.execute(statement.values(digest=digest_key_id(key_id), **row))
            # An admin whose key is erased may have had others captured.
            ordered = update(api_keys).where(api_keys.c.capture_by == key_id)
            connection.execute(ordered.values(capture_by=ERASED))
            secrets = connection.execute(delete(key_secrets).where(key_secrets.c.key_id == key_id)).rowcount
            ended = connection.execute(delete(sessions).where(sessions.c.key_id == key_id)).rowcount
            keys = connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount
            return Ended(keys, secrets, ended, series)

    def erase_events(self, key_id: str) -> LedgerCounts:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            row = _find_erasure(connection, key_id)
        if row is None:
            raise BadRequest("the erasure of this key has not begun")
        if row.fate == EventsFate.DELETE.value:
            done = self._ledger.delete([key_id, *([row.pseudonym] if row.pseudonym else [])])
        else:
            done = self._ledger.pseudonymise(key_id, row.pseudonym or make_pseudonym())
        self._update(key_id, pseudonym=None)
        return done

    def finish(self, key_id: str, at: datetime) -> None:
        """See `PrivacyRepository`."""
        self._update(key_id, finished_at=at)

    def _update(self, key_id: str, **values: object) -> None:
        with self._database.begin(is_durable=True) as connection:
            self._database.backend.overwrite_deleted(connection)
            connection.execute(update(erasures).where(erasures.c.digest == digest_key_id(key_id)).values(values))

    @contextmanager
    def _signed(self, event: AuditEvent) -> Generator[Connection]:
        """A durable transaction whose last act is its audit line: without the one there is not the other."""
        is_signed = False
        try:
            with self._database.begin(is_durable=True) as connection:
                self._database.backend.overwrite_deleted(connection)
                yield connection
                self._audit.append(event)
                is_signed = True
        except Exception:
            if is_signed:
                with suppress(StorageUnavailable):
                    self._audit.append(replace(event, detail={**event.detail, "outcome": "not committed"}))
            raise

    # The second look ------------------------------------------------------------------------------------------------

    def search(self, needles: Needles) -> list[Leftover]:
        """See `PrivacyRepository`."""
        return search_database(self._database, needles)

    def search_bytes(self, needles: Needles) -> list[Leftover]:
        """See `PrivacyRepository`."""
        return search_bytes(self._database, needles)

    def write_back(self) -> bool:
        """See `PrivacyRepository`."""
        return self._database.backend.write_back()

    def rewrite(self) -> None:
        """See `PrivacyRepository`."""
        self._database.backend.rewrite()

    def measure(self) -> int:
        """See `PrivacyRepository`."""
        with self._database.connect() as connection:
            return self._database.backend.measure(connection)[0]


def _render(row: Mapping[Any, Any]) -> dict[str, object]:
    return {str(name): each.isoformat() if isinstance(each, datetime) else each for name, each in row.items()}


def _find_erasure(connection: Connection, key_id: str) -> Any:
    return connection.execute(select(erasures).where(erasures.c.digest == digest_key_id(key_id))).first()
