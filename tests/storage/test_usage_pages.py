"""Pages of events: together they are exactly the events that were asked for, newest first, each once."""

import random
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest

from copilot_api.storage.instants import to_microseconds
from copilot_api.storage.rollup_upkeep import close_day
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.repository import EventQuery
from tests.fakes import FakeClock
from tests.ledgers import DAY_ONE, random_events, select_events
from tests.stored import Stored, open_stored

END = DAY_ONE + timedelta(days=9)
EVENTS = 6000
CONDITIONS = (
    Condition("key_id", Match.IS, ("key_a",)),
    Condition("key_id", Match.IS, ("key_a",), is_negated=True),
    Condition("key_id", Match.IS, ("nobody",)),
    Condition("model", Match.CONTAINS, ("opus",)),
    Condition("cause", Match.IS, ("upstream_cut",)),
    Condition("cause", Match.IS, ("ok",), is_negated=True),
    Condition("status", Match.AT_LEAST, (400,)),
    Condition("time_to_first_token", Match.MORE_THAN, (8.0,)),
    Condition("time_to_first_token", Match.LESS_THAN, (0.1,)),
    Condition("time_to_first_token", Match.IS_SET, (), is_negated=True),
    Condition("duration", Match.AT_LEAST, (30.0,)),
    Condition("duration", Match.MORE_THAN, (30.0,), is_negated=True),
    Condition("queue_seconds", Match.AT_LEAST, (0.999,)),
    Condition("input_tokens", Match.AT_LEAST, (250_000,)),
    Condition("input_tokens", Match.AT_MOST, (0,)),
    Condition("nano_aiu", Match.MORE_THAN, (200_000_000,)),
    Condition("would_limit", Match.CONTAINS, ("tpm",)),
    Condition("stream", Match.IS, (True,)),
    Condition("request_id", Match.IS, ("req_nothing",)),
)


@cache
def ledger() -> list[UsageEvent]:
    return random_events(EVENTS, days=8.5)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with open_stored(tmp_path_factory.mktemp("ledger") / "data", FakeClock()) as stored:
        stored.usage.add_events(ledger())
        for day in range(6):
            assert close_day(stored.database, to_microseconds(DAY_ONE + timedelta(days=day)), lambda: None)
        yield stored


def read_all(stored: Stored, query: EventQuery) -> list[str]:
    """Every page of it."""
    found: list[str] = []
    for _ in range(10_000):
        page = stored.usage.get_page(query)
        assert len(page.events) <= query.limit
        found += [event.request_id for event in page.events]
        if page.next is None:
            return found
        query = EventQuery(query.since, query.until, query.conditions, query.limit, page.next)
    raise AssertionError("the pages have no end")


def check(stored: Stored, query: EventQuery) -> None:
    expected = select_events(ledger(), query.since, query.until, query.conditions)
    assert read_all(stored, query) == [event.request_id for event in expected]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_the_pages_of_a_condition_are_what_meets_it(filled: Stored, condition: Condition) -> None:
    check(filled, EventQuery(DAY_ONE, END, (condition,), limit=37))


@pytest.mark.parametrize("seed", range(30))
def test_the_pages_of_any_query(filled: Stored, seed: int) -> None:
    draw = random.Random(seed)
    first, last = sorted(draw.random() * 9 * 86_400 for _ in range(2))
    conditions = tuple(draw.sample(CONDITIONS, draw.choice([0, 1, 2, 3])))
    since, until = DAY_ONE + timedelta(seconds=first), DAY_ONE + timedelta(seconds=last)
    check(filled, EventQuery(since, until, conditions, limit=draw.choice([10, 50, 500])))


def test_all_events_in_pages_are_all_events(filled: Stored) -> None:
    check(filled, EventQuery(DAY_ONE, END, limit=500))


def test_events_of_one_moment_are_told_apart_by_their_ids(stored: Stored) -> None:
    events = random_events(50)
    for event in events:
        event.at = DAY_ONE.isoformat()
    stored.usage.add_events(events)
    found = read_all(stored, EventQuery(DAY_ONE, DAY_ONE + timedelta(microseconds=1), limit=7))
    assert found == sorted((event.request_id for event in events), reverse=True)


def test_what_comes_while_somebody_turns_pages_moves_nothing(stored: Stored) -> None:
    stored.usage.add_events(random_events(200, seed=1))
    query = EventQuery(DAY_ONE, END, limit=50)
    page = stored.usage.get_page(query)
    expected = read_all(stored, EventQuery(query.since, query.until, limit=50, after=page.next))
    newer = random_events(50, seed=2, first=DAY_ONE + timedelta(days=5), days=1)
    for number, event in enumerate(newer):
        event.request_id = f"req_new{number}"
    stored.usage.add_events(newer)
    assert read_all(stored, EventQuery(query.since, query.until, limit=50, after=page.next)) == expected


def test_an_empty_ledger_has_one_empty_page(stored: Stored) -> None:
    page = stored.usage.get_page(EventQuery(DAY_ONE, END))
    assert (page.events, page.next) == ([], None)
    page = stored.usage.get_page(EventQuery(DAY_ONE, END, (CONDITIONS[0],)))
    assert (page.events, page.next) == ([], None)


def test_one_event_is_found_by_its_request_id(filled: Stored) -> None:
    page = filled.usage.get_page(EventQuery(DAY_ONE, DAY_ONE + timedelta(days=10), limit=5))
    for event in page.events:
        assert filled.usage.find_event(event.request_id) == event
    assert filled.usage.find_event("req_nobody") is None
    assert filled.usage.find_event("") is None
