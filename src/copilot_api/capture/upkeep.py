"""
What captures need from time to time: orders ended whose time is over, and traces forgotten that are old, too many, or
of a key that is gone.

In memory a trace stays for a day at most, or as long as on disk where it is kept there for longer.
"""

import asyncio
from datetime import datetime, timedelta

from copilot_api.audit.log import GATEWAY
from copilot_api.capture.files import MAX_DAYS
from copilot_api.capture.service import Traces
from copilot_api.clock import Clock
from copilot_api.config.settings import CaptureSettings
from copilot_api.errors import GatewayError
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import CaptureEnded, Observer, TraceFilesBroken, TraceFilesRecovered

ROUND_SECONDS = 5.0
SWEEP_ROUNDS = 60
"""So many rounds lie between two looks at the files; a change of the settings brings one at once."""


class CaptureUpkeep:
    """See the module."""

    def __init__(
        self, traces: Traces, keys: KeyService, clock: Clock, observe: Observer, settings: CaptureSettings
    ) -> None:
        self._traces = traces
        self._keys = keys
        self._clock = clock
        self._observe = observe
        self._settings = settings
        self._round = 0
        self._changed = asyncio.Event()
        self.failure: str | None = None
        """Why the last look at the files did not come to its end; None when it did."""
        self.ended_at: datetime | None = None
        """When one last did since the start."""

    def apply(self, settings: CaptureSettings) -> None:
        """Go by other settings, at once."""
        if settings != self._settings:
            self._settings = settings
            self._round = 0
            self._changed.set()

    async def run(self) -> None:
        """Round after round, until cancelled."""
        while True:
            await self.do_round()
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def do_round(self) -> None:
        """Do what is due."""
        if self._keys.needs_refresh():
            await self._keys.refresh()
        await self._end_orders()
        await self._forget_strangers()
        if self._round % SWEEP_ROUNDS == 0:
            await asyncio.to_thread(self._sweep)
        self._round += 1

    async def _end_orders(self) -> None:
        now, is_allowed = self._clock.now(), self._settings.is_allowed
        if not self._keys.has_overdue_captures(now, is_allowed=is_allowed):
            return
        try:
            ended = await asyncio.to_thread(self._keys.end_captures, now, is_allowed=is_allowed, actor=GATEWAY)
        except GatewayError:
            return  # nothing is captured by an order that is over; its line follows in a later round
        for key in ended:
            self._observe(CaptureEnded(key.id))

    async def _forget_strangers(self) -> None:
        """What is in memory of keys that are gone, which another process may have erased."""
        for key_id in self._traces.ring.key_ids():
            if not self._keys.knows(key_id):
                await asyncio.to_thread(self._forget, key_id)

    def _forget(self, key_id: str) -> None:
        try:
            self._traces.forget_key(key_id)
        except GatewayError as error:
            self._failed(error)

    def _sweep(self) -> None:
        now, settings = self._clock.now(), self._settings
        self._traces.ring.forget_before(now - timedelta(days=min(max(settings.days, 1), MAX_DAYS)))
        try:
            self._traces.files.sweep(now.date(), settings.days, settings.max_bytes)
        except GatewayError as error:
            self._failed(error)
        else:
            if self.failure is not None:
                self.failure = None
                self._observe(TraceFilesRecovered())
            self.ended_at = now

    def _failed(self, error: GatewayError) -> None:
        if self.failure is None:
            self._observe(TraceFilesBroken(error.message))
        self.failure = error.message
