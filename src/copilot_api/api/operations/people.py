"""The operations on people: who is signed in at the admin pages, and what is stored about the holder of a key."""

import msgspec

from copilot_api.api.operations.operation import Body, Operation, Parameter, Refusal, refusal
from copilot_api.keys.service import KeyNotFound
from copilot_api.privacy.models import EventsFate
from copilot_api.privacy.receipts import Receipt

SESSIONS, PRIVACY = "sessions", "privacy"


class SessionDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Somebody who is signed in at the admin pages."""

    id: str
    key_id: str
    created_at: str
    seen_at: str
    ends_at: str
    address: str | None
    user_agent: str | None
    is_current: bool
    """Whether it is the session that asks."""


class SessionList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some sessions, newest first."""

    sessions: list[SessionDocument]
    next: str | None
    """`before` of the next page; null at the end."""


class EndedSession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session that is over."""

    id: str
    ended: bool


class ExportWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose archive is wanted."""

    key: str
    """The key's id or, where only one has it, its label or visible prefix."""


class EraseWish(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Whose traces are to go."""

    key: str
    """The key's id, and nothing else: this cannot be taken back."""
    events: EventsFate
    """What becomes of its usage events: `pseudonymise` keeps them nameless, `delete` takes them out of every sum."""
    compact: bool = True
    """Whether the database file is written anew where it still holds what was deleted earlier."""


OPERATIONS = (
    Operation(
        id="list_sessions",
        method="GET",
        path="/admin/api/sessions",
        tag=SESSIONS,
        summary="List who is signed in at the admin pages, newest first",
        answer=SessionList,
        parameters=(
            Parameter("limit", "how many, 500 at most; 100 without it", int),
            Parameter("before", "where the page before ended: its `next`, as it is"),
        ),
    ),
    Operation(
        id="end_session",
        method="DELETE",
        path="/admin/api/sessions/{id}",
        tag=SESSIONS,
        summary="End a session",
        answer=EndedSession,
        refusals=(Refusal(404, "session_not_found"),),
    ),
    Operation(
        id="export_privacy",
        method="POST",
        path="/admin/api/privacy/export",
        tag=PRIVACY,
        summary="Hand over all that is stored about one key, as a zip archive",
        about="On record before it leaves. The header `x-capi-sha256` has the archive's digest.",
        answer=None,
        body=Body(ExportWish, example={"key": "ci"}),
        media_types=("application/zip",),
        refusals=(refusal(KeyNotFound),),
        is_sensitive=True,
        answer_headers={
            "content-disposition": "The archive's name.",
            "x-capi-sha256": "The SHA-256 of the archive, as the audit log has it.",
        },
    ),
    Operation(
        id="erase_privacy",
        method="POST",
        path="/admin/api/privacy/erase",
        tag=PRIVACY,
        summary="Erase all that is stored about one key, and give a receipt",
        about="The key ends at once. It takes some seconds: everything is searched again at the end. The receipt's "
        "`leftovers` say what is still there; sending the same again finishes what was interrupted.",
        answer=Receipt,
        body=Body(EraseWish),
        refusals=(refusal(KeyNotFound), Refusal(409, "erasure_under_way")),
        is_sensitive=True,
    ),
)
