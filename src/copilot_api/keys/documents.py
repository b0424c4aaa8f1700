"""
A key as programs read it: the JSON of `copilot-api keys show --json` and of the admin API, without a secret.

The names of its fields are those of the bodies that make and change keys; see `copilot_api.keys.wishes`.
"""

from datetime import datetime
from typing import Literal

import msgspec

from copilot_api.config.budgets import Budget, Unit, Window
from copilot_api.keys.models import ApiKey, CaptureOrder, KeyPolicy, Tier

Status = Literal["valid", "not yet valid", "expired", "revoked"]
"""How it stands with a key."""
Mode = Literal["enforced", "observed"]
"""Whether what a limit refuses is refused, or only noted."""


class BudgetDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One budget of a key."""

    unit: Unit
    window: Window
    amount: float
    mode: Mode


class CaptureDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a key's calls are captured."""

    reason: str
    by: str
    since: str
    until: str


class KeyDocument(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A key. Times are ISO 8601 in UTC; a limit that is null is the gateway's default, which may be none."""

    id: str
    label: str
    tier: Tier
    prefix: str
    status: Status
    models: list[str]
    cidrs: list[str]
    rpm: int | None
    tpm: int | None
    max_in_flight: int | None
    weight: int
    budgets: list[BudgetDocument]
    observe: list[str]
    created_at: str
    not_before: str | None
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    capture: CaptureDocument | None


def describe_key(key: ApiKey, now: datetime) -> KeyDocument:
    """A key as it is at `now`."""
    policy = key.policy
    return KeyDocument(
        id=key.id,
        label=key.label,
        tier=key.tier,
        prefix=key.prefix,
        status=name_status(key, now),
        models=list(policy.models),
        cidrs=list(policy.cidrs),
        rpm=policy.rpm,
        tpm=policy.tpm,
        max_in_flight=policy.max_in_flight,
        weight=policy.weight,
        budgets=[_describe_budget(policy, budget) for budget in policy.budgets],
        observe=list(policy.observe),
        created_at=key.created_at.isoformat(),
        not_before=_time(key.not_before),
        expires_at=_time(key.expires_at),
        revoked_at=_time(key.revoked_at),
        last_used_at=_time(key.last_used_at),
        capture=_describe_capture(key.capture_at(now)),
    )


def render_key(key: ApiKey, now: datetime) -> dict[str, object]:
    """The same as plain values, ready for JSON."""
    fields: dict[str, object] = msgspec.to_builtins(describe_key(key, now))
    return fields


def name_status(key: ApiKey, now: datetime) -> Status:
    """How it stands with a key at `now`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "valid" if key.is_valid_at(now) else "not yet valid"


def is_observed(policy: KeyPolicy, budget: Budget) -> bool:
    """Whether going over a budget is only noted."""
    return budget.is_observed or policy.observes("budgets")


def _describe_budget(policy: KeyPolicy, budget: Budget) -> BudgetDocument:
    amount = int(budget.amount) if budget.amount.is_integer() else budget.amount
    return BudgetDocument(budget.unit, budget.window, amount, "observed" if is_observed(policy, budget) else "enforced")


def _describe_capture(order: CaptureOrder | None) -> CaptureDocument | None:
    if order is None:
        return None
    return CaptureDocument(order.reason, order.by, order.since.isoformat(), order.until.isoformat())


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
