"""Copilot's list of models and its changes, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from copilot_api.storage.database import Database
from copilot_api.storage.schema import catalog_changes, catalog_snapshots
from copilot_api.upstream.drift import KEPT, CatalogChange, ChangeKind, StoredCatalog
from copilot_api.upstream.identities import DEFAULT_IDENTITY

FORGET_ROWS = 500
"""How many old changes one transaction forgets: others wait for it."""

_KINDS = frozenset(kind.value for kind in ChangeKind)
_columns = catalog_changes.c


class SqlCatalogRepository:
    """See `CatalogRepository`; that of one identity."""

    def __init__(self, database: Database, identity_id: str = DEFAULT_IDENTITY) -> None:
        self._database = database
        self._identity_id = identity_id

    def find_latest(self) -> StoredCatalog | None:
        """See `CatalogRepository`."""
        statement = select(catalog_snapshots).where(catalog_snapshots.c.identity_id == self._identity_id)
        with self._database.connect() as connection:
            row = connection.execute(statement).mappings().first()
        try:
            return None if row is None else StoredCatalog(msgspec.json.decode(row["document"], type=list), row["at"])
        except (msgspec.DecodeError, RecursionError):
            return None

    def record(self, document: list[Any], at: datetime, changes: Sequence[CatalogChange]) -> None:
        """See `CatalogRepository`."""
        row = {"at": at, "document": msgspec.json.encode(document).decode()}
        with self._database.begin() as connection:
            self._replace(connection, row)
            if changes:
                connection.execute(insert(catalog_changes), [self._render_row(change) for change in changes])
        while self._forget(at - KEPT):
            pass

    def list_changes(self, since: datetime, limit: int, until: datetime | None = None) -> list[CatalogChange]:
        """See `CatalogRepository`; a kind that only a newer version knows is left out."""
        statement = (
            select(catalog_changes)
            .where(_columns.identity_id == self._identity_id, _columns.at >= since, _columns.kind.in_(_KINDS))
            .order_by(_columns.at.desc(), _columns.id)
            .limit(limit)
        )
        if until is not None:
            statement = statement.where(_columns.at <= until)
        with self._database.connect() as connection:
            return [_parse_change(row) for row in connection.execute(statement).mappings()]

    def _replace(self, connection: Connection, row: dict[str, Any]) -> None:
        ours = catalog_snapshots.c.identity_id == self._identity_id
        if not connection.execute(update(catalog_snapshots).where(ours).values(row)).rowcount:
            new = self._database.backend.insert_new(catalog_snapshots)
            connection.execute(new.values({"identity_id": self._identity_id, **row}))

    def _forget(self, before: datetime) -> bool:
        """Forget some of what is older, of every identity; says whether there may be more."""
        old = select(_columns.id).where(_columns.at < before).limit(FORGET_ROWS)
        with self._database.connect() as connection:
            found = list(connection.scalars(old))
        if found:
            with self._database.begin() as connection:
                connection.execute(delete(catalog_changes).where(_columns.id.in_(found)))
        return len(found) == FORGET_ROWS

    def _render_row(self, change: CatalogChange) -> dict[str, Any]:
        return {
            "identity_id": self._identity_id,
            "at": change.at,
            "model": change.model,
            "kind": change.kind.value,
            "before": change.before,
            "after": change.after,
        }


def _parse_change(row: RowMapping) -> CatalogChange:
    return CatalogChange(row["at"], row["model"], ChangeKind(row["kind"]), row["before"], row["after"])
