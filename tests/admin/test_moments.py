"""Times as pages show them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from copilot_api.admin import moments

NOW = datetime(2026, 12, 1, 3, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("away", "expected"),
    [(0, "just now"), (-1, "1 s ago"), (-59, "59 s ago"), (-200, "3 min ago"), (-7200, "2 h ago"), (-90_000, "1 d ago"), (7300, "in 2 h"), (-40 * 86400, "22 Oct 2026")],
)  # fmt: skip
def test_how_long_ago_and_how_soon(away: float, expected: str) -> None:
    assert moments.relative_time(NOW + timedelta(seconds=away), NOW) == expected


def test_an_element_says_all_of_it_in_utc_wherever_the_value_comes_from() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    for value in (NOW, there):
        assert moments.show_minute(value) == (
            '<time datetime="2026-12-01T03:07:12Z" title="2026-12-01 03:07:12 UTC" data-time="minute">1 Dec 03:07</time>'
        )
    assert ">1 Dec 03:07:12<" in moments.show_second(NOW)
    assert ">1 Dec 2026<" in moments.show_day(NOW)
    assert 'data-time="relative">in 1 min<' in moments.show_relative(NOW + timedelta(seconds=80), NOW)


def test_attributes_have_milliseconds_where_there_are_some() -> None:
    assert moments.machine_time(NOW.replace(microsecond=120_000)) == "2026-12-01T03:07:12.120Z"


def test_no_time_is_a_dash() -> None:
    for shown in (
        moments.show_minute(None),
        moments.show_second(None),
        moments.show_day(None),
        moments.show_relative(None, NOW),
    ):
        assert shown == '<span class="muted">\u2013</span>'


def test_a_length_of_time_in_words() -> None:
    spans = [timedelta(minutes=15), timedelta(hours=1), timedelta(days=30), timedelta(seconds=90), timedelta()]
    assert list(map(moments.span_text, spans)) == ["15 minutes", "1 hour", "30 days", "90 seconds", "0 seconds"]
