"""
Identities that are stopped since GitHub flagged their account: kept across restarts, and lifted by an operator.

What is stored is what counts: the running gateway looks once a second while it is stopped, so that `copilot-api resume`
works from another terminal. A stop that cannot be stored is in force all the same, and stored as soon as that works.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from copilot_api.audit.models import LOCAL, Action, AuditEvent, Origin
from copilot_api.clock import Clock
from copilot_api.errors import AccountFlagged, GatewayError
from copilot_api.upstream.brake import Brake, Stop

LOOK_SECONDS = 1.0
LOOK_FOR_OTHERS_ROUNDS = 5
"""How often it is looked, in rounds of `LOOK_SECONDS`, whether another process has stopped the identity."""
ACTOR = "gateway"


class StopRepository(Protocol):
    """Stores stops. Its methods block: call them from a thread. Raises `StorageUnavailable`."""

    def find_stop(self, identity_id: str) -> Stop | None:
        """Why this identity is stopped; None when it is not."""
        ...

    def add_stop(self, identity_id: str, stop: Stop, event: AuditEvent) -> None:
        """Stop it; one that is stopped already keeps its first reason."""
        ...

    def remove_stop(self, identity_id: str, event: AuditEvent) -> bool:
        """Lift it. False, and nothing on record, when there is none."""
        ...


def lift_stop(repository: StopRepository, identity_id: str, actor: str, origin: Origin = LOCAL) -> Stop | None:
    """
    Lift an identity's stop, on record; gives what it was, or None where there was none. Gateways that run notice within
    a second or two. Blocks; raises `StorageUnavailable`.
    """
    stop = repository.find_stop(identity_id)
    if stop is None:
        return None
    event = AuditEvent(actor, Action.IDENTITY_RESUMED, identity_id, {"reason": stop.reason}, origin)
    return stop if repository.remove_stop(identity_id, event) else None


class StopKeeper:
    """Stops one identity's brake, and lets go of it when the operator says so."""

    def __init__(
        self,
        identity_id: str,
        brake: Brake,
        repository: StopRepository,
        clock: Clock,
        *,
        on_stopped: Callable[[Stop], None] = lambda _: None,
        on_resumed: Callable[[], None] = lambda: None,
    ) -> None:
        self._identity_id = identity_id
        self._brake = brake
        self._repository = repository
        self._clock = clock
        self._on_stopped = on_stopped
        self._on_resumed = on_resumed
        self._rounds = 0
        self._is_stored = True
        self._is_new = asyncio.Event()

    def load(self) -> None:
        """At the start: a stop outlives the process. Blocks; raises `StorageUnavailable`."""
        self._brake.stop = self._repository.find_stop(self._identity_id)
        if self._brake.stop is not None:
            self._on_stopped(self._brake.stop)

    def flagged(self, error: AccountFlagged) -> None:
        """GitHub has flagged the account: from now on nothing is sent."""
        if self._brake.stop is None:
            stop = self._brake.stop = Stop(self._clock.now(), error.message)
            self._is_stored = False
            self._is_new.set()
            self._on_stopped(stop)

    async def run(self) -> None:
        """Store a stop at once; and while there is one, look whether somebody has lifted it, for ever."""
        try:
            while True:
                await self._wait()
                if self._brake.stop is None:
                    await self._look_for_others()
                    continue
                try:
                    is_lifted = await asyncio.to_thread(self._look, self._brake.stop)
                except GatewayError:
                    continue  # the database is away: the stop stays
                if is_lifted:
                    self._brake.resume(self._clock.monotonic())
                    self._on_resumed()
        finally:
            if self._brake.stop is not None and not self._is_stored:
                with contextlib.suppress(GatewayError):
                    self._look(self._brake.stop)  # the last chance: the next process must not call GitHub

    async def _look_for_others(self) -> None:
        """Another process may ride on the same identity, and have been told."""
        self._rounds += 1
        if self._rounds % LOOK_FOR_OTHERS_ROUNDS:
            return
        with contextlib.suppress(GatewayError):
            stop = await asyncio.to_thread(self._repository.find_stop, self._identity_id)
            if stop is not None and self._brake.stop is None:
                self._brake.stop = stop
                self._on_stopped(stop)

    async def _wait(self) -> None:
        """Until it is time to look, or there is a stop to store."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._is_new.wait()
        self._is_new.clear()

    def _look(self, stop: Stop) -> bool:
        if not self._is_stored:
            event = AuditEvent(ACTOR, Action.IDENTITY_STOPPED, self._identity_id, {"reason": stop.reason})
            self._repository.add_stop(self._identity_id, stop, event)
            self._is_stored = True
            return False
        return self._repository.find_stop(self._identity_id) is None
