"""Which keys the page of keys shows, and in which order: read from its URL. Pure, on all the keys that there are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from copilot_api.admin.forms import Fields
from copilot_api.errors import BadRequest
from copilot_api.keys.documents import Status, name_status
from copilot_api.keys.models import ApiKey, Tier

PAGE_KEYS = 50
USABLE, ENDED, ALL = "usable", "ended", "all"
SHOWN = (USABLE, ENDED, ALL)
TIERS = ("", *Tier)
DEFAULT_SORT = "-used"
MAX_TEXT = 100

_ENDED: frozenset[Status] = frozenset({"revoked", "expired"})
_NEVER = datetime.min.replace(tzinfo=UTC)
_EVER = datetime.max.replace(tzinfo=UTC)
_ORDERS: dict[str, Callable[[ApiKey], Any]] = {
    "label": lambda key: key.label.casefold(),
    "used": lambda key: key.last_used_at or _NEVER,
    "created": lambda key: key.created_at,
    "expires": lambda key: key.expires_at or _EVER,
}


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """What the URL asks for."""

    shown: str
    """One of `SHOWN`."""
    tier: str
    """One of `TIERS`; empty for both."""
    text: str
    """A part of the label, or the beginning of the id or of the visible prefix."""
    sort: str
    """A column, with a minus for the other way round."""
    after: str
    """The id of the last key of the page before; empty on the first."""

    @property
    def is_narrowed(self) -> bool:
        """Whether some of the keys of its kind are left out."""
        return bool(self.tier or self.text)


@dataclass(frozen=True, slots=True)
class KeyListing:
    """What is shown of all keys."""

    keys: list[ApiKey]
    found: int
    """How many there are on all pages."""
    next: str | None
    """Where the next page begins, as `after` in its URL."""
    counts: dict[str, int]
    """How many of each of `SHOWN` meet the rest of the choice."""


def read_key_choice(query: Fields) -> KeyChoice:
    """Raises `BadRequest` for what the page has no link or field for."""
    choice = KeyChoice(
        query.get("show") or USABLE,
        query.get("tier"),
        query.get("q").strip()[:MAX_TEXT],
        query.get("sort") or DEFAULT_SORT,
        query.get("after"),
    )
    if choice.shown not in SHOWN:
        raise BadRequest(f"there is no such list of keys: {choice.shown[:40]!r}", param="show")
    if choice.tier not in TIERS:
        raise BadRequest(f"there is no tier {choice.tier[:40]!r}", param="tier")
    if choice.sort.removeprefix("-") not in _ORDERS:
        raise BadRequest(f"keys are not sorted by {choice.sort[:40]!r}", param="sort", hint=", ".join(_ORDERS))
    return choice


def list_keys(keys: Iterable[ApiKey], choice: KeyChoice, now: datetime) -> KeyListing:
    """The page. A key that went away since the page before began ends that page's trail: it begins anew."""
    meant = [key for key in keys if _is_meant(key, choice)]
    kinds = {key.id: _kind(key, now) for key in meant}
    counts = {kind: sum(each == kind for each in kinds.values()) for kind in (USABLE, ENDED)}
    counts[ALL] = len(meant)
    wanted = [key for key in meant if choice.shown in {ALL, kinds[key.id]}]
    wanted.sort(key=lambda key: key.id)
    wanted.sort(key=_ORDERS[choice.sort.removeprefix("-")], reverse=choice.sort.startswith("-"))
    start = next((index + 1 for index, key in enumerate(wanted) if key.id == choice.after), 0)
    page = wanted[start : start + PAGE_KEYS]
    following = page[-1].id if start + PAGE_KEYS < len(wanted) else None
    return KeyListing(page, len(wanted), following, counts)


def _kind(key: ApiKey, now: datetime) -> str:
    return ENDED if name_status(key, now) in _ENDED else USABLE


def _is_meant(key: ApiKey, choice: KeyChoice) -> bool:
    text = choice.text
    is_called = not text or text.casefold() in key.label.casefold() or key.id.startswith(text)
    return (not choice.tier or key.tier == choice.tier) and (is_called or key.prefix.startswith(text))
