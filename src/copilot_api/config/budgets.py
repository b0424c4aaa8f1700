"""
Budgets, as an operator writes them: `UNIT:WINDOW:AMOUNT`, such as `credits:day:50`.

A window is a calendar one in UTC: an hour, a day, a week from Monday on, a month. `UNIT:WINDOW:AMOUNT:observe` is a
budget that is only watched: what it would refuse is noted, and let through.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from copilot_api.errors import BadRequest


class Unit(StrEnum):
    """What a budget counts."""

    CREDITS = "credits"
    """Copilot's AI credits, by tokens and the model's price."""
    PREMIUM_REQUESTS = "premium_requests"
    """What a call that a person began costs on the plans that count those: the model's multiplier."""
    TOKENS = "tokens"
    """Input, cached or not, and output."""
    REQUESTS = "requests"

    @property
    def words(self) -> str:
        """For people."""
        return self.value.replace("_", " ")


class Window(StrEnum):
    """The calendar window that a budget is for, in UTC."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Budget:
    """So much of a unit in each window."""

    unit: Unit
    window: Window
    amount: float
    is_observed: bool = False
    """Whether going over it is only noted."""

    @property
    def name(self) -> str:
        """What errors, events and pages call it: `credits:day`."""
        return f"{self.unit.value}:{self.window.value}"

    @property
    def text(self) -> str:
        """As `parse_budget` reads it."""
        return f"{self.name}:{self.amount:.15g}{':observe' if self.is_observed else ''}"


_UNITS = {unit.value: unit for unit in Unit} | {
    "credit": Unit.CREDITS,
    "premium": Unit.PREMIUM_REQUESTS,
    "premium_request": Unit.PREMIUM_REQUESTS,
    "token": Unit.TOKENS,
    "request": Unit.REQUESTS,
}
_WINDOWS = {window.value: window for window in Window} | {
    "hourly": Window.HOUR,
    "daily": Window.DAY,
    "weekly": Window.WEEK,
    "monthly": Window.MONTH,
}
_MAX_AMOUNT = 1e15
_FORM = (
    "write UNIT:WINDOW:AMOUNT, such as credits:day:50 (units: {}; windows: {}), and :observe to only watch it".format(
        ", ".join(Unit), ", ".join(Window)
    )
)


def parse_budget(text: str) -> Budget:
    """The budget in `text`. Raises `BadRequest`, with the form."""
    unit_name, _, rest = text.strip().lower().partition(":")
    window_name, _, rest = rest.partition(":")
    amount_text, _, mode = rest.partition(":")
    unit, window = _UNITS.get(unit_name.replace("-", "_").replace(" ", "_")), _WINDOWS.get(window_name)
    if unit is None or window is None or mode not in {"", "observe", "enforce"}:
        raise BadRequest(f"this is no budget: {text[:80]!a}", hint=_FORM)
    try:
        amount = float(amount_text)
    except ValueError:
        raise BadRequest(f"this budget has no amount: {text[:80]!a}", hint=_FORM) from None
    check_amount(amount)
    return Budget(unit, window, amount, is_observed=mode == "observe")


def check_amount(amount: float) -> None:
    """Raises `BadRequest` for an amount that no budget can have."""
    if not math.isfinite(amount) or not 0 < amount <= _MAX_AMOUNT:
        raise BadRequest(f"a budget's amount is more than 0 and at most {_MAX_AMOUNT:.0e}", hint=_FORM)
