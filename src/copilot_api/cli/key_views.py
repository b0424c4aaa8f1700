"""A key as commands show it: as JSON, field by field, and as a line of a table."""

from collections.abc import Sequence
from datetime import datetime

from copilot_api.config.budgets import Budget
from copilot_api.keys.models import ApiKey, KeyPolicy

COLUMNS = ("id", "label", "tier", "prefix", "status", "models", "limits", "created", "expires", "last used")
"""The columns of `render_row`."""

_OBSERVED = " (observed)"


def render_key(key: ApiKey, now: datetime) -> dict[str, object]:
    """A key as JSON, without a secret."""
    policy = key.policy
    return {
        "id": key.id,
        "label": key.label,
        "tier": key.tier.value,
        "prefix": key.prefix,
        "status": _status(key, now),
        "models": list(policy.models),
        "cidrs": list(policy.cidrs),
        "rpm": policy.rpm,
        "tpm": policy.tpm,
        "max_in_flight": policy.max_in_flight,
        "weight": policy.weight,
        "budgets": [_render_budget(policy, budget) for budget in policy.budgets],
        "observe": list(policy.observe),
        "created_at": key.created_at.isoformat(),
        "not_before": _time(key.not_before),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
    }


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
        "status": _status(key, now),
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
        _status(key, now),
        models,
        _limits(key.policy),
        *map(_minute, times),
    )


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


def _render_budget(policy: KeyPolicy, budget: Budget) -> dict[str, object]:
    return {
        "unit": budget.unit.value,
        "window": budget.window.value,
        "amount": int(budget.amount) if budget.amount.is_integer() else budget.amount,
        "mode": "observed" if _is_observed(policy, budget) else "enforced",
    }


def _is_observed(policy: KeyPolicy, budget: Budget) -> bool:
    return budget.is_observed or policy.observes("budgets")


def _mark(policy: KeyPolicy, name: str) -> str:
    return _OBSERVED if policy.observes(name) else ""


def _budget_mark(policy: KeyPolicy, budget: Budget) -> str:
    return _OBSERVED if _is_observed(policy, budget) else ""


def _short(number: float) -> str:
    """A number in few characters, where that takes nothing away: 40k, 1.5M."""
    for letter, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size and number % (size // 10) == 0:
            return f"{number / size:,.15g}{letter}"
    return _number(number)


def _number(number: float) -> str:
    return f"{number:,.15g}"


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "valid" if key.is_valid_at(now) else "not yet valid"


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _second(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _minute(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"
