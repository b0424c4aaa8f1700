"""What a key may be: label, times and policy, checked wherever they come from and put into their one form."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from copilot_api.config.budgets import Budget, check_amount
from copilot_api.config.schema import MAX_LIMIT
from copilot_api.errors import BadRequest
from copilot_api.keys.models import OBSERVABLE, KeyPolicy
from copilot_api.keys.secret import is_secret

MAX_LABEL = 100
MAX_WEIGHT = 100
MAX_NETWORKS = 100
MAX_BUDGETS = 16
MAX_OVERLAP_SECONDS = 365 * 86_400
"""How long the old secrets of a key may work on once it has a new one."""
_MAX_MODEL_NAME = 200
_MAX_SHOWN = 80


def checked_label(label: str) -> str:
    """The label, without space around it. Raises `BadRequest`, as everything here does."""
    label = label.strip()
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise BadRequest(f"a label has 1 to {MAX_LABEL} characters, all of them printable", param="label")
    if is_secret(label):
        raise BadRequest("a label is not the place for a key", param="label")
    return label


def check_times(now: datetime, not_before: datetime | None, expires_at: datetime | None) -> None:
    """A key has to be valid at some time that is still to come."""
    if expires_at is not None and expires_at <= max(now, not_before or now):
        raise BadRequest(
            f"a key that is never valid is of no use: it would expire at {expires_at.isoformat(timespec='seconds')}",
            param="expires_at",
        )


def checked_policy(policy: KeyPolicy) -> KeyPolicy:
    """The policy, where two that mean the same are equal."""
    for name in ("rpm", "tpm", "max_in_flight"):
        value = getattr(policy, name)
        if value is not None:
            _check_number(name, value, MAX_LIMIT)
    _check_number("weight", policy.weight, MAX_WEIGHT)
    return replace(
        policy,
        models=_checked_models(policy.models),
        cidrs=_checked_networks(policy.cidrs),
        budgets=_checked_budgets(policy.budgets),
        observe=_checked_observe(policy.observe),
    )


def _check_number(name: str, value: int, maximum: int) -> None:
    # True is an int too, and 2.0 equals one; neither is what anybody means.
    if type(value) is not int or not 1 <= value <= maximum:
        raise BadRequest(f"{name} is a whole number from 1 to {maximum:,}, not {_shown(value)}", param=name)


def _checked_models(names: Sequence[str]) -> tuple[str, ...]:
    models = tuple(dict.fromkeys(name.strip() for name in names))
    if not models or not all(name and name.isprintable() and len(name) <= _MAX_MODEL_NAME for name in models):
        raise BadRequest("name the models that the key may use, or * for all of them", param="models")
    return models


def _checked_networks(cidrs: Sequence[str]) -> tuple[str, ...]:
    networks = tuple(dict.fromkeys(_canonical_network(cidr) for cidr in cidrs))
    if len(networks) > MAX_NETWORKS:
        raise BadRequest(f"a key has at most {MAX_NETWORKS} networks, not {len(networks)}", param="cidrs")
    return networks


def _canonical_network(text: str) -> str:
    try:
        if "%" in text:  # an interface of this machine, which callers do not come with
            raise ValueError(text)
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise BadRequest(
            f"this is no network: {_shown(text)}",
            param="cidrs",
            hint="write an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32",
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:  # callers are looked up by their IPv4 address
        return str(ipaddress.IPv4Network((mapped, network.prefixlen - 96)))
    return str(network)


def _checked_budgets(budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    if len(budgets) > MAX_BUDGETS:
        raise BadRequest(f"a key has at most {MAX_BUDGETS} budgets, not {len(budgets)}", param="budgets")
    names = [budget.name for budget in budgets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest(f"a key has one budget for a unit and a window, not several: {twice[0]}", param="budgets")
    for budget in budgets:
        try:
            check_amount(budget.amount)
        except BadRequest as error:
            raise BadRequest(f"{budget.name}: {error.message}", param="budgets", hint=error.actual_hint) from None
    return tuple(replace(budget, amount=float(budget.amount)) for budget in budgets)


def _checked_observe(names: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in OBSERVABLE and name != "*"]:
        raise BadRequest(
            f"this cannot be only observed: {_shown(unknown[0])}",
            param="observe",
            hint=f"name some of {', '.join(OBSERVABLE)}, or * for all of them",
        )
    if "*" in names:
        return ("*",)
    return tuple(name for name in OBSERVABLE if name in names)


def _shown(value: object) -> str:
    """`value` for a message: short, and nothing in it that a terminal obeys."""
    return ascii(value[:_MAX_SHOWN]) if isinstance(value, str) else ascii(value)
