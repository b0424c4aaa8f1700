"""Observations as numbers: counted once, bounded whatever comes, never taken back."""

import threading
from datetime import datetime
from typing import Any

import pytest

from copilot_api.observability.events import (
    CallEnded,
    CatalogDrifted,
    ConfigReloaded,
    JournalBroken,
    JournalRecovered,
    Listening,
    UsageStorageBroken,
    UsageStorageRecovered,
)
from copilot_api.observability.metrics import (
    BUCKETS,
    MAX_KEYS,
    MAX_LABELS,
    MAX_OUTCOMES,
    MAX_SERIES,
    OTHER,
    Histogram,
    Metrics,
)
from copilot_api.usage.models import Cause, UsageEvent
from tests.fakes import FakeClock

CHAT = "/v1/chat/completions"


def ended(**fields: Any) -> CallEnded:
    known: dict[str, Any] = {
        "request_id": "req_1", "at": "2026-07-01T12:00:00+00:00", "endpoint": CHAT, "client": "curl", "status": 200, "cause": Cause.OK,
        "model": "fast", "upstream_model": "gpt-4.1", "key_id": "key_1", "stream": True, "duration": 1.25, "time_to_first_token": 0.3,
        "queue_seconds": 0.02, "input_tokens": 30, "output_tokens": 4, "cache_read_tokens": 20, "cache_write_tokens": 5,
        "reasoning_tokens": 2, "nano_aiu": 7, "premium_requests": 0.33,
    }  # fmt: skip
    return CallEnded(UsageEvent(**{**known, **fields}))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(FakeClock())


def test_a_call_is_counted_everywhere_once(metrics: Metrics) -> None:
    for _ in range(3):
        metrics(ended())
    sums = metrics.calls[CHAT, "gpt-4.1"]
    assert sums.outcomes == {(200, "ok", "curl"): 3}
    assert (sums.input_tokens, sums.output_tokens, sums.reasoning_tokens) == (90, 12, 6)
    assert (sums.cache_read_tokens, sums.cache_write_tokens) == (60, 15)
    assert sums.nano_aiu == 21
    assert sums.premium_requests == pytest.approx(0.99)
    for histogram, seconds in ((sums.durations, 1.25), (sums.first_tokens, 0.3), (sums.queue_waits, 0.02)):
        assert sum(histogram.counts) == 3
        assert histogram.total == pytest.approx(3 * seconds)
    key = metrics.keys["key_1"]
    assert (key.requests, key.input_tokens, key.output_tokens, key.nano_aiu) == (3, 90, 12, 21)


def test_a_refused_call_has_no_model_and_nothing_but_its_duration(metrics: Metrics) -> None:
    """What the caller asked for is the caller's text: it is no label."""
    metrics(ended(status=404, cause=Cause.MODEL_NOT_FOUND, model="caller's text", upstream_model=None, key_id=None))
    [((endpoint, model), sums)] = metrics.calls.items()
    assert (endpoint, model, sums.outcomes) == (CHAT, None, {(404, "model_not_found", "curl"): 1})
    assert sum(sums.durations.counts) == 1
    assert sum(sums.queue_waits.counts) == sum(sums.first_tokens.counts) == sums.input_tokens == 0
    assert metrics.keys[None].requests == 1


def test_the_time_to_the_first_token_is_that_of_streams(metrics: Metrics) -> None:
    """A whole answer has its first token when it has its last."""
    metrics(ended(stream=False))
    metrics(ended(time_to_first_token=None, cause=Cause.CLIENT_ABORTED))
    assert sum(metrics.calls[CHAT, "gpt-4.1"].first_tokens.counts) == 0


def test_no_sum_shrinks_and_what_is_not_known_is_nothing(metrics: Metrics) -> None:
    metrics(ended())
    metrics(
        ended(
            input_tokens=-5, output_tokens=-1, cache_read_tokens=-1, cache_write_tokens=-1, reasoning_tokens=-1, nano_aiu=-3,
            premium_requests=-1.0, usage_unknown=True,
        )
    )  # fmt: skip
    metrics(ended(nano_aiu=None))
    sums = metrics.calls[CHAT, "gpt-4.1"]
    assert (sums.input_tokens, sums.output_tokens, sums.nano_aiu, sums.unknown) == (60, 8, 7, 1)
    assert (sums.cache_read_tokens, sums.cache_write_tokens, sums.reasoning_tokens) == (40, 10, 4)


def test_limits_that_are_only_observed_count_one_by_one(metrics: Metrics) -> None:
    metrics(ended(would_limit="rpm,credits:day"))
    metrics(ended(would_limit="rpm"))
    assert metrics.would_limit == {"rpm": 2, "credits:day": 1}


def test_who_answered_in_another_ones_place_is_counted(metrics: Metrics) -> None:
    metrics(ended(fallback_from="claude-sonnet-4.6"))
    assert metrics.calls[CHAT, "gpt-4.1"].fallbacks == 1


@pytest.mark.parametrize("bound", BUCKETS)
def test_what_is_as_long_as_a_bound_is_within_it(bound: float) -> None:
    histogram = Histogram()
    histogram.add(bound)
    histogram.add(bound * 1.001)
    place = BUCKETS.index(bound)
    assert histogram.counts[place : place + 2] == [1, 1]


def test_the_bounds_reach_from_a_hundredth_of_a_second_to_ten_minutes() -> None:
    assert (BUCKETS[0], BUCKETS[-1]) == (0.01, 600.0)
    assert list(BUCKETS) == sorted(set(BUCKETS))


# Other things -----------------------------------------------------------------------------------------------------------


def test_everything_else_is_counted_by_what_it_is(metrics: Metrics) -> None:
    metrics(ConfigReloaded("a"))
    metrics(ConfigReloaded("b"))
    metrics(Listening("http://x"))
    assert metrics.counts == {ConfigReloaded: 2, Listening: 1}


def test_what_lasts_is_known_until_it_is_over(metrics: Metrics) -> None:
    def lasting() -> tuple[bool, bool]:
        return metrics.is_journal_broken, metrics.is_storage_failing

    metrics(JournalBroken("full"))
    assert lasting() == (True, False)
    metrics(UsageStorageBroken("locked"))
    assert lasting() == (True, True)
    metrics(JournalRecovered())
    metrics(UsageStorageRecovered())
    assert lasting() == (False, False)


def test_drift_says_how_much_and_when() -> None:
    clock = FakeClock()
    metrics = Metrics(clock)

    def drifted() -> tuple[int, datetime | None]:
        return metrics.catalog_changes, metrics.catalog_changed_at

    assert drifted() == (0, None)
    clock.advance(60)
    metrics(CatalogDrifted(3, "added: x"))
    metrics(CatalogDrifted(2, "gone: x"))
    assert drifted() == (5, clock.now())
    assert metrics.started_at < clock.now()


# Bounds -----------------------------------------------------------------------------------------------------------------


def test_a_thousand_keys_have_their_own_numbers_and_the_others_share_theirs(metrics: Metrics) -> None:
    for number in range(MAX_KEYS + 50):
        metrics(ended(key_id=f"key_{number}"))
    metrics(ended(key_id="key_5"))
    metrics(ended(key_id=None))
    assert len(metrics.keys) == MAX_KEYS + 2, "each of them, the others, and nobody"
    assert metrics.keys[OTHER].requests == metrics.folded["key"] == 50
    assert metrics.keys["key_5"].requests == 2
    assert sum(key.requests for key in metrics.keys.values()) == MAX_KEYS + 52


@pytest.mark.parametrize(
    ("label", "field"),
    [("endpoint", "endpoint"), ("model", "upstream_model"), ("cause", "cause"), ("client", "client"), ("limit", "would_limit")],
)  # fmt: skip
def test_no_label_grows_for_ever(metrics: Metrics, label: str, field: str) -> None:
    """Each is of a closed list. If it is not, it costs a counter and no memory."""
    calls = MAX_LABELS[label] + 500
    for number in range(calls):
        metrics(ended(**{field: f"value{number}"}))
    assert metrics.folded[label] == 500
    values: dict[str, set[Any]] = {
        "endpoint": {endpoint for endpoint, _ in metrics.calls},
        "model": {model for _, model in metrics.calls},
        "cause": {cause for sums in metrics.calls.values() for _, cause, _ in sums.outcomes},
        "client": {client for sums in metrics.calls.values() for _, _, client in sums.outcomes},
        "limit": set(metrics.would_limit),
    }
    found = values[label]
    assert len(found) == MAX_LABELS[label] + 1
    assert OTHER in found
    assert sum(count for sums in metrics.calls.values() for count in sums.outcomes.values()) == calls


def test_a_status_is_bounded_too(metrics: Metrics) -> None:
    for status in range(10_000):
        metrics(ended(status=status))
    outcomes = metrics.calls[CHAT, "gpt-4.1"].outcomes
    assert len(outcomes) == MAX_LABELS["status"] + 1
    assert outcomes[OTHER, "ok", "curl"] == metrics.folded["status"] == 10_000 - MAX_LABELS["status"]


def test_all_labels_together_are_bounded() -> None:
    """Each within its own bound: their product is too much nevertheless."""
    metrics = Metrics(FakeClock())
    for number in range(20_000):
        metrics(ended(status=number % 90, cause=f"cause{number % 29}", client=f"client{number % 59}"))
    [sums] = metrics.calls.values()
    assert len(sums.outcomes) == MAX_OUTCOMES + 1
    assert sum(sums.outcomes.values()) == 20_000
    assert metrics.folded["client"] == sums.outcomes[OTHER, OTHER, OTHER] > 0


def test_the_pairs_of_endpoint_and_model_are_bounded() -> None:
    metrics = Metrics(FakeClock())
    for number in range(20 * 200):
        metrics(ended(endpoint=f"/{number % 20}", upstream_model=f"model{number % 199}"))
    assert len(metrics.calls) <= MAX_SERIES + 20
    assert metrics.folded["model"] > 0
    assert sum(sum(sums.outcomes.values()) for sums in metrics.calls.values()) == 20 * 200


def test_threads_may_observe_other_things_meanwhile(metrics: Metrics) -> None:
    def observe() -> None:
        for _ in range(5_000):
            metrics(UsageStorageBroken("x"))

    thread = threading.Thread(target=observe)
    thread.start()
    for _ in range(5_000):
        metrics(ended())
    thread.join()
    assert metrics.calls[CHAT, "gpt-4.1"].outcomes == {(200, "ok", "curl"): 5_000}
    assert metrics.counts[UsageStorageBroken] == 5_000


def test_an_erased_key_loses_its_numbers_and_its_place() -> None:
    metrics = Metrics(FakeClock(), max_labels={**MAX_LABELS, "key": 1})
    metrics(ended(key_id="key_1"))
    metrics.forget_key("key_1")
    metrics.forget_key("key_1")
    assert metrics.keys == {}
    metrics(ended(key_id="key_2"))
    assert list(metrics.keys) == ["key_2"]
