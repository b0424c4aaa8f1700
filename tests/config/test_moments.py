"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_api.config.moments import parse_duration, parse_moment, parse_when


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90s", timedelta(seconds=90)),
        (" 30D ", timedelta(days=30)),
        ("0s", timedelta()),
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        (" 2026-07-01T14:00+02:00 ", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("soon", None),
        ("", None),
        ("1.5h", None),
        ("0001-01-01T00:00+23:59", None),
    ],
)
def test_a_time_is_a_length_or_a_moment(text: str, found: datetime | timedelta | None) -> None:
    assert parse_when(text) == found


def test_more_than_a_hundred_years_is_no_length_of_ours() -> None:
    assert parse_duration("5000w") == timedelta(weeks=5000)
    with pytest.raises(OverflowError, match="hundred years"):
        parse_when("99999999w")


@given(st.text(max_size=30))
def test_whatever_somebody_writes_is_a_time_or_none(text: str) -> None:
    moment = parse_moment(text)
    assert moment is None or moment.tzinfo is UTC
