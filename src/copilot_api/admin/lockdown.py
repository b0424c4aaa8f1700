"""
The lock-down ladder: how far the gateway is closed to those who should not use it, and the next step for each rung.

From what nobody should be without to what only a shared machine needs. A rung that is open is no fault: who runs a
gateway for one person on one machine stops early. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from copilot_api.config.binding import is_loopback
from copilot_api.config.settings import Settings
from copilot_api.keys.models import ApiKey, KeyPolicy, Tier

_SETTINGS, _KEYS = "/admin/settings", "/admin/keys"


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder."""

    name: str
    """What holds once it is taken."""
    is_taken: bool
    text: str
    """How it is now."""
    step: str = ""
    """What to do about it, where it is open."""
    href: str | None = None
    """Where."""


def list_rungs(settings: Settings, keys: Iterable[ApiKey], now: datetime) -> list[Rung]:
    """Every rung, the lowest first."""
    valid = [key for key in keys if key.is_valid_at(now)]
    return [
        _ask_for_keys(settings),
        _hide_the_wire(settings),
        _hide_metrics(settings),
        _limit_keys(settings, [key for key in valid if key.tier is Tier.CLIENT]),
        _end_keys(valid),
        _list_models(settings),
        _bind_admins([key for key in valid if key.tier is Tier.ADMIN]),
        _record_nothing(settings),
    ]


def _ask_for_keys(settings: Settings) -> Rung:
    name = "Every call shows a key"
    if not settings.is_open:
        return Rung(name, is_taken=True, text="Whoever has none is refused.")
    text = "Authentication is off: whoever reaches the port uses the account."
    return Rung(name, is_taken=False, text=text, step="Switch features.auth on", href=f"{_SETTINGS}#group-features")


def _hide_the_wire(settings: Settings) -> Rung:
    name = "No key crosses a network in the clear"
    if settings.tls_cert is not None:
        return Rung(name, is_taken=True, text="It speaks TLS itself.")
    if is_loopback(settings.host):
        return Rung(name, is_taken=True, text="Only this machine reaches it.")
    if settings.trusted_proxies:
        return Rung(name, is_taken=True, text="A proxy that is trusted stands before it; that one has to speak TLS.")
    step = "Start it with --tls-cert and --tls-key, or behind a proxy that speaks TLS"
    return Rung(name, is_taken=False, text=f"It listens on {settings.host} in plain HTTP.", step=step)


def _hide_metrics(settings: Settings) -> Rung:
    name = "Metrics are not for everybody"
    metrics = settings.metrics
    if not metrics.is_on:
        return Rung(name, is_taken=True, text="There are none.")
    if metrics.access != "open":
        whom = "this machine" if metrics.access == "loopback" else "admin keys"
        return Rung(name, is_taken=True, text=f"They are for {whom}.")
    text = "Whoever reaches the port reads them."
    return Rung(
        name, is_taken=False, text=text, step="Keep them to this machine or admins", href=f"{_SETTINGS}#group-metrics"
    )


def _limit_keys(settings: Settings, clients: Sequence[ApiKey]) -> Rung:
    name = "No client key can use up the account"
    defaults = settings.limits
    has_defaults = any(each is not None for each in (defaults.rpm, defaults.tpm, defaults.max_in_flight))
    if has_defaults:
        return Rung(name, is_taken=True, text="There are limits for keys that have none of their own.")
    words = "has neither a limit nor a budget", "have neither a limit nor a budget"
    step = "Set limits.default_key", f"{_SETTINGS}#group-limits"
    return _of_all(name, clients, lambda key: _has_limits(key.policy), words, step)


def _has_limits(policy: KeyPolicy) -> bool:
    if "*" in policy.observe:
        return False  # they are only looked at
    if any(not budget.is_observed for budget in policy.budgets):
        return True
    return any(each is not None for each in (policy.rpm, policy.tpm, policy.max_in_flight))


def _end_keys(valid: Sequence[ApiKey]) -> Rung:
    name = "Every key ends some day"
    step = "Give them an end", _KEYS
    return _of_all(name, valid, lambda key: key.expires_at is not None, ("never expires", "never expire"), step)


def _list_models(settings: Settings) -> Rung:
    name = "Only chosen models are exposed"
    if settings.exposure.is_listed_only:
        return Rung(name, is_taken=True, text="What is not in the configuration is not there.")
    text = "All of Copilot's catalog is, whatever it comes to hold."
    return Rung(name, is_taken=False, text=text, step="Set exposure to listed", href=f"{_SETTINGS}#group-general")


def _bind_admins(admins: Sequence[ApiKey]) -> Rung:
    name = "Admin keys work from known networks only"
    words = "works from everywhere", "work from everywhere"
    return _of_all(name, admins, lambda key: bool(key.policy.cidrs), words, ("Hold them to networks", _KEYS))


def _record_nothing(settings: Settings) -> Rung:
    name = "Nobody can record what is said"
    if not settings.captures.is_allowed:
        return Rung(name, is_taken=True, text="Captures are switched off.")
    text = "Admins may capture calls, with a reason and on record."
    return Rung(name, is_taken=False, text=text, step="Switch features.debug off", href=f"{_SETTINGS}#group-features")


def _of_all(
    name: str,
    keys: Sequence[ApiKey],
    holds: Callable[[ApiKey], bool],
    words: tuple[str, str],
    step: tuple[str, str],
) -> Rung:
    """A rung that is taken when something holds for each of `keys`; `words` tell of one other key, and of several."""
    missing = sum(not holds(key) for key in keys)
    if not missing:
        return Rung(name, is_taken=True, text="That holds for each." if keys else "There is no such key.")
    text = f"{missing:,} of {len(keys):,} {words[missing > 1]}."
    return Rung(name, is_taken=False, text=text, step=step[0], href=step[1])
