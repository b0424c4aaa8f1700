"""
When an allowance will be used up, with a band. Pure: daily sums in, dates out.

**Method.** The use of the last whole days, fourteen at most, is taken for samples. With all fourteen of them the days
of the week are told apart: each has the mean of its two samples, and what scatters is the difference within these pairs
(seven degrees of freedom). With fewer, every day has the mean of all, and weekends are part of what scatters. Below
three days nothing is said.

The use from now to a later time is then expected to be the sum of the means. Its variance is that of the days (as many
times as there are days) and that of the means themselves (by the square of it: a mean that is too low is too low every
day). Times the quantile of Student's distribution, this gives what is used at least, likely and at most: the band in
which it ends with a probability of 80 %, if days go on as they were and one says nothing of the next.

The allowance is used up *likely* when the expected sum reaches what is left, *earliest* when the upper one does,
*latest* when the lower one does; within a day, evenly. A date that does not come before the reset is None. So the
latest may be None where there is a likely one, and the likely one where there is an earliest.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from copilot_api.usage.credits import DAY

SAMPLED_DAYS = 14
LEAST_DAYS = 3
HORIZON = timedelta(days=62)
"""How far is looked ahead, where no reset is known or it is further away than any is."""
_WEEK = 7
# Nine tenths of Student's distribution are below these, by degrees of freedom from 2 on; so eight are between each and
# its mirror image.
_QUANTILES = (1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350)


class Reason(StrEnum):
    """Why there is no likely date: the closed set."""

    UNLIMITED = "unlimited"
    NOT_REPORTED = "not_reported"
    """GitHub does not say how much there is, or how much of it is used."""
    NOTHING_INCLUDED = "nothing_included"
    EXHAUSTED = "exhausted"
    """It is used up already."""
    TOO_LITTLE_HISTORY = "too_little_history"
    NOT_BEFORE_RESET = "not_before_reset"


class Band(NamedTuple):
    """An amount, with the ends of its band."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """See the module."""

    reason: Reason | None = None
    """None where there is a likely date."""
    earliest: datetime | None = None
    likely: datetime | None = None
    latest: datetime | None = None
    use_at_reset: Band | None = None
    """What will have been used by the reset, what goes beyond the entitlement included; None without a known reset."""
    days: int = 0
    """From how many days that is known."""
    is_by_weekday: bool = False


@dataclass(frozen=True, slots=True)
class _Model:
    """What is expected of a day, by its day of the week."""

    means: Sequence[float]
    counts: Sequence[int]
    """How many samples are behind each of them; where days are not told apart, all of them are behind one."""
    variance: float
    freedom: int
    is_by_weekday: bool

    @property
    def quantile(self) -> float:
        """How many deviations off the ends of the band are."""
        return _QUANTILES[min(self.freedom, len(_QUANTILES) + 1) - 2]


def forecast(
    consumed: float | None,
    entitlement: float | None,
    at: datetime,
    resets_at: datetime | None,
    days: Mapping[date, float],
    *,
    is_unlimited: bool = False,
) -> Forecast:
    """When an allowance of which so much was consumed at that time is used up; `days` is what single days consumed."""
    reason = _find_reason(consumed, entitlement, is_unlimited=is_unlimited)
    if reason is not None or consumed is None or entitlement is None:
        return Forecast(reason)
    left = entitlement - consumed
    samples = dict(sorted(days.items())[-SAMPLED_DAYS:])
    if len(samples) < LEAST_DAYS:
        return Forecast(Reason.EXHAUSTED if left <= 0 else Reason.TOO_LITTLE_HISTORY, days=len(samples))
    model = _fit(samples)
    is_reset_known = resets_at is not None and at < resets_at <= at + HORIZON
    end = resets_at if resets_at is not None and is_reset_known else at + HORIZON
    sums = [(at, Band(0.0, 0.0, 0.0)), *_add_up(model, at, end)]
    last = sums[-1][1]
    likely = _find_time(sums, 1, left)
    if left <= 0:
        reason = Reason.EXHAUSTED
    elif likely is None:
        reason = Reason.NOT_BEFORE_RESET
    return Forecast(
        reason=reason,
        earliest=_find_time(sums, 2, left),
        likely=likely,
        latest=_find_time(sums, 0, left),
        use_at_reset=Band(*(consumed + amount for amount in last)) if is_reset_known else None,
        days=len(samples),
        is_by_weekday=model.is_by_weekday,
    )


def _find_reason(consumed: float | None, entitlement: float | None, *, is_unlimited: bool) -> Reason | None:
    if is_unlimited:
        return Reason.UNLIMITED
    if entitlement is not None and entitlement <= 0:
        return Reason.NOTHING_INCLUDED
    return Reason.NOT_REPORTED if entitlement is None or consumed is None else None


def _fit(samples: Mapping[date, float]) -> _Model:
    use = {day: max(0.0, amount) for day, amount in samples.items()}
    counts = Counter(day.weekday() for day in use)
    is_by_weekday = len(use) == SAMPLED_DAYS and set(counts.values()) == {SAMPLED_DAYS // _WEEK}
    if not is_by_weekday:
        mean = sum(use.values()) / len(use)
        squares = sum((amount - mean) ** 2 for amount in use.values())
        return _Model([mean] * _WEEK, [len(use)], squares / (len(use) - 1), len(use) - 1, is_by_weekday=False)
    means = [sum(use[day] for day in use if day.weekday() == weekday) / counts[weekday] for weekday in range(_WEEK)]
    squares = sum((amount - means[day.weekday()]) ** 2 for day, amount in use.items())
    freedom = len(use) - _WEEK
    return _Model(means, [counts[weekday] for weekday in range(_WEEK)], squares / freedom, freedom, is_by_weekday=True)


def _add_up(model: _Model, at: datetime, end: datetime) -> Iterator[tuple[datetime, Band]]:
    """What is used from `at` to each midnight on the way to the end, and to the end."""
    expected = length = low = 0.0
    lengths = [0.0] * len(model.counts)
    while at < end:
        midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + DAY
        until = min(midnight, end)
        part, weekday = (until - at) / DAY, at.weekday()
        expected += part * model.means[weekday]
        length += part
        lengths[weekday if model.is_by_weekday else 0] += part
        of_means = sum(each * each / count for each, count in zip(lengths, model.counts, strict=True))
        spread = model.quantile * math.sqrt(model.variance * (length + of_means))
        low = max(low, expected - spread)  # the longer it takes the less is known, but use is never given back
        at = until
        yield at, Band(low, expected, expected + spread)


def _find_time(sums: Sequence[tuple[datetime, Band]], which: int, left: float) -> datetime | None:
    """When so much is used by one of a band's three."""
    if left <= 0:
        return None
    for (before, less), (after, more) in pairwise(sums):
        if more[which] >= left:
            return before + (after - before) * ((left - less[which]) / (more[which] - less[which]))
    return None
