"""A minimum time between calls."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_api.admission.minimum_gap import MinimumGap
from copilot_api.errors import RateLimited

PROPERTY = settings(derandomize=True, deadline=None, database=None)


def test_the_first_call_goes_at_once_and_the_next_waits_its_turn() -> None:
    gap = MinimumGap(10.0, is_waiting=True)
    assert [gap.take(100.0), gap.take(101.0), gap.take(101.0), gap.take(110.0), gap.take(150.0)] == [
        0.0,
        9.0,
        9.0,
        0.0,
        0.0,
    ]


def test_a_call_too_early_is_refused_and_told_when_to_come() -> None:
    gap = MinimumGap(10.0, is_waiting=False)
    gap.take(100.0)
    with pytest.raises(RateLimited) as refusal:
        gap.take(103.5)
    assert refusal.value.retry_after == pytest.approx(6.5)
    assert dict(refusal.value.headers())[b"retry-after"] == b"7", "rounded up: who comes early is refused again"
    assert refusal.value.actual_hint
    assert not refusal.value.is_final
    assert gap.take(110.0) == 0.0


def test_a_refused_call_does_not_push_the_next_one_back() -> None:
    gap = MinimumGap(10.0, is_waiting=False)
    gap.take(100.0)
    for now in (101.0, 105.0, 109.0):
        with pytest.raises(RateLimited):
            gap.take(now)
    assert gap.take(110.0) == 0.0


def test_a_fraction_of_a_second_is_a_gap() -> None:
    gap = MinimumGap(0.5, is_waiting=True)
    gap.take(1.0)
    assert gap.take(1.2) == pytest.approx(0.3)


@settings(PROPERTY, max_examples=100)
@given(seconds=st.floats(0.01, 100), steps=st.lists(st.floats(0, 50), max_size=30))
def test_calls_are_never_closer_than_the_gap(seconds: float, steps: list[float]) -> None:
    gap = MinimumGap(seconds, is_waiting=True)
    now, starts = 1000.0, list[float]()
    for step in steps:
        now += step
        while (wait := gap.take(now)) > 0:
            now += wait
        starts.append(now)
    for before, after in itertools.pairwise(starts):
        assert after - before >= seconds - 1e-6


@settings(PROPERTY, max_examples=100)
@given(seconds=st.floats(0.01, 100), steps=st.lists(st.floats(0, 50), max_size=30))
def test_who_obeys_retry_after_is_let_in(seconds: float, steps: list[float]) -> None:
    gap = MinimumGap(seconds, is_waiting=False)
    now = 1000.0
    for step in steps:
        now += step
        refusal = refused(gap, now)
        if refusal is not None:
            assert refusal.retry_after is not None
            now += int(dict(refusal.headers())[b"retry-after"])
            assert gap.take(now) == 0.0


def refused(gap: MinimumGap, now: float) -> RateLimited | None:
    try:
        gap.take(now)
    except RateLimited as refusal:
        return refusal
    return None
