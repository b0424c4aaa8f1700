"""Readiness, collected from the services that know."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready."""

    name: str
    is_ok: bool
    reason: str | None = None


Probe = Callable[[], Awaitable[str | None]]
"""What speaks against being ready, or None."""


class Health:
    """Asks each service."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes

    async def check(self) -> list[Check]:
        """Every condition, met or not."""
        checks: list[Check] = []
        for name, probe in self._probes.items():
            reason = await probe()
            checks.append(Check(name, reason is None, reason))
        return checks
