"""
What the ledger needs from time to time: days closed, and what is old enough forgotten.

All of it happens in small steps with pauses between them, on a thread beside the calls; a step that fails is tried
again with the next round. Events are forgotten by whole days (UTC); their rollups stay for as long as `rollups_days`
says.

A clock that is years ahead would have everything forgotten. So where it was set by more than a week, or says at the
start that nobody called for a month, nothing is forgotten for a day: by then somebody has seen it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from copilot_api.clock import Clock
from copilot_api.config.settings import RetentionSettings
from copilot_api.errors import GatewayError
from copilot_api.observability.events import ClockMistrusted, Observer, UpkeepFailed, UpkeepRecovered, UsageForgotten

FIRST_SECONDS = 30.0
"""How long after the start the first round begins: the start itself has more urgent things to do."""
ROUND_SECONDS = 600.0
STEP_SECONDS = 0.02
"""The pause between two steps, in which everybody else has the database."""
STEP_EVENTS = 1000
UNUSUAL_SILENCE, UNUSUAL_STEP_SECONDS, DISTRUST_SECONDS = timedelta(days=30), 7 * 86_400.0, 86_400.0
"""A machine that sleeps over a weekend looks like one whose clock was set by as much."""
CLOSED_AFTER = timedelta(hours=2)
"""How long after its end a day is closed: by then hardly any of its calls is still under way."""


class UpkeepRepository(Protocol):
    """What is done to the ledger. All block, and raise `StorageUnavailable`."""

    def close_day(self, before: datetime) -> bool:
        """Close the oldest day that is not, if it is over at that moment. Says whether there was one."""
        ...

    def forget_events(self, before: datetime, limit: int) -> int:
        """Delete so many of the events before that moment, oldest first. Says how many there were."""
        ...

    def forget_rollups(self, before: datetime) -> int:
        """Delete the rollups of one hour or day before that moment. Says how many there were."""
        ...

    def find_newest_event(self) -> datetime | None:
        """When the newest event came."""
        ...

    def forget_series(self, after: int) -> int | None:
        """Delete some of the series that nothing counts in any more, by their ids; gives the last one looked at."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How large the ledger is and how far it reaches, for those who look after it."""

    oldest_event: datetime | None
    newest_event: datetime | None
    oldest_rollup: datetime | None
    days_closed: datetime | None
    """The end of the last day whose rollups are made."""
    events: int
    """How many the rollups of the kept time count."""
    total_bytes: int
    free_bytes: int
    """How much of it holds nothing and is used again before the file grows."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database, and the ledger in it."""

    schema: str | None
    """The newest migration that was run; None where there was none."""
    ledger: LedgerState


class ClockTrust:
    """Whether what the clock says is enough to forget by. See the module."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._trusted_from = 0.0

    def is_trusted(self, now: datetime, monotonic: float, find_newest: Callable[[], datetime | None]) -> bool:
        """Whether to forget at `now`. To be asked again and again."""
        offset = now.timestamp() - monotonic
        if self._offset is None:
            newest = find_newest()
            is_odd = newest is not None and now - newest > UNUSUAL_SILENCE
        else:
            is_odd = abs(offset - self._offset) > UNUSUAL_STEP_SECONDS
        self._offset = offset
        if is_odd:
            self._trusted_from = monotonic + DISTRUST_SECONDS
        return monotonic >= self._trusted_from


class _Stopped(Exception):
    """The round is not to be finished."""


class LedgerUpkeep:
    """See the module."""

    def __init__(
        self,
        repository: UpkeepRepository,
        clock: Clock,
        observe: Observer,
        settings: RetentionSettings,
        *,
        sleep: Callable[[float], None],
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._observe = observe
        self._sleep = sleep
        self.settings = settings
        """How long what is stored is kept; may be exchanged."""
        self.failure: str | None = None
        """Why the last round did not come to its end; None when it did."""
        self.ended_at: datetime | None = None
        """When a round last did since the start."""
        self._series_looked_at: date | None = None
        self._is_stopped = False
        self._trust, self._was_trusted = ClockTrust(), True

    async def run(self) -> None:
        """Round after round, until cancelled."""
        try:
            await asyncio.sleep(FIRST_SECONDS)
            while True:
                await asyncio.to_thread(self.do_round)
                await asyncio.sleep(ROUND_SECONDS)
        finally:
            self.stop()

    def stop(self) -> None:
        """End for good, at the next pause: the process waits for the thread, and a round may take many minutes."""
        self._is_stopped = True

    def do_round(self) -> None:
        """Do what is due. Blocks."""
        try:
            self._do_round(self._clock.now())
        except _Stopped:
            return
        except GatewayError as error:
            if self.failure is None:
                self._observe(UpkeepFailed(error.message))
            self.failure = error.message
        else:
            if self.failure is not None:
                self.failure = None
                self._observe(UpkeepRecovered())
            self.ended_at = self._clock.now()

    def _do_round(self, now: datetime) -> None:
        while self._repository.close_day(now - CLOSED_AFTER):
            self._pause()
        if not self._is_clock_trusted(now):
            return
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        events = self._forget_events(today - timedelta(days=self.settings.events_days))
        rollups_days = max(self.settings.rollups_days, self.settings.events_days)
        rollups = self._repeat(self._repository.forget_rollups, today - timedelta(days=rollups_days))
        if events or rollups:
            self._observe(UsageForgotten(events, rollups))
        if self._series_looked_at != today.date():
            self._forget_series()
            self._series_looked_at = today.date()

    def _is_clock_trusted(self, now: datetime) -> bool:
        is_trusted = self._trust.is_trusted(now, self._clock.monotonic(), self._repository.find_newest_event)
        if self._was_trusted and not is_trusted:
            self._observe(ClockMistrusted(now.isoformat(timespec="seconds")))
        self._was_trusted = is_trusted
        return is_trusted

    def _pause(self) -> None:
        if self._is_stopped:
            raise _Stopped
        self._sleep(STEP_SECONDS)

    def _forget_events(self, before: datetime) -> int:
        return self._repeat(lambda moment: self._repository.forget_events(moment, STEP_EVENTS), before)

    def _repeat(self, step: Callable[[datetime], int], before: datetime) -> int:
        total = 0
        while count := step(before):
            total += count
            self._pause()
        return total

    def _forget_series(self) -> None:
        last: int | None = 0
        while last is not None:
            last = self._repository.forget_series(last)
            self._pause()
