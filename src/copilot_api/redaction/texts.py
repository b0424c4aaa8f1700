"""Bytes to text, or the word that they are none: what cannot be read cannot be looked through, and so is not kept."""

import codecs
import re

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:\-]{1,40})", re.IGNORECASE)
_NO_TEXT = re.compile(r"\s*(?:image|audio|video|font)/(?!svg)", re.IGNORECASE)
_SINGLE_BYTE = frozenset(("ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-8"))
_EVENT_STREAM = re.compile(r"\ufeff?(?::[^\r\n]*[\r\n]+|\s*)*+(?:data|event|id|retry):")


class NotText(ValueError):
    """A body that is no text: compressed, binary, or of an encoding in which no secret could be seen."""


def decode_body(body: bytes, media_type: str, *, is_cut: bool = False) -> str:
    """The text of a body. Raises `NotText`. Where it is cut off, a character may be cut in two: its half goes."""
    if _NO_TEXT.match(media_type):
        raise NotText(f"it is {media_type.partition(';')[0].strip()[:64]}")
    if b"\x00" in body:
        raise NotText("it holds bytes of value 0")
    try:
        return codecs.getincrementaldecoder(_charset_of(media_type))("strict").decode(body, final=not is_cut)
    except UnicodeDecodeError as error:
        raise NotText(f"it is not UTF-8 from byte {error.start} on") from None


def _charset_of(media_type: str) -> str:
    named = _CHARSET.search(media_type)
    if named is None:
        return "utf-8"
    try:
        name = codecs.lookup(named[1]).name
    except LookupError:
        return "utf-8"
    return name if name in _SINGLE_BYTE else "utf-8"


def is_event_stream(text: str, media_type: str) -> bool:
    """Whether a body is server-sent events, by its type or by how it begins."""
    return "event-stream" in media_type.lower() or _EVENT_STREAM.match(text[:4096]) is not None
