"""Conditions mean the same in SQL as in words; `tests/storage/test_usage_pages.py` holds them against events."""

import pytest
from sqlalchemy import select

from copilot_api.storage.schema import usage_events
from copilot_api.storage.usage_conditions import render_conditions
from copilot_api.usage.filters import Condition, Match
from tests.ledgers import meets, random_events
from tests.stored import Stored


@pytest.mark.parametrize("is_negated", [False, True])
@pytest.mark.parametrize(
    ("column", "match", "values"),
    [
        ("model", Match.IS, ("gpt-4.1", "nothing")),
        ("model", Match.IS, ()),
        ("model", Match.CONTAINS, ("GPT",)),
        ("model", Match.CONTAINS, ("%", "_4")),
        ("model", Match.CONTAINS, ()),
        ("model", Match.IS_SET, ()),
        ("nano_aiu", Match.AT_LEAST, (1,)),
        ("nano_aiu", Match.MORE_THAN, (123_456_789,)),
        ("status", Match.AT_MOST, (200,)),
        ("status", Match.LESS_THAN, (200,)),
        ("stream", Match.IS, (True,)),
    ],
)
def test_a_condition_finds_what_meets_it(
    stored: Stored, column: str, match: Match, values: tuple[str | int, ...], is_negated: bool
) -> None:
    events = random_events(120)
    stored.usage.add_events(events)
    condition = Condition(column, match, values, is_negated)
    with stored.database.connect() as connection:
        statement = select(usage_events.c.request_id).where(*render_conditions(usage_events, [condition]))
        found = set(connection.scalars(statement))
    assert found == {event.request_id for event in events if meets(event, [condition])}
