"""
Views: a piece of a text as it reads when an encoding is undone, each of which knows where its characters came from.

A secret is found in what a text means and has to be struck out of what is written, so every step of decoding keeps a
way back. The steps lie on sheets: all that was decoded out of one sheet is written on the next, and searched at once.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

GAP = "\x00\n\x00"
"""Between the pieces of a sheet. No pattern of a secret reaches over it."""


class View(Protocol):
    """A decoded piece of a text."""

    @property
    def text(self) -> str:
        """As it reads."""
        ...

    @property
    def via(self) -> str:
        """The name of the encoding that was undone; empty for none."""
        ...

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """What of the source stands for these characters of the view."""
        ...


class Slice(NamedTuple):
    """A part of the source as it is."""

    text: str
    offset: int = 0
    via: str = ""

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        return self.offset + start, self.offset + end


class Unescaped(NamedTuple):
    """A part of the source with its escapes undone: stretches that read as written, and escapes between them."""

    text: str
    starts: Sequence[int]
    """Where each stretch begins in the view."""
    sources: Sequence[int]
    """Where it begins in the source; one more than there are stretches, the last being the end."""
    via: str

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, end - 1) - 1
        begin = self.sources[first] + (start - self.starts[first] if self._is_plain(first) else 0)
        finish = self.sources[last] + (end - self.starts[last]) if self._is_plain(last) else self.sources[last + 1]
        return begin, finish

    def _is_plain(self, stretch: int) -> bool:
        following = self.starts[stretch + 1] if stretch + 1 < len(self.starts) else len(self.text)
        return following - self.starts[stretch] == self.sources[stretch + 1] - self.sources[stretch]


class Blocks(NamedTuple):
    """A part of the source that was decoded in blocks: 4 characters of base64 for 3 bytes, 2 of hex for 1."""

    text: str
    offset: int
    """Where the first block begins in the source."""
    skipped: int
    """How many decoded characters come before the view's first."""
    per_block: int
    """Decoded characters of a block."""
    width: int
    """Source characters of a block."""
    end: int
    """Where the blocks end in the source."""
    places: Sequence[int] | None
    """Where in the source each character of the blocks stands, when line ends are between them."""
    via: str

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """See `View`."""
        first = (self.skipped + start) // self.per_block * self.width
        last = -(-(self.skipped + end) // self.per_block) * self.width
        if self.places is not None:
            return self.places[first], self.places[min(last, len(self.places)) - 1] + 1
        return self.offset + first, min(self.offset + last, self.end)


class Sheet:
    """Many views, one after another as one text."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = views
        self.text = GAP.join([view.text for view in views])
        self._offsets: list[int] = []
        offset = 0
        for view in views:
            self._offsets.append(offset)
            offset += len(view.text) + len(GAP)

    def find_view(self, start: int, end: int) -> tuple[int, int, int] | None:
        """Which view these characters are in, and which of its characters they are; None if they are in a gap."""
        index = bisect_right(self._offsets, start) - 1
        offset = self._offsets[index]
        start, end = start - offset, min(end - offset, len(self.views[index].text))
        return (index, start, end) if start < end else None

    def span_of(self, index: int) -> tuple[int, int]:
        """Where a view stands on the sheet."""
        return self._offsets[index], self._offsets[index] + len(self.views[index].text)
