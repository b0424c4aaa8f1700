"""The texts that are hidden in a text, by escapes, in base64 and in hexadecimal digits, and where each of them is."""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

MASK = "\ue000"
"""Stands for each character of what redaction has put in place of something else."""
_PLACEHOLDER = re.compile(r"\[redacted:[A-Za-z0-9_.-]{1,64}:[0-9a-f]{6}\]|\[media: [^\]\n]{0,200}\]|\[cut\]")

_ESCAPE = re.compile(r"""\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|["'\\/bfnrt])|%[0-9A-Fa-f]{2}""")
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}")
_WRAPPED_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,80}\r?\n)+[A-Za-z0-9+/]{1,80}")
_HEX = re.compile(r"[0-9A-Fa-f]{32,}")
_ONLY_HEX = re.compile(r"[0-9A-Fa-f]+")
_SECOND_HALVES = bytes(range(0x80, 0xC0))
"""What a character of UTF-8 goes on with, and none begins with."""
_NO_CHARACTER = "\ufffd"
LEAST_TEXT = 3
MOSTLY = 0.9
"""The share of readable characters from which on decoded bytes are a text."""
_LINE_ENDS = str.maketrans("", "", "\r\n")
_TO_STANDARD = str.maketrans("-_", "+/")
_READABLE = re.compile(r"[\t\n\r -~\ue000]{12,}")
"""A decoded text; noise that was never encoded gives next to none of them."""


@dataclass(frozen=True, slots=True)
class View:
    """A text, and for each part of it where that stands in the text it was found in."""

    text: str
    parent: "View | None" = None
    depth: int = 0
    """How many encodings are undone."""
    starts: list[int] = field(default_factory=list[int])
    """Where each part begins in `text`; ascending, the first is 0."""
    spans: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Where each part stands in the parent's text. One of the same length stands there character by character."""

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """From where to where `text[start:end]` stands in the outermost text."""
        if self.parent is None:
            return start, end
        return self.parent.locate(self._origin(start)[0], self._origin(max(start, end - 1))[1])

    def _origin(self, position: int) -> tuple[int, int]:
        part = bisect_right(self.starts, position) - 1
        first, last = self.spans[part]
        start = self.starts[part]
        end = self.starts[part + 1] if part + 1 < len(self.starts) else len(self.text)
        if end - start == last - first:
            return first + position - start, first + position - start + 1
        return first, last


def mask(text: str) -> str:
    """`text` with what redaction has put into it blotted out, at the same length."""
    return _PLACEHOLDER.sub(lambda found: MASK * len(found.group()), text)


def undo_escapes(view: View) -> Iterator[View]:
    """The view with each escape of JSON, Python and URLs undone once; nothing when there is none."""
    text = view.text
    pieces: list[str] = []
    starts: list[int] = []
    spans: list[tuple[int, int]] = []
    length = position = 0
    for found in _ESCAPE.finditer(text):
        start, end = found.span()
        if start > position:
            starts.append(length)
            spans.append((position, start))
            pieces.append(text[position:start])
            length += start - position
        starts.append(length)
        spans.append((start, end))
        pieces.append(_unescape(found.group()))
        length += 1
        position = end
    if not pieces:
        return
    if position < len(text):
        starts.append(length)
        spans.append((position, len(text)))
        pieces.append(text[position:])
    yield View(mask("".join(pieces)), view, view.depth + 1, starts, spans)


def _unescape(escape: str) -> str:
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    sign, digits = escape[1], escape[2:]
    return chr(int(digits, 16)) if digits else _SHORT_ESCAPES.get(sign, sign)


def decode_runs(view: View) -> Iterator[View]:
    """What can be read in the view's runs of base64 and hexadecimal digits, wherever in the run it begins."""
    for found in _BASE64.finditer(view.text):
        yield from _decoded(view, found.span(), _base64_readings(found.group()))
    for found in _WRAPPED_BASE64.finditer(view.text):
        yield from _decoded(view, found.span(), _base64_readings(found.group().translate(_LINE_ENDS)))
    for found in _HEX.finditer(view.text):
        yield from _decoded(view, found.span(), _hex_readings(found.group()))


def is_encoded_text(run: str) -> bool:
    """Whether a run of base64 or hexadecimal digits is a text, whose first and last characters may be cut in two."""
    readings = [*_base64_readings(run), *(_hex_readings(run) if _ONLY_HEX.fullmatch(run) else ())]
    return any(_is_text(reading) for reading in readings)


def _is_text(data: bytes) -> bool:
    text = data.lstrip(_SECOND_HALVES).decode(errors="replace").rstrip(_NO_CHARACTER)
    readable = sum(character.isprintable() or character in "\t\n\r" for character in text) - text.count(_NO_CHARACTER)
    return len(text) >= LEAST_TEXT and readable >= MOSTLY * len(text)


def _decoded(view: View, span: tuple[int, int], readings: Iterator[bytes]) -> Iterator[View]:
    for reading in readings:
        for found in _READABLE.finditer(mask(reading.decode("latin-1"))):
            yield View(found.group(), view, view.depth + 1, [0], [span])


def _base64_readings(run: str) -> Iterator[bytes]:
    run = run.translate(_TO_STANDARD)
    for skipped in range(4):
        text = run[skipped:]
        if len(text) % 4 == 1:
            text = text[:-1]
        yield base64.b64decode(text + "=" * (-len(text) % 4))


def _hex_readings(run: str) -> Iterator[bytes]:
    for skipped in range(2):
        text = run[skipped:]
        yield binascii.unhexlify(text[: len(text) // 2 * 2])
