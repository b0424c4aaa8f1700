"""The port of the ledger: what usage asks of whatever stores its events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from copilot_api.usage.models import UsageEvent


class Group(StrEnum):
    """What usage is summed by; `day` is a calendar day in UTC."""

    KEY = "key"
    MODEL = "model"
    CLIENT = "client"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotals:
    """Sums over events. An error is an event of status 400 or more, or of a cause other than ok and client_aborted."""

    group: str | None
    """The key's id, the model as clients call it, the client, or the day as YYYY-MM-DD; None where events name none."""
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    nano_aiu: int = 0
    premium_requests: float = 0.0
    would_limit: int = 0
    """Calls that a limit would have refused, were it not only observed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    Calls of one key that named one model on one endpoint and were answered by one model, added up.

    Only what says something of the model counts: calls that went upstream, and those that got no further because the
    name meant nothing to their key. What was refused for another reason (a limit, a budget, a mistake in the request)
    is no use of a model, and would be refused again whatever the names mean.
    """

    key_id: str
    model: str
    """The name that the calls used."""
    endpoint: str
    upstream_model: str | None
    """The id of the model that they went to; None for those that were refused for the model's sake."""
    requests: int = 0
    measured_requests: int = 0
    """Those that went upstream and whose usage is known; the tokens and the charge are theirs."""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    nano_aiu: int | None = None
    """None where no charge is known."""


class UsageRepository(Protocol):
    """
    Stores events and sums them up. Its methods block: call them from a thread.

    Periods are [since, until). Raises `StorageUnavailable` when it cannot read or write.
    """

    def add_events(self, events: Sequence[UsageEvent]) -> int:
        """Store events, all or none, but for those whose request id is there already. Says how many were new."""
        ...

    def list_events(self, since: datetime, until: datetime, key_id: str | None = None) -> Iterator[UsageEvent]:
        """The events of a period in order of time. Read in pages: a slow reader holds nothing up."""
        ...

    def totals(self, since: datetime, until: datetime, group: Group, key_id: str | None = None) -> list[UsageTotals]:
        """The sums of a period by group, in order of the groups."""
        ...

    def traffic(self, since: datetime, until: datetime) -> list[Traffic]:
        """What the keys used of the models in a period, in no order."""
        ...
