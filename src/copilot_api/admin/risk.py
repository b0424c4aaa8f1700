"""How GitHub sees the account, in words: what the brake knows of refusals and signs of abuse. Pure."""

from dataclasses import dataclass
from typing import Literal

from copilot_api.upstream.brake import Brake


@dataclass(frozen=True, slots=True)
class Risk:
    """See the module."""

    level: int
    """From 0, all is well, to `MOST`."""
    word: str
    tone: Literal["good", "warn", "bad"]
    text: str
    """What is the matter, and what becomes of it by itself."""


MOST = 4


def describe_risk(brake: Brake, now: float) -> Risk:
    """How the account stands at that moment of the monotonic clock."""
    slots, most = brake.slots(now), brake.most
    if brake.stop is not None:
        text = f"{brake.stop.reason}. Nothing is sent until somebody resumes the identity."
        return Risk(MOST, "stopped", "bad", text)
    if brake.is_paced(now):
        text = (
            f"{brake.strikes} rate limits in a row. One call at a time tries whether Copilot takes calls again; "
            f"it asked to wait for {brake.hold_seconds(now):.0f} s more."
        )
        return Risk(3, "limited", "bad", text)
    if slots < most:
        text = f"{slots} of {most} slots are open. One comes back with every few answers."
        return Risk(2, "braked", "warn", text)
    if brake.strikes:
        limits = "One rate limit" if brake.strikes == 1 else f"{brake.strikes} rate limits in a row"
        return Risk(1, "watchful", "warn", f"{limits}, and no answer since. All slots are open.")
    return Risk(0, "calm", "good", "No rate limits and no failures that pile up. All slots are open.")
