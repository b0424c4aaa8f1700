"""A key as commands show it to people: field by field, and as a line of a table."""

from collections.abc import Sequence
from datetime import datetime

from copilot_api.config.budgets import Budget
from copilot_api.keys.documents import is_observed, name_status
from copilot_api.keys.models import ApiKey, CaptureOrder, KeyPolicy

COLUMNS = ("id", "label", "tier", "prefix", "status", "models", "limits", "created", "expires", "last used")
"""The columns of `render_row`."""

_OBSERVED = " (observed)"


def render_fields(key: ApiKey, now: datetime) -> dict[str, str | Sequence[str] | None]:
    """A key for people: see `print_fields`. What is not enforced is marked."""
    policy = key.policy

    def limit(name: str, value: int | None) -> str | None:
        return None if value is None else f"{value:,}{_mark(policy, name)}"

    observed = "everything" if "*" in policy.observe else ", ".join(policy.observe).replace("_", " ")
    return {
        "id": key.id,
        "label": key.label,
        "tier": key.tier.value,
        "prefix": key.prefix,
        "status": name_status(key, now),
        "models": f"{', '.join(policy.models)}{_mark(policy, 'models') if '*' not in policy.models else ''}",
        "networks": f"{', '.join(policy.cidrs)}{_mark(policy, 'cidrs')}" if policy.cidrs else None,
        "rpm": limit("rpm", policy.rpm),
        "tpm": limit("tpm", policy.tpm),
        "max in flight": limit("max_in_flight", policy.max_in_flight),
        "weight": str(policy.weight) if policy.weight != 1 else None,
        "budgets": [
            f"{budget.name} {_number(budget.amount)}{_budget_mark(policy, budget)}" for budget in policy.budgets
        ],
        "observed": f"{observed}: what would be refused is only noted" if observed else None,
        "created": _second(key.created_at),
        "not before": _second(key.not_before),
        "expires": _second(key.expires_at),
        "revoked": _second(key.revoked_at),
        "last used": _second(key.last_used_at),
        "captured": _describe_capture(key.capture_at(now)),
    }


def render_row(key: ApiKey, now: datetime) -> tuple[str | None, ...]:
    """A key as a line of a table with `COLUMNS`."""
    models = "all" if "*" in key.policy.models else f"{','.join(key.policy.models)}{_mark(key.policy, 'models')}"
    times = (key.created_at, key.expires_at, key.last_used_at)
    return (
        key.id,
        key.label,
        key.tier.value,
        key.prefix,
        _state(key, now),
        models,
        _limits(key.policy),
        *map(_minute, times),
    )


def _describe_capture(order: CaptureOrder | None) -> str | None:
    return None if order is None else f"until {_second(order.until)}, by {order.by}: {order.reason}"


def _limits(policy: KeyPolicy) -> str | None:
    """All limits in a few words, such as `60 rpm, 40k tpm, 4 at once, credits:day 50 (observed)`."""
    limits = (
        ("rpm", policy.rpm, "rpm"),
        ("tpm", policy.tpm, "tpm"),
        ("max_in_flight", policy.max_in_flight, "at once"),
    )
    found = [f"{_short(value)} {words}{_mark(policy, name)}" for name, value, words in limits if value is not None]
    found += [f"{budget.name} {_short(budget.amount)}{_budget_mark(policy, budget)}" for budget in policy.budgets]
    if policy.cidrs:
        networks = policy.cidrs[0] if len(policy.cidrs) == 1 else f"{len(policy.cidrs)} networks"
        found.append(f"from {networks}{_mark(policy, 'cidrs')}")
    text = ", ".join(found)
    if found and "*" in policy.observe:
        text = f"observed: {text.replace(_OBSERVED, '')}"  # said once, not of each
    if policy.weight != 1:
        text = f"{text}, weight {policy.weight}" if text else f"weight {policy.weight}"
    return text or None


def _mark(policy: KeyPolicy, name: str) -> str:
    return _OBSERVED if policy.observes(name) else ""


def _budget_mark(policy: KeyPolicy, budget: Budget) -> str:
    return _OBSERVED if is_observed(policy, budget) else ""


def _short(number: float) -> str:
    """A number in few characters, where that takes nothing away: 40k, 1.5M."""
    for letter, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size and number % (size // 10) == 0:
            return f"{number / size:,.15g}{letter}"
    return _number(number)


def _number(number: float) -> str:
    return f"{number:,.15g}"


def _state(key: ApiKey, now: datetime) -> str:
    """The status in a table, where it is worth knowing at a glance that what a key says is recorded."""
    return name_status(key, now) if key.capture_at(now) is None else f"{name_status(key, now)}, captured"


def _second(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _minute(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"
