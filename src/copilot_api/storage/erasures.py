"""
The erased keys, and that none of their calls comes back.

A journal may hold calls of an erased key for as long as its file lies somewhere, and a call that was under way ends
when it ends. So it is here, in the transaction that stores events, that the erased key is taken out of them: no process
can write one that the erasure does not reach.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from copilot_api.privacy.models import ERASED, EventsFate, digest_key_id
from copilot_api.storage.schema import erasures

_Row = tuple[object, ...]


def replace_erased(connection: Connection, rows: list[_Row], place: int) -> list[_Row]:
    """
    The rows of events, `place` being that of the key's id, as they may be stored: those of erased keys have a pseudonym
    instead, or are left out.
    """
    columns = erasures.c
    found = connection.execute(select(columns.digest, columns.fate, columns.pseudonym)).all()
    if not found:
        return rows
    erased: dict[bytes, str | None] = {
        digest: None if fate == EventsFate.DELETE.value else pseudonym or ERASED for digest, fate, pseudonym in found
    }
    kept: list[_Row] = []
    for row in rows:
        key_id = row[place]
        digest = digest_key_id(key_id) if isinstance(key_id, str) else None
        if digest is None or digest not in erased:
            kept.append(row)
        elif (pseudonym := erased[digest]) is not None:
            kept.append((*row[:place], pseudonym, *row[place + 1 :]))
    return kept


def list_erased(connection: Connection, key_ids: Sequence[str]) -> list[str]:
    """Those of the ids that are of erased keys."""
    known = set(connection.scalars(select(erasures.c.digest)))
    return [key_id for key_id in key_ids if digest_key_id(key_id) in known] if known else []
