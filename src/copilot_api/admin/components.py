"""What components of the design system take: values that a view makes and a template hands to a macro of `ui`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Column:
    """Of a data table."""

    name: str
    label: str
    is_number: bool = False
    """Then it stands at the right, here and in the cells (`class="number"`)."""
    sort: str | None = None
    """Where its head leads, from `sort_url`; None where one cannot sort by it."""
    title: str | None = None
    """What its head means, where that needs a sentence."""


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a list goes on. Pages are found by keys, not by numbers."""

    text: str
    """What is shown: `50 newest of 12,400`."""
    newer: str | None = None
    older: str | None = None
    first: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some links that exclude each other: a tab, a metric."""

    label: str
    href: str
    is_current: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query, and the page without it."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class QueryField:
    """What one may filter by, for suggestions."""

    name: str
    hint: str
    values: tuple[str, ...] = ()

    def suggestion(self) -> dict[str, object]:
        """As `static/filters.js` reads it."""
        return {"name": self.name, "hint": self.hint, "values": self.values}


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart. Its colour comes from its name."""

    name: str
    values: Sequence[float | None]
    """As many as there are times; None where nothing is known."""
    label: str | None = None
    """What it is called, where that is not its name: the label of a key with that id."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across a chart."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at a moment of a chart."""

    at: datetime
    text: str
    tone: Literal["config", "incident"] = "config"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the life of a call, in seconds from its beginning."""

    label: str
    start: float
    end: float
    kind: Literal["", "wait", "first", "good", "bad"] = ""
    note: str = ""
