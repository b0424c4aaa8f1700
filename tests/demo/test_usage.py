"""Two weeks of calls that look like a team's."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.demo.people import PEOPLE
from copilot_api.demo.usage import DAYS, ELSEWHERE, make_sample_events, make_sample_readings
from copilot_api.usage.credits import find_stretches, measure_days, measure_movement
from copilot_api.usage.models import Cause, UsageEvent

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
IDS = {person.label: f"key_{person.label}" for person in PEOPLE}


def at(event: UsageEvent) -> datetime:
    return datetime.fromisoformat(event.at)


def test_they_are_the_same_every_time_and_each_has_its_id() -> None:
    events = make_sample_events(IDS, NOW)
    assert events == make_sample_events(IDS, NOW)
    assert len({event.request_id for event in events}) == len(events) > 4000


def test_they_lie_in_the_last_two_weeks_up_to_now() -> None:
    times = sorted(map(at, make_sample_events(IDS, NOW)))
    assert NOW - timedelta(days=DAYS) <= times[0] < NOW - timedelta(days=DAYS - 1)
    assert NOW - timedelta(hours=1) < times[-1] <= NOW


def test_days_are_busier_than_nights_and_weekends() -> None:
    events = make_sample_events(IDS, NOW)
    by_day = Counter(at(event).date() for event in events)
    weekdays = [count for day, count in by_day.items() if day.weekday() < 5]
    weekends = [count for day, count in by_day.items() if day.weekday() >= 5]
    assert sum(weekdays) / len(weekdays) > 2 * sum(weekends) / len(weekends)
    hours = Counter(at(event).hour for event in events)
    assert hours[10] > 3 * hours[3]


def test_everything_that_can_happen_does() -> None:
    events = make_sample_events(IDS, NOW)
    assert {event.cause for event in events} >= set(Cause) - {Cause.UNAUTHORIZED, Cause.OVER_BUDGET, Cause.INTERNAL}
    assert {event.kind for event in events} >= {"turn", "title", "subagent", "compaction", "probe", "embeddings"}
    assert len({event.client for event in events}) >= 6
    assert 0.01 < sum(event.cause is not Cause.OK for event in events) / len(events) < 0.1


def test_what_was_refused_here_cost_nothing_there() -> None:
    for event in make_sample_events(IDS, NOW):
        if event.cause in {Cause.RATE_LIMITED, Cause.BAD_REQUEST, Cause.MODEL_NOT_ALLOWED}:
            assert (event.upstream_endpoint, event.nano_aiu, event.input_tokens) == (None, None, 0)
        assert event.cache_read_tokens <= event.input_tokens
        assert event.reasoning_tokens <= event.output_tokens


@pytest.mark.parametrize("day", [1, 5, 20, 30])
def test_of_the_account_s_credits_a_little_goes_elsewhere(day: int) -> None:
    now = datetime(2026, 11, day, 15, 30, tzinfo=UTC)
    events = make_sample_events(IDS, now)
    readings = make_sample_readings(events, now)
    since, resets_at = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    here = sum(event.nano_aiu or 0 for event in events if at(event) >= since) / 1e9
    assert (readings[-1].at, readings[-1].resets_at) == (now, resets_at)
    assert readings[-1].used == pytest.approx(here * (1 + ELSEWHERE))
    stretches = find_stretches(readings)
    assert measure_movement(stretches, since, now).moved == pytest.approx(here * (1 + ELSEWHERE))
    assert len(measure_days(stretches, now, 14)) >= 13
