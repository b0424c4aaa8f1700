"""What stands around every page: where one can go, and what has to be said on all of them."""

from dataclasses import dataclass
from typing import Literal

from copilot_api import __version__

Tone = Literal["bad", "warn", "info"]
_WORST_FIRST: dict[Tone, int] = {"bad": 0, "warn": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the rail leads to."""

    name: str
    """Also the name of its icon; a template says `{% set at = "keys" %}` to be marked there."""
    label: str
    href: str
    letter: str
    """`g` and this letter lead there."""


ADMIN_PLACES = (
    Place("overview", "Overview", "/admin", "o"),
    Place("usage", "Usage", "/admin/usage", "u"),
    Place("requests", "Requests", "/admin/requests", "r"),
    Place("models", "Models", "/admin/models", "m"),
    Place("keys", "Keys", "/admin/keys", "k"),
    Place("identities", "Identities", "/admin/identities", "i"),
    Place("traces", "Traces", "/admin/traces", "t"),
    Place("audit", "Audit", "/admin/audit", "a"),
    Place("settings", "Settings", "/admin/settings", "s"),
    Place("system", "System", "/admin/system", "y"),
)
HOLDER_PLACES = (
    Place("my-usage", "My usage", "/admin/my-usage", "u"),
    Place("set-up", "Set-up", "/admin/set-up", "s"),
)
ON_PHONE = 4
"""So many stand in the bar of a phone; the rest is behind "More"."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that has to be said on every page, with what to do about it as a link."""

    tone: Tone
    text: str
    action: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """What `base.html` needs besides the request."""

    notices: tuple[Notice, ...] = ()
    is_demo: bool = False
    version: str = __version__

    @property
    def worst_first(self) -> list[Notice]:
        """The notices in the order in which they are shown."""
        return sorted(self.notices, key=lambda notice: _WORST_FIRST[notice.tone])


def places_for(*, is_admin: bool) -> tuple[Place, ...]:
    """Where somebody may go. An admin sees their own key's page in the account menu, not in the rail."""
    return ADMIN_PLACES if is_admin else HOLDER_PLACES
