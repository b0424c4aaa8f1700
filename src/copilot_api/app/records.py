"""The ledger, the captures and the audit log, as one process keeps them."""

import asyncio
import os
import secrets
import time
from collections.abc import Coroutine
from typing import Any

from copilot_api.app.surroundings import Surroundings
from copilot_api.audit.refused import RefusedKeys
from copilot_api.audit.upkeep import AuditUpkeep
from copilot_api.capture.files import TraceFiles
from copilot_api.capture.recorder import Captures
from copilot_api.capture.ring import Ring
from copilot_api.capture.service import Traces
from copilot_api.capture.upkeep import CaptureUpkeep
from copilot_api.config.settings import Settings
from copilot_api.keys.changes import KeyChanges
from copilot_api.privacy.watch import ErasureWatch, Holder
from copilot_api.usage.recorder import UsageRecorder, last_used_store
from copilot_api.usage.upkeep import ClockTrust, LedgerUpkeep


class Records:
    """What is kept of calls and of what is done, and who looks after it."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        clock, observe, storage = surroundings.clock, surroundings.observe, surroundings.storage
        self.recorder = UsageRecorder(
            storage.usage,
            surroundings.directory.spool,
            observe,
            name=f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}",
            store_last_used=last_used_store(storage.keys, storage.key_repository.record_last_used),
        )
        self.upkeep = LedgerUpkeep(storage.upkeep, clock, observe, settings.retention, sleep=time.sleep)
        audit = surroundings.audit
        ring, files = Ring(), TraceFiles(surroundings.directory.traces)
        self.traces = traces = Traces(ring, files, clock.now())
        self.captures = Captures(traces, storage.keys, clock, observe, settings.captures)
        self.capture_upkeep = CaptureUpkeep(traces, storage.keys, clock, observe, settings.captures)
        loop = asyncio.get_running_loop()

        def forget_numbers(key_id: str) -> None:
            loop.call_soon_threadsafe(surroundings.metrics.forget_key, key_id)

        self.erasures = ErasureWatch(
            storage.key_repository,
            KeyChanges(surroundings.directory.key_stamp),
            storage.privacy.list_erased,
            clock,
            observe,
            (
                Holder(traces.forget_key, ring.key_ids),
                Holder(self.recorder.forget_key, self.recorder.list_key_ids, is_quick_to_forget=True),
                Holder(forget_numbers),
            ),
        )
        self.audit_upkeep = AuditUpkeep(audit, clock, observe, settings.retention.audit_days, ClockTrust())
        self.refused = RefusedKeys(audit.append, clock, observe)

    def apply(self, settings: Settings) -> None:
        """Bring what may change while it runs into force."""
        self.upkeep.settings = settings.retention
        self.audit_upkeep.days = settings.retention.audit_days
        self.captures.apply(settings.captures)
        self.capture_upkeep.apply(settings.captures)

    def may_capture(self) -> bool:
        """Whether captures are allowed on this gateway."""
        return self.captures.settings.is_allowed

    def list_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the gateway."""
        return [
            self.upkeep.run(),
            self.erasures.run(),
            self.audit_upkeep.run(),
            self.captures.run(),
            self.capture_upkeep.run(),
        ]

    def start(self) -> None:
        """Begin to take in calls."""
        self.recorder.start()
        self.refused.start()

    async def stop(self) -> None:
        """Store what is still to be stored."""
        await asyncio.to_thread(self.recorder.stop)
        await asyncio.to_thread(self.refused.stop)
