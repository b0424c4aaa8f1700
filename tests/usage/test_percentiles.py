"""Percentiles over time are those of the events, as near as a histogram tells."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from copilot_api.usage import histogram
from copilot_api.usage.explorer import list_starts
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.percentiles import Timing, list_percentiles
from copilot_api.usage.queries import Bucket, Dimension
from copilot_api.usage.rollups import MICROSECONDS
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored

EVENTS = random_events(400)
SINCE, UNTIL = DAY_ONE, DAY_ONE + timedelta(days=4)
SHARES = (0.5, 0.95)


def ask(stored: Stored, timing: Timing, bucket: Bucket, **more: Any) -> Any:
    starts = list_starts(SINCE, UNTIL, bucket)
    return starts, list_percentiles(stored.usage, timing, SINCE, UNTIL, starts, bucket, SHARES, **more)


def slowly(timing: Timing, start: int, bucket: Bucket, share: float, key: str | None) -> float | None:
    """The percentile of one bucket of one key, from the events."""
    summed = histogram.EMPTY
    for event in EVENTS:
        at = datetime.fromisoformat(event.at).timestamp() * MICROSECONDS
        value = event.duration if timing is Timing.DURATION else event.time_to_first_token
        is_inside = event.key_id == key and start <= at < start + bucket.microseconds
        if (
            is_inside
            and event.identity_id is not None
            and value is not None
            and (value or timing is not Timing.DURATION)
        ):
            summed += histogram.one(value)
    return histogram.percentile(summed, share)


@pytest.mark.parametrize("timing", Timing)
@pytest.mark.parametrize("bucket", [Bucket.HOUR, Bucket.DAY])
def test_each_bucket_of_each_group_is_what_its_events_say(stored: Stored, timing: Timing, bucket: Bucket) -> None:
    stored.usage.add_events(EVENTS)
    starts, lines = ask(stored, timing, bucket, group=(Dimension.KEY,))
    assert len(lines) == 4
    for line in lines:
        for share, values in zip(SHARES, line.values, strict=True):
            assert list(values) == [slowly(timing, start, bucket, share, line.group[0]) for start in starts]
    counts = [line.count for line in lines]
    assert counts == sorted(counts, reverse=True)


def test_the_whole_is_one_line(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    _, (line,) = ask(stored, Timing.DURATION, Bucket.DAY)
    assert line.group == ()
    assert all(value is not None and value > 0 for value in line.whole)


def test_conditions_hold(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    only = Condition("key_id", Match.IS, ("key_a",))
    _, (line,) = ask(stored, Timing.DURATION, Bucket.DAY, conditions=(only,), group=(Dimension.KEY,))
    assert line.group == ("key_a",)


def test_of_nothing_there_are_no_lines(stored: Stored) -> None:
    assert ask(stored, Timing.DURATION, Bucket.DAY)[1] == []
