"""
Paging through a list that is read in one direction only: where a page begins stands in its URL, and where those before
it began, so that one can go back. Of very many pages the first are forgotten; then "newest" is the way.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from copilot_api.admin.components import Pager
from copilot_api.admin.forms import Fields
from copilot_api.admin.links import page_url

MOST_BACK = 12
AFTER, BACK = "after", "back"
_BEGINNING = "-"
"""Stands for the first page, which has no position."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where one is, and how one came there; positions as they stand in URLs."""

    after: str
    """Empty on the first page."""
    back: tuple[str, ...]
    """The positions of the pages before, the nearest last."""

    def make_pager(self, path: str, fields: Iterable[tuple[str, str]], text: str, older: str | None) -> Pager:
        """The ways from here; `older` is the position of the next page."""
        kept = [(name, value) for name, value in fields if name not in {AFTER, BACK}]

        def url(after: str, back: tuple[str, ...]) -> str:
            return page_url(path, kept, after=after, back=".".join(back[-MOST_BACK:]))

        if not self.after:
            return Pager(text, older=None if older is None else url(older, (_BEGINNING,)))
        newer = self.back[-1] if self.back else None
        return Pager(
            text,
            newer=None if newer is None else url("" if newer == _BEGINNING else newer, self.back[:-1]),
            older=None if older is None else url(older, (*self.back, self.after)),
            first=url("", ()),
        )


def read_trail(query: Fields) -> Trail:
    """Of a page's URL. Positions are checked by whoever takes one for where to begin."""
    back = tuple(each for each in query.get(BACK).split(".")[-MOST_BACK:] if each)
    return Trail(query.get(AFTER), back)
