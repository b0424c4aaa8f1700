"""
Admission: the one door to the upstream. Every wait of ours is behind it.

In this order: the key's limits and budgets, all or nothing; the minimum gap; the operator's approval; a slot. What was
taken is given back when a later step says no, and when the caller leaves: the block of a call ends in one place.
"""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import TypeVar

from copilot_api.admission.approval import Approval
from copilot_api.admission.budget import Amounts
from copilot_api.admission.in_flight import FIRST_NOTE_SECONDS, NOTE_SECONDS, Slot, Slots
from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.admission.models import Ask, LimitStanding, Quotas, Reservation, Tell
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError, Rate, UpstreamCut, UpstreamTimeout
from copilot_api.keys.models import ApiKey

LINGER_SECONDS = 0.1
"""How long the slot of a call that was broken off is kept, so that Copilot never sees more calls than slots."""

_BROKEN_OFF = (UpstreamCut, UpstreamTimeout)
T = TypeVar("T")


class Permit:
    """Leave to run. Whoever sends the call upstream says so, and then owes the truth about what it took."""

    __slots__ = ("_quotas", "_reservation", "is_dispatched", "queue_seconds")

    def __init__(self, quotas: Quotas, reservation: Reservation, queue_seconds: float) -> None:
        self._quotas = quotas
        self._reservation = reservation
        self.queue_seconds = queue_seconds
        self.is_dispatched = False
        """Whether the call went upstream: from then on what it takes counts."""

    @property
    def reserved(self) -> Amounts:
        """What is set aside for it."""
        return self._reservation.amounts

    @property
    def would_limit(self) -> tuple[str, ...]:
        """The limits that would have refused it, were they not only observed."""
        return self._reservation.notes

    @property
    def rates(self) -> tuple[Rate, ...]:
        """How the key's limits per minute stand with this call."""
        return self._reservation.rates

    def leave(self) -> None:
        """The call is not in flight any more."""
        self._quotas.leave(self._reservation)

    def settle(self, actual: Amounts) -> None:
        """This is what the call took."""
        self._quotas.settle(self._reservation, actual)

    def give_up(self) -> None:
        """The call is to be counted as if it had never been let in."""
        self._quotas.cancel(self._reservation)


class Admission:
    """Hands out permits."""

    def __init__(
        self,
        clock: Clock,
        quotas: Quotas,
        slots: Slots,
        *,
        gap: MinimumGap | None = None,
        approval: Approval | None = None,
    ) -> None:
        self.slots = slots
        self.clock = clock
        self._quotas = quotas
        self._gap = gap
        self._gap_turn = asyncio.Lock()
        self._approval = approval

    def admit(self, ask: Ask, tell: Tell | None = None) -> "Admitting":
        """The block inside which a call may run. `tell` is for callers who can be told something while they wait."""
        return Admitting(self, self._quotas, ask, tell)

    async def standings(self, key: ApiKey) -> list[LimitStanding]:
        """How every limit of `key` stands."""
        return await self._quotas.standings(key, self.clock.now(), self.clock.monotonic())

    async def wait_turn(self, ask: Ask, tell: Tell | None) -> Slot:
        """Wait for everything but the limits. Raises why there is no leave."""
        if self._gap is not None:
            if not self._gap.is_waiting:
                self._gap.take(self.clock.monotonic())
            else:
                await _told(self._wait_gap(self._gap), tell, "waiting for the least time between two calls")
        if self._approval is not None:
            question = f"call {ask.request_id}: {ask.key.label} asks for {ask.model}"
            await _told(self._approval.require(question), tell, "waiting for the operator's approval")
        key = ask.key
        return await self.slots.acquire(
            key.id, key.policy.weight, is_batch=ask.is_batch, tell=tell, name=ask.request_id
        )

    async def _wait_gap(self, gap: MinimumGap) -> None:
        """One after the other; who leaves takes no turn."""
        async with self._gap_turn:
            while (pause := gap.take(self.clock.monotonic())) > 0:  # noqa: ASYNC110 -- it is time that is waited for
                await asyncio.sleep(pause)

    def end_turn(self, slot: Slot, error: BaseException | None) -> None:
        """The call is over. Of one that was broken off Copilot learns a moment later, and counts it until then."""
        if error is None or (isinstance(error, GatewayError) and not isinstance(error, _BROKEN_OFF)):
            self.slots.release(slot)
        else:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self.slots.release, slot)


class Admitting:
    """The block of one call."""

    __slots__ = ("_admission", "_ask", "_permit", "_quotas", "_slot", "_tell")

    def __init__(self, admission: Admission, quotas: Quotas, ask: Ask, tell: Tell | None) -> None:
        self._admission = admission
        self._quotas = quotas
        self._ask = ask
        self._tell = tell
        self._slot: Slot | None = None
        self._permit: Permit | None = None

    async def __aenter__(self) -> Permit:
        admission, quotas = self._admission, self._quotas
        clock = admission.clock
        came = clock.monotonic()
        reservation = await quotas.take(self._ask, came)
        try:
            self._slot = slot = await admission.wait_turn(self._ask, self._tell)
        except BaseException:
            quotas.leave(reservation)
            quotas.cancel(reservation)
            raise
        self._permit = permit = Permit(quotas, reservation, slot.began - came)
        return permit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        permit, slot = self._permit, self._slot
        if permit is None or slot is None:
            return
        self._admission.end_turn(slot, error)
        permit.leave()
        if not permit.is_dispatched:
            permit.give_up()


async def _told(wanted: Awaitable[T], tell: Tell | None, note: str) -> T:
    """Wait for `wanted`, and have the caller told so in the meantime. Leaving takes `wanted` along."""
    if tell is None:
        return await wanted
    try:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_keep_telling(tell, note))
            outcome = await wanted
            telling.cancel()
            return outcome
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _keep_telling(tell: Tell, note: str) -> None:
    await asyncio.sleep(FIRST_NOTE_SECONDS)
    while True:
        await tell(note)
        await asyncio.sleep(NOTE_SECONDS)
