"""What is asked of admission, what it gives, and the ports behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from copilot_api.admission.budget import NOTHING, Amounts
from copilot_api.errors import Rate
from copilot_api.keys.models import ApiKey

Tell = Callable[[str], Awaitable[None]]
"""Tells the caller, while it waits, what it waits for."""


class Ask(msgspec.Struct, frozen=True):
    """One call that wants to start."""

    request_id: str
    key: ApiKey
    model: str
    """The model's id upstream."""
    at: datetime
    """When it came; it counts in the calendar windows of that moment."""
    is_batch: bool = False
    """Whether calls that somebody waits for go first."""
    least: Amounts = NOTHING
    """What it takes whatever the answer: the input."""
    likely: Amounts = NOTHING
    """What it takes if the answer is of the usual length."""


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """How one limit of a key stands, for `GET /usage`."""

    name: str
    unit: str
    limit: float
    used: float
    resets_at: datetime | None
    """When it is free again: the end of a budget's window; of a limit per minute, when nothing is counted any more."""
    is_observed: bool
    scope: Literal["key", "all"] = "key"
    """Whether it is this key's own, or one for all keys together."""


class Reservation:
    """What one call has taken of its limits and budgets."""

    __slots__ = ("amounts", "is_settled", "notes", "rates")

    def __init__(self, amounts: Amounts, notes: tuple[str, ...], rates: tuple[Rate, ...]) -> None:
        self.amounts = amounts
        """What is reserved of each budget."""
        self.notes = notes
        """The limits that would have refused the call, were they not only observed."""
        self.rates = rates
        self.is_settled = False


class Quotas(Protocol):
    """
    The limits and budgets of all keys. A shared implementation may have to ask somebody, so taking is awaited; what is
    given back never waits.
    """

    async def take(self, ask: Ask, now: float) -> Reservation:
        """Take what the call needs of every limit, all or nothing. Raises which limit is reached."""
        ...

    def leave(self, reservation: Reservation) -> None:
        """The call is not in flight any more."""
        ...

    def settle(self, reservation: Reservation, actual: Amounts) -> None:
        """This is what it really took."""
        ...

    def cancel(self, reservation: Reservation) -> None:
        """It never went upstream: everything is given back."""
        ...

    async def standings(self, key: ApiKey, at: datetime, now: float) -> list[LimitStanding]:
        """How every limit of `key` stands."""
        ...


class SpentBefore(Protocol):
    """The port of the budgets: what was spent, according to the ledger."""

    def spent(self, key_id: str | None, since: datetime, until: datetime) -> Amounts:
        """
        What the calls took that came in [since, until), of one key or of all. Blocks: call it from a thread. Raises
        `StorageUnavailable`.
        """
        ...
