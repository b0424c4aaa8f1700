"""The port of the ledger: what usage asks of whatever stores its events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from copilot_api.usage.filters import Condition
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import SumQuery, SumRow


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the ledger: between the event of that time and id, and the one after it in the order of reading."""

    at: int
    """In microseconds since 1970."""
    request_id: str


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Events of [since, until) for which every condition holds; newest first."""

    since: datetime
    until: datetime
    conditions: tuple[Condition, ...] = ()
    limit: int = 50
    after: Position | None = None
    """Where the page before ended."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, newest first."""

    events: list[UsageEvent]
    next: Position | None
    """Where the next page begins; None at the end. A page may be short, or empty, and not be the last: then looking
    further would have taken too long."""


class UsageRepository(Protocol):
    """
    Stores events and sums them up. Its methods block: call them from a thread.

    Periods are [since, until). Raises `StorageUnavailable` when it cannot read or write.
    """

    def add_events(self, events: Sequence[UsageEvent]) -> int:
        """Store events, all or none, but for those whose request id is there already. Says how many were new."""
        ...

    def list_events(
        self, since: datetime, until: datetime, conditions: tuple[Condition, ...] = ()
    ) -> Iterator[UsageEvent]:
        """The events of a period in order of time. Read in pages: a slow reader holds nothing up."""
        ...

    def get_page(self, query: EventQuery) -> EventPage:
        """One page of events. What it costs depends neither on how many there are nor on how deep the page is."""
        ...

    def find_event(self, request_id: str) -> UsageEvent | None:
        """The event of one call; None when it is not in the ledger (any more, or yet)."""
        ...

    def sum_up(self, query: SumQuery) -> list[SumRow]:
        """The sums by group and bucket, in no order; those without events are left out."""
        ...
