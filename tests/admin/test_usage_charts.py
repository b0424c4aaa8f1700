"""The explorer's answers become series: named, coloured by what does not change, and summing up to the whole."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.usage_charts import name_group, name_value, read_series, read_time, read_times, read_total
from copilot_api.usage.explorer import ExploreQuery, Metric, explore
from copilot_api.usage.queries import Bucket, Dimension
from tests.ledgers import DAY_ONE, random_events
from tests.stored import Stored

EVENTS = random_events(300)


@pytest.mark.parametrize("bucket", [Bucket.HOUR, Bucket.DAY])
def test_series_add_up_to_the_total(stored: Stored, bucket: Bucket) -> None:
    stored.usage.add_events(EVENTS)
    until = DAY_ONE + timedelta(days=4)
    answer = explore(stored.usage, ExploreQuery(DAY_ONE, until, (Dimension.MODEL,), bucket, top=2))
    series = read_series(answer, Metric.REQUESTS)
    assert [each.name for each in series][-1] == "other"
    sums = [sum(values) for values in zip(*(each.values for each in series), strict=True)]
    assert sums == read_total(answer, Metric.REQUESTS)
    times = read_times(answer)
    assert len(times) == len(sums)
    assert times[0] == DAY_ONE
    assert all(at.tzinfo is not None for at in times)


def test_a_group_without_any_is_no_series() -> None:
    line = {"group": ["a"], "requests": [1, 0], "credits": [0, 0]}
    assert read_series({"series": {"lines": [line]}}, "credits") == []


def test_a_key_is_shown_by_its_label_and_coloured_by_its_id() -> None:
    line = {"group": ["key_1", "gpt-4.1"], "requests": [1]}
    (series,) = read_series({"series": {"lines": [line]}}, "requests", [lambda _: "ci", name_value])
    assert (series.name, series.label) == ("key_1 · gpt-4.1", "ci · gpt-4.1")


def test_values_have_names() -> None:
    assert [name_value(value) for value in (None, "", "x", 429, True)] == ["none", "none", "x", "429", "True"]
    assert name_group((None, 200), (name_value, name_value)) == "none · 200"


def test_a_day_begins_in_utc() -> None:
    assert read_time("2026-07-01") == datetime(2026, 7, 1, tzinfo=UTC) == read_time("2026-07-01T00:00Z")
