"""A period in numbers is exact to the microsecond, whatever hour it begins in."""

from datetime import datetime, timedelta

from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.summaries import summarise
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored

EVENTS = random_events(400)


def test_every_event_of_the_period_counts_and_no_other(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    since, until = DAY_ONE + timedelta(minutes=17, seconds=3), DAY_ONE + timedelta(days=2, minutes=41)
    inside = [event for event in EVENTS if since <= datetime.fromisoformat(event.at) < until]
    found = summarise(stored.usage, since, until)
    assert found["requests"] == len(inside)
    assert found["input_tokens"] == sum(event.input_tokens for event in inside)
    assert found["time_to_first_token"]["p95"] > found["time_to_first_token"]["p50"] > 0


def test_conditions_hold(stored: Stored) -> None:
    stored.usage.add_events(EVENTS)
    only = Condition("key_id", Match.IS, ("key_a",))
    found = summarise(stored.usage, DAY_ONE, DAY_ONE + timedelta(days=4), (only,))
    assert found["requests"] == sum(event.key_id == "key_a" for event in EVENTS)


def test_of_nothing_all_is_nothing(stored: Stored) -> None:
    found = summarise(stored.usage, DAY_ONE, DAY_ONE + timedelta(days=4))
    assert (found["requests"], found["credits"], found["duration"]["p95"]) == (0, 0, None)
