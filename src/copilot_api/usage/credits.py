"""
Credits: what the account used, what of it went through here, and whether that is too fast. Pure: readings and sums in,
values out.

**Stretches.** Between two readings of the same window the account used as much as the counter rose: a *stretch*,
however long. The counter begins at nothing when the window does, so the first reading of a window tells of all the time
since its begin. A window is another one when its reset is (by more than a day: the same reset comes as a date and as a
time), when the entitlement is, or when the counter has fallen to less than half. Falling by less is a lag of GitHub's,
and what counts is the highest it was. What was used between the last reading before a reset and that reset is not known
and not made up: that time is not covered. Nor is a new window whose counter is as high as the old one's was: then
GitHub has changed the date first.

**Movement** of a period is what its stretches add up to; a stretch that reaches beyond the period counts by its share
of time. **Unattributed** is the movement less what the ledger says went through here in the time that is covered.
GitHub's counter lags behind the calls and some charges of the ledger are estimates, so the difference may be negative:
then nothing is unattributed, and the difference is told as it is.

**Pace** compares with an even use over the window: whoever is at half of the window would be at half of the allowance.
The use at the reset is projected from the use so far alone; `copilot_api.usage.forecast` knows more.
"""

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from copilot_api.upstream.quotas import QuotaReading

DAY = timedelta(days=1)
LONGEST_GAP = timedelta(days=4)
"""A stretch that is longer says nothing of single days: a long weekend is bridged, a holiday is not."""
LEAST_COVERED = 0.75
"""How much of a day must be covered for its use to be known; the rest of it is taken to be like that."""
PROJECT_AFTER = DAY
"""Before that much of the window is over, its use so far says nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """How much was used between two times."""

    since: datetime
    until: datetime
    moved: float

    def share_in(self, since: datetime, until: datetime) -> float:
        """How much of its time lies in a period, from 0 to 1."""
        overlap = min(self.until, until) - max(self.since, since)
        return max(0.0, overlap / (self.until - self.since))


@dataclass(frozen=True, slots=True)
class Movement:
    """How much was used in the parts of a period of which that is known."""

    since: datetime
    until: datetime
    moved: float
    covered: tuple[tuple[datetime, datetime], ...]
    """Those parts, in order; they do not touch."""

    @property
    def covered_share(self) -> float:
        """How much of the period they are, from 0 to 1."""
        if self.until <= self.since:
            return 0.0
        known = sum((until - since for since, until in self.covered), timedelta())
        return min(1.0, known / (self.until - self.since))


@dataclass(frozen=True, slots=True)
class Unattributed:
    """What of a movement did not go through here."""

    movement: Movement
    through_here: float

    @property
    def difference(self) -> float:
        """The movement less what went through here, as it is."""
        return self.movement.moved - self.through_here

    @property
    def amount(self) -> float:
        """The same, if anything is left."""
        return max(0.0, self.difference)

    @property
    def share(self) -> float:
        """How much of the movement that is, from 0 to 1."""
        return min(1.0, self.amount / self.movement.moved) if self.movement.moved > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How the use so far compares with the time so far."""

    since: datetime
    resets_at: datetime
    elapsed_share: float
    """How much of the window is over, from 0 to 1."""
    even_use: float
    """What an even use of the whole entitlement would have come to by now."""
    used: float
    projected_use: float | None
    """What it comes to at the reset if it goes on like this; None where it is too early to say."""


def window_start(resets_at: datetime | None) -> datetime | None:
    """When the window began that ends then: allowances are for a month."""
    if resets_at is None or resets_at.year < 2:
        return None
    year, month = (resets_at.year - 1, 12) if resets_at.month == 1 else (resets_at.year, resets_at.month - 1)
    day = min(resets_at.day, calendar.monthrange(year, month)[1])
    return resets_at.replace(year=year, month=month, day=day)


def find_stretches(readings: Iterable[QuotaReading]) -> list[Stretch]:
    """What readings of one allowance tell, in order of time. Readings that say nothing of its use are passed over."""
    stretches: list[Stretch] = []
    last: QuotaReading | None = None
    peak = 0.0
    for reading in sorted(readings, key=lambda each: each.at):
        consumed = reading.consumed
        if consumed is None:
            continue
        if last is not None and _is_same_window(last, reading) and consumed >= peak / 2:
            since, moved = last.at, max(0.0, consumed - peak)
            peak = max(peak, consumed)
        else:
            began = window_start(reading.resets_at)
            is_told = last is None or (began is not None and began >= last.at and (consumed < peak or not peak))
            since, moved = (began if began is not None and is_told else reading.at), consumed
            peak = consumed
        if since < reading.at:
            stretches.append(Stretch(since, reading.at, moved))
        last = reading
    return stretches


def _is_same_window(old: QuotaReading, new: QuotaReading) -> bool:
    if old.entitlement != new.entitlement or old.is_token_based != new.is_token_based:
        return False
    return old.resets_at is None or new.resets_at is None or abs(new.resets_at - old.resets_at) <= DAY


def measure_movement(stretches: Sequence[Stretch], since: datetime, until: datetime) -> Movement:
    """What was used in a period, as far as these stretches, which are in order, tell."""
    moved = 0.0
    covered: list[tuple[datetime, datetime]] = []
    first = bisect_right(stretches, since, key=lambda stretch: stretch.until)
    for stretch in stretches[first : bisect_left(stretches, until, key=lambda stretch: stretch.since)]:
        share = stretch.share_in(since, until)
        if share <= 0:
            continue
        moved += share * stretch.moved
        begin, end = max(stretch.since, since), min(stretch.until, until)
        if covered and begin <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(end, covered[-1][1]))
        else:
            covered.append((begin, end))
    return Movement(since, until, moved, tuple(covered))


def measure_pace(
    consumed: float | None, entitlement: float | None, at: datetime, resets_at: datetime | None
) -> Pace | None:
    """How the use compares with an even one. None without an entitlement, or where the window is not known."""
    since = window_start(resets_at)
    if consumed is None or not entitlement or entitlement < 0 or resets_at is None or since is None:
        return None
    if not since <= at < resets_at:
        return None
    elapsed = (at - since) / (resets_at - since)
    return Pace(
        since=since,
        resets_at=resets_at,
        elapsed_share=elapsed,
        even_use=entitlement * elapsed,
        used=consumed,
        projected_use=consumed / elapsed if at - since >= PROJECT_AFTER else None,
    )


def measure_days(stretches: Sequence[Stretch], at: datetime, days: int) -> dict[date, float]:
    """The use of each of the last whole days in UTC of which it is known, in order."""
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC)
    fine = [stretch for stretch in stretches if stretch.until - stretch.since <= LONGEST_GAP]
    found: dict[date, float] = {}
    for back in range(days, 0, -1):
        begin = midnight - back * DAY
        movement = measure_movement(fine, begin, begin + DAY)
        if movement.covered_share >= LEAST_COVERED:
            found[begin.date()] = movement.moved / movement.covered_share
    return found
