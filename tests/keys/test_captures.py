"""Orders to capture a key: what they may say, how they end, and that each is on record."""

import math
from datetime import datetime, timedelta

import pytest

from copilot_api.audit.lines import describe_record
from copilot_api.audit.models import Origin
from copilot_api.errors import BadRequest, StorageUnavailable
from copilot_api.keys.captures import MAX_SECONDS
from copilot_api.keys.models import ApiKey, CaptureOrder
from copilot_api.keys.service import KeyNotFound
from tests.fakes import FakeClock
from tests.stored import Stored

ME, OTHER, GATEWAY = "local:me", "key_admin", "gateway"


def lines_of(stored: Stored) -> list[tuple[object, object, object]]:
    """Action, actor and why of every line about captures."""
    records = [describe_record(record) for record in reversed(stored.audit.list_events())]
    found: list[tuple[object, object, object]] = []
    for record in records:
        detail = record["detail"]
        assert isinstance(detail, dict)
        if str(record["action"]).startswith("capture."):
            found.append((record["action"], record["actor"], detail.get("why")))
    return found


def seen(stored: Stored, key_id: str) -> ApiKey:
    """The key as calls see it."""
    stored.keys.load()
    return next(key for key in stored.keys.list_keys() if key.id == key_id)


def test_an_order_holds_from_now_to_its_end_and_is_in_the_index(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    since = clock.now()
    stored.keys.start_capture(issued.key.id, "  a reason ", 3600, actor=ME)
    stored.keys.load()
    key = stored.keys.authenticate(issued.secret, since)
    assert key.capture == CaptureOrder("a reason", ME, since, since + timedelta(hours=1))
    assert key.capture_at(since + timedelta(seconds=3599)) == key.capture
    assert key.capture_at(since + timedelta(hours=1)) is None
    assert lines_of(stored) == [("capture.started", ME, None)]


def test_renewing_moves_the_end_and_keeps_the_beginning(stored: Stored, clock: FakeClock) -> None:
    key_id, began = stored.keys.issue("ci", actor=ME).key.id, clock.now()
    stored.keys.start_capture(key_id, "first", 60, actor=ME)
    clock.advance(30)
    stored.keys.start_capture(key_id, "second", MAX_SECONDS, actor=OTHER)
    assert seen(stored, key_id).capture == CaptureOrder("second", OTHER, began, clock.now() + timedelta(hours=24))
    clock.advance(MAX_SECONDS)
    third = stored.keys.start_capture(key_id, "third", 60, actor=ME).capture
    assert third is not None
    assert third.since == clock.now(), "the one before was over"
    assert [action for action, _, _ in lines_of(stored)] == ["capture.started", "capture.renewed", "capture.started"]


@pytest.mark.parametrize("seconds", [0, 0.5, -1, MAX_SECONDS + 1, math.inf, -math.inf, math.nan])
def test_no_order_lasts_longer_than_a_day_or_not_at_all(stored: Stored, seconds: float) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    with pytest.raises(BadRequest, match="24 hours"):
        stored.keys.start_capture(key_id, "why", seconds, actor=ME)
    assert seen(stored, key_id).capture is None


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "two\nlines", "ansi \x1b[31m", "see ghp_" + "a1B2" * 9])
def test_a_reason_is_words_and_no_secret(stored: Stored, reason: str) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    with pytest.raises(BadRequest, match="reason") as refused:
        stored.keys.start_capture(key_id, reason, 60, actor=ME)
    assert "ghp_" not in refused.value.message
    assert lines_of(stored) == []


def test_a_key_that_is_not_there_or_that_nobody_can_use_is_refused(stored: Stored, clock: FakeClock) -> None:
    with pytest.raises(KeyNotFound):
        stored.keys.start_capture("key_none", "why", 60, actor=ME)
    with pytest.raises(KeyNotFound):
        stored.keys.stop_capture("key_none", actor=ME)
    short = stored.keys.issue("short", expires_at=clock.now() + timedelta(seconds=5), actor=ME).key.id
    clock.advance(6)
    with pytest.raises(BadRequest, match="expired"):
        stored.keys.start_capture(short, "why", 60, actor=ME)


def test_ending_it_is_on_record_with_where_it_came_from_and_only_once(stored: Stored) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    stored.keys.start_capture(key_id, "why", 60, actor=ME, origin=Origin("192.0.2.1", "curl", "req_1"))
    assert stored.keys.stop_capture(key_id, actor=OTHER).capture is None
    assert stored.keys.stop_capture(key_id, actor=OTHER).capture is None
    assert lines_of(stored) == [("capture.started", ME, None), ("capture.ended", OTHER, "asked")]


def test_revoking_a_key_ends_its_capture_in_the_same_step(stored: Stored) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    stored.keys.start_capture(key_id, "why", 60, actor=ME)
    assert stored.keys.revoke(key_id, actor=OTHER).capture is None
    assert lines_of(stored)[-1] == ("capture.ended", OTHER, "key revoked")
    with pytest.raises(BadRequest, match="revoked"):
        stored.keys.start_capture(key_id, "why", 60, actor=ME)


def test_recovering_with_force_ends_the_captures_of_those_it_revokes(stored: Stored) -> None:
    admin = stored.keys.ensure_admin_key(actor=ME)
    assert admin is not None
    stored.keys.start_capture(admin.key.id, "why", 60, actor=ME)
    stored.keys.recover(force=True, actor=OTHER)
    assert seen(stored, admin.key.id).capture is None
    assert lines_of(stored)[-1] == ("capture.ended", OTHER, "key revoked")


def test_a_sweep_ends_what_is_over_and_nothing_else(stored: Stored, clock: FakeClock) -> None:
    short, long = (stored.keys.issue(label, actor=ME).key.id for label in ("short", "long"))
    stored.keys.start_capture(short, "why", 60, actor=ME)
    stored.keys.start_capture(long, "why", 600, actor=ME)
    stored.keys.load()
    assert not stored.keys.has_overdue_captures(clock.now(), is_allowed=True)
    clock.advance(60)
    assert stored.keys.has_overdue_captures(clock.now(), is_allowed=True)
    assert [key.id for key in stored.keys.end_captures(clock.now(), is_allowed=True, actor=GATEWAY)] == [short]
    assert seen(stored, short).capture is None
    assert seen(stored, long).capture is not None
    assert stored.keys.end_captures(clock.now(), is_allowed=True, actor=GATEWAY) == []
    assert lines_of(stored)[-1] == ("capture.ended", GATEWAY, "expired")


def test_where_captures_are_forbidden_all_end(stored: Stored, clock: FakeClock) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    stored.keys.start_capture(key_id, "why", 600, actor=ME)
    stored.keys.end_captures(clock.now(), is_allowed=False, actor=GATEWAY)
    assert lines_of(stored)[-1] == ("capture.ended", GATEWAY, "features.debug is false")


def test_what_cannot_be_put_on_record_is_not_done(stored: Stored) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    stored.directory.audit.rename(stored.directory.audit.with_name("kept"))
    stored.directory.audit.mkdir()
    with pytest.raises(StorageUnavailable):
        stored.keys.start_capture(key_id, "why", 60, actor=ME)
    assert seen(stored, key_id).capture is None


def test_rotating_and_changing_a_key_leaves_its_capture(stored: Stored, clock: FakeClock) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    order = stored.keys.start_capture(issued.key.id, "why", 60, actor=ME).capture
    stored.keys.rotate(issued.key.id, actor=ME)
    stored.keys.update(issued.key.id, label="other", actor=ME)
    assert seen(stored, issued.key.id).capture == order


def test_whether_a_key_is_there_is_known_from_the_index(stored: Stored) -> None:
    issued = stored.keys.issue("ci", actor=ME)
    assert not stored.keys.knows(issued.key.id), "it was not read yet"
    stored.keys.load()
    assert stored.keys.knows(issued.key.id)
    assert not stored.keys.knows("key_none")
    stored.keys.revoke(issued.key.id, actor=ME)
    stored.keys.load()
    assert stored.keys.knows(issued.key.id), "a revoked key is not gone"


def test_a_moment_in_another_zone_is_the_same_moment(stored: Stored, clock: FakeClock) -> None:
    key_id = stored.keys.issue("ci", actor=ME).key.id
    stored.keys.start_capture(key_id, "why", 60, actor=ME)
    until = seen(stored, key_id).capture
    assert until is not None
    assert until.until.utcoffset() == timedelta(0)
    assert isinstance(until.until, datetime)
