"""Names and values of forms and queries: `client_id=…&client_secret=…`, and the parts of a multipart form."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from copilot_api.redaction.assignments import is_secret_value
from copilot_api.redaction.encodings import undo_form
from copilot_api.redaction.names import Says, is_secret_parameter, weigh_name
from copilot_api.redaction.plausible import is_example
from copilot_api.redaction.rule import Hit
from copilot_api.redaction.views import Slice, View

_PAIR = re.compile(r"(?:^|(?<=[&?#;]))([A-Za-z0-9_.\-\[\]%+$~]{1,128})=([^&#\s\x00]{1,8192}+)")
_FORM = re.compile(r"[^\s\"'<>{}]*=[^\s\"'<>{}]*(?:&[^\s\"'<>{}]*)+")
_WHOLE = re.compile(r"[^&#\s\x00]{0,4096}(?:&[^&#\s\x00]{0,4096})*+")
_FIELD = re.compile(r"[^&\s]+")
_UNESCAPED = re.compile(r"[^%]*+(?:%3[dD]){0,2}")
_PART = re.compile(
    r"""form-data;[^\r\n]{0,200}?\bname="?([^"\r\n;]{1,100}+)"?[^\r\n]{0,200}+(?:\r?\n[^\r\n]{1,200}+){0,6}\r?\n\r?\n([^\r\n\x00]{1,8192}+)""",
    re.IGNORECASE,
)


def find_form_values(text: str, start: int, end: int) -> Iterator[Hit]:
    """The values of a form that stands alone between `start` and `end`, where their name says that they are secret."""
    if text.find("&", start, end) < 0 or _FORM.fullmatch(text, start, end) is None:
        return
    for found in _PAIR.finditer(text, start, end):
        value = unquote_plus(found[2])
        says = weigh_name(unquote_plus(found[1]))
        if says is not Says.NOTHING and is_secret_value(value, says):
            yield Hit(*found.span(2), "parameter", value)


def find_parameters(text: str) -> Iterator[Hit]:
    """The values of the parameters of an address or form, by name, whatever they look like."""
    for found in _PAIR.finditer(text):
        value = unquote_plus(found[2])
        if is_secret_parameter(unquote_plus(found[1])):
            yield Hit(*found.span(2), "parameter", value)


def list_values(text: str) -> list[tuple[int, int]]:
    """Where the values of a form or of an address's parameters stand."""
    return [found.span(2) for found in _PAIR.finditer(text)]


def is_form(text: str) -> bool:
    """Whether `text` is a form from beginning to end, so that all of it can be judged as it reads."""
    return "=" in text and _WHOLE.fullmatch(text.rstrip()) is not None


def list_fields(text: str) -> list[View]:
    """
    The fields of a form as they read, each with its name and its value alone. Where a `+` may be one of base64 that was
    never encoded, as written, too.
    """
    views: list[View] = []
    for field in _FIELD.finditer(text):
        start, end = field.span()
        views.append(undo_form(text, start, end))
        equals = text.find("=", start, end)
        if equals >= 0:
            views.append(undo_form(text, equals + 1, end))
        if text.find("+", start, end) >= 0 and _UNESCAPED.fullmatch(text, start, end):
            views.append(Slice(text[start:end], start))
    return views


def find_parts(text: str) -> Iterator[Hit]:
    """The values of a multipart form whose name says that they are secret."""
    if "form-data" not in text:
        return
    for found in _PART.finditer(text):
        if weigh_name(found[1]) is not Says.NOTHING and not is_example(found[2]):
            yield Hit(*found.span(2), "parameter", found[2])
