"""
Some of all keys: those of a status, a tier, or a word in their names, a page at a time. Pure.

They come in the order in which they were made, so a page goes on behind the last key of the one before, whatever was
made or erased meanwhile.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from copilot_api.errors import BadRequest
from copilot_api.keys.documents import Status, name_status
from copilot_api.keys.models import ApiKey, Tier

MAX_PAGE = 500
_HINT = "take what `next` says, as it is"

Place = tuple[datetime, str]
"""A key's place among all: when it was made, and its id."""


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """Which keys. What is not said does not matter."""

    status: Status | None = None
    tier: Tier | None = None
    text: str = ""
    """A part of the label, in whatever case; or the beginning of the id or of the visible prefix."""
    after: Place | None = None
    """Where the page before ended."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some keys, oldest first."""

    keys: list[ApiKey]
    next: str | None
    """Where the next page begins, for `parse_place`; None at the end."""


def list_page(keys: Iterable[ApiKey], query: KeyQuery, now: datetime) -> KeyPage:
    """The keys of a page; `keys` are all that there are."""
    found: list[ApiKey] = []
    for key in sorted(keys, key=_place):
        if (query.after is not None and _place(key) <= query.after) or not _is_meant(key, query, now):
            continue
        if len(found) == query.limit:
            return KeyPage(found, render_place(found[-1]))
        found.append(key)
    return KeyPage(found, None)


def render_place(key: ApiKey) -> str:
    """The place behind a key, in a word."""
    text = f"{key.created_at.astimezone(UTC).isoformat()} {key.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_place(text: str) -> Place | None:
    """A place in a word; None for none. Raises `BadRequest` for what is no place."""
    if not text:
        return None
    try:
        at, _, key_id = base64.urlsafe_b64decode(text.encode() + b"==").decode().partition(" ")
        return datetime.fromisoformat(at).astimezone(UTC), key_id
    except (ValueError, OverflowError):
        raise BadRequest("after: this is no place among the keys", param="after", hint=_HINT) from None


def _place(key: ApiKey) -> Place:
    return key.created_at, key.id


def _is_meant(key: ApiKey, query: KeyQuery, now: datetime) -> bool:
    return (
        (query.status is None or name_status(key, now) == query.status)
        and (query.tier is None or key.tier is query.tier)
        and (not query.text or _is_called(key, query.text))
    )


def _is_called(key: ApiKey, text: str) -> bool:
    return text.casefold() in key.label.casefold() or key.id.startswith(text) or key.prefix.startswith(text)
