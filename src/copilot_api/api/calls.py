"""Ending a call that is under way, on record first."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from copilot_api.api.admin_endpoint import Asked
from copilot_api.api.operations.standing import CancelledCall
from copilot_api.audit.models import Action, AuditEvent, Origin
from copilot_api.gateway.settlement import Settlement
from copilot_api.gateway.under_way import cancel_call, find_under_way


@dataclass(frozen=True, slots=True)
class Calls:
    """See the module."""

    settlement: Settlement
    append: Callable[[AuditEvent], None]
    """Puts an event on record, or raises; blocks."""

    async def cancel(self, request_id: str, actor: str, origin: Origin) -> None:
        """
        End a call. Raises `CallNotUnderWay`, also for one that ended while it was put on record that it was to end, and
        `StorageUnavailable` when that could not be; then the call goes on.
        """
        record = find_under_way(self.settlement.under_way, request_id)
        detail: dict[str, object] = {"key_id": record.event.key_id, "phase": record.phase.value}
        await asyncio.to_thread(self.append, AuditEvent(actor, Action.CALL_CANCELLED, request_id, detail, origin))
        cancel_call(self.settlement.under_way, request_id)

    async def answer(self, asked: Asked) -> CancelledCall:
        """The operation."""
        request_id = asked.names["id"]
        await self.cancel(request_id, asked.admin.id, asked.origin)
        return CancelledCall(request_id)
