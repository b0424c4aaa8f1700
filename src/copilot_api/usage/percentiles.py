"""How long calls took over time: percentiles by group and bucket, from the histograms of the rollups."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from copilot_api.usage import histogram
from copilot_api.usage.filters import Condition
from copilot_api.usage.queries import Bucket, Dimension, GroupValue, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from copilot_api.usage.totals import Summing

Group = tuple[GroupValue, ...]


class Timing(StrEnum):
    """What is measured; of calls that went upstream."""

    DURATION = "duration"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105 -- another kind of token


_HISTOGRAM_OF = dict(zip((Timing.DURATION, Timing.TIME_TO_FIRST_TOKEN), HISTOGRAMS, strict=True))


def histogram_of(timing: Timing) -> str:
    """The histogram of the rollups that a timing comes of."""
    return _HISTOGRAM_OF[timing]


@dataclass(frozen=True, slots=True)
class TimingLine:
    """One group over time."""

    group: Group
    count: int
    """Of how many calls it tells."""
    whole: tuple[float | None, ...]
    """The percentiles of the whole period, in seconds, in the order of the shares that were asked for."""
    values: tuple[tuple[float | None, ...], ...]
    """For each of the shares, the percentile of each bucket; None where there was no call."""


def list_percentiles(
    ledger: Summing,
    timing: Timing,
    since: datetime,
    until: datetime,
    starts: Iterable[int],
    bucket: Bucket,
    shares: tuple[float, ...],
    *,
    group: tuple[Dimension, ...] = (),
    conditions: tuple[Condition, ...] = (),
) -> list[TimingLine]:
    """
    The percentiles of each group in the buckets that begin at `starts` (microseconds since 1970), the group with the
    most calls first.
    """
    name = histogram_of(timing)
    query = SumQuery(since, until, group, bucket, conditions, histograms=(name,), counters=("requests",))
    place = len(COUNTERS) + HISTOGRAMS.index(name)
    parts: dict[Group, dict[int, int]] = {}
    for row in ledger.sum_up(query):
        _put(parts, row, place)
    times = list(starts)
    lines = [_make_line(key, found, times, shares) for key, found in parts.items()]
    return sorted((line for line in lines if line.count), key=lambda line: (-line.count, str(line.group)))


def _put(parts: dict[Group, dict[int, int]], row: SumRow, place: int) -> None:
    if row.start is not None:
        parts.setdefault(row.group, {})[row.start] = row.sums[place]


def _make_line(group: Group, found: dict[int, int], times: list[int], shares: tuple[float, ...]) -> TimingLine:
    whole = sum(found.values())
    return TimingLine(
        group,
        histogram.count(whole),
        tuple(histogram.percentile(whole, share) for share in shares),
        tuple(tuple(histogram.percentile(found.get(at, 0), share) for at in times) for share in shares),
    )
