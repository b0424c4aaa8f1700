from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from copilot_api.storage.instants import from_microseconds, to_microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_microsecond(at: datetime) -> None:
    assert from_microseconds(to_microseconds(at)) == at


def test_one_moment_is_one_number_whatever_its_offset() -> None:
    berlin = datetime(2026, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert to_microseconds(berlin) == to_microseconds(datetime(2026, 7, 1, 12, tzinfo=UTC))
