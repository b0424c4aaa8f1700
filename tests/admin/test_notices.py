"""What has to be said on every page is said, with what to do about it."""

from datetime import UTC, datetime, timedelta

from copilot_api.admin.notices import GatewayState, list_notices
from copilot_api.admin.shell import Shell


def test_when_all_is_well_nothing_is_said() -> None:
    assert list_notices(GatewayState(slots=8, slots_allowed=8)) == ()


def test_each_trouble_is_a_notice_with_a_way_out() -> None:
    state = GatewayState(
        problems=(("ledger", "the disk is full"), ("token", "refused")),
        stopped="abuse (since 2026-07-01T12:00:00+00:00)",
        slots=8,
        slots_allowed=2,
        config_rejected="line 3: unknown field",
        captured_until=(datetime(2026, 7, 1, 18, tzinfo=UTC), datetime(2026, 7, 1, 20, tzinfo=UTC)),
        is_open=True,
        clock_ahead=timedelta(minutes=-4),
    )
    notices = list_notices(state)
    assert all(notice.href.startswith("/admin/") and notice.action for notice in notices)
    texts = "\n".join(notice.text for notice in Shell(notices).worst_first)
    for word in ("abuse", "the disk is full", "refused", "line 3", "Authentication is off", "2 keys", "20:00 UTC",
                 "4 min behind GitHub's"):  # fmt: skip
        assert word in texts
    tones = [notice.tone for notice in Shell(notices).worst_first]
    assert tones == sorted(tones, key=["bad", "warn", "info"].index)


def test_a_stopped_account_is_not_called_braked_too() -> None:
    notices = list_notices(GatewayState(stopped="abuse", slots=8, slots_allowed=1))
    assert [notice.tone for notice in notices] == ["bad"]


def test_the_brake_says_how_many_slots_are_open() -> None:
    (notice,) = list_notices(GatewayState(slots=8, slots_allowed=3))
    assert ("3 of 8" in notice.text, notice.tone) == (True, "warn")


def test_one_capture_is_one_key() -> None:
    (notice,) = list_notices(GatewayState(captured_until=(datetime(2026, 7, 1, 18, tzinfo=UTC),)))
    assert "one key" in notice.text
