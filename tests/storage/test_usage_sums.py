"""Sums are what the events add up to, however the period, the groups and the conditions are chosen."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollup_upkeep import close_day
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Bucket, Dimension, SumQuery, SumRow
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS
from tests.fakes import FakeClock
from tests.ledgers import DAY_ONE, random_events, sum_slowly
from tests.stored import Stored, open_stored

TOKENS = COUNTERS.index("input_tokens")
END = DAY_ONE + timedelta(days=5)
CONDITIONS = (
    Condition("key_id", Match.IS, ("key_a",)),
    Condition("key_id", Match.IS, ("key_a", "key_b"), is_negated=True),
    Condition("key_id", Match.IS_SET, (), is_negated=True),
    Condition("model", Match.CONTAINS, ("OPUS", "☃")),
    Condition("model", Match.CONTAINS, ("%",)),
    Condition("model", Match.IS, ()),
    Condition("status", Match.AT_LEAST, (400,)),
    Condition("status", Match.LESS_THAN, (400,)),
    Condition("cause", Match.IS, ("ok",), is_negated=True),
    Condition("client", Match.IS, ("codex",)),
    Condition("usage_unknown", Match.IS, (True,)),
)


@cache
def ledger() -> list[UsageEvent]:
    return random_events(1200, days=4.6)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """A ledger whose first days are closed, some of them before the last of their events came."""
    path: Path = tmp_path_factory.mktemp("ledger")
    events = ledger()
    with open_stored(path / "data", FakeClock()) as stored:
        for index in range(0, 900, 100):
            stored.usage.add_events(events[index : index + 100])
        for day in range(3):
            assert close_day(stored.database, to_microseconds(DAY_ONE + timedelta(days=day)), lambda: None)
        for event in events[900:]:
            stored.usage.add_events([event])
        yield stored


def comparable(rows: list[SumRow]) -> dict[object, list[int]]:
    return {(row.group, row.start): row.sums for row in rows}


def check(filled: Stored, query: SumQuery) -> None:
    assert comparable(filled.usage.sum_up(query)) == comparable(sum_slowly(ledger(), query))


@pytest.mark.parametrize("bucket", [None, Bucket.MINUTE, Bucket.HOUR, Bucket.DAY])
@pytest.mark.parametrize("group", [(), *((each,) for each in Dimension), (Dimension.KEY, Dimension.MODEL)], ids=str)
def test_sums_by_every_group_and_bucket_are_those_of_the_events(
    filled: Stored, group: tuple[Dimension, ...], bucket: Bucket | None
) -> None:
    check(filled, SumQuery(DAY_ONE, END, group, bucket, histograms=HISTOGRAMS))


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize("group", [(), (Dimension.KEY,), (Dimension.CAUSE,)], ids=str)
def test_sums_of_what_meets_a_condition(filled: Stored, condition: Condition, group: tuple[Dimension, ...]) -> None:
    check(filled, SumQuery(DAY_ONE, END, group, conditions=(condition,), histograms=("durations",)))


@pytest.mark.parametrize("seed", range(60))
def test_sums_of_any_period(filled: Stored, seed: int) -> None:
    """Within an hour, from one to the next, over days: what lies at the ends is counted to the microsecond."""
    draw = random.Random(seed)
    moments = [moment(draw) for _ in range(2)]
    group = tuple(draw.sample(list(Dimension), draw.choice([0, 1, 2])))
    conditions = tuple(draw.sample(CONDITIONS, draw.choice([0, 1, 2])))
    check(filled, SumQuery(min(moments), max(moments), group, draw.choice([None, *Bucket]), conditions, HISTOGRAMS))


@pytest.mark.parametrize("seed", range(20))
def test_the_largest_groups_are_those_of_all_groups(filled: Stored, seed: int) -> None:
    draw = random.Random(seed)
    since, until = sorted(moment(draw) for _ in range(2))
    group = tuple(draw.sample(list(Dimension), draw.choice([1, 2])))
    conditions = tuple(draw.sample(CONDITIONS, draw.choice([0, 1, 2])))
    query = SumQuery(since, until, group, conditions=conditions, counters=("input_tokens", "requests"))
    everything = sorted((row.sums[TOKENS], row.sums[0]) for row in filled.usage.sum_up(query))
    largest = filled.usage.sum_up(replace(query, largest=5))
    assert sorted((row.sums[TOKENS], row.sums[0]) for row in largest) == everything[-5:]
    assert all(item in comparable(filled.usage.sum_up(query)).items() for item in comparable(largest).items())


def moment(draw: random.Random) -> datetime:
    """Often one that matters: when an event came, an hour, a day."""
    at = DAY_ONE + timedelta(microseconds=draw.randrange(-(10**6), 5 * 86_400 * 10**6))
    event = datetime.fromisoformat(draw.choice(ledger()).at)
    hour = at.replace(minute=0, second=0, microsecond=0)
    return draw.choice([at, event, event + timedelta(microseconds=1), hour, hour.replace(hour=0)])


def test_of_nothing_there_is_no_row(filled: Stored, stored: Stored) -> None:
    assert filled.usage.sum_up(SumQuery(END + timedelta(days=9), END + timedelta(days=10))) == []
    assert stored.usage.sum_up(SumQuery(DAY_ONE, END, (Dimension.KEY,), Bucket.DAY)) == []
