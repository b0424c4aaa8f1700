"""Admission: the one door to the upstream. Every wait of ours is behind it."""

import asyncio
from dataclasses import dataclass
from types import TracebackType

from copilot_api.admission.approval import Approval
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.clock import Clock
from copilot_api.keys.models import ApiKey


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to run."""

    queue_seconds: float


_AT_ONCE = Permit(0.0)


class Admission:
    """Hands out permits."""

    def __init__(self, clock: Clock, *, gap: MinimumGap | None = None, approval: Approval | None = None) -> None:
        self._clock = clock
        self._gap = gap
        self._approval = approval

    def admit(self, request_id: str, key: ApiKey, model: str) -> "Admitting":
        """The block inside which a call may run."""
        return Admitting(self, request_id, key, model)

    async def take(self, request_id: str, key: ApiKey, model: str) -> Permit:
        """Wait for leave. Raises why there is none."""
        if self._gap is None and self._approval is None:
            return _AT_ONCE
        began = self._clock.monotonic()
        if self._gap is not None:
            await asyncio.sleep(self._gap.take(began))
        if self._approval is not None:
            await self._approval.require(f"call {request_id}: {key.label} asks for {model}")
        return Permit(self._clock.monotonic() - began)


class Admitting:
    """The block of one call."""

    __slots__ = ("_admission", "_key", "_model", "_request_id")

    def __init__(self, admission: Admission, request_id: str, key: ApiKey, model: str) -> None:
        self._admission = admission
        self._request_id = request_id
        self._key = key
        self._model = model

    async def __aenter__(self) -> Permit:
        return await self._admission.take(self._request_id, self._key, self._model)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None
