"""
What may hide a secret: escapes, URL-encoding, HTML entities, base64 and hex, each undone to a view.

Decoding costs nothing where nothing is encoded: escapes are undone around the places where there are some, and of what
is decoded from base64 or hex only what reads as text is looked at.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from html import unescape

from copilot_api.redaction.views import Blocks, Unescaped, View

_ESCAPE = re.compile(
    r"\\(?:u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[\"'\\/bfnrt`\n])"
    r"|%(?:u[0-9a-fA-F]{4}|[0-9a-fA-F]{2})"
    r"|&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[a-zA-Z]{2,8};)"
)
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SPACE_OR_ESCAPE = re.compile(r"\+|%[0-9a-fA-F]{2}")
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\n": ""}
_AROUND = 256
"""How much of the text around an escape is read with it: the name of a value, and the value."""

_RUN = re.compile(r"[A-Za-z0-9+/_\-]{16,}+(?:(?:\r?\n|\\r\\n|\\n)[ \t>]{0,8}[A-Za-z0-9+/_\-]{4,}+)*+={0,2}")
_HEX = re.compile(r"[0-9a-fA-F]{24,}+")
_NOT_BASE64 = re.compile(r"\\[rn]|[^A-Za-z0-9+/_\-]")
_STANDARD = str.maketrans("-_", "+/")
_READABLE = re.compile(rb"[\t\n\r\x20-\x7e]{10,}")
_WIDE = re.compile(rb"(?:[\t\n\r\x20-\x7e]\x00){10,}")


def undo_json(text: str, start: int, end: int) -> View:
    """The string of JSON that is written between `start` and `end`."""
    return _undo(text, start, end, _JSON_ESCAPE, _read_escape, "JSON string")


def undo_form(text: str, start: int, end: int) -> View:
    """The value of a form or a query that is written between `start` and `end`: `+` is a space."""
    return _undo(text, start, end, _SPACE_OR_ESCAPE, _read_form, "URL")


def list_views(text: str) -> Iterator[View]:
    """What of `text` reads otherwise when an encoding is undone."""
    yield from _list_escaped(text)
    yield from _list_base64(text)
    yield from _list_hex(text)


def _undo(text: str, start: int, end: int, pattern: re.Pattern[str], read: Callable[[str], str], via: str) -> Unescaped:
    parts: list[str] = []
    starts: list[int] = []
    sources: list[int] = []
    length, position = 0, start
    for found in pattern.finditer(text, start, end):
        if found.start() > position:
            parts.append(text[position : found.start()])
            starts.append(length)
            sources.append(position)
            length += found.start() - position
        position = found.end()
        char = read(found.group())
        if char:
            parts.append(char)
            starts.append(length)
            sources.append(found.start())
            length += len(char)
    parts.append(text[position:end])
    starts.append(length)
    sources += [position, end]
    return Unescaped("".join(parts), starts, sources, via)


def _read_escape(escape: str) -> str:
    kind = escape[0]
    if kind == "%":
        return chr(int(escape[2:] if escape[1] == "u" else escape[1:], 16))
    if kind == "&":
        return unescape(escape)
    sign = escape[1:2]
    if sign in ("u", "x", "U") and len(escape) > 2:
        code = int(escape[2:].strip("{}"), 16)
        return chr(code) if code < 0x110000 else ""
    if len(escape) == 4:
        return chr(int(escape[1:], 8))
    return _SIGNS.get(sign, sign)


def _read_form(escape: str) -> str:
    return " " if escape == "+" else _read_escape(escape)


def _list_escaped(text: str) -> Iterator[View]:
    if "\\" not in text and "%" not in text and "&" not in text:
        return
    for start, end in _windows(text):
        view = _undo(text, start, end, _ESCAPE, _read_escape, "escapes")
        if view.text != text[start:end]:
            yield view
        if text.find("%", start, end) >= 0 and text.find("+", start, end) >= 0:
            yield undo_form(text, start, end)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The parts of `text` around escapes."""
    begin = finish = -1
    for found in _ESCAPE.finditer(text):
        if begin < 0 or found.start() - _AROUND > finish:
            if begin >= 0:
                yield begin, finish
            begin = max(0, found.start() - _AROUND)
        finish = min(len(text), found.end() + _AROUND)
    if begin >= 0:
        yield begin, finish


def _list_base64(text: str) -> Iterator[View]:
    for found in _RUN.finditer(text):
        run = found.group().rstrip("=")
        places: list[int] | None = None
        if "\n" in run or "\\" in run:
            removed = {at for each in _NOT_BASE64.finditer(run) for at in range(*each.span())}
            places = [found.start() + at for at in range(len(run)) if at not in removed]
            run = _NOT_BASE64.sub("", run)
        plain = run.translate(_STANDARD)
        for phase in range(4):
            yield from _read_blocks(
                _decode(plain[phase:]), found.start() + phase, found.end(), (3, 4), places and places[phase:], "base64"
            )


def _decode(run: str) -> bytes:
    """The bytes of base64 without its padding; a last character that says too little is left out."""
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + "=" * (-len(run) % 4))


def _list_hex(text: str) -> Iterator[View]:
    for found in _HEX.finditer(text):
        run = found.group()
        for phase in range(2):
            digits = run[phase:]
            decoded = bytes.fromhex(digits[: len(digits) // 2 * 2])
            yield from _read_blocks(decoded, found.start() + phase, found.end(), (1, 2), None, "hex")


def _read_blocks(
    decoded: bytes, offset: int, end: int, block: tuple[int, int], places: list[int] | None, via: str
) -> Iterator[View]:
    """What of decoded bytes reads as text, of one byte a character or of two."""
    for found in _READABLE.finditer(decoded):
        yield Blocks(found.group().decode("ascii"), offset, found.start(), *block, end, places, via)
    if b"\x00" in decoded:
        for found in _WIDE.finditer(decoded):
            text = found.group()[::2].decode("ascii")
            yield _Wide(Blocks(text, offset, found.start(), *block, end, places, via + " of UTF-16"))


class _Wide:
    """Blocks of UTF-16: two bytes a character."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.text = blocks.text
        self.via = blocks.via

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        return self._blocks.locate(start * 2, end * 2)
