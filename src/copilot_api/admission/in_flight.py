"""
The slots of one identity and the line before them: how many calls are under way at Copilot at once.

A free slot goes to whoever is next in the fair queue, and to a newcomer only when nobody waits. Leaving is immediate: a
caller that hangs up, or has waited its time, is out of the line; and a slot that was granted at that very moment goes
to the next. How many slots there are is the brake's to say, call by call.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from copilot_api.admission.fair_queue import FairQueue, QueueOverflow, Waiting
from copilot_api.admission.models import Tell
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, LimitReached, QueueFull, QueueTimeout, UpstreamRateLimited, UpstreamStopped
from copilot_api.upstream.brake import Brake

FIRST_NOTE_SECONDS = 8.0
"""
How long a streaming caller waits in silence. With the first note its status is sent, and an error can only be an event.
"""
NOTE_SECONDS = 5.0
LOOK_SECONDS = 0.5
"""How often it is looked, while the brake is on, whether it has given slots back."""


class Slot:
    """One call's place at the upstream."""

    __slots__ = ("began", "flow", "is_charged", "weight")

    def __init__(self, flow: str, weight: float, began: float, *, is_charged: bool) -> None:
        self.flow = flow
        self.weight = weight
        self.began = began
        self.is_charged = is_charged
        """Whether it is on its key's account in the queue: what nobody else wants is not, until somebody does."""


_Granted = asyncio.Future[GatewayError | None]


class Slots:
    """See the module. Everything but `acquire` is done at once."""

    def __init__(
        self,
        brake: Brake,
        clock: Clock,
        *,
        queue_seconds: float = 60.0,
        max_waiting: int = 200,
    ) -> None:
        self.brake = brake
        self.in_flight = 0
        self.queue_seconds = queue_seconds
        self._max_waiting = max_waiting
        self._clock = clock
        self._queue = FairQueue(max_waiting)
        self._waiting: dict[Waiting, None] = {}
        self._uncharged: dict[Slot, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def resize(self, most: int, *, queue_seconds: float, max_waiting: int) -> None:
        """Other bounds from now on; nobody who has a slot or a place loses it."""
        self.brake.resize(most, self._clock.monotonic())
        self.queue_seconds = queue_seconds
        self._max_waiting = self._queue.max_length = max_waiting
        self.pump()

    @property
    def waiting(self) -> int:
        """How many calls are in line."""
        return len(self._queue)

    @contextmanager
    def borrow(self) -> Generator[bool]:
        """A slot that nobody waits for, for something short on the side; whether there is one, it says."""
        is_lent = self._take_free(self._clock.monotonic())
        try:
            yield is_lent
        finally:
            if is_lent:
                self.in_flight -= 1
                self.pump()

    def places(self) -> dict[str, int]:
        """The places of all in line that have a name, 1 being next."""
        upcoming = self._queue.list_upcoming(self._clock.monotonic()) if len(self._queue) else ()
        return {waiting.name: place for place, waiting in enumerate(upcoming, 1) if waiting.name}

    async def acquire(
        self, flow: str, weight: float, *, is_batch: bool = False, tell: Tell | None = None, name: str = ""
    ) -> Slot:
        """
        Wait for a slot; `release` gives it back. `tell` is told now and then how it stands; `name` is for `places`.

        Raises `QueueTimeout`, `QueueFull`, `UpstreamStopped`, or `UpstreamRateLimited` where waiting is no use.
        """
        now = self._clock.monotonic()
        if self._take_free(now):
            slot = Slot(flow, weight, now, is_charged=False)
            self._uncharged[slot] = None
            return slot
        self._refuse_if_hopeless()
        self._charge_all()
        try:
            waiting, pushed_out = self._queue.push(flow, weight, now, is_batch=is_batch)
        except QueueOverflow:
            raise self._full() from None
        if pushed_out is not None:
            self._refuse(pushed_out, self._full())
        granted: _Granted = asyncio.get_running_loop().create_future()
        waiting.wakes, waiting.name = granted, name
        self._waiting[waiting] = None
        self.pump()
        try:
            await self._wait(waiting, granted, tell)
        except BaseException:
            if granted.done() and granted.result() is None:
                # The slot came in the moment of leaving.
                self.release(Slot(flow, weight, self._clock.monotonic(), is_charged=True))
            else:
                self._leave(waiting)
                granted.cancel()
                self.pump()
            raise
        return Slot(flow, weight, self._clock.monotonic(), is_charged=True)

    def release(self, slot: Slot) -> None:
        """A call is over."""
        now = self._clock.monotonic()
        self.in_flight -= 1
        self._uncharged.pop(slot, None)
        if slot.is_charged:
            self._queue.served(slot.flow, now - slot.began, now)
        else:
            self._queue.learn(now - slot.began)
        if self._waiting:
            self.pump()

    def pump(self) -> None:
        """Give free slots to those who wait; refuse them where it is no use to wait."""
        if not self._waiting:
            return
        now, brake = self._clock.monotonic(), self.brake
        if brake.stop is not None:
            self._refuse_all(lambda: _stopped(brake), keep=0)
        elif brake.is_paced(now):
            self._refuse_all(lambda: _limited(brake, now), keep=1)
        while len(self._queue) and self.in_flight < brake.slots(now):
            pause = brake.pause(now)
            if pause > 0:
                self._pump_in(pause)
                return
            waiting = self._queue.pop(now)
            if waiting is None:
                return
            self.in_flight += 1
            brake.started(now)
            self._grant(waiting, None)

    def place_note(self, waiting: Waiting) -> str:
        """How it stands for somebody in line, in a line of words."""
        now = self._clock.monotonic()
        place = self._queue.place(waiting, now)
        slots = max(1, self.brake.slots(now))
        about = self._queue.expected_seconds() * place / slots
        return (
            f"queued: place {place} of {len(self._queue)}, waited {now - waiting.since:.0f} s, "
            f"about {max(1.0, about):.0f} s to go"
        )

    # Waiting ----------------------------------------------------------------------------------------------------

    def _charge_all(self) -> None:
        """From now on slots are scarce: those that have one already are on account, too."""
        for slot in self._uncharged:
            slot.is_charged = True
            self._queue.enter(slot.flow, slot.weight, slot.began)
        self._uncharged.clear()

    def _take_free(self, now: float) -> bool:
        brake = self.brake
        if self._waiting or brake.stop is not None or self.in_flight >= brake.slots(now) or brake.pause(now) > 0:
            return False
        self.in_flight += 1
        brake.started(now)
        return True

    async def _wait(self, waiting: Waiting, granted: _Granted, tell: Tell | None) -> None:
        """Until there is an outcome, telling how it stands in between. Raises the outcome if it is an error."""
        deadline = waiting.since + self.queue_seconds
        note_at = waiting.since + FIRST_NOTE_SECONDS if tell is not None else deadline
        while not granted.done():
            now = self._clock.monotonic()
            # While the brake is on, slots may come back at any time, with nobody leaving one.
            look_at = now + LOOK_SECONDS if self.brake.slots(now) < self.brake.most else deadline
            await asyncio.wait((granted,), timeout=max(0.0, min(deadline, note_at, look_at) - now))
            self.pump()
            now = self._clock.monotonic()
            if granted.done():
                break
            if now >= deadline:
                raise self._timed_out(now - waiting.since)
            if tell is not None and now >= note_at:
                note_at = now + NOTE_SECONDS
                await tell(self.place_note(waiting))
        refusal = granted.result()
        if refusal is not None:
            raise refusal

    def _refuse_if_hopeless(self) -> None:
        """Where Copilot wants nothing more, one may wait for the next try; the others hear at once."""
        brake, now = self.brake, self._clock.monotonic()
        if brake.stop is not None:
            raise _stopped(brake)
        if brake.is_paced(now) and self._waiting:
            raise _limited(brake, now)

    def _refuse_all(self, error: Callable[[], GatewayError], *, keep: int) -> None:
        for waiting in list(self._waiting)[keep:]:
            self._refuse(waiting, error())

    def _refuse(self, waiting: Waiting, error: GatewayError) -> None:
        self._queue.remove(waiting)
        self._grant(waiting, error)

    def _leave(self, waiting: Waiting) -> None:
        self._queue.remove(waiting)
        self._waiting.pop(waiting, None)

    def _grant(self, waiting: Waiting, outcome: GatewayError | None) -> None:
        self._waiting.pop(waiting, None)
        granted: _Granted = waiting.wakes
        granted.set_result(outcome)

    def _pump_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.pump)

    # Refusals ---------------------------------------------------------------------------------------------------

    def _come_back(self) -> float:
        """When there may be a place, about."""
        now = self._clock.monotonic()
        about = self._queue.expected_seconds() * (len(self._queue) + 1) / max(1, self.brake.slots(now))
        return max(1.0, min(about, self.queue_seconds))

    def _full(self) -> QueueFull:
        limit = LimitReached("queue", len(self._queue), self._max_waiting, "calls")
        return QueueFull(
            f"{len(self._queue)} calls wait for GitHub Copilot already, and this key's among them are the most",
            retry_after=self._come_back(),
            limit=limit,
        )

    def _timed_out(self, seconds: float) -> QueueTimeout:
        slots = self.brake.slots(self._clock.monotonic())
        return QueueTimeout(
            f"no slot came free within {seconds:.0f} s: {self.in_flight} calls are under way "
            f"and {len(self._queue)} wait for {slots} slots",
            retry_after=self._come_back(),
            limit=LimitReached("max_in_flight_per_identity", self.in_flight, slots, "calls"),
        )


def _stopped(brake: Brake) -> UpstreamStopped:
    reason = brake.stop.reason if brake.stop is not None else "stopped"
    return UpstreamStopped(f"nothing is sent to GitHub Copilot for this account: {reason}", retry_after=60.0)


def _limited(brake: Brake, now: float) -> UpstreamRateLimited:
    return UpstreamRateLimited(
        "GitHub Copilot limits this account, and one call at a time tries whether it still does",
        retry_after=max(1.0, brake.hold_seconds(now)),
    )
