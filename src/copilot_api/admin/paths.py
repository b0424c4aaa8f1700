"""Paths below /admin: patterns that a path fits or does not, and where somebody may be sent on to."""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

ROOT = "/admin"
STATIC = "/admin/static/{version}/{name}"
MY_USAGE = "/admin/my-usage"
LOGIN, LOGOUT, STEP_UP = "/admin/login", "/admin/logout", "/admin/step-up"

_MAX_TARGET = 2048
# What needs no escape in a path and a query, and escapes; so neither a host, nor a backslash, nor a line end.
_LOCAL = re.compile(
    r"/admin(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*/?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path with names in braces for whole segments: `/admin/keys/{id}/rotate`."""

    text: str

    def match(self, segments: tuple[str, ...]) -> Mapping[str, str] | None:
        """What stands in the places of the names; None where it is another path."""
        own = tuple(self.text.split("/")[2:])
        if len(own) != len(segments):
            return None
        found: dict[str, str] = {}
        for mine, theirs in zip(own, segments, strict=True):
            if mine.startswith("{"):
                found[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return found


def split_path(raw_path: bytes) -> tuple[str, ...] | None:
    """
    The segments behind `/admin`, each decoded once and by itself, so that an escaped slash makes no more of them. A
    slash at the end means nothing. None for what no page has: empty segments, dots, control characters, no UTF-8.
    """
    text = raw_path.decode("latin-1")
    if text.removesuffix("/") == ROOT:
        return ()
    if not text.startswith(f"{ROOT}/"):
        return None
    rest = text.removeprefix(ROOT).removesuffix("/")
    segments: list[str] = []
    for part in rest.split("/")[1:]:
        try:
            segment = urllib.parse.unquote(part, errors="strict")
        except UnicodeDecodeError:
            return None
        if segment in {"", ".", ".."} or "/" in segment or "\\" in segment or _CONTROL.search(segment):
            return None
        segments.append(segment)
    return tuple(segments)


def safe_next(wish: str) -> str:
    """Where to go on to after signing in: `wish` if that is a page of ours and not one to sign in or out by."""
    if len(wish) > _MAX_TARGET or _LOCAL.fullmatch(wish) is None:
        return ROOT
    path = urllib.parse.unquote(wish.partition("?")[0])
    if any(segment in {".", ".."} for segment in path.split("/")) or "//" in path or "\\" in path:
        return ROOT
    return ROOT if path.rstrip("/") in {LOGIN, LOGOUT, STEP_UP} else wish


def asking(page: str, target: str) -> str:
    """The path of `page` that will send on to `target`."""
    return page if safe_next(target) == ROOT else f"{page}?{urllib.parse.urlencode({'next': target})}"
