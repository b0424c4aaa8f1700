"""
The keys and their secrets, in SQL.

A change is signed inside its transaction: everything is written, then its audit line, then it is committed. So a change
without a line cannot be; a line without a change can, if the commit fails, and then a second line says so.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, or_, select, update

from copilot_api.audit.log import AuditLog
from copilot_api.audit.models import AuditEvent
from copilot_api.errors import StorageUnavailable
from copilot_api.keys.captures import REVOKED, end_order
from copilot_api.keys.models import ApiKey, CaptureOrder, KeyPolicy, Tier
from copilot_api.keys.repository import KeySecret, SignedEdit
from copilot_api.storage.database import Database
from copilot_api.storage.schema import api_keys, key_secrets

_is_unrevoked = api_keys.c.revoked_at.is_(None)
_is_captured = api_keys.c.capture_until.is_not(None)
_NO_CAPTURE: Mapping[str, None] = dict.fromkeys(("capture_reason", "capture_by", "capture_since", "capture_until"))
_is_admin = api_keys.c.tier == Tier.ADMIN.value


class SqlKeyRepository:
    """See `KeyRepository`."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def list_keys(self) -> list[ApiKey]:
        """See `KeyRepository`."""
        with self._database.connect() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).mappings()
            return [parse_key(row) for row in rows]

    def list_secrets(self) -> list[tuple[KeySecret, ApiKey]]:
        """See `KeyRepository`."""
        with self._database.connect() as connection:
            keys = {row["id"]: parse_key(row) for row in connection.execute(select(api_keys)).mappings()}
            secrets = [KeySecret(**row) for row in connection.execute(select(key_secrets)).mappings()]
        return [(secret, keys[secret.key_id]) for secret in secrets]

    def add_key(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> None:
        """See `KeyRepository`."""
        with self._changing() as change:
            _insert(change.connection, key, secret)
            change.sign(event)

    def add_first_admin(self, key: ApiKey, secret: KeySecret, event: AuditEvent) -> bool:
        """See `KeyRepository`."""
        with self._changing() as change:
            admins = change.connection.execute(select(api_keys).where(_is_admin, _is_unrevoked)).mappings()
            if any(parse_key(row).is_valid_at(key.created_at) for row in admins):
                return False
            _insert(change.connection, key, secret)
            change.sign(event)
            return True

    def recover_admin(
        self, key: ApiKey, secret: KeySecret, event: AuditEvent, *, revoke_others: bool
    ) -> tuple[str, ...]:
        """See `KeyRepository`."""
        with self._changing() as change:
            revoked: tuple[str, ...] = ()
            if revoke_others:
                revoked = tuple(change.connection.scalars(select(api_keys.c.id).where(_is_admin, _is_unrevoked)))
                captured = change.connection.execute(select(api_keys).where(_is_admin, _is_unrevoked, _is_captured))
                ended = [parse_key(row) for row in captured.mappings()]
                change.connection.execute(
                    update(api_keys).where(_is_admin, _is_unrevoked).values(revoked_at=key.created_at, **_NO_CAPTURE)
                )
                change.sign_ended(ended, event)
            _insert(change.connection, key, secret)
            change.sign(replace(event, detail={**event.detail, "revoked": revoked}))
            return revoked

    def update_key(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        """See `KeyRepository`."""
        return self._update((api_keys.c.id == key_id) & _is_unrevoked, edit, _render_changeable)

    def update_capture(self, key_id: str, edit: SignedEdit) -> ApiKey | None:
        """See `KeyRepository`."""
        return self._update(api_keys.c.id == key_id, edit, _render_capture)

    def _update(
        self, is_key: ColumnElement[bool], edit: SignedEdit, render: Callable[[ApiKey], dict[str, object]]
    ) -> ApiKey | None:
        with self._changing() as change:
            # SQLite has one writer at a time and knows no FOR UPDATE; elsewhere it keeps the row from others.
            row = change.connection.execute(select(api_keys).where(is_key).with_for_update()).mappings().first()
            if row is None:
                return None
            key = parse_key(row)
            edited = edit(key)
            if edited is None:
                return key
            changed, event = edited
            change.connection.execute(update(api_keys).where(is_key).values(render(changed)))
            change.sign(event)
            return changed

    def rotate_key(self, secret: KeySecret, old_end_at: datetime, event: AuditEvent) -> bool:
        """See `KeyRepository`."""
        of_key = key_secrets.c.key_id == secret.key_id
        ends_later = or_(key_secrets.c.expires_at.is_(None), key_secrets.c.expires_at > old_end_at)
        with self._changing() as change:
            is_key = (api_keys.c.id == secret.key_id) & _is_unrevoked
            if not change.connection.execute(update(api_keys).where(is_key).values(prefix=secret.prefix)).rowcount:
                return False
            change.connection.execute(update(key_secrets).where(of_key, ends_later).values(expires_at=old_end_at))
            change.connection.execute(insert(key_secrets).values(_render_secret(secret)))
            change.sign(event)
            return True

    def revoke_key(self, key_id: str, at: datetime, event: AuditEvent) -> bool:
        """See `KeyRepository`."""
        with self._changing() as change:
            is_key = (api_keys.c.id == key_id) & _is_unrevoked
            row = change.connection.execute(select(api_keys).where(is_key).with_for_update()).mappings().first()
            if row is None:
                return False
            change.connection.execute(update(api_keys).where(is_key).values(revoked_at=at, **_NO_CAPTURE))
            change.sign(event)
            change.sign_ended([parse_key(row)], event)
            return True

    def record_last_used(self, last_used: Mapping[str, datetime]) -> None:
        """See `KeyRepository`."""
        if not last_used:
            return
        used_at = bindparam("used_at", type_=api_keys.c.last_used_at.type)
        is_newer = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < used_at)
        statement = update(api_keys).where(api_keys.c.id == bindparam("used_id"), is_newer).values(last_used_at=used_at)
        with self._database.begin() as connection:
            connection.execute(statement, [{"used_id": key_id, "used_at": at} for key_id, at in last_used.items()])

    @contextmanager
    def _changing(self) -> Generator["_Change"]:
        signed: list[AuditEvent] = []
        try:
            # A revocation that a power cut takes back would be worse than a slow one.
            with self._database.begin(is_durable=True) as connection:
                yield _Change(connection, self._audit, signed)
        except Exception:
            for event in signed:
                with suppress(StorageUnavailable):
                    self._audit.append(replace(event, detail={**event.detail, "outcome": "not committed"}))
            raise


@dataclass(frozen=True, slots=True)
class _Change:
    """A transaction that somebody signs; the signature is its last act."""

    connection: Connection
    audit: AuditLog
    signed: list[AuditEvent]

    def sign(self, event: AuditEvent) -> None:
        self.audit.append(event)
        self.signed.append(event)

    def sign_ended(self, revoked: Iterable[ApiKey], event: AuditEvent) -> None:
        """With a key ends its capture."""
        for key in revoked:
            if ended := end_order(key, event.actor, REVOKED, event.origin):
                self.sign(ended[1])


def _insert(connection: Connection, key: ApiKey, secret: KeySecret) -> None:
    row: dict[str, object] = {
        "id": key.id,
        "tier": key.tier.value,
        "prefix": key.prefix,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        **_render_changeable(key),
        **_render_capture(key),
    }
    connection.execute(insert(api_keys).values(row))
    connection.execute(insert(key_secrets).values(_render_secret(secret)))


def _render_changeable(key: ApiKey) -> dict[str, object]:
    return {
        "label": key.label,
        "policy": msgspec.json.encode(key.policy).decode(),
        "not_before": key.not_before,
        "expires_at": key.expires_at,
    }


def _render_capture(key: ApiKey) -> dict[str, object]:
    order = key.capture
    if order is None:
        return dict(_NO_CAPTURE)
    return {
        "capture_reason": order.reason,
        "capture_by": order.by,
        "capture_since": order.since,
        "capture_until": order.until,
    }


def _render_secret(secret: KeySecret) -> dict[str, object]:
    return {
        "digest": secret.digest,
        "key_id": secret.key_id,
        "prefix": secret.prefix,
        "created_at": secret.created_at,
        "expires_at": secret.expires_at,
    }


def parse_key(row: RowMapping) -> ApiKey:
    """One row of the keys."""
    policy = msgspec.json.decode(row["policy"], type=KeyPolicy)
    values: dict[str, Any] = {**row, "tier": Tier(row["tier"]), "policy": policy}
    reason, by, since, until = [values.pop(name) for name in _NO_CAPTURE]
    return ApiKey(**values, capture=None if until is None else CaptureOrder(reason, by, since, until))
