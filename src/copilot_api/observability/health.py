"""Readiness, collected from the services that know."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready. One that is met may still have a reason: something to look after."""

    name: str
    is_ok: bool
    reason: str | None = None


Probe = Callable[[], Awaitable[str | None]]
"""What speaks against being ready, or None."""


class Health:
    """Asks each service. What `warnings` find is shown and keeps nobody from being ready."""

    def __init__(self, probes: Mapping[str, Probe], warnings: Mapping[str, Probe] | None = None) -> None:
        self._probes = probes
        self._warnings = warnings or {}

    async def check(self) -> list[Check]:
        """Every condition, met or not."""
        checks: list[Check] = []
        for name, probe in self._probes.items():
            reason = await probe()
            checks.append(Check(name, reason is None, reason))
        for name, probe in self._warnings.items():
            checks.append(Check(name, is_ok=True, reason=await probe()))
        return checks
