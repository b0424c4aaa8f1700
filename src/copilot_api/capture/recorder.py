"""
Captures: begins the capture of a call, and makes a trace of it behind the call's back.

What was copied waits in memory for the worker that redacts it, one after the other. Only what comes back is kept: in
memory, and in files where they are wanted. A capture that fails anywhere is counted, and said now and then.
"""

import asyncio
import secrets
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime

from copilot_api.capture.capturing import Capturing
from copilot_api.capture.copies import Room
from copilot_api.capture.files import TraceTooLarge
from copilot_api.capture.models import Reason
from copilot_api.capture.raw import Headers, RawLeg, RawTrace
from copilot_api.capture.ring import Kept
from copilot_api.capture.service import Traces
from copilot_api.capture.worker_process import WorkerFailed, WorkerProcess
from copilot_api.clock import Clock
from copilot_api.config.settings import CaptureSettings
from copilot_api.errors import GatewayError
from copilot_api.keys.service import KeyService
from copilot_api.observability.events import CaptureFailed, Observer, TraceFilesBroken, TraceFilesRecovered
from copilot_api.observability.metric_families import CaptureStanding

IDLE_SECONDS = 60.0
"""How long the worker waits for more to do before it is ended."""
SAID_AGAIN_SECONDS = 60.0
FINISH_SECONDS = 5.0
"""How long the end of the gateway waits for captures that are not redacted yet."""
_SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """What became of captures since the start."""

    kept: int = 0
    dropped: int = 0
    """Captures that left no trace."""
    withheld: int = 0
    """Bodies, headers and targets that the verifier did not let pass."""
    not_written: int = 0
    """Traces that are in memory and should be on disk too."""


@dataclass(frozen=True, slots=True)
class CapturedCall:
    """Which call is captured, and why."""

    reason: Reason
    key_id: str | None
    request_id: str
    arrived_at: datetime
    began: float
    """The arrival on the monotonic clock."""
    client: str
    endpoint: str
    replay_of: str = ""
    replay_of_key_id: str | None = None


class Captures:
    """See the module. In the event loop, but where said otherwise."""

    def __init__(
        self,
        traces: Traces,
        keys: KeyService,
        clock: Clock,
        observe: Observer,
        settings: CaptureSettings,
        *,
        worker: WorkerProcess | None = None,
        room: Room | None = None,
    ) -> None:
        self.room = room or Room()
        self.hasher = ThreadPoolExecutor(1, "capture-hash")
        self.settings = settings
        """May be exchanged with `apply`."""
        self.counts = CaptureCounts()
        self._traces = traces
        self._keys = keys
        self._clock = clock
        self._observe = observe
        self._worker = worker or WorkerProcess()
        self._waiting: deque[Capturing] = deque()
        self._open: set[Capturing] = set()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._salt = (date.min, b"")
        self._said_at: float | None = None
        self._is_writing_broken = False
        traces.forget_waiting = self._forget_waiting

    # While calls are under way ---------------------------------------------------------------------------------------

    def begin(self, call: CapturedCall, method: str, target: str, headers: Headers) -> Capturing | None:
        """Begin the capture of a call with this request head; None where nothing may be captured, or cannot be."""
        if not self.settings.is_allowed:
            return None
        try:
            trace = RawTrace(
                salt=self._salt_of(call.arrived_at.date()),
                request_id=call.request_id,
                at=call.arrived_at.isoformat(),
                key_id=call.key_id,
                reason=call.reason,
                replay_of=call.replay_of,
                replay_of_key_id=call.replay_of_key_id,
                client=call.client,
                endpoint=call.endpoint,
                client_request=RawLeg(method=method, target=target, headers=headers),
            )
            capturing = Capturing(self, trace, call.began)
        except Exception as error:  # noqa: BLE001 -- no defect of a capture may reach the call
            self._count_dropped(f"a defect: {type(error).__name__}")
            return None
        if capturing.is_dropped:
            return None
        self._open.add(capturing)
        return capturing

    def monotonic(self) -> float:
        """See `capturing.Surroundings`."""
        return self._clock.monotonic()

    def ended(self, capturing: Capturing) -> None:
        """See `capturing.Surroundings`."""
        self._waiting.append(capturing)
        self._idle.clear()
        self._news.set()

    def dropped(self, capturing: Capturing, reason: str) -> None:
        """See `capturing.Surroundings`."""
        self._open.discard(capturing)
        self._count_dropped(reason)

    def standing(self) -> CaptureStanding:
        """How things stand, for metrics."""
        counts = self.counts
        return CaptureStanding(
            counts.kept,
            counts.dropped,
            counts.withheld,
            counts.not_written,
            waiting_bytes=self.room.taken_bytes,
            memory_bytes=self._traces.ring.bytes,
        )

    def forgotten(self, capturing: Capturing) -> None:
        """See `capturing.Surroundings`."""
        self._open.discard(capturing)

    def apply(self, settings: CaptureSettings) -> None:
        """Go by other settings from now on. Where captures are forbidden, those under way end without a trace."""
        self.settings = settings
        if not settings.is_allowed:
            for capturing in tuple(self._open):
                capturing.forget()

    # Behind them ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make traces, until cancelled."""
        try:
            with suppress(GatewayError):  # whoever writes the first one will say so
                await asyncio.to_thread(self._traces.follow_files)
            while True:
                capturing = await self._next()
                try:
                    await self._keep(capturing)
                except WorkerFailed as error:
                    capturing.drop(str(error))
                except Exception as error:  # noqa: BLE001 -- the next capture may do well
                    capturing.drop(f"a defect: {type(error).__name__}")
                finally:
                    self._open.discard(capturing)
                    capturing.release()
        finally:
            self._worker.stop()
            self.hasher.shutdown(wait=False, cancel_futures=True)

    async def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Wait until everything that waits is a trace, so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _next(self) -> Capturing:
        while not self._waiting:
            self._idle.set()
            self._news.clear()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                await asyncio.to_thread(self._worker.stop)
        return self._waiting.popleft()

    async def _keep(self, capturing: Capturing) -> None:
        if capturing.is_dropped or not await self._is_wanted(capturing):
            return
        raw = await capturing.seal()
        raw.number = self._traces.next_number()
        redacted = await asyncio.to_thread(self._worker.redact, raw)
        if redacted.summary is None:
            capturing.drop(f"it could not be redacted: {redacted.error}")
            return
        kept = Kept(redacted.line, redacted.summary, raw.replay_of_key_id)
        if not await self._is_wanted(capturing) or not self._traces.keep(kept, lambda: not capturing.is_forgotten):
            return
        self.counts = replace(self.counts, kept=self.counts.kept + 1, withheld=self.counts.withheld + redacted.withheld)
        if self.settings.days > 0:
            await self._write(capturing, redacted.line)

    async def _write(self, capturing: Capturing, line: bytes) -> None:
        today = self._clock.now().date()
        try:
            await asyncio.to_thread(
                self._traces.files.append,
                line,
                today,
                self.settings.max_bytes,
                is_wanted=lambda: not capturing.is_forgotten,
            )
            if not await self._is_wanted(capturing):
                # Another process erased the key at that moment: whatever it had looked through already is looked
                # through again.
                await asyncio.to_thread(self._forget, capturing)
        except TraceTooLarge as error:
            self._count_not_written()
            self._say(error.message)
        except GatewayError as error:
            self._count_not_written()
            if not self._is_writing_broken:
                self._is_writing_broken = True
                self._observe(TraceFilesBroken(error.message))
        else:
            if self._is_writing_broken:
                self._is_writing_broken = False
                self._observe(TraceFilesRecovered())

    def _forget(self, capturing: Capturing) -> None:
        for key_id in capturing.key_ids:
            if not self._keys.knows(key_id):
                self._traces.forget_key(key_id)

    async def _is_wanted(self, capturing: Capturing) -> bool:
        """Whether nothing says that its trace must not be: a key that is gone leaves none."""
        if self._keys.needs_refresh():
            await self._keys.refresh()
        return not capturing.is_forgotten and all(self._keys.knows(key_id) for key_id in capturing.key_ids)

    def _forget_waiting(self, key_id: str) -> int:
        """Called from any thread."""
        found = [capturing for capturing in tuple(self._open) if key_id in capturing.key_ids]
        for capturing in found:
            capturing.forget()
        return len(found)

    def _salt_of(self, day: date) -> bytes:
        if self._salt[0] != day:
            self._salt = (day, secrets.token_bytes(_SALT_BYTES))
        return self._salt[1]

    def _count_dropped(self, reason: str) -> None:
        self.counts = replace(self.counts, dropped=self.counts.dropped + 1)
        self._say(reason)

    def _count_not_written(self) -> None:
        self.counts = replace(self.counts, not_written=self.counts.not_written + 1)

    def _say(self, reason: str) -> None:
        now = self._clock.monotonic()
        if self._said_at is None or now - self._said_at >= SAID_AGAIN_SECONDS:
            self._said_at = now
            self._observe(CaptureFailed(reason, self.counts.dropped))
