"""
What programs and pages ask for of a key: the bodies that make one and change one, in the names that a key's JSON has.

Pure, on the time that is given. What a value may be is for `copilot_api.keys.checks`; what is declared here says so
beforehand, to whoever reads the description of the API.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.config.moments import parse_duration, parse_when
from copilot_api.config.schema import MAX_LIMIT
from copilot_api.errors import BadRequest
from copilot_api.keys.checks import MAX_BUDGETS, MAX_LABEL, MAX_NETWORKS, MAX_OVERLAP_SECONDS, MAX_WEIGHT
from copilot_api.keys.models import KeyPolicy, Tier

_TIME_HINT = "write 30d (from now on), 2026-07-01 or 2026-07-01T12:00:00Z"
_UNLIMITED = KeyPolicy()
_OVERLAP_HINT = 'write "overlap": "1h", or "overlap_seconds": 3600'

Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL, description="What it is called: its holder, its use.")]
Models = Annotated[
    list[str], Meta(min_length=1, description="The models it may use, as clients call them; `*` is every model.")
]
Networks = Annotated[
    list[str], Meta(max_length=MAX_NETWORKS, description="The networks it may be used from; none is everywhere.")
]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Weight = Annotated[int, Meta(ge=1, le=MAX_WEIGHT, description="Its share where calls have to wait.")]
Observed = Annotated[
    list[Literal["models", "cidrs", "rpm", "tpm", "max_in_flight", "budgets", "*"]],
    Meta(description="What of it is not enforced, only noted; `*` is all of it."),
]
When = Annotated[
    str, Meta(max_length=64, description="A time in ISO 8601, in UTC where it does not say; or from now on: `30d`.")
]


class BudgetWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So much of a unit in each window."""

    unit: Unit
    window: Window
    amount: Annotated[float, Meta(gt=0, le=1e15)]
    mode: Literal["enforced", "observed"] = "enforced"


Budgets = Annotated[list[BudgetWish], Meta(max_length=MAX_BUDGETS, description="At most one for a unit and a window.")]


class NewKey(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key that is to be made. What is null, or not said, is as it is without any limit."""

    label: Label
    tier: Tier = Tier.CLIENT
    models: Models | None = None
    cidrs: Networks | None = None
    rpm: Limit | None = None
    tpm: Limit | None = None
    max_in_flight: Limit | None = None
    weight: Weight | None = None
    budgets: Budgets | None = None
    observe: Observed | None = None
    not_before: When | None = None
    expires_at: When | None = None

    def make_policy(self) -> KeyPolicy:
        """What it may do."""
        return edit_policy(KeyPolicy(), self)


class KeyChange(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A change of a key. What is not said stays as it is; what is null is taken away."""

    label: Label | UnsetType = UNSET
    models: Models | UnsetType | None = UNSET
    cidrs: Networks | UnsetType | None = UNSET
    rpm: Limit | UnsetType | None = UNSET
    tpm: Limit | UnsetType | None = UNSET
    max_in_flight: Limit | UnsetType | None = UNSET
    weight: Weight | UnsetType | None = UNSET
    budgets: Budgets | UnsetType | None = UNSET
    observe: Observed | UnsetType | None = UNSET
    not_before: When | UnsetType | None = UNSET
    expires_at: When | UnsetType | None = UNSET

    def edit(self, policy: KeyPolicy) -> KeyPolicy:
        """The policy with all that was asked for; see `PolicyEdit`."""
        return edit_policy(policy, self)


class Rotation(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How long the secrets that a key had work on; not at all where nothing is said."""

    overlap: Annotated[str, Meta(max_length=16, description="Such as `90s`, `15m`, `24h` or `7d`.")] | None = None
    overlap_seconds: Annotated[float, Meta(ge=0, le=MAX_OVERLAP_SECONDS)] | None = None

    def count_seconds(self) -> float:
        """The overlap in seconds. Raises `BadRequest` for one that is said twice, or is none."""
        if self.overlap is None:
            return self.overlap_seconds or 0.0
        if self.overlap_seconds is not None:
            raise BadRequest("the overlap is said twice", param="overlap", hint=_OVERLAP_HINT)
        try:
            overlap = parse_duration(self.overlap)
        except OverflowError as error:
            raise BadRequest(f"overlap: {self.overlap!a} is {error}", param="overlap") from None
        if overlap is None:
            raise BadRequest(f"overlap: {self.overlap!a} is no duration", param="overlap", hint=_OVERLAP_HINT)
        return overlap.total_seconds()


def edit_policy(policy: KeyPolicy, wish: NewKey | KeyChange) -> KeyPolicy:
    """`policy` with what `wish` says in place of what it said."""
    fields: dict[str, Any] = {}
    for name, read in _READ.items():
        value = getattr(wish, name)
        if value is not UNSET:
            fields[name] = getattr(_UNLIMITED, name) if value is None else read(value)
    return replace(policy, **fields)


def resolve_when(text: str | None, now: datetime, name: str) -> datetime | None:
    """The moment that `text`, the field `name`, stands for. Raises `BadRequest` for what is none."""
    if text is None:
        return None
    try:
        found = parse_when(text)
        moment = now + found if isinstance(found, timedelta) else found
    except OverflowError:
        moment = None
    if moment is None:
        raise BadRequest(f"{name}: {text!a} is no time", param=name, hint=_TIME_HINT)
    return moment


def resolve_change(text: str | UnsetType | None, now: datetime, name: str) -> datetime | UnsetType | None:
    """The same of a change, in which nothing may be said."""
    return text if isinstance(text, UnsetType) else resolve_when(text, now, name)


def _read_budgets(wishes: list[BudgetWish]) -> tuple[Budget, ...]:
    return tuple(Budget(each.unit, each.window, each.amount, each.mode == "observed") for each in wishes)


def _as_it_is(value: int) -> int:
    return value


_READ: dict[str, Callable[[Any], object]] = {
    "models": tuple,
    "cidrs": tuple,
    "rpm": _as_it_is,
    "tpm": _as_it_is,
    "max_in_flight": _as_it_is,
    "weight": _as_it_is,
    "budgets": _read_budgets,
    "observe": tuple,
}
"""The fields of a policy, each with what makes it of its JSON."""
