"""How long a session lives."""

from datetime import UTC, datetime, timedelta

import pytest

from copilot_api.keys.sessions import IDLE, LIFETIME, STEP_UP, Session, digest_cookie, make_cookie, make_session_id

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


def make_session(*, seen: timedelta = timedelta(0), stepped_up: timedelta | None = None) -> Session:
    """A session that was opened at `AT`."""
    cookie = make_cookie()
    stepped_up_at = None if stepped_up is None else AT + stepped_up
    return Session(
        make_session_id(), digest_cookie(cookie), "key_a", b"s" * 32, AT, AT + seen, stepped_up_at, "192.0.2.1", "Firefox"
    )  # fmt: skip


def test_ids_and_cookies_are_never_the_same_and_not_to_be_guessed() -> None:
    cookies = {make_cookie() for _ in range(100)}
    assert len(cookies) == 100
    assert {len(cookie) for cookie in cookies} == {43}, "256 bits"
    assert len({make_session_id() for _ in range(100)}) == 100


def test_of_the_cookie_only_a_hash_is_kept_and_nothing_of_it_is_shown() -> None:
    cookie = make_cookie()
    assert len(digest_cookie(cookie)) == 32
    session = make_session()
    assert repr(session.digest) not in repr(session)
    assert repr(session.secret_digest) not in repr(session)


@pytest.mark.parametrize(
    ("seen", "after", "is_alive"),
    [
        (timedelta(0), IDLE - timedelta(seconds=1), True),
        (timedelta(0), IDLE, False),
        (timedelta(hours=7), timedelta(hours=14), True),
        (timedelta(hours=23, minutes=59), LIFETIME - timedelta(seconds=1), True),
        (timedelta(hours=23, minutes=59), LIFETIME, False),
        (timedelta(0), -timedelta(minutes=1), True),
        (timedelta(0), -timedelta(hours=1), False),
    ],
)
def test_it_ends_unused_and_it_ends_anyway(seen: timedelta, after: timedelta, is_alive: bool) -> None:
    """A clock that was set back by a moment ends nobody's session, and one that was set back far gives nobody a day."""
    assert make_session(seen=seen).is_alive_at(AT + after) is is_alive


def test_it_is_told_when_it_ends() -> None:
    assert make_session().ends_at == AT + IDLE
    assert make_session(seen=timedelta(hours=20)).ends_at == AT + LIFETIME


def test_showing_the_key_again_counts_for_five_minutes() -> None:
    assert not make_session().is_stepped_up_at(AT)
    session = make_session(stepped_up=timedelta(minutes=1))
    assert not session.is_stepped_up_at(AT)
    assert session.is_stepped_up_at(AT + timedelta(minutes=1))
    assert session.is_stepped_up_at(AT + timedelta(minutes=1) + STEP_UP - timedelta(seconds=1))
    assert not session.is_stepped_up_at(AT + timedelta(minutes=1) + STEP_UP)
