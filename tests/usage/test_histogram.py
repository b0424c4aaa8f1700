"""Histograms of durations: sums of them are histograms, and percentiles are off by a bucket at the most."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.usage.histogram import (
    BUCKETS,
    EMPTY,
    bucket_of,
    count,
    decode,
    encode,
    list_buckets,
    one,
    percentile,
    upper_bound,
)

durations = st.floats(0, 20_000) | st.sampled_from([upper_bound(bucket) for bucket in range(BUCKETS - 1)])


@given(durations)
def test_a_duration_is_within_the_bounds_of_its_bucket(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert seconds <= upper_bound(bucket)
    assert bucket == 0 or seconds > upper_bound(bucket - 1)


@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_a_sum_of_histograms_is_the_histogram_of_all(some: list[float], others: list[float]) -> None:
    assert sum(map(one, some)) + sum(map(one, others)) == sum(map(one, [*some, *others]))
    assert count(sum(map(one, some))) == len(some)


@given(st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 2**39), max_size=BUCKETS))
def test_what_is_stored_is_read_back(numbers: dict[int, int]) -> None:
    histogram = sum(number * one(min(upper_bound(bucket), 5000.0)) for bucket, number in numbers.items())
    assert dict(list_buckets(histogram)) == numbers
    assert decode(encode(histogram)) == histogram


def test_nothing_takes_no_room() -> None:
    assert encode(EMPTY) == b""
    assert decode(b"") == decode(None) == EMPTY
    assert percentile(EMPTY, 0.95) is None


def test_what_no_version_wrote_counts_as_nothing() -> None:
    assert decode(b"\x07nonsense") == EMPTY


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("spread", [0.2, 1.0, 2.0])
def test_a_percentile_is_off_by_a_bucket_at_the_most(share: float, spread: float) -> None:
    draw = random.Random(7)
    values = sorted(draw.lognormvariate(0.5, spread) for _ in range(5000))
    told = percentile(sum(map(one, values)), share)
    assert told is not None
    exact = values[math.ceil(share * len(values)) - 1]
    assert exact / 1.19 <= told <= exact * 1.19


def test_one_duration_is_its_own_percentile_within_its_bucket() -> None:
    told = percentile(one(2.0), 0.5)
    assert told is not None
    assert 2.0 / 1.19 <= told <= 2.0


def test_what_is_longer_than_any_bound_counts_in_the_last_bucket() -> None:
    assert bucket_of(math.inf) == BUCKETS - 1
    assert upper_bound(BUCKETS - 1) == math.inf
    assert percentile(one(1e9), 0.5) == upper_bound(BUCKETS - 2)
