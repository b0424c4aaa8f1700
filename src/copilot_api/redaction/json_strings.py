"""
The strings of a JSON document where they stand in its text, whether the document is whole, cut off or broken.

Nothing is built: a document keeps its spelling, the order of its members, its doubled keys and its numbers, and one
that is nested a hundred thousand deep costs no stack.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"?|[{}\[\],]|[^"{}\[\],:\s]+', re.DOTALL)
_COLON = re.compile(r"\s*:")
_INDEXES = frozenset(("index", "output_index", "content_index", "summary_index"))
_MARKS = _INDEXES | {"item_id", "type", "thought"}
_LABELS = frozenset(("name", "key", "header", "variable", "field", "id"))
_MAX_PATH = 24


class Frame:
    """An object or array that a value is in."""

    __slots__ = ("first", "index", "is_array", "label", "marks", "name", "parent", "value")

    def __init__(self, parent: "Frame | None", label: str | int, *, is_array: bool) -> None:
        self.parent = parent
        self.label = label
        """Its own key or place in its parent."""
        self.is_array = is_array
        self.index = 0
        self.name = ""
        """The key of the member that is being read."""
        self.marks: list[tuple[str, str]] = []
        """What tells it apart from others at the same path: an index, an item's id."""
        self.first = ""
        """What it calls itself: the first string of an array, the `name` of an object."""
        self.value: Token | None = None
        """The string under `value`."""

    @property
    def place(self) -> str | int:
        """The key or place of what is being read."""
        return self.index if self.is_array else self.name


class Token(NamedTuple):
    """A string or number in the text, without its quotes."""

    start: int
    end: int
    frame: Frame | None
    place: str | int
    is_key: bool
    is_string: bool

    @property
    def name(self) -> str:
        """The key it stands under; of an array's element that of the array."""
        return name_of(self.frame, self.place)

    def render_path(self) -> str:
        """Where it is, like `$.messages[0].content`; a long path begins with `…`."""
        places = [self.place] if self.frame is not None else []
        frame = self.frame
        while frame is not None and frame.parent is not None:
            if len(places) >= _MAX_PATH:
                places.append("…")
                break
            places.append(frame.label)
            frame = frame.parent
        return "$" + "".join(
            [f"[{place}]" if isinstance(place, int) else f".{place[:64]}" for place in reversed(places)]
        )


def name_of(frame: Frame | None, place: str | int) -> str:
    """The nearest key above a place."""
    while isinstance(place, int):
        if frame is None:
            return ""
        place, frame = frame.label, frame.parent
    return place


def scan_json(text: str, start: int, end: int) -> Iterator[Token]:
    """Every string and number between `start` and `end`, keys included, in order."""
    frame: Frame | None = None
    for found in _TOKEN.finditer(text, start, end):
        sign = found.group()
        head = sign[0]
        if head == '"':
            token = _read_string(text, found, end, frame)
            if token.is_key and frame is not None:
                frame.name = text[token.start : min(token.end, token.start + 256)]
            elif frame is not None:
                _note(frame, token, text)
            yield token
        elif head in "{[":
            frame = Frame(frame, frame.place if frame is not None else "", is_array=head == "[")
        elif head in "}]":
            if frame is not None:
                frame = frame.parent
        elif head == ",":
            if frame is not None:
                frame.index += 1
        elif frame is not None:
            token = Token(*found.span(), frame, frame.place, is_key=False, is_string=False)
            if frame.name in _MARKS and not frame.is_array:
                frame.marks.append((frame.name, sign[:24]))
            yield token


def _read_string(text: str, found: re.Match[str], end: int, frame: Frame | None) -> Token:
    is_key = frame is not None and not frame.is_array and _COLON.match(text, found.end(), end) is not None
    return Token(*found.span(1), frame, frame.place if frame is not None else "", is_key=is_key, is_string=True)


def _note(frame: Frame, token: Token, text: str) -> None:
    """What a string says about the object or array that it is in."""
    if frame.is_array:
        if frame.index == 0:
            frame.first = text[token.start : min(token.end, token.start + 64)]
    elif frame.name in _MARKS:
        frame.marks.append((frame.name, text[token.start : min(token.end, token.start + 128)]))
    elif frame.name == "value":
        frame.value = token
    elif frame.name in _LABELS:
        frame.first = text[token.start : min(token.end, token.start + 64)]
