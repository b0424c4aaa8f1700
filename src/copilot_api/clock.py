"""Time as an argument: what needs the time takes a `Clock`, so that tests can hold it still."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The wall clock, as an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, for durations and deadlines."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)  # noqa: TID251 -- the one place that may

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()


def render_age(age: timedelta) -> str:
    """A length of time in words, roughly."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
