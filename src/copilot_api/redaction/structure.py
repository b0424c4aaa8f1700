"""What a JSON document says about its strings: which are secrets by the key they stand under, and which to search."""

import re
from typing import NamedTuple

from copilot_api.redaction.assignments import is_secret_value
from copilot_api.redaction.encodings import undo_json
from copilot_api.redaction.json_strings import Token, name_of, scan_json
from copilot_api.redaction.media import judge_blob
from copilot_api.redaction.names import Says, is_secret_header, weigh_name
from copilot_api.redaction.rule import Hit
from copilot_api.redaction.views import Slice, View

_NAME = re.compile(r"[\w.\-]{1,63}:?")
"""Of a header, a variable or a flag; a sentence or an assignment is no name."""
_MIN_SEARCHED = 8
"""Shorter strings can be no secret but by their key."""


class Document(NamedTuple):
    """A JSON text, read for redaction. Places are those of the text it was read from."""

    hits: list[Hit]
    """Secrets by their key, and media."""
    views: list[View]
    """Its strings, unescaped."""
    tokens: list[Token]
    """Where each of the strings is."""


def looks_like_json(text: str, start: int, end: int) -> bool:
    """Whether a document may stand between `start` and `end`."""
    head = text[start : min(end, start + 64)].lstrip()[:1]
    return head in ("{", "[") and text.find('"', start, end) >= 0


def read_document(text: str, start: int, end: int, *, least: int = _MIN_SEARCHED) -> Document:
    """Read the document between `start` and `end`. Strings of fewer than `least` characters are not searched."""
    document = Document([], [], [])
    for token in scan_json(text, start, end):
        if token.is_key:
            if token.end - token.start >= 16:
                _add(document, token, text)
        elif not token.is_string:
            _judge_number(document, token, text)
        elif (blob := judge_blob(text, token.start, token.end, sealed_name(token))) is not False:
            if blob is not True:
                document.hits.append(blob._replace(where=token.render_path()))
        else:
            _judge_string(document, token, text, least)
    return document


def view_string(text: str, token: Token) -> View:
    """A string as it reads."""
    written = text[token.start : token.end]
    return undo_json(text, token.start, token.end) if "\\" in written else Slice(written, token.start)


def _add(document: Document, token: Token, text: str) -> View:
    view = view_string(text, token)
    document.views.append(view)
    document.tokens.append(token)
    return view


def _judge_string(document: Document, token: Token, text: str, least: int) -> None:
    size = token.end - token.start
    if size < 4:
        return
    says = _weigh(token)
    if size >= least or says is not Says.NOTHING:
        view = _add(document, token, text)
        if says is not Says.NOTHING and is_secret_value(view.text, says):
            document.hits.append(Hit(token.start, token.end, "secret", view.text, where=token.render_path()))
    _judge_pair(document, token, text)


def _judge_pair(document: Document, token: Token, text: str) -> None:
    """A value whose object calls itself by a secret name: `{"name": "API_KEY", "value": "…"}`, in either order."""
    frame = token.frame
    if frame is None or frame.is_array or frame.value is None or not frame.first:
        return
    says = max(weigh_name(frame.first), Says.SURELY if is_secret_header(frame.first) else Says.NOTHING)
    value = view_string(text, frame.value).text
    if says is not Says.NOTHING and is_secret_value(value, says):
        document.hits.append(Hit(frame.value.start, frame.value.end, "secret", value, where=frame.value.render_path()))
    frame.value = None


def _weigh(token: Token) -> Says:
    """What the key of a string says, or that of the object it is in, or its neighbour in a pair."""
    frame = token.frame
    says = weigh_name(token.name)
    if says is not Says.NOTHING or frame is None:
        return says
    if frame.is_array and frame.index == 1 and _NAME.fullmatch(frame.first) and is_secret_header(frame.first):
        return Says.MAYBE
    above = name_of(frame.parent, frame.label)
    return Says.MAYBE if above and weigh_name(above) is Says.SURELY else Says.NOTHING


def sealed_name(token: Token) -> str:
    """The key of a value; that of a signature for the sealed data of redacted thinking."""
    is_sealed = token.frame is not None and ("type", "redacted_thinking") in token.frame.marks
    return "signature" if is_sealed else token.name


def _judge_number(document: Document, token: Token, text: str) -> None:
    written = text[token.start : token.end]
    if len(written) >= 4 and written.isdigit() and weigh_name(token.name) is Says.SURELY:
        document.hits.append(Hit(token.start, token.end, "secret", written, quote='"', where=token.render_path()))
