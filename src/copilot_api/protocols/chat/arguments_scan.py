"""
A tool call's arguments, watched as they arrive: whether they are whole, and whether they have run away.

A model may fall into writing nothing but line ends and tabs between two fields until its limit is reached. Inside a
string such characters are escaped, so raw ones in a row are never sense.
"""

import re

_OUTSIDE = re.compile(r'["{}\[\]]|[\n\t\r]+')
_INSIDE = re.compile(r'["\\]')
_MAX_BLANK = 40
"""More line ends and tabs in a row than the deepest indentation of arguments has."""


class ArgumentsScan:
    """See the module."""

    __slots__ = ("_blank", "_depth", "_has_begun", "_is_escaped", "_is_inside")

    def __init__(self) -> None:
        self._depth = 0
        self._blank = 0
        self._has_begun = False
        self._is_inside = False
        """Inside a string."""
        self._is_escaped = False

    @property
    def is_whole(self) -> bool:
        """Whether an object or list has begun and is closed: then nothing can follow."""
        return self._has_begun and self._depth <= 0 and not self._is_inside

    @property
    def has_run_away(self) -> bool:
        """Whether nothing but blanks has come for too long."""
        return self._blank > _MAX_BLANK

    def feed(self, text: str) -> None:
        """The next piece."""
        position = 0
        while position < len(text):
            position = self._string(text, position) if self._is_inside else self._structure(text, position)

    def _string(self, text: str, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            return position + 1
        found = _INSIDE.search(text, position)
        if found is None:
            return len(text)
        if found.group() == '"':
            self._is_inside = False
        else:
            self._is_escaped = True
        return found.end()

    def _structure(self, text: str, position: int) -> int:
        found = _OUTSIDE.search(text, position)
        between = text[position:] if found is None else text[position : found.start()]
        if between.strip():
            self._blank = 0
        if found is None:
            return len(text)
        mark = found.group()
        if mark.isspace():
            self._blank += len(mark)
            return found.end()
        self._blank = 0
        if mark == '"':
            self._is_inside = True
        elif mark in "{[":
            self._depth += 1
            self._has_begun = True
        else:
            self._depth -= 1
        return found.end()
