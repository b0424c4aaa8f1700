"""What the URL of the usage page may say, and what gives way to what."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.admin.date_range import CUSTOM, DateRange
from copilot_api.admin.forms import Fields
from copilot_api.admin.usage_queries import (
    BUCKETS,
    GROUP_LABELS,
    GROUPS,
    MEASURES,
    UsageChoice,
    check_span,
    read_choice,
    suits,
)
from copilot_api.errors import BadRequest
from copilot_api.usage.explorer import ExploreQuery, Metric, explore
from copilot_api.usage.percentiles import Timing
from copilot_api.usage.queries import Bucket
from tests.fakes import FakeClock
from tests.ledgers import sum_slowly

NOW = FakeClock().now()


def period(span: timedelta) -> DateRange:
    return DateRange(CUSTOM, NOW - span, NOW)


def read(span: timedelta = timedelta(days=1), /, **fields: str) -> UsageChoice:
    return read_choice(Fields(fields.items()), period(span))


def test_everything_has_a_name() -> None:
    assert set(MEASURES) == {*Metric, *Timing}
    assert set(GROUP_LABELS) == set(GROUPS)


def test_the_usual_is_requests_as_a_whole() -> None:
    choice = read()
    assert (choice.metric, choice.groups, choice.bucket, choice.wanted_bucket) == ("requests", (), Bucket.HOUR, "auto")


def test_two_different_things_to_group_by() -> None:
    assert read(by="key", then="model").groups == ("key", "model")
    assert read(by="key", then="key").groups == ("key",)
    assert read(then="model").groups == ()


@pytest.mark.parametrize("fields", [{"metric": "x"}, {"by": "x"}, {"by": "key", "then": "x"}, {"bucket": "week"}])
def test_what_there_is_not_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        read(**fields)


def test_a_bucket_that_does_not_suit_gives_way() -> None:
    choice = read(timedelta(days=30), bucket="minute")
    assert (choice.bucket, choice.wanted_bucket) == (Bucket.DAY, "auto")


def test_times_do_not_add_up() -> None:
    assert read(metric="duration", cumulative="on").is_cumulative is False
    assert read(metric="credits", cumulative="on").is_cumulative is True


class Empty:
    def sum_up(self, query: object) -> list[object]:
        return list(sum_slowly([], query))  # type: ignore[arg-type]


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=1500)), st.sampled_from(sorted(BUCKETS)))
def test_what_can_be_chosen_can_be_shown(span: timedelta, bucket: str) -> None:
    whole = period(span)
    try:
        check_span(whole.since, whole.until)
    except BadRequest:
        assert not suits(Bucket.DAY, span)
        return
    choice = read(span, bucket=bucket)
    explore(Empty(), ExploreQuery(whole.since, whole.until, bucket=choice.bucket))  # type: ignore[arg-type]
