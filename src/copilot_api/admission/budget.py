"""
What each key, and all of them together, have spent in the calendar windows that are running: pure, on the times it is
given.

An account counts all four units in all four windows, whether or not there is a budget for them: one that is made
tomorrow knows what was spent today. A reservation is counted like what is spent, and corrected when the truth is known.
A call belongs to the windows that it came in, however long it takes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from copilot_api.config.budgets import Unit, Window

UNITS = (Unit.CREDITS, Unit.PREMIUM_REQUESTS, Unit.TOKENS, Unit.REQUESTS)
"""The order of amounts. Credits are counted in nano-AIU."""
WINDOWS = (Window.HOUR, Window.DAY, Window.WEEK, Window.MONTH)
CREDITS, PREMIUM_REQUESTS, TOKENS, REQUESTS = range(4)
UNIT_PLACES = {unit: place for place, unit in enumerate(UNITS)}
WINDOW_PLACES = {window: place for place, window in enumerate(WINDOWS)}

Amounts = tuple[int, float, int, int]
"""So much of each unit, in the order of `UNITS`."""
NOTHING: Amounts = (0, 0.0, 0, 0)

Starts = tuple[int, int, int, int]
"""When each window began, in seconds since 1970."""


class Calendar:
    """When the windows that a moment lies in begin and end, in UTC."""

    def __init__(self) -> None:
        self._starts: Starts = (0, 0, 0, 0)
        self._hour_end = 0

    def starts(self, at: datetime) -> Starts:
        """When they began; the same object within an hour."""
        second = int(at.timestamp())
        if not self._starts[0] <= second < self._hour_end:
            hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            day = hour.replace(hour=0)
            begun = (hour, day, day - timedelta(days=day.weekday()), day.replace(day=1))
            self._starts = tuple(int(start.timestamp()) for start in begun)  # type: ignore[assignment]
            self._hour_end = self._starts[0] + 3600
        return self._starts


def window_end(window: Window, start: int) -> int:
    """When the window that began then ends, in seconds since 1970."""
    if window is not Window.MONTH:
        return start + {Window.HOUR: 3600, Window.DAY: 86_400, Window.WEEK: 7 * 86_400}[window]
    begun = datetime.fromtimestamp(start, UTC)
    return int((begun.replace(day=28) + timedelta(days=4)).replace(day=1).timestamp())


class Account:
    """
    What one key (or all of them) took in each window since this process began, and what it had spent before.

    Every call is counted in the running hour alone; hours that are over are added to the longer windows.
    """

    __slots__ = ("_before", "_hour", "_hours", "_starts", "looked_up")

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self._hour: list[float] = [0, 0.0, 0, 0]
        """What is taken in the running hour."""
        self._hours: list[list[float]] = [[0, 0.0, 0, 0] for _ in WINDOWS]
        """What was taken in the hours of each window that are over; that of the hour itself has none."""
        self._before: list[Amounts | None] = [None] * len(WINDOWS)
        self.looked_up: object = None
        """A note of its owner's, gone with the next window: what it was asked about before."""

    def roll(self, starts: Starts) -> None:
        """Begin the windows that have begun. A clock that was set back opens no window again."""
        if starts is self._starts:
            return
        latest: Starts = tuple(map(max, starts, self._starts))  # type: ignore[assignment]
        if latest != self._starts:
            for place, start in enumerate(latest):
                if start > self._starts[place]:
                    self._hours[place] = [0, 0.0, 0, 0]
                    self._before[place] = None
                else:
                    _add(self._hours[place], self._hour)
            self._hour = [0, 0.0, 0, 0]
            self.looked_up = None
        self._starts = starts if latest == starts else latest

    @property
    def starts(self) -> Starts:
        """When the windows began that are counted in now."""
        return self._starts

    def is_known(self, window: int) -> bool:
        """Whether `remember` was told what was spent in that window before."""
        return self._before[window] is not None

    def remember(self, window: int, start: int, spent: Amounts) -> None:
        """What was spent in the window that began then, before this process counted."""
        if self._starts[window] == start:
            self._before[window] = spent

    def spent(self, window: int, unit: int) -> float:
        """How much of a unit is taken in a window, reservations included."""
        before = self._before[window]
        return self._hour[unit] + self._hours[window][unit] + (before[unit] if before is not None else 0)

    def add(self, starts: Starts, amounts: Amounts) -> None:
        """Count so much (or give it back) in the windows that began then, as far as they are running still."""
        if starts[0] == self._starts[0]:
            hour = self._hour
            hour[0] += amounts[0]
            hour[1] += amounts[1]
            hour[2] += amounts[2]
            hour[3] += amounts[3]
            return
        for place, start in enumerate(starts):
            if start == self._starts[place]:
                _add(self._hours[place], amounts)


def _add(total: list[float], amounts: Sequence[float]) -> None:
    for unit, amount in enumerate(amounts):
        total[unit] += amount
