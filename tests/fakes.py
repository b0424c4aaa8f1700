"""Stand-ins for what tests must hold still."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
