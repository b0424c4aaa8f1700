"""Rollups are what the events say: in any order, in any portions, by hour and by day, whatever a number looks like."""

import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.usage import histogram
from copilot_api.usage.models import Cause, UsageEvent
from copilot_api.usage.rollups import (
    COUNTERS,
    DAY,
    DIMENSIONS,
    DIMENSIONS_OF,
    GRAINS_OF,
    HISTOGRAMS,
    HOUR,
    MICROSECONDS,
    MOST_OF_A_CALL,
    SPANS,
    Grain,
    Place,
    RolledEvent,
    Series,
    Sums,
    add_sums,
    count,
    day_of,
    is_error,
    roll_up,
    roll_up_days,
)
from tests.ledgers import random_events, roll_up_event

HOURS, DAYS = HOUR * MICROSECONDS, DAY * MICROSECONDS
MOST_OF_A_ROLLUP = 2**53
EVENTS = [roll_up_event(event) for event in random_events(300)]
WIDTH = len(COUNTERS)

tokens = st.integers(0, 10**6)
seconds = st.floats(0, 5000)
events = st.builds(
    RolledEvent,
    at=st.integers(0, 3 * DAYS),
    key_id=st.sampled_from(["a", "b", None]),
    identity_id=st.sampled_from(["default", None]),
    client=st.sampled_from(["codex", "other"]),
    endpoint=st.just("/v1/messages"),
    model=st.sampled_from(["x", None]),
    upstream_model=st.sampled_from(["x", None]),
    status=st.sampled_from([0, 200, 400]),
    cause=st.sampled_from(["ok", "client_aborted", "upstream_cut"]),
    kind=st.sampled_from(["turn", "title"]),
    usage_unknown=st.booleans(),
    would_limit=st.sampled_from([None, "rpm"]),
    input_tokens=tokens,
    output_tokens=tokens,
    cache_read_tokens=tokens,
    cache_write_tokens=tokens,
    reasoning_tokens=tokens,
    estimated_tokens=tokens,
    nano_aiu=st.none() | st.integers(0, 10**12),
    nano_aiu_estimated=st.booleans(),
    premium_requests=st.sampled_from([0.0, 0.33, 1.0, 10.0]),
    queue_seconds=seconds,
    duration=seconds,
    time_to_first_token=st.none() | seconds,
    bytes_in=tokens,
    bytes_out=tokens,
)


def merged(parts: Iterable[dict[Place, Sums]]) -> dict[Place, Sums]:
    whole: dict[Place, Sums] = {}
    for part in parts:
        for place, sums in part.items():
            count(whole, place, sums)
    return whole


def series_of(event: RolledEvent) -> Series:
    return Series(Grain.CALL, **{name: getattr(event, name) for name in DIMENSIONS})


def sums_of(event: RolledEvent) -> Sums:
    return next(iter(roll_up([event]).values()))


def value(sums: Sums, name: str) -> int:
    return sums[(*COUNTERS, *HISTOGRAMS).index(name)]


# What is counted -----------------------------------------------------------------------------------------------------


@given(st.lists(events, max_size=12))
def test_rollups_of_many_are_those_of_each_added_up(given_events: list[RolledEvent]) -> None:
    assert roll_up(given_events) == merged(roll_up([event]) for event in given_events)


@given(st.lists(events, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(given_events: list[RolledEvent], draw: random.Random) -> None:
    shuffled = draw.sample(given_events, len(given_events))
    assert roll_up(shuffled) == roll_up(given_events)


@given(st.lists(events, max_size=12), st.integers(0, 12))
def test_nor_in_which_portions_they_come(given_events: list[RolledEvent], cut: int) -> None:
    assert merged([roll_up(given_events[:cut]), roll_up(given_events[cut:])]) == roll_up(given_events)


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cache_read_tokens", "estimated_tokens", "bytes_in"])
def test_numbers_are_added_up_as_they_are(name: str) -> None:
    total = sum(value(sums, name) for place, sums in roll_up(EVENTS).items() if place.series.grain == Grain.CALL)
    assert total == sum(getattr(event, name) for event in EVENTS) > 0


COUNTED: dict[str, Callable[[RolledEvent], int]] = {
    "requests": lambda event: 1,
    "errors": lambda event: event.status >= 400 or event.cause not in {"ok", "client_aborted"},
    "would_limit": lambda event: event.would_limit is not None,
    "unknown": lambda event: event.usage_unknown,
    "charged": lambda event: event.nano_aiu is not None,
    "nano_aiu": lambda event: event.nano_aiu or 0,
    "estimated_nano_aiu": lambda event: (event.nano_aiu or 0) if event.nano_aiu_estimated else 0,
    "micro_premium_requests": lambda event: round(event.premium_requests * 1e6),
    "queue_microseconds": lambda event: round(event.queue_seconds * 1e6),
    "duration_microseconds": lambda event: round(event.duration * 1e6) if event.identity_id else 0,
    "first_token_microseconds": lambda event: round((event.time_to_first_token or 0) * 1e6),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_a_counter_counts(name: str) -> None:
    for event in EVENTS:
        assert value(sums_of(event), name) == COUNTED[name](event), event


def test_durations_are_those_of_calls_that_went_upstream() -> None:
    """What was refused at the door was quick, and says nothing of how long Copilot takes."""
    went_on = [event for event in EVENTS if event.identity_id is not None and event.duration > 0]
    answered = [event.time_to_first_token for event in EVENTS if event.time_to_first_token is not None]
    assert 0 < len(went_on) < len(EVENTS)
    days = roll_up_days(roll_up(EVENTS).items())
    of_all = [sums for place, sums in days.items() if place.series.grain == Grain.ALL_KEYS]
    durations = sum(value(sums, "durations") for sums in of_all)
    assert durations == sum(histogram.one(event.duration) for event in went_on)
    assert sum(value(sums, "first_tokens") for sums in of_all) == sum(map(histogram.one, answered))


@pytest.mark.parametrize(
    ("status", "cause", "expected"),
    [
        (200, "ok", False),
        (0, "client_aborted", False),
        (200, "client_aborted", False),
        (399, "ok", False),
        (400, "ok", True),
        (499, "client_aborted", True),
        (200, "upstream_cut", True),
        (0, "interrupted", True),
    ],
)
def test_who_hangs_up_is_no_error(status: int, cause: str, expected: bool) -> None:
    assert is_error(status, cause) is expected
    event = EVENTS[0]._replace(status=status, cause=cause)
    assert value(sums_of(event), "errors") == int(expected)


# Where it is counted -------------------------------------------------------------------------------------------------


def test_every_event_counts_once_in_every_grain_of_every_span() -> None:
    hours = roll_up(EVENTS)
    for span, rollups in ((HOUR, hours), (DAY, roll_up_days(hours.items()))):
        assert {place.span for place in rollups} == {span}
        for grain in GRAINS_OF[span]:
            of_grain = {place: sums for place, sums in rollups.items() if place.series.grain == grain}
            assert sum(value(sums, "requests") for sums in of_grain.values()) == len(EVENTS)
            for event in EVENTS:
                start = event.at - event.at % (span * MICROSECONDS)
                assert Place(span, start, series_of(event).at(grain)) in of_grain
        assert {place.series.grain for place in rollups} == set(GRAINS_OF[span])


@given(st.lists(events, max_size=12))
def test_days_of_hours_are_days_of_events(given_events: list[RolledEvent]) -> None:
    expected: dict[Place, Sums] = {}
    for event in given_events:
        for grain in GRAINS_OF[DAY]:
            count(expected, Place(DAY, event.at // DAYS * DAYS, series_of(event).at(grain)), sums_of(event))
    assert roll_up_days(roll_up(given_events).items()) == expected


@given(events, st.sampled_from(list(Grain)))
def test_a_series_has_the_dimensions_of_its_grain_and_no_others(event: RolledEvent, grain: Grain) -> None:
    series = series_of(event).at(grain)
    assert series.grain == grain
    for name in DIMENSIONS:
        assert getattr(series, name) == (getattr(event, name) if name in DIMENSIONS_OF[grain] else None)


def test_events_at_the_turn_of_an_hour_and_of_a_day_count_in_the_new_one() -> None:
    for at, hour, day in ((DAYS - 1, DAYS - HOURS, 0), (DAYS, DAYS, DAYS), (-1, -HOURS, -DAYS)):
        hours = roll_up([EVENTS[0]._replace(at=at)])
        assert {place.start for place in hours} == {hour}
        assert {place.start for place in roll_up_days(hours.items())} == {day}
        assert day_of(at) == day


def test_rolling_up_leaves_what_it_is_given_as_it_was() -> None:
    hours = roll_up(EVENTS)
    before = {place: sums.copy() for place, sums in hours.items()}
    first, second = roll_up_days(hours.items()), roll_up_days(hours.items())
    assert (hours, first) == (before, second)
    assert len({id(sums) for sums in hours.values()}) == len(hours)


# Absurd numbers ------------------------------------------------------------------------------------------------------

NUMBERS = tuple(name for name in RolledEvent._fields if name.endswith(("_tokens", "nano_aiu", "bytes_in", "bytes_out")))
FRACTIONS = ("premium_requests", "queue_seconds", "duration", "time_to_first_token")


def altered(event: RolledEvent, name: str, number: float) -> RolledEvent:
    changes: dict[str, Any] = {name: number}
    return event._replace(**changes)


ABSURD_NUMBERS = (-1, -(2**70), 2**63, 10**40)
ABSURD_FRACTIONS = (-1.0, -1e308, 1e308, 1e15, math.nan, math.inf, -math.inf, 5e-324)


@pytest.mark.parametrize("name", NUMBERS + FRACTIONS)
def test_an_absurd_number_is_cut_to_what_is_possible_and_spoils_no_other(name: str) -> None:
    usual = next(event for event in EVENTS if event.time_to_first_token and event.duration and event.nano_aiu)
    for absurd in ABSURD_NUMBERS if name in NUMBERS else ABSURD_FRACTIONS:
        event = altered(usual, name, absurd)
        sums = sums_of(event)
        assert all(0 <= counter <= MOST_OF_A_CALL for counter in sums[:WIDTH])
        assert all(histogram.count(one) in {0, 1} for one in sums[WIDTH:])
        whole = roll_up([usual, event, usual])
        assert whole == roll_up([event, usual, usual])
        for place, found in whole.items():
            once = roll_up([usual])[place]
            assert all(
                2 * part <= total <= 2 * part + MOST_OF_A_CALL for part, total in zip(once, found[:WIDTH], strict=False)
            )
            others = [index for index, counter in enumerate(COUNTERS) if counter in {"requests", "errors", "unknown"}]
            assert all(found[index] == 3 * once[index] for index in others)


@pytest.mark.parametrize("name", ["duration", "time_to_first_token"])
def test_what_is_no_number_is_no_duration(name: str) -> None:
    event = next(event for event in EVENTS if event.time_to_first_token and event.duration)
    counted = "durations" if name == "duration" else "first_tokens"
    assert histogram.count(value(sums_of(event), counted)) == 1
    assert value(sums_of(altered(event, name, math.nan)), counted) == histogram.EMPTY


@given(st.lists(st.integers(0, MOST_OF_A_ROLLUP), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_sum_that_is_full_stays_full_in_whatever_order(numbers: list[int], draw: random.Random) -> None:
    def total(amounts: list[int]) -> Sums:
        sums = [0] * (WIDTH + len(HISTOGRAMS))
        for amount in amounts:
            add_sums(sums, [amount] * WIDTH + [histogram.one(1.0)] * len(HISTOGRAMS))
        return sums

    expected = [min(sum(numbers), MOST_OF_A_ROLLUP)] * WIDTH + [len(numbers) * histogram.one(1.0)] * len(HISTOGRAMS)
    assert total(numbers) == total(draw.sample(numbers, len(numbers))) == expected


def test_the_largest_sums_of_a_thousand_rollups_fit_a_database() -> None:
    assert 1000 * MOST_OF_A_ROLLUP < 2**63
    assert MOST_OF_A_CALL <= MOST_OF_A_ROLLUP


# Names ---------------------------------------------------------------------------------------------------------------


def test_what_is_rolled_up_are_fields_of_events() -> None:
    assert set(RolledEvent._fields) <= set(UsageEvent.__struct_fields__)
    assert set(DIMENSIONS) < set(RolledEvent._fields)
    assert Series._fields[1:] == DIMENSIONS == RolledEvent._fields[1 : len(DIMENSIONS) + 1]


def test_names_are_told_apart() -> None:
    assert len({*COUNTERS, *HISTOGRAMS}) == len(COUNTERS) + len(HISTOGRAMS) == len(sums_of(EVENTS[0]))


def test_every_grain_has_its_dimensions_and_is_kept_somewhere() -> None:
    assert set(DIMENSIONS_OF) == set(Grain) == {grain for span in SPANS for grain in GRAINS_OF[span]}
    assert all(names <= set(DIMENSIONS) for names in DIMENSIONS_OF.values())
    assert DIMENSIONS_OF[Grain.CALL] == set(DIMENSIONS)
    assert {cause.value for cause in Cause if not is_error(200, cause)} == {"ok", "client_aborted"}
