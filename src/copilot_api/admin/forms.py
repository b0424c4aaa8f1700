"""What was typed: the fields of a form or of a query, parsed once, each asked for by name."""

import re
import urllib.parse
from collections.abc import Iterable, Iterator

from copilot_api.errors import BadRequest, UnsupportedMediaType

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 500
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Fields:
    """Names with their values, in the order in which they came. Nothing of it was checked yet but that it is text."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)

    def get(self, name: str, default: str = "") -> str:
        """The value of `name`. Raises `BadRequest` where it is there more than once: which of them was looked at?"""
        found = self.list(name)
        if len(found) > 1:
            raise BadRequest(f"the field {name} is there more than once", param=name)
        return found[0] if found else default

    def list(self, name: str) -> list[str]:
        """All values of `name`, for what can be chosen several times."""
        return [value for each, value in self._pairs if each == name]

    def without(self, *names: str) -> "Fields":
        """All but those."""
        return Fields((name, value) for name, value in self._pairs if name not in names)

    def __contains__(self, name: object) -> bool:
        return any(each == name for each, _ in self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)


NO_FIELDS = Fields()


def parse_query(query: bytes) -> Fields:
    """The fields of a URL's query. Raises `BadRequest`."""
    return _parse(query, "the query")


def parse_form(body: bytes, content_type: str) -> Fields:
    """The fields of a form that was sent. Raises `BadRequest`, or `UnsupportedMediaType` for anything but a form."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise UnsupportedMediaType("this is not a form", hint=f"send it as {FORM_TYPE}")
    return _parse(body, "the form")


def _parse(text: bytes, what: str) -> Fields:
    try:
        # What is not escaped rightly would be taken literally, and by somebody else perhaps otherwise.
        decoded = text.decode("ascii")
        if _BROKEN_ESCAPE.search(decoded):
            raise ValueError("a broken escape")
        pairs = urllib.parse.parse_qsl(decoded, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"{what} cannot be read") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise BadRequest(f"{what} cannot be read")
    return Fields(pairs)
