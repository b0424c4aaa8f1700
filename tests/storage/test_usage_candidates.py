"""The hours that may have what a query asks for: none that has any is left out, and most that have none are."""

from datetime import datetime, timedelta

import pytest

from copilot_api.storage.instants import from_microseconds, to_microseconds
from copilot_api.storage.rollup_upkeep import close_day
from copilot_api.storage.usage_candidates import Candidates
from copilot_api.usage.filters import Condition, Match
from copilot_api.usage.repository import EventQuery, Position
from tests.ledgers import DAY_ONE, random_events, select_events
from tests.stored import Stored

END = DAY_ONE + timedelta(days=5)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("days_closed", [0, 3])
@pytest.mark.parametrize(
    "condition",
    [
        Condition("key_id", Match.IS, ("key_a",)),
        Condition("cause", Match.IS, ("upstream_cut",)),
        Condition("time_to_first_token", Match.MORE_THAN, (6.0,)),
        Condition("duration", Match.AT_LEAST, (20.0,)),
        Condition("queue_seconds", Match.MORE_THAN, (0.97,)),
        Condition("nano_aiu", Match.AT_LEAST, (123_456_789,)),
        Condition("would_limit", Match.CONTAINS, ("tpm",)),
    ],
    ids=str,
)
def test_no_hour_is_left_out_and_few_are_in_vain(stored: Stored, condition: Condition, days_closed: int) -> None:
    events = random_events(500, days=5)
    stored.usage.add_events(events)
    for day in range(days_closed):
        close_day(stored.database, to_microseconds(DAY_ONE + timedelta(days=day)), lambda: None)
    with stored.database.connect() as connection:
        candidates = Candidates(connection, EventQuery(DAY_ONE, END, (condition,)), to_microseconds(DAY_ONE))
        hours = list(candidates.list_hours(Position(to_microseconds(END), "")))
    found = [from_microseconds(hour.start) for hour in hours]
    matching = [hour_of(datetime.fromisoformat(event.at)) for event in select_events(events, DAY_ONE, END, [condition])]
    assert set(matching) <= set(found)
    assert found == sorted(found, reverse=True), "newest first"
    assert len(found) <= len(set(matching)) + 60, "of 120; what never went upstream may have taken any time"
