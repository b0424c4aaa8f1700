"""A clock that is set."""

from datetime import UTC, datetime

from copilot_api.demo.clock import SetClock


def test_it_stands_where_it_was_set() -> None:
    clock = SetClock(datetime(2026, 11, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 11, 1, tzinfo=UTC)
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    assert clock.now() == datetime(2026, 11, 2, tzinfo=UTC)
    assert clock.monotonic() <= clock.monotonic()
