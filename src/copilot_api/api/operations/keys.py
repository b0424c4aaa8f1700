"""The operations on keys."""

from typing import Literal

import msgspec

from copilot_api.api.operations.operation import Body, Operation, Parameter, refusal
from copilot_api.keys.captures import CaptureForbidden
from copilot_api.keys.documents import KeyDocument, Status
from copilot_api.keys.models import Tier
from copilot_api.keys.service import KeyNotFound
from copilot_api.keys.wishes import KeyChange, NewKey, Rotation

TAG = "keys"
_NOT_FOUND = refusal(KeyNotFound)


class KeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some keys, oldest first."""

    keys: list[KeyDocument]
    next: str | None
    """`after` of the next page; null at the end."""


class IssuedKeyDocument(KeyDocument, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key with its secret: the only time that anybody sees it."""

    key: str


class Limit(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How one limit of a key stands. What is reserved for calls under way counts as used."""

    name: str
    scope: Literal["key", "all"]
    unit: str
    limit: float
    used: float
    remaining: float
    resets_at: str | None
    mode: Literal["enforced", "observed"]


class LimitList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every limit of a key."""

    limits: list[Limit]


class CaptureOrderDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order to capture a key's calls."""

    reason: str
    by: str
    since: str
    until: str


class CapturedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key, as far as its capture goes."""

    id: str
    label: str
    capture: CaptureOrderDocument | None


class CaptureWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A capture that is to begin, to go on, or to end."""

    reason: str | None = None
    """Why; the key's holder and the audit log are told."""
    seconds: float | None = None
    minutes: float | None = None
    off: bool = False


OPERATIONS = (
    Operation(
        id="list_keys",
        method="GET",
        path="/admin/api/keys",
        tag=TAG,
        summary="List keys, oldest first",
        answer=KeyList,
        parameters=(
            Parameter("status", "only keys that are so now", Status),
            Parameter("tier", "only keys of this tier", Tier),
            Parameter("q", "a part of the label, or the beginning of the id or the visible prefix"),
            Parameter("limit", "how many, 500 at most; 50 without it", int),
            Parameter("after", "where the page before ended: its `next`, as it is"),
        ),
    ),
    Operation(
        id="create_key",
        method="POST",
        path="/admin/api/keys",
        tag=TAG,
        summary="Issue a key",
        about="`key` is in this answer and never again: only a hash of it is kept.",
        answer=IssuedKeyDocument,
        status=201,
        body=Body(
            NewKey,
            example={
                "label": "ci",
                "models": ["gpt-5-mini"],
                "rpm": 60,
                "budgets": [{"unit": "credits", "window": "day", "amount": 50}],
                "expires_at": "30d",
            },
        ),
        is_sensitive=True,
        answer_headers={"location": "The key's own URL."},
    ),
    Operation(
        id="show_key",
        method="GET",
        path="/admin/api/keys/{id}",
        tag=TAG,
        summary="Show a key",
        answer=KeyDocument,
        refusals=(_NOT_FOUND,),
    ),
    Operation(
        id="change_key",
        method="PATCH",
        path="/admin/api/keys/{id}",
        tag=TAG,
        summary="Change a key",
        about="What is not said stays as it is, what is null is taken away. In force on the key's next call.",
        answer=KeyDocument,
        body=Body(KeyChange, example={"rpm": 120, "cidrs": None}),
        refusals=(_NOT_FOUND,),
    ),
    Operation(
        id="delete_key",
        method="DELETE",
        path="/admin/api/keys/{id}",
        tag=TAG,
        summary="Revoke a key",
        about="The same as `POST …/revoke`: the key stays in the list, revoked, and so does what it used.",
        answer=KeyDocument,
        refusals=(_NOT_FOUND,),
    ),
    Operation(
        id="revoke_key",
        method="POST",
        path="/admin/api/keys/{id}/revoke",
        tag=TAG,
        summary="End a key at once",
        about="It is refused from its next call on. Revoking it again changes nothing.",
        answer=KeyDocument,
        refusals=(_NOT_FOUND,),
    ),
    Operation(
        id="rotate_key",
        method="POST",
        path="/admin/api/keys/{id}/rotate",
        tag=TAG,
        summary="Give a key a new secret",
        about="Its id, its label and what it may do stay. The old secrets end at once, or after the overlap.",
        answer=IssuedKeyDocument,
        body=Body(Rotation, is_required=False, example={"overlap": "1h"}),
        refusals=(_NOT_FOUND,),
        is_sensitive=True,
    ),
    Operation(
        id="show_key_limits",
        method="GET",
        path="/admin/api/keys/{id}/limits",
        tag=TAG,
        summary="Show how each limit of a key stands",
        answer=LimitList,
        refusals=(_NOT_FOUND,),
    ),
    Operation(
        id="capture_key",
        method="POST",
        path="/admin/api/keys/{id}/debug",
        tag=TAG,
        summary="Have a key's calls captured for a while, go on capturing them, or end it",
        about="The holder is told: by a header of each answer, and by `GET /usage`. At most 24 hours, and again.",
        answer=CapturedKey,
        body=Body(bytes, schema_kind=CaptureWish, example={"reason": "slow answers", "minutes": 60}),
        refusals=(_NOT_FOUND, refusal(CaptureForbidden)),
    ),
    Operation(
        id="end_key_capture",
        method="DELETE",
        path="/admin/api/keys/{id}/debug",
        tag=TAG,
        summary="Capture no further calls of a key",
        answer=CapturedKey,
        refusals=(_NOT_FOUND,),
    ),
)
