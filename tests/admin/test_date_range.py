"""Which stretch of time a page shows."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.admin.date_range import DateRange, range_links, read_range
from copilot_api.admin.forms import Fields, parse_query
from copilot_api.errors import BadRequest

NOW = datetime(2026, 12, 1, 3, 7, tzinfo=UTC)


def test_a_named_range_ends_now() -> None:
    assert read_range(Fields(), NOW) == DateRange("24h", NOW - timedelta(hours=24), NOW)
    assert read_range(Fields(), NOW, "7d").name == "7d"
    assert read_range(parse_query(b"range=15m"), NOW).since == NOW - timedelta(minutes=15)


def test_a_typed_range_is_in_utc_and_stands_still() -> None:
    typed = read_range(parse_query(b"since=2026-11-01T09:30&until=2026-11-02T09:30"), NOW)
    assert typed == DateRange(
        "custom", datetime(2026, 11, 1, 9, 30, tzinfo=UTC), datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    )
    assert typed.is_custom
    assert (typed.typed_since, typed.typed_until) == ("2026-11-01T09:30", "2026-11-02T09:30")
    assert read_range(parse_query(b"since=2026-12-01T02:00%2B01:00"), NOW).since == datetime(2026, 12, 1, 1, tzinfo=UTC)


def test_the_stretch_before_is_as_long() -> None:
    week = read_range(parse_query(b"range=7d"), NOW)
    assert week.before == DateRange("custom", NOW - timedelta(days=14), NOW - timedelta(days=7))
    assert week.before.span == week.span


@pytest.mark.parametrize(
    "query",
    [b"range=5y", b"since=yesterday", b"since=2026-12-02T00:00", b"since=2026-11-02&until=2026-11-01", b"until=x"],
)
def test_what_makes_no_sense_is_said(query: bytes) -> None:
    with pytest.raises(BadRequest):
        read_range(parse_query(query), NOW)


def test_the_choices_keep_the_other_filters_and_forget_the_page() -> None:
    fields = parse_query(b"q=a&since=2026-11-01&after=3")
    links = range_links("/admin/usage", fields, read_range(fields, NOW))
    assert [link.label for link in links] == ["15 m", "1 h", "24 h", "7 d", "30 d"]
    assert links[0].href == "/admin/usage?q=a&range=15m"
    assert not any(link.is_current for link in links)
    assert range_links("/", (), read_range(Fields(), NOW))[2].is_current
