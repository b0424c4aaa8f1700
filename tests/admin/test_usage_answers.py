"""The usage page's answer: chart, table and tiles say the same of one period."""

from datetime import timedelta

import pytest

from copilot_api.admin.date_range import CUSTOM, DateRange
from copilot_api.admin.usage_answers import UsageAnswer, ask_usage
from copilot_api.admin.usage_charts import name_value
from copilot_api.admin.usage_queries import UsageChoice
from copilot_api.usage.queries import Bucket
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored

EVENTS = random_events(400)
PERIOD = DateRange(CUSTOM, DAY_ONE + timedelta(days=2), DAY_ONE + timedelta(days=4))


def ask(
    stored: Stored, metric: str, *groups: str, bucket: Bucket = Bucket.HOUR, compare: bool = False, add: bool = False
) -> UsageAnswer:
    stored.usage.add_events(EVENTS)
    choice = UsageChoice(metric, groups, bucket, "auto", compare, add)
    return ask_usage(stored.usage, PERIOD, choice, (), [name_value] * len(groups))


@pytest.mark.parametrize("metric", ["requests", "credits", "errors", "input_tokens"])
def test_the_series_the_rows_and_the_total_agree(stored: Stored, metric: str) -> None:
    found = ask(stored, metric, "client")
    whole = found.total[metric]
    assert sum(value or 0 for each in found.series for value in each.values) == pytest.approx(whole)
    assert sum(row[metric] for row in found.rows) == pytest.approx(whole)


def test_the_whole_is_one_series(stored: Stored) -> None:
    found = ask(stored, "requests")
    assert [each.label for each in found.series] == ["Requests"]
    assert found.rows == []


def test_added_up_it_ends_with_the_whole(stored: Stored) -> None:
    found = ask(stored, "requests", "client", add=True)
    assert sum(each.values[-1] or 0 for each in found.series) == found.total["requests"]
    assert all(list(each.values) == sorted(each.values) for each in found.series)  # type: ignore[type-var]


def test_the_period_before_stands_in_the_place_of_this_one(stored: Stored) -> None:
    found = ask(stored, "requests", compare=True)
    now, before = found.compared
    assert len(now.values) == len(before.values) == len(found.times)
    assert sum(value or 0 for value in now.values) == found.total["requests"]
    assert found.before is not None
    assert sum(value or 0 for value in before.values) == found.before["requests"]


def test_times_are_percentiles_and_by_group_the_95th(stored: Stored) -> None:
    whole = ask(stored, "time_to_first_token")
    assert [each.name for each in whole.series] == ["p50", "p95", "p99"]
    grouped = ask(stored, "duration", "key", "client")
    assert 0 < len(grouped.series) <= 10
    assert grouped.rows[0]["duration"]["p95"] > 0


def test_an_empty_ledger_has_nothing_to_say(stored: Stored) -> None:
    for metric in ("requests", "duration"):
        choice = UsageChoice(metric, ("model",), Bucket.HOUR, "auto", True, False)
        found = ask_usage(stored.usage, PERIOD, choice, (), [name_value])
        assert (found.series, found.rows) == ([], [])
