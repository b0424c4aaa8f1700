"""What SQL counts of events is what rollups count of them."""

from typing import Any

import pytest
from sqlalchemy import select

from copilot_api.storage.usage_event_sums import EVENT_SUMS, EVENT_TIMES
from copilot_api.usage.models import UsageEvent
from copilot_api.usage.rollups import COUNTERS, HISTOGRAMS, roll_up
from tests.ledgers import DAY_ONE, random_events, roll_up_event
from tests.stored import Stored


def check(stored: Stored, event: UsageEvent) -> None:
    stored.usage.add_events([event])
    with stored.database.connect() as connection:
        counted = list(connection.execute(select(*(EVENT_SUMS[name] for name in COUNTERS))).one())
        times = connection.execute(select(*(EVENT_TIMES[name] for name in HISTOGRAMS))).one()
    expected = next(iter(roll_up([roll_up_event(event)]).values()))
    assert counted == expected[: len(COUNTERS)]
    assert [time is not None for time in times] == [bool(stored) for stored in expected[len(COUNTERS) :]]


@pytest.mark.parametrize("seed", range(25))
def test_any_event_counts_alike(stored: Stored, seed: int) -> None:
    check(stored, random_events(1, seed=seed)[0])


@pytest.mark.parametrize(
    "fields",
    [{"input_tokens": 2**62}, {"output_tokens": -5}, {"nano_aiu": 10**18}, {"bytes_out": 10**17}, {"duration": 0.0}],
    ids=str,
)
def test_what_no_call_can_have_is_cut_alike(stored: Stored, fields: dict[str, Any]) -> None:
    check(stored, UsageEvent(request_id="r", at=DAY_ONE.isoformat(), identity_id="default", **fields))
