"""What has to be said on every page, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from copilot_api.admin.shell import Notice
from copilot_api.upstream.clock_skew import describe_skew


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """How the gateway is, as far as it is known without asking anybody."""

    problems: tuple[tuple[str, str], ...] = ()
    """What keeps it from being ready: the check's name and the reason."""
    stopped: str | None = None
    """Why nothing is sent for the account, with since when."""
    slots: int = 0
    slots_allowed: int = 0
    """Fewer than `slots` while the brake is on."""
    config_rejected: str | None = None
    """Why the configuration file as it is cannot be used."""
    captured_until: tuple[datetime, ...] = field(default=())
    """When the capture of each key that is captured ends."""
    is_open: bool = False
    """Whether authentication is off."""
    clock_ahead: timedelta | None = None
    """How far this machine's clock is ahead of GitHub's, negative when behind, where that is worth telling."""


def list_notices(state: GatewayState) -> tuple[Notice, ...]:
    """The notices of that state, in no order: the shell shows the worst first."""
    return tuple(_list_notices(state))


def _list_notices(state: GatewayState) -> Iterator[Notice]:
    if state.stopped is not None:
        text = f"GitHub flagged the account, so nothing is sent to it: {state.stopped}"
        yield Notice("bad", text, "See the identity", "/admin/identities")
    for name, reason in state.problems:
        yield _tell_problem(name, reason)
    if state.stopped is None and state.slots_allowed < state.slots:
        text = f"Copilot wants fewer calls: {state.slots_allowed} of {state.slots} slots are open until it recovers."
        yield Notice("warn", text, "See the identity", "/admin/identities")
    if state.config_rejected is not None:
        text = f"config.json was edited and is not in force: {state.config_rejected}"
        yield Notice("warn", text, "See the settings", "/admin/settings")
    if state.is_open:
        text = "Authentication is off: whoever reaches this port may call."
        yield Notice("warn", text, "Settings", "/admin/settings")
    if state.clock_ahead is not None:
        yield _tell_clock(state.clock_ahead)
    if state.captured_until:
        yield _tell_captures(state.captured_until)


_PLACES = {"token": ("See the identity", "/admin/identities"), "catalog": ("See the models", "/admin/models")}


def _tell_problem(name: str, reason: str) -> Notice:
    action, href = _PLACES.get(name, ("See the system", "/admin/system"))
    return Notice("bad", f"Not ready, {name}: {reason}", action, href)


def _tell_clock(ahead: timedelta) -> Notice:
    harm = "calls are on record under the wrong time, and days, budgets and expiries turn at the wrong moment."
    text = f"This machine's clock is {describe_skew(ahead)}: {harm}"
    return Notice("warn", text, "See the system", "/admin/system")


def _tell_captures(ends: tuple[datetime, ...]) -> Notice:
    last = max(ends).astimezone(UTC)
    whose = "one key" if len(ends) == 1 else f"{len(ends)} keys"
    text = f"Captures are on for {whose}: what is said is recorded, until {last:%Y-%m-%d %H:%M} UTC at the latest."
    return Notice("info", text, "See the traces", "/admin/traces")
