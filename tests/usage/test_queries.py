"""A period taken apart is that period: in order, without gaps, each part read where it is cheapest and still exact."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.storage.instants import to_microseconds
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.queries import Bucket, Dimension, Piece, Source, SumQuery, divide, grain_of
from copilot_api.usage.rollups import (
    COUNTERS,
    DAY,
    DIMENSIONS,
    DIMENSIONS_OF,
    GRAINS_OF,
    HOUR,
    MICROSECONDS,
    SPANS,
    Grain,
)
from tests.ledgers import DAY_ONE

HOURS, DAYS = HOUR * MICROSECONDS, DAY * MICROSECONDS
LENGTH = {Source.HOURS: HOURS, Source.DAYS: DAYS}
NOON = to_microseconds(DAY_ONE) + 12 * HOURS

near = st.sampled_from([0, 1, -1, MICROSECONDS, HOURS, HOURS - 1, -HOURS])


def moment(span: int, number: int, offset: int) -> int:
    return number * span + offset


def in_order(pair: tuple[int, int]) -> tuple[int, int]:
    return min(pair), max(pair)


moments = (
    st.integers(-3 * DAYS, 40 * DAYS)
    | st.builds(moment, st.just(HOURS), st.integers(-48, 900), near)
    | st.builds(moment, st.just(DAYS), st.integers(-3, 40), near)
)
periods = st.tuples(moments, moments).map(in_order)
buckets = st.sampled_from([None, *Bucket])


def take_apart(period: tuple[int, int], days_closed: int, bucket: Bucket | None) -> list[Piece]:
    return list(divide(*period, days_closed=days_closed, bucket=bucket))


@given(periods, moments, buckets)
def test_the_pieces_are_the_period_each_moment_in_one_of_them(
    period: tuple[int, int], days_closed: int, bucket: Bucket | None
) -> None:
    pieces = take_apart(period, days_closed, bucket)
    since, until = period
    if since == until and not pieces:
        return
    assert (pieces[0].since, pieces[-1].until) == period
    assert all(first.until == second.since for first, second in pairwise(pieces))
    assert all(piece.since < piece.until for piece in pieces) or since == until
    assert len(pieces) <= 5


@given(periods, moments, buckets)
def test_rollups_are_read_in_whole_spans(period: tuple[int, int], days_closed: int, bucket: Bucket | None) -> None:
    for piece in take_apart(period, days_closed, bucket):
        if piece.source is not Source.EVENTS:
            assert piece.since % LENGTH[piece.source] == piece.until % LENGTH[piece.source] == 0


@given(periods, moments, buckets)
def test_days_are_read_as_far_as_they_are_closed(
    period: tuple[int, int], days_closed: int, bucket: Bucket | None
) -> None:
    for piece in take_apart(period, days_closed, bucket):
        if piece.source is Source.DAYS:
            assert piece.until <= days_closed


@given(periods, moments, buckets)
def test_nothing_is_read_that_is_coarser_than_the_answer(
    period: tuple[int, int], days_closed: int, bucket: Bucket | None
) -> None:
    shortest = DAYS if bucket is None else bucket.microseconds
    for piece in take_apart(period, days_closed, bucket):
        assert LENGTH.get(piece.source, 0) <= shortest


@given(periods, moments, st.sampled_from([None, Bucket.HOUR, Bucket.DAY]))
def test_only_the_ends_are_read_from_events_each_within_an_hour(
    period: tuple[int, int], days_closed: int, bucket: Bucket | None
) -> None:
    pieces = take_apart(period, days_closed, bucket)
    events = [piece for piece in pieces if piece.source is Source.EVENTS]
    assert all(piece in {pieces[0], pieces[-1]} for piece in events)
    if len(pieces) > 1:
        assert all(piece.since // HOURS == (piece.until - 1) // HOURS for piece in events)
    else:
        assert all(piece.until - piece.since < 2 * HOURS for piece in events)


@given(periods, moments, st.sampled_from([None, Bucket.DAY]))
def test_every_day_that_is_whole_and_closed_is_read_as_one(
    period: tuple[int, int], days_closed: int, bucket: Bucket | None
) -> None:
    """A period of a year costs its days, not its hours."""
    since, until = period
    whole = max(0, min(until, days_closed) // DAYS - -(-since // DAYS))
    read = sum(p.until - p.since for p in take_apart(period, days_closed, bucket) if p.source is Source.DAYS)
    assert read == whole * DAYS


@pytest.mark.parametrize(
    ("since", "until", "closed", "bucket", "expected"),
    [
        (0, HOURS, 0, None, [("hours", 0, HOURS)]),
        (0, DAYS, DAYS, None, [("days", 0, DAYS)]),
        (0, DAYS, DAYS, Bucket.HOUR, [("hours", 0, DAYS)]),
        (0, DAYS, DAYS, Bucket.MINUTE, [("events", 0, DAYS)]),
        (0, DAYS, DAYS - 1, Bucket.DAY, [("hours", 0, DAYS)]),
        (5, HOURS - 5, DAYS, None, [("events", 5, HOURS - 5)]),
        (5, HOURS + 5, DAYS, None, [("events", 5, HOURS), ("events", HOURS, HOURS + 5)]),
        (NOON, NOON, NOON, None, []),
        (
            HOURS - 1,
            3 * DAYS + HOURS + 1,
            2 * DAYS,
            None,
            [
                ("events", HOURS - 1, HOURS),
                ("hours", HOURS, DAYS),
                ("days", DAYS, 2 * DAYS),
                ("hours", 2 * DAYS, 3 * DAYS + HOURS),
                ("events", 3 * DAYS + HOURS, 3 * DAYS + HOURS + 1),
            ],
        ),
    ],
)
def test_how_periods_are_taken_apart(
    since: int, until: int, closed: int, bucket: Bucket | None, expected: list[tuple[str, int, int]]
) -> None:
    assert take_apart((since, until), closed, bucket) == expected


# Grains --------------------------------------------------------------------------------------------------------------

QUESTIONS = [chosen for size in range(4) for chosen in combinations(Dimension, size)]


@pytest.mark.parametrize("span", SPANS)
def test_every_question_has_a_grain_that_can_answer_it_and_gets_the_cheapest(span: int) -> None:
    for group in QUESTIONS:
        for number in range(len(group) + 1):
            conditions = tuple(Condition(each.value, Match.IS_SET, ()) for each in group[number:])
            grain = grain_of(SumQuery(DAY_ONE, DAY_ONE, group[:number], conditions=conditions), span)
            named = {dimension.value for dimension in group}
            can = [each for each in GRAINS_OF[span] if named <= DIMENSIONS_OF[each]]
            assert grain in can
            assert grain is min(can, key=list(DIMENSIONS_OF).index)


def test_who_asks_for_no_key_reads_no_keys() -> None:
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE), HOUR) is Grain.TOTAL
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE, (Dimension.MODEL,)), HOUR) is Grain.MODEL
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE, (Dimension.CAUSE,)), HOUR) is Grain.ALL_KEYS
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE, (Dimension.KEY,)), HOUR) is Grain.KEY
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE, (Dimension.KEY, Dimension.MODEL)), DAY) is Grain.KEY_MODEL
    assert grain_of(SumQuery(DAY_ONE, DAY_ONE, (Dimension.KEY, Dimension.MODEL)), HOUR) is Grain.CALL


def test_dimensions_are_those_of_the_rollups_and_fields_of_events() -> None:
    assert sorted(Dimension) == sorted(DIMENSIONS)
    assert set(DIMENSIONS) <= set(UsageEvent.__struct_fields__)


def test_how_long_buckets_are() -> None:
    assert [bucket.microseconds for bucket in Bucket] == [60_000_000, HOURS, DAYS]


def test_all_counters_are_asked_for_unless_it_is_said() -> None:
    assert SumQuery(DAY_ONE, DAY_ONE).counters == COUNTERS
