"""
What the audit log needs from time to time: segments that are old enough removed, each with a line that says so.

Nothing else removes any. A segment goes as a whole once its last line is older than `days`, so that a line stays for up
to a month longer. While the clock is not trusted, nothing is removed.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from copilot_api.audit.log import AuditLog
from copilot_api.clock import Clock
from copilot_api.errors import GatewayError
from copilot_api.observability.events import Notice, Observer

FIRST_SECONDS = 60.0
"""How long after the start the first round begins: the start itself has more urgent things to do."""
ROUND_SECONDS = 3600.0


class Trust(Protocol):
    """Whether what the clock says is enough to remove by."""

    def is_trusted(self, now: datetime, monotonic: float, find_newest: Callable[[], datetime | None]) -> bool:
        """Whether it is at `now`. To be asked again and again."""
        ...


class AuditUpkeep:
    """See the module."""

    def __init__(self, log: AuditLog, clock: Clock, observe: Observer, days: int, trust: Trust) -> None:
        self._log = log
        self._clock = clock
        self._observe = observe
        self._trust = trust
        self.days = days
        """How many days lines are kept; may be changed."""
        self.failure: str | None = None
        """Why the last round did not come to its end; None when it did."""
        self.ended_at: datetime | None = None
        """When a round last did since the start."""

    async def run(self) -> None:
        """Round after round, until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            await asyncio.to_thread(self.do_round)
            await asyncio.sleep(ROUND_SECONDS)

    def do_round(self) -> None:
        """Do what is due. Blocks."""
        try:
            self._do_round()
        except GatewayError as error:
            if self.failure is None:
                self._observe(Notice(f"the audit log cannot be looked after now: {error.message}"))
            self.failure = error.message
        else:
            self.failure = None
            self.ended_at = self._clock.now()

    def _do_round(self) -> None:
        now = self._clock.now()
        if not self._trust.is_trusted(now, self._clock.monotonic(), self._log.find_newest):
            return
        self._log.rotate_if_due()
        while removed := self._log.remove_oldest_segment(now - timedelta(days=self.days)):
            self._observe(
                Notice(
                    f"{removed.lines} audit lines up to {removed.last_at} were removed, as retention.audit_days says: "
                    f"{removed.name}"
                )
            )
